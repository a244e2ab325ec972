"""What a driver's folder offers, found by the folder's name alone."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import pkgutil
import tomllib
import types
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

from leyden.hal.options import Quantity
from leyden.hal.registers import registers_of
from leyden.kernel import ComponentError
from leyden.units import parse

FILES: Final = ("__init__.py", "driver.py", "sample.toml", "README.md")
# Keys of a [device.…] table that are the appliance's, not the driver's.
_PLACEMENT: Final = frozenset(
    {
        "driver",
        "bus",
        "every",
        "if_absent",
        "critical",
        "label",
        "group",
        "normal",
        "labels",
        "needs",
    }
)


@dataclass(frozen=True, slots=True)
class Kit:
    """A driver, its options as its own sample configures them, and its model."""

    name: str  # of the folder
    folder: Path
    driver: Any  # the subclass of Device; made of (bus, options)
    options_type: type[Any]
    model: type[Any] | None  # None where the folder has no chip.py
    registers: type[Any] | None  # the map of registers, where the part has one
    device_id: str  # "air", as in the sample
    table: Mapping[str, Any]  # the sample's [device.…] table

    @property
    def bus_kind(self) -> str:
        """What it hangs on: "i2c", "spi", "uart", "gpio" or "none"."""
        return str(getattr(self.driver, "bus_kind", ""))

    @property
    def every_s(self) -> float:
        """How often the sample reads it, in seconds."""
        return parse(str(self.table.get("every", "1 s")), "s")

    def options(self) -> Any:
        """Return the options of the sample."""
        own = {key: value for key, value in self.table.items() if key not in _PLACEMENT}
        return read_options(self.options_type, own)


def folders(package: str) -> tuple[str, ...]:
    """Return the dotted names of the driver folders in a package."""
    found = importlib.import_module(package)
    rows = pkgutil.iter_modules(found.__path__)
    return tuple(sorted(f"{package}.{row.name}" for row in rows if row.ispkg))


def load_kit(package: str) -> Kit:
    """Return what the driver folder `package` (dotted) offers.

    Raises:
        ComponentError: a file or name is missing; the text says which.
    """
    module = importlib.import_module(package)
    name = package.rpartition(".")[2]
    folder = Path(str(module.__file__)).parent
    missing = [file for file in FILES if not (folder / file).is_file()]
    if missing:
        raise ComponentError(f"{package}: found no {', '.join(missing)} in {folder}")
    device_id, table = _sample(name, folder / "sample.toml")
    return Kit(
        name,
        folder,
        _exported(module, "DEVICE"),
        _exported(module, "OPTIONS"),
        _exported(importlib.import_module(f"{package}.chip"), "CHIP")
        if (folder / "chip.py").is_file()
        else None,
        _register_map(package),
        device_id,
        table,
    )


def read_options(kind: type[Any], table: Mapping[str, Any]) -> Any:
    """Return `kind`, a dataclass of options, made from a table as TOML gives it.

    Quantities are read from text with a unit; tables become dataclasses and mappings of them.

    Raises:
        ComponentError: a key that `kind` does not have.
        UnitError: a quantity without or with the wrong unit.
    """
    hints = get_type_hints(kind, include_extras=True)
    names = {field.name for field in dataclasses.fields(kind)}
    if unknown := sorted(set(table) - names):
        raise ComponentError(f"found {', '.join(unknown)}, expected {', '.join(sorted(names))}")
    return kind(**{key: _value(hints[key], value) for key, value in table.items()})


def _value(hint: Any, value: Any) -> Any:
    quantity = _quantity(hint)
    if quantity is not None and isinstance(value, str):
        return parse(value, quantity.code)
    plain = _plain(hint)
    if dataclasses.is_dataclass(plain) and isinstance(value, Mapping):
        return read_options(plain if isinstance(plain, type) else type(plain), value)
    if get_origin(plain) in (Mapping, dict):
        return {key: _value(get_args(plain)[1], item) for key, item in value.items()}
    return plain(value) if isinstance(plain, type) and issubclass(plain, Enum) else value


def _quantity(hint: Any) -> Quantity | None:
    """Return the mark in `Annotated[float, Quantity(…)]`, also within `… | None`."""
    for extra in getattr(hint, "__metadata__", ()):
        if isinstance(extra, Quantity):
            return extra
    if get_origin(hint) in (Union, types.UnionType):
        return next((mark for arm in get_args(hint) if (mark := _quantity(arm))), None)
    return None


def _plain(hint: Any) -> Any:
    """Return a type without its annotations and without `| None`."""
    if hasattr(hint, "__metadata__"):
        return get_args(hint)[0]
    if get_origin(hint) in (Union, types.UnionType):
        arms = [arm for arm in get_args(hint) if arm is not type(None)]
        return _plain(arms[0]) if len(arms) == 1 else hint
    return hint


def _exported(module: types.ModuleType, name: str) -> Any:
    try:
        return getattr(module, name)
    except AttributeError:
        raise ComponentError(f"{module.__name__}: found no {name}, expected one") from None


def _sample(name: str, path: Path) -> tuple[str, Mapping[str, Any]]:
    with path.open("rb") as file:
        devices: Mapping[str, Any] = tomllib.load(file).get("device", {})
    for device_id, table in devices.items():
        if table.get("driver") == name:
            return device_id, table
    raise ComponentError(f'{path}: found no device with driver = "{name}"')


def _register_map(package: str) -> type[Any] | None:
    if importlib.util.find_spec(f"{package}.registers") is None:
        return None
    module = importlib.import_module(f"{package}.registers")
    own = [item for item in vars(module).values() if isinstance(item, type)]
    return next((item for item in own if registers_of(item)), None)
