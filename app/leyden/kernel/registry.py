"""The registry: what can be plugged in, by kind and name, checked when it is registered.

Three doors lead in: an explicit call, a decorator, and the entry points of installed packages. A
plug-in says which interface version it was written for and what it needs; one that does not load is
listed with its reason and keeps nothing else from loading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from importlib import metadata
from typing import Any, Final, TypeVar

import msgspec

from leyden.kernel.errors import ComponentError, DuplicateError, LeydenError

INTERFACE_VERSION: Final = 1

T = TypeVar("T")


class Kind(StrEnum):
    """What a plug-in is."""

    DRIVER = "driver"
    POLICY = "policy"
    DETECTOR = "detector"
    VALIDATOR = "validator"
    SINK = "sink"
    TRIGGER = "trigger"


class Capability(StrEnum):
    """What a plug-in needs beyond its own code; logged, and enforced where the system can."""

    I2C = "i2c"
    SPI = "spi"
    UART = "uart"
    GPIO = "gpio"
    NETWORK = "network"
    FILES = "files"
    SUBPROCESS = "subprocess"


# The methods without which a plug-in of a kind is none.
_SHAPES: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.DRIVER: ("channels", "probe", "start", "read", "check", "stop"),
    Kind.POLICY: ("act",),
    Kind.DETECTOR: ("inspect",),
    Kind.VALIDATOR: ("check",),
    Kind.SINK: ("handle",),
    Kind.TRIGGER: ("listen",),
}


class Plugin(msgspec.Struct, frozen=True):
    """One registered plug-in and where it came from."""

    kind: Kind
    name: str
    factory: Any  # the class or callable that makes one
    capabilities: frozenset[Capability]
    provenance: str


class LoadFailure(msgspec.Struct, frozen=True):
    """A plug-in that could not be loaded, and why."""

    kind: Kind
    name: str
    provenance: str
    error: str


class UnknownPluginError(LeydenError, LookupError):
    """No plug-in of that kind and name, with those there are."""


class Registry:
    """Plug-ins by kind and name. Make one per appliance; there is no process-wide one."""

    def __init__(self) -> None:
        self._plugins: dict[tuple[Kind, str], Plugin] = {}
        self.failures: list[LoadFailure] = []

    def register(
        self,
        kind: Kind,
        name: str,
        factory: Any,
        *,
        interface: int = INTERFACE_VERSION,
        capabilities: Iterable[Capability] = (),
        provenance: str = "registered by hand",
    ) -> Plugin:
        """Add a plug-in.

        Raises:
            DuplicateError: the name is taken; the message says by whom.
            ComponentError: wrong interface version, missing methods or unknown capability.
        """
        if type(interface) is not int or interface != INTERFACE_VERSION:
            raise ComponentError(
                f"{kind} {name} was written for interface {interface!r}, "
                f"this is {INTERFACE_VERSION}"
            )
        missing = [each for each in _SHAPES[kind] if not callable(getattr(factory, each, None))]
        if missing:
            raise ComponentError(f"{kind} {name} lacks {', '.join(missing)}()")
        known = self._plugins.get((kind, name))
        if known is not None:
            raise DuplicateError(f'{kind} "{name}" is taken by {known.provenance}')
        plugin = Plugin(kind, name, factory, _capabilities(name, capabilities), provenance)
        self._plugins[kind, name] = plugin
        return plugin

    def decorator(
        self, kind: Kind, name: str, *, capabilities: Iterable[Capability] = ()
    ) -> Callable[[T], T]:
        """Return a decorator that registers what it stands on."""

        def keep(factory: T) -> T:
            self.register(kind, name, factory, capabilities=capabilities)
            return factory

        return keep

    def load_entry_points(self, group: str, kind: Kind) -> None:
        """Register every entry point of `group`; each that fails is listed in `failures`."""
        for entry in metadata.entry_points(group=group):
            provenance = entry.dist.name if entry.dist else entry.value
            try:
                factory = entry.load()
                self.register(
                    kind,
                    entry.name,
                    factory,
                    interface=getattr(factory, "INTERFACE", INTERFACE_VERSION),
                    capabilities=getattr(factory, "CAPABILITIES", ()),
                    provenance=provenance,
                )
            except Exception as error:  # noqa: BLE001 - a stranger's package may raise anything
                text = f"{type(error).__name__}: {error}"
                self.failures.append(LoadFailure(kind, entry.name, provenance, text))

    def get(self, kind: Kind, name: str) -> Plugin:
        """Return a plug-in.

        Raises:
            UnknownPluginError: there is none; the message lists those there are.
        """
        try:
            return self._plugins[kind, name]
        except KeyError:
            known = ", ".join(self.names(kind)) or "none"
            raise UnknownPluginError(f'no {kind} "{name}"; there is {known}') from None

    def names(self, kind: Kind) -> tuple[str, ...]:
        """Return the names of one kind, sorted."""
        return tuple(sorted(name for each, name in self._plugins if each is kind))

    def remove(self, kind: Kind, name: str) -> None:
        """Take a plug-in out again.

        Raises:
            UnknownPluginError: there is none.
        """
        self.get(kind, name)
        del self._plugins[kind, name]


def _capabilities(name: str, given: Iterable[Capability]) -> frozenset[Capability]:
    if isinstance(given, str):
        raise ComponentError(
            f'{name} declares capabilities "{given}", expected a set such as {{Capability.I2C}}'
        )
    try:
        return frozenset(Capability(each) for each in given)
    except ValueError as error:
        known = ", ".join(Capability)
        raise ComponentError(f"{name}: {error}; expected some of {known}") from error
