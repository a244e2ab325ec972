"""The three kinds of line a gpio device has: a level, a counter of edges, and an output."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from leyden.hal import Edge, EdgeEvent, GpioChip, InputLine, OutputLine
from leyden.kernel import NS, Channel, Clock, Direction, Doubt, NoDataError, Value
from leyden_drivers.gpio.debounce import Change, Debouncer
from leyden_drivers.gpio.options import Line, Mode
from leyden_drivers.gpio.rate import HIGHEST_RATE, RateMeter

BATCH: Final = 64  # edges fetched at once
MOST_EDGES: Final = 4096  # edges taken in one reading; a line that never rests must not hold a lane
LARGEST_COUNT: Final = 2.0**53  # the largest count that JSON carries exactly everywhere


@dataclass(frozen=True, slots=True)
class Sample:
    """What one line says: the value of each of its channels, and what is doubtful about it."""

    values: Mapping[str, Value]
    doubts: Mapping[str, Doubt] = field(default_factory=dict)


class Port(ABC):
    """One configured line; it holds the chip's line only between `open` and `close`."""

    def __init__(self, name: str, options: Line) -> None:
        self.name = name
        self.options = options

    @abstractmethod
    def channels(self) -> tuple[Channel, ...]:
        """The channels of this line."""

    @abstractmethod
    def open(self, chip: GpioChip, clock: Clock) -> None:
        """Take the line."""

    @abstractmethod
    def sample(self, now: int) -> Sample:
        """Return what the line says at `now`."""

    @abstractmethod
    def look(self) -> None:
        """Ask the line for its level and raise what it raises; nothing else."""

    @abstractmethod
    def close(self) -> None:
        """Give the line back, if it is held."""


def port_of(name: str, options: Line, *, settle_s: float) -> Port:
    """Return the port that a line's mode asks for."""
    if options.mode is Mode.OUTPUT:
        return OutputPort(name, options, settle_s)
    if options.mode is Mode.COUNTER:
        return CounterPort(name, options)
    if options.complement is not None:
        return ChangeoverPort(name, options, options.complement, settle_s)
    return InputPort(name, options)


