"""A modelled GPIO chip: levels decided by models, bias and faults; edges timed, debounced, kept."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from leyden.hal.errors import InUseError, MessageError, WorldError
from leyden.hal.gpio import Bias, Edge, EdgeEvent, InputLine, RawOutput
from leyden.hal.mock.chip import Change, LineChip
from leyden.hal.mock.faults import APPLICABLE, FaultKind, Wire, parse_fault
from leyden.hal.mock.world import World
from leyden.kernel import NS, Executor

KEPT: Final = 1024  # edges kept for a reader who does not come; the oldest go first


class MockGpioChip:
    """A chip of GPIO lines with models connected to some of them.

    Args:
        name: "gpio".
        executor: whose clock the lines live by.
        world: where the faults of what is connected are set.
        lines: how many there are; a Pi's header chip has 54.
    """

    def __init__(self, name: str, executor: Executor, world: World, *, lines: int = 54) -> None:
        self.name = name
        self.lines = lines
        self.clock = executor.clock
        self._executor = executor
        self._world = world
        self._connected: dict[int, _Connection] = {}
        self._taken: dict[int, str] = {}
        self._driven: dict[int, bool] = {}

    def plug(self, chip: LineChip) -> None:
        """Connect a model to the lines it names.

        Raises:
            WorldError: one of them has something else connected.
        """
        if not chip.lines:
            raise WorldError(f"{chip.name} names no lines of {self.name}, expected one or more")
        for line in chip.lines:
            if line in self._connected:
                other = self._connected[line].chip.name
                raise WorldError(f"{chip.name} and {other} are both on line {line} of {self.name}")
        connection = _Connection(chip, Wire(chip, self._world, self._executor), self._world)
        self._connected.update(dict.fromkeys(chip.lines, connection))

    def open(self) -> MockGpioChip:
        """Return the chip, as opening its device file would."""
        return self

    def close(self) -> None:
        """Give nothing back: the wiring stays."""

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
        self._take(line, "input")
        return _MockInput(self, line, bias, active_low, edges, round(debounce_s * NS))

    def drive(self, line: int, *, value: bool, active_low: bool, consumer: str) -> RawOutput:
        """Take `line` as an output that starts at `value`."""
        self._take(line, consumer or "output")
        return _MockOutput(self, line, value, active_low)

    # What the lines ask, in physical levels.

    def level(self, line: int, bias: Bias, at_ns: int) -> bool:
        """Return the level of a line at a time: fault, then model, then driver, then bias."""
        connection = self._connected.get(line)
        held = connection.level(line, at_ns) if connection else None
        if held is not None:
            return held
        return self._driven.get(line, bias is Bias.UP)

    def changes(self, line: int, bias: Bias, after_ns: int, until_ns: int) -> list[Change]:
        """Return each change of a line's level in (after, until], oldest first."""
        connection = self._connected.get(line)
        times = connection.turning_points(line, after_ns, until_ns) if connection else []
        found: list[Change] = []
        last = self.level(line, bias, after_ns)
        for at in times:
            level = self.level(line, bias, at)
            if level != last:
                found.append((at, level))
                last = level
        return found

    def touch(self, line: int) -> None:
        """Wait where a fault of what is connected says so."""
        if line in self._connected:
            self._connected[line].wire.touch()

    def set_level(self, line: int, level: bool) -> None:
        """Drive a line; what is connected notices."""
        self._driven[line] = level
        if line in self._connected:
            self._connected[line].chip.driven(line, level)

    def holder(self, line: int) -> str:
        """Return who holds a line; nothing where nobody does."""
        return self._taken.get(line, "")

    def give_back(self, line: int) -> None:
        """Let a line go: it floats, as after a kernel that does not keep outputs."""
        self._taken.pop(line, None)
        if self._driven.pop(line, None) is not None and line in self._connected:
            self._connected[line].chip.driven(line, None)

    def _take(self, line: int, consumer: str) -> None:
        if not 0 <= line < self.lines:
            raise MessageError(f"found line {line} of {self.name}, expected 0 to {self.lines - 1}")
        if line in self._taken:
            raise InUseError(f"line {line} of {self.name} is held by {self._taken[line]}")
        self._taken[line] = consumer


