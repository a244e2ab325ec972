"""GPIO as drivers see it: input lines with timed edges, and outputs that are held on a lease."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Bias(StrEnum):
    """The resistor inside the chip that pulls an undriven line."""

    AS_IS = "as_is"  # whatever it was before
    NONE = "none"
    UP = "up"
    DOWN = "down"


class Edge(StrEnum):
    """Which changes of a line are recorded."""

    NONE = "none"
    RISING = "rising"
    FALLING = "falling"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class EdgeEvent:
    """One change of a line, timed by the kernel when it happened, not when it was read."""

    mono: int  # ns on the monotonic clock
    rising: bool  # from inactive to active, after `active_low` is applied


class InputLine(Protocol):
    """A line that is read. `True` is active, after `active_low` is applied."""

    line: int

    def value(self) -> bool:
        """Return the level now."""
        ...

    def events(self, limit: int = 64) -> list[EdgeEvent]:
        """Return edges not yet returned, oldest first, at most `limit`; never waits."""
        ...

    def missed(self) -> int:
        """Return how many edges were lost because nobody fetched them in time."""
        ...

    def close(self) -> None:
        """Give the line back."""
        ...


class OutputLine(Protocol):
    """A line that is driven, only ever for a limited time. `True` is active."""

    line: int

    def hold(self, value: bool, lease_ms: int) -> None:
        """Drive the line to `value` until `lease_ms` are over, then to its safe value.

        Each call replaces the lease before it; whoever wants the line kept calls again in time.

        Raises:
            MessageError: `lease_ms` is not positive.
            BusError: the line could not be set.
        """
        ...

    def value(self) -> bool:
        """Return the level read back from the line, which a short circuit may hold elsewhere."""
        ...

    def close(self) -> None:
        """Drive the line to its safe value and give it back."""
        ...


class GpioChip(Protocol):
    """One chip of GPIO lines; lines are numbered by their offset in the chip."""

    name: str

    def input(
        self,
        line: int,
        *,
        bias: Bias = Bias.AS_IS,
        active_low: bool = False,
        edges: Edge = Edge.NONE,
        debounce_s: float = 0.0,
    ) -> InputLine:
        """Take `line` as an input.

        Raises:
            InUseError: somebody holds the line; the text names the consumer.
            MessageError: the chip has no such line.
        """
        ...

    def output(
        self, line: int, *, safe: bool, active_low: bool = False, consumer: str = ""
    ) -> OutputLine:
        """Take `line` as an output; it goes to `safe` first and whenever no lease runs.

        Raises:
            InUseError: somebody holds the line; the text names the consumer.
            MessageError: the chip has no such line.
        """
        ...


class RawOutput(Protocol):
    """An output line as a back end opens it, below the guard: driven without any lease."""

    def drive(self, value: bool) -> None:
        """Set the line."""
        ...

    def value(self) -> bool:
        """Return the level read back."""
        ...

    def close(self) -> None:
        """Give the line back."""
        ...


class RawGpioChip(Protocol):
    """A chip as a back end opens it, below the guard."""

    name: str

    def input(
        self,
        line: int,
        *,
        bias: Bias = Bias.AS_IS,
        active_low: bool = False,
        edges: Edge = Edge.NONE,
        debounce_s: float = 0.0,
    ) -> InputLine:
        """Take `line` as an input."""
        ...

    def drive(self, line: int, *, value: bool, active_low: bool, consumer: str) -> RawOutput:
        """Take `line` as an output that starts at `value`."""
        ...

    def close(self) -> None:
        """Give the chip and all its lines back."""
        ...
