"""Devices: the hardware boundary, as a driver's author writes it.

A driver subclasses `Device` and writes `probe`, `start`, `read` or `write`, `check` and `stop`. It
describes what it returns as a frozen `Reading` whose fields carry unit and range:

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Climate(Reading):
        temperature: Annotated[Celsius, Span("Cel", -40, 85, step=0.01)]

Everything else, when to read, what to do with failures, what a value is worth, is the kernel's.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Generic, Protocol, TypeVar, get_args, get_type_hints

from leyden.kernel.clock import Clock, SystemClock
from leyden.kernel.errors import ComponentError
from leyden.kernel.event import BAD, UNCERTAIN, FrozenDict, Quality, Value
from leyden.kernel.route import Schema


class DeviceState(StrEnum):
    """Where a device stands."""

    ABSENT = "absent"  # nothing answers
    STARTING = "starting"  # being probed and set up
    ONLINE = "online"
    DEGRADED = "degraded"  # reads fail now and then, or its witness is in doubt
    OFFLINE = "offline"  # was there, does not answer; tried again with back-off
    FAILED = "failed"  # not what was configured; needs a person


@dataclass(frozen=True, slots=True)
class Span:
    """Unit, range and step of a channel; values outside the range are impossible, not extreme."""

    unit: str  # UCUM code
    minimum: float
    maximum: float
    step: float = 0.01  # smallest difference that means something; values are rounded to it
    label: str = ""


class Direction(StrEnum):
    """Which way a channel goes."""

    IN = "in"
    OUT = "out"


@dataclass(frozen=True, slots=True)
class Channel:
    """One named value of a device: unit, range and step as in `Span`, and its type."""

    name: str
    kind: type = float  # float, int, bool or str
    unit: str = "1"
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    label: str = ""
    direction: Direction = Direction.IN
    normal: tuple[float, float] | None = None

    def schema(self) -> Schema:
        """The schema of the route that carries this channel."""
        ids = {float: "float", int: "int", bool: "bool", str: "text"}
        return Schema(ids[self.kind], 1, self.unit, self.minimum, self.maximum, self.step)

    def decimals(self) -> int | None:
        """Digits after the point that a panel shows; None where that makes no sense."""
        if self.kind is not float or not self.step:
            return None
        return max(0, math.ceil(-math.log10(self.step) - 1e-9))


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why one value of a reading is less than good."""

    quality: Quality
    reason: str  # code
    detail: str = ""  # in words

    @classmethod
    def uncertain(cls, reason: str, detail: str = "") -> Doubt:
        """Usable with care."""
        return cls(UNCERTAIN, reason, detail)

    @classmethod
    def bad(cls, reason: str, detail: str = "") -> Doubt:
        """Not usable."""
        return cls(BAD, reason, detail)


_NO_DOUBTS: Mapping[str, Doubt] = FrozenDict()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """All channels of a device at one moment; `doubts` names those that are less than good."""

    doubts: Mapping[str, Doubt] = _NO_DOUBTS

    def values(self) -> Mapping[str, Value]:
        """The value of each channel by name."""
        return {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name != "doubts"
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TableReading(Reading):
    """A reading whose channels are known only from the configuration."""

    table: Mapping[str, Value]

    def values(self) -> Mapping[str, Value]:
        """The value of each channel by name."""
        return self.table


R_co = TypeVar("R_co", bound=Reading, covariant=True)


class Device(Generic[R_co]):
    """One part at the end of a wire.

    Class attributes a driver sets: `reading` (its `Reading` class, unless it overrides `channels`),
    `compatible` (the kernel's "vendor,part"), `witness` (what proves that the part is there and
    well, in words).
    """

    reading: ClassVar[type[Reading] | None] = None
    bus_kind: ClassVar[str] = "none"  # i2c | spi | uart | gpio | none
    compatible: ClassVar[str] = ""
    witness: ClassVar[str] = ""
    warm_up_s: ClassVar[float] = 0.0  # values are uncertain for this long after `start`
    deadline_s: ClassVar[float | None] = None  # for one read, where the usual one is too short
    clock: Clock = SystemClock()  # the runtime sets its own
    period_s: float = 1.0  # and the distance at which it reads

    def channels(self) -> tuple[Channel, ...]:
        """The channels, in the order of their values; from `reading` unless overridden."""
        if self.reading is None:
            raise ComponentError(
                f"{type(self).__name__} sets neither `reading` nor overrides `channels()`"
            )
        return channels_of(self.reading)

    def probe(self) -> None:
        """Raise `WrongDeviceError` unless the configured part answers; touch nothing else."""

    def start(self) -> None:
        """Bring the part from any state to the one `read` expects."""

    def read(self) -> R_co:
        """Return one reading.

        Raises:
            NotReadyError: nothing new yet.
            DeviceError: anything else that makes a value impossible to trust.
        """
        raise ComponentError(f"{type(self).__name__} does not read")

    def write(self, channel: str, value: Value) -> None:
        """Drive an output channel."""
        raise ComponentError(f"{type(self).__name__} has no output called {channel}")

    def check(self) -> None:
        """Ask the witness; raise `DeviceError` when it does not say what it should."""

    def stop(self) -> None:
        """Leave the part, and anything it drives, in its safe state."""


class Transport(Protocol):
    """What the devices of one lane share: a bus, as the sampler sees it."""

    name: str  # "i2c1"; also the lane's name

    def allow(self, holder: str, until_ns: int) -> None:
        """Let `holder` use the bus until that monotonic time; refuse transfers after it."""
        ...

    def release(self) -> None:
        """End what `allow` began."""
        ...

    def abandon(self) -> str:
        """Give up a transfer that hangs in the kernel: reopen, and refuse the old caller.

        Returns words that name the suspect, such as "transfer to 0x76".
        """
        ...

    def status(self) -> Mapping[str, Value]:
        """Figures for the devices page: kind, path, load, state, suspect, transfers, errors."""
        ...


def channels_of(reading: type[Reading]) -> tuple[Channel, ...]:
    """Return the channels that a reading's annotations describe.

    Raises:
        ComponentError: a field has no `Span`, or a type that no channel can have.
    """
    hints = get_type_hints(reading, include_extras=True)
    names = [field.name for field in dataclasses.fields(reading) if field.name != "doubts"]
    return tuple(_channel(reading, name, hints[name]) for name in names)


def _channel(reading: type[Reading], name: str, hint: Any) -> Channel:
    kind, *extras = get_args(hint) if hasattr(hint, "__metadata__") else (hint,)
    base = getattr(kind, "__supertype__", kind)
    span = next((extra for extra in extras if isinstance(extra, Span)), None)
    if base in (bool, str) and span is None:
        return Channel(name, base)
    if base not in (float, int) or span is None:
        raise ComponentError(
            f"{reading.__name__}.{name} is {hint!r}, expected Annotated[<unit type>, Span(…)]"
        )
    return Channel(name, base, span.unit, span.minimum, span.maximum, span.step, span.label)


__all__ = [
    "Annotated",
    "Channel",
    "Device",
    "DeviceState",
    "Direction",
    "Doubt",
    "Reading",
    "Span",
    "TableReading",
    "Transport",
    "channels_of",
]