class WatchedPort(Port):
    """A line that is read: fetches its edges and sorts changes from chatter."""

    _line: InputLine | None = None
    _bounce: Debouncer

    def __init__(self, name: str, options: Line) -> None:
        super().__init__(name, options)
        self.glitches = 0
        self.lost = 0  # edges nobody saw, as far as can be known
        self.lagging = False  # more edges waited than one reading takes
        self.disagrees = False  # the level is not where the edges lead
        self._lost_before = 0

    def open(self, chip: GpioChip, clock: Clock) -> None:
        """Take the line and its level; what it does from now on counts."""
        self._line = chip.input(
            self.options.line,
            bias=self.options.bias.bias,
            active_low=self.options.active_low,
            edges=self._edges(),
        )
        self._lost_before = self._line.missed()
        now = clock.monotonic_ns()  # edges before it are in the level that is read after it
        self._bounce = Debouncer(self._line.value(), now, round(self.options.debounce * NS))

    @property
    def level(self) -> bool:
        """The stable level."""
        return self._bounce.level

    def look(self) -> None:
        """Ask the line for its level."""
        self._held().value()

    def close(self) -> None:
        """Give the line back, if it is held."""
        line, self._line = self._line, None
        if line is not None:
            line.close()

    def _edges(self) -> Edge:
        return Edge.BOTH

    def _glitch_channel(self) -> tuple[Channel, ...]:
        if not self.options.glitches:
            return ()
        label = f"{self.options.label or self.name}, glitches"
        return (_count_channel(f"{self.name}_glitches", label),)

    def _glitch_values(self) -> dict[str, Value]:
        return {f"{self.name}_glitches": self.glitches} if self.options.glitches else {}

    def follow(self, now: int) -> None:
        """Bring the debouncer up to `now`, a time just before the edges are fetched."""
        line, bounce = self._held(), self._bounce
        self.lagging = self._fetch(line)
        if not self.lagging:
            self._compare(line.value(), now)
            self._changed(bounce.settle(now))
        self.glitches += bounce.glitches
        self._lose(bounce.lost + self._lost_in(line))
        bounce.glitches = bounce.lost = 0

    def _compare(self, level: bool, now: int) -> None:
        # An edge may be on its way through the kernel; one that is not there at the next reading
        # either was lost.
        disagreed, self.disagrees = self.disagrees, level != self._bounce.raw
        if disagreed and self.disagrees:
            self._bounce.resync(level, now)
            self.disagrees = False

    def _fetch(self, line: InputLine) -> bool:
        # Whether more edges wait than one reading takes.
        for _ in range(MOST_EDGES // BATCH):
            edges = line.events(BATCH)
            for edge in edges:
                self._take(edge)
            if len(edges) < BATCH:
                return False
        return True

    def _take(self, edge: EdgeEvent) -> None:
        self._changed(self._bounce.edge(edge.mono, edge.rising))

    def _changed(self, changes: Iterable[Change]) -> None:
        """Stable levels that have become certain, oldest first."""

    def _lose(self, edges: int) -> None:
        self.lost += edges

    def _lost_in(self, line: InputLine) -> int:
        before, self._lost_before = self._lost_before, line.missed()
        return self._lost_before - before

    def _held(self) -> InputLine:
        if self._line is None:
            raise NoDataError(f"{self.name}: the line is not held; the device is not started")
        return self._line


class InputPort(WatchedPort):
    """A level: what the line has been for at least its debounce time."""

    def channels(self) -> tuple[Channel, ...]:
        """The level, and the glitches where asked for."""
        return Channel(self.name, bool, label=self.options.label), *self._glitch_channel()

    def sample(self, now: int) -> Sample:
        """Return the stable level."""
        self.follow(now)
        return self._sample(self.level, self.doubt())

    def _sample(self, value: Value, doubt: Doubt | None) -> Sample:
        values = {self.name: value, **self._glitch_values()}
        return Sample(values, {self.name: doubt} if doubt else {})

    def doubt(self) -> Doubt | None:
        """What is doubtful about the level, as far as this line alone can tell."""
        if self.lagging:
            return _lagging()
        if self.disagrees:
            return Doubt.uncertain("missed_edges", "the line has another level than its edges say")
        return None


class ChangeoverPort(InputPort):
    """A switch with two opposite contacts on two lines: exactly one of them is made.

    That is the witness of a digital input: a cut wire, a short circuit, a stuck line or a switch
    that is gone make both lines say the same.
    """

    def __init__(self, name: str, options: Line, complement: int, settle_s: float) -> None:
        super().__init__(name, options)
        other = replace(options, line=complement, complement=None, glitches=False)
        self._other = InputPort(name, other)
        self._settle_ns = round(settle_s * NS)
        self._settled: bool | None = None  # the last level that both lines vouched for
        self._alike_since: int | None = None  # ns

    def open(self, chip: GpioChip, clock: Clock) -> None:
        """Take both lines."""
        super().open(chip, clock)
        self._other.open(chip, clock)
        self._settled = self._alike_since = None

    def sample(self, now: int) -> Sample:
        """Return the level that both lines vouch for."""
        self.follow(now)
        self._other.follow(now)
        if self.level != self._other.level:
            self._settled, self._alike_since = self.level, None
            return self._sample(self.level, self.doubt() or self._other.doubt())
        return self._sample(self._settled, self._judge_alike(now))

    def look(self) -> None:
        """Ask both lines for their level."""
        super().look()
        self._other.look()

    def close(self) -> None:
        """Give both lines back, if they are held."""
        try:
            super().close()
        finally:
            self._other.close()

    def _judge_alike(self, now: int) -> Doubt:
        # Between two contacts a moving switch makes neither, for some milliseconds.
        if self._alike_since is None:
            self._alike_since = now
        detail = (
            "both contacts read made: is there a short circuit?"
            if self.level
            else "neither contact reads made: is a wire cut, or the switch gone?"
        )
        lasted = now - self._alike_since >= self._settle_ns
        if lasted or self._settled is None:
            return Doubt.bad("discrepancy", detail)
        return Doubt.uncertain("discrepancy", detail)


class CounterPort(WatchedPort):
    """A count of edges that never goes back while the runtime lives, and their rate."""

    def __init__(self, name: str, options: Line) -> None:
        super().__init__(name, options)
        self.count = 0
        self._rate = RateMeter()
        self._was_open = self._interrupted = False

    def channels(self) -> tuple[Channel, ...]:
        """The count; rate and glitches where asked for."""
        label = self.options.label
        channels = [_count_channel(self.name, label)]
        if self.options.rate:
            channels.append(
                Channel(
                    f"{self.name}_rate",
                    unit="Hz",
                    minimum=0.0,
                    maximum=HIGHEST_RATE,
                    step=0.001,
                    label=f"{label or self.name}, rate",
                )
            )
        return *channels, *self._glitch_channel()

    def open(self, chip: GpioChip, clock: Clock) -> None:
        """Take the line; a count that was broken off goes on, and is a lower bound from then on."""
        super().open(chip, clock)
        self._rate = RateMeter()
        self._interrupted, self._was_open = self._was_open, True

    def sample(self, now: int) -> Sample:
        """Return the count and, where asked for, the rate."""
        lost_before = self.lost
        if self._plain():
            self.lagging = self._fetch(self._held())
            self._lose(self._lost_in(self._held()))
        else:
            self.follow(now)
        values: dict[str, Value] = {self.name: self.count, **self._glitch_values()}
        doubts = self._doubts(self.lost > lost_before)
        if self.options.rate:
            values[f"{self.name}_rate"], doubt = self._rate.sample(now)
            if doubt is not None:
                doubts[f"{self.name}_rate"] = doubt
        return Sample(values, doubts)

    def _doubts(self, lost_now: bool) -> dict[str, Doubt]:
        doubts = {}
        if self.lagging:
            doubts[self.name] = _lagging()
        elif self.lost or self._interrupted:
            doubts[self.name] = Doubt.uncertain("missed_edges", self._missed())
        if self.options.rate and (self.lagging or lost_now):
            doubts[f"{self.name}_rate"] = Doubt.uncertain(
                "missed_edges", "edges came that nobody saw; the true rate may be higher"
            )
        return doubts

    def _missed(self) -> str:
        if self._interrupted:
            return "the line was not watched for a while; the true count may be higher"
        return f"{self.lost} edges were lost; the true count may be higher"

    def _plain(self) -> bool:
        # Without debouncing the kernel is asked for the counted edges alone: it knows which way
        # those go, while of both it may take a fast pair for two of one direction.
        return self.options.debounce == 0.0

    def _edges(self) -> Edge:
        return self.options.edge if self._plain() else Edge.BOTH

    def _take(self, edge: EdgeEvent) -> None:
        if self._plain():
            self._add(edge.mono)
        else:
            super()._take(edge)

    def _changed(self, changes: Iterable[Change]) -> None:
        wanted = {Edge.RISING: (True,), Edge.FALLING: (False,), Edge.BOTH: (True, False)}
        for change in changes:
            if change.level in wanted[self.options.edge]:
                self._add(change.mono)

    def _add(self, mono: int) -> None:
        self.count += 1
        self._rate.edge(mono)


class OutputPort(Port):
    """An output: held by leases that each reading renews, read back, safe when nobody holds it."""

    def __init__(self, name: str, options: Line, settle_s: float) -> None:
        super().__init__(name, options)
        self.lease_ms = 1000
        self.requested = options.safe
        self._settle_ns = round(settle_s * NS)
        self._line: OutputLine | None = None
        self._changed_at = 0  # ns
        self._held_until = 0  # ns
        self._lapse = ""  # why the line is safe although something else was asked, in words

    def channels(self) -> tuple[Channel, ...]:
        """The level, which is written and read back."""
        return (Channel(self.name, bool, label=self.options.label, direction=Direction.OUT),)

    def open(self, chip: GpioChip, clock: Clock) -> None:
        """Take the line, safe at first, then as `initial` says."""
        options = self.options
        self._line = chip.output(
            options.line, safe=options.safe, active_low=options.active_low, consumer=self.name
        )
        begin = options.safe if options.initial is None else options.initial
        self.write(begin, clock.monotonic_ns())

    def write(self, value: bool, now: int) -> None:
        """Ask for a level from now on."""
        if value != self.requested or self._lapse:
            self._changed_at = now
        self.requested, self._lapse = value, ""
        self._hold(now)

    def sample(self, now: int) -> Sample:
        """Renew the lease and return the level read back."""
        self._notice_lapse(now)
        self._hold(now)
        level = self._held().value()
        doubt = self._judge(level, now)
        return Sample({self.name: level}, {self.name: doubt} if doubt else {})

    def look(self) -> None:
        """Ask the line for its level."""
        self._held().value()

    def close(self) -> None:
        """Drive the line to its safe value and give it back, if it is held."""
        line, self._line = self._line, None
        self.requested = self.options.safe
        if line is not None:
            line.close()

    def _hold(self, now: int) -> None:
        self._held().hold(self.requested, self.lease_ms)
        self._held_until = now + self.lease_ms * 1_000_000

    def _notice_lapse(self, now: int) -> None:
        # A line that fell to its safe value stays there: whoever asked for the other one must know
        # and ask again, rather than have it come back by itself.
        if now <= self._held_until or self.requested == self.options.safe:
            return
        late_s = (now - self._held_until) / NS
        self._lapse = (
            f"its lease of {self.lease_ms} ms ran out {late_s:.1f} s before it was renewed; it is "
            "safe until it is written again"
        )
        self.requested, self._changed_at = self.options.safe, now

    def _judge(self, level: bool, now: int) -> Doubt | None:
        if level != self.requested and now - self._changed_at >= self._settle_ns:
            return Doubt.uncertain(
                "discrepancy",
                f"asked for {_word(self.requested)}, the line reads {_word(level)}; is it shorted "
                "or driven by something else?",
            )
        return Doubt.uncertain("lease_expired", self._lapse) if self._lapse else None

    def _held(self) -> OutputLine:
        if self._line is None:
            raise NoDataError(f"{self.name}: the line is not held; the device is not started")
        return self._line


def _count_channel(name: str, label: str) -> Channel:
    return Channel(name, int, "{count}", 0, LARGEST_COUNT, 1, label)


def _lagging() -> Doubt:
    return Doubt.uncertain(
        "saturated", f"more than {MOST_EDGES} edges waited; the value lags behind the line"
    )


def _word(level: bool) -> str:
    return "on" if level else "off"