@dataclass(frozen=True, slots=True)
class _Connection:
    """A model on its lines, as faults let it be seen.

    A level has no transfers: how often or how long a fault strikes does not matter here.
    """

    chip: LineChip
    wire: Wire
    world: World

    def level(self, line: int, at_ns: int) -> bool | None:
        """Return the level held at a time; None where the line floats."""
        source = self.world.source(f"{self.chip.name}.fault")
        fault = parse_fault(str(source.value(at_ns)), APPLICABLE["gpio"]).kind
        if fault in (FaultKind.STUCK_HIGH, FaultKind.STUCK_LOW):
            return fault is FaultKind.STUCK_HIGH
        there = self.world.source(f"{self.chip.name}.present").flag(at_ns)
        if not there or fault is FaultKind.UNPLUG:
            return None
        return self.chip.level(line, at_ns)

    def turning_points(self, line: int, after_ns: int, until_ns: int) -> list[int]:
        """Return every time in (after, until] at which the level may change, rising."""
        times = {at for at, _ in self.chip.changes(line, after_ns, until_ns)}
        for signal in ("fault", "present"):
            source = self.world.source(f"{self.chip.name}.{signal}")
            times |= {at for at, _ in source.changes(after_ns, until_ns)}
        return sorted(times)


class _MockInput:
    """An input line; what happened since the last look is worked out when somebody looks."""

    def __init__(
        self,
        chip: MockGpioChip,
        line: int,
        bias: Bias,
        active_low: bool,
        edges: Edge,
        debounce_ns: int,
    ) -> None:
        self.line = line
        self._chip = chip
        self._bias = bias
        self._active_low = active_low
        self._edges = edges
        self._debounce_ns = debounce_ns
        self._seen_ns = chip.clock.monotonic_ns()
        self._stable = self._raw = chip.level(line, bias, self._seen_ns)
        self._candidate: Change | None = None  # a change not yet stable for long enough
        self._kept: deque[EdgeEvent] = deque()
        self._missed = 0

    def value(self) -> bool:
        """Return the level now, debounced like its edges."""
        self._chip.touch(self.line)
        self._look()
        return self._stable != self._active_low

    def events(self, limit: int = 64) -> list[EdgeEvent]:
        """Return edges not yet returned, oldest first, at most `limit`."""
        self._chip.touch(self.line)
        self._look()
        return [self._kept.popleft() for _ in range(min(limit, len(self._kept)))]

    def missed(self) -> int:
        """Return how many edges were lost because nobody fetched them in time."""
        return self._missed

    def close(self) -> None:
        """Give the line back."""
        self._chip.give_back(self.line)

    def _look(self) -> None:
        now = self._chip.clock.monotonic_ns()
        for at, level in self._changes_until(now):
            self._ripen(at)
            self._candidate = (at, level) if level != self._stable else None
            self._ripen(at)
        self._ripen(now)
        self._seen_ns = now

    def _changes_until(self, now_ns: int) -> list[Change]:
        # A change in the very instant of the last look came after it: a clock has a resolution,
        # and simulated time stands still while the world is set.
        then = self._chip.level(self.line, self._bias, self._seen_ns)
        found = [(self._seen_ns, then)] if then != self._raw else []
        found += self._chip.changes(self.line, self._bias, self._seen_ns, now_ns)
        self._raw = found[-1][1] if found else self._raw
        return found

    def _ripen(self, now_ns: int) -> None:
        """Accept the change that waits once it has lasted; the kernel times it then."""
        if self._candidate is None or now_ns - self._candidate[0] < self._debounce_ns:
            return
        at, level = self._candidate
        self._candidate = None
        self._stable = level
        self._record(at + self._debounce_ns, level != self._active_low)

    def _record(self, at_ns: int, rising: bool) -> None:
        wanted = Edge.RISING if rising else Edge.FALLING
        if self._edges not in (Edge.BOTH, wanted):
            return
        self._kept.append(EdgeEvent(at_ns, rising))
        if len(self._kept) > KEPT:
            self._kept.popleft()
            self._missed += 1


class _MockOutput:
    """An output line."""

    def __init__(self, chip: MockGpioChip, line: int, value: bool, active_low: bool) -> None:
        self._chip = chip
        self._line = line
        self._active_low = active_low
        self.drive(value)

    def drive(self, value: bool) -> None:
        """Set the line."""
        self._chip.set_level(self._line, value != self._active_low)

    def value(self) -> bool:
        """Return the level read back, which a fault or a short circuit may hold elsewhere."""
        self._chip.touch(self._line)
        now = self._chip.clock.monotonic_ns()
        return self._chip.level(self._line, Bias.AS_IS, now) != self._active_low

    def close(self) -> None:
        """Give the line back."""
        self._chip.give_back(self._line)
