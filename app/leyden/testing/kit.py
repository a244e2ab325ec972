"""What a driver's folder offers, found by the folder's name alone."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import tomllib
import types
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from leyden.appliance.options import option_names, read_options
from leyden.hal.registers import registers_of
from leyden.kernel import ComponentError
from leyden.units import parse

FILES: Final = ("__init__.py", "driver.py", "sample.toml", "README.md")


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
        return str(self.driver.bus_kind)

    @property
    def every_s(self) -> float:
        """How often the sample reads it, in seconds."""
        return parse(str(self.table.get("every", "1 s")), "s")

    @property
    def sample(self) -> Path:
        """The sample configuration."""
        return self.folder / "sample.toml"

    def options(self) -> Any:
        """Return the options of the sample, read as the appliance reads them."""
        names = option_names(self.options_type)
        own = {key: value for key, value in self.table.items() if key in names}
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
