"""Drivers by name: the folders of `leyden_drivers` and the entry points of other packages."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from types import ModuleType
from typing import Any

from leyden.kernel import ComponentError, Device, LeydenError

GROUP = "leyden.drivers"  # entry points name a driver's package, which has the same two names
_ROOT = "leyden_drivers"


class UnknownDriverError(LeydenError, LookupError):
    """No driver of that name."""


@dataclass(frozen=True, slots=True)
class Driver:
    """A driver's package: its device class, its options and where its chip model would be."""

    name: str
    device: type[Device[Any]]
    options: type
    package: str

    @property
    def bus_kind(self) -> str:
        """The kind of bus it needs, "none" for a device without one."""
        return self.device.bus_kind

    def make(self, bus: Any, options: Any) -> Device[Any]:
        """Return a device on a bus; on None for one without, or to ask for its channels only."""
        # `Device` leaves the constructor to its drivers; the driver packages agree on this one.
        factory: Callable[[Any, Any], Device[Any]] = self.device
        return factory(bus, options)

    def model(self) -> Any | None:
        """Return the chip model's class, or None for a driver that has none."""
        try:
            found = importlib.util.find_spec(f"{self.package}.chip")
        except ModuleNotFoundError:
            return None  # a driver of one file has no room for a model
        if found is None:
            return None
        return importlib.import_module(f"{self.package}.chip").CHIP


@cache
def _packages() -> dict[str, str]:
    # Looked up once a process: installed packages do not change under it.
    spec = importlib.util.find_spec(_ROOT)
    places = list(spec.submodule_search_locations or ()) if spec else []
    found = {
        each.name: f"{_ROOT}.{each.name}" for each in pkgutil.iter_modules(places) if each.ispkg
    }
    for entry in metadata.entry_points(group=GROUP):
        found.setdefault(entry.name, entry.module)
    return found


def names() -> tuple[str, ...]:
    """Return the names of all drivers, sorted."""
    return tuple(sorted(_packages()))


def load(name: str) -> Driver:
    """Return a driver by name.

    Raises:
        UnknownDriverError: there is none of this name.
        ComponentError: its package lacks what a driver's package has, or does not import.
    """
    package = _packages().get(name)
    if package is None:
        raise UnknownDriverError(f'no driver "{name}"; there is {", ".join(names())}')
    module = _import(name, package)
    device, options = getattr(module, "DEVICE", None), getattr(module, "OPTIONS", None)
    if not (isinstance(device, type) and issubclass(device, Device)) or options is None:
        raise ComponentError(f"driver {name} ({package}) lacks DEVICE, a Device class, or OPTIONS")
    return Driver(name, device, options, package)


def _import(name: str, package: str) -> ModuleType:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ComponentError(f"driver {name} ({package}) does not import: {error}") from error
