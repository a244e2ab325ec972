"""Watchdog: speaks when a route has been silent for too long, and again when it recovers."""

from __future__ import annotations

from enum import Enum, StrEnum

from leyden.flow.errors import StageError
from leyden.flow.health import Health
from leyden.flow.node import Site, Stage
from leyden.flow.timer import Alarm
from leyden.flow.turnstile import Turnstile
from leyden.flow.words import number_words, span_words
from leyden.kernel import BAD, NS, Event


class Watch(StrEnum):
    """Where a watchdog stands."""

    DISARMED = "disarmed"  # not watching: before the first value, or told to rest
    ARMED = "armed"  # watching a route that is well
    SILENT = "silent"  # has spoken; waits for a value to come back


class Counts(StrEnum):
    """Which events are a sign of life."""

    USABLE = "usable"  # good and uncertain values; a device that only reports failure is silent
    ANY = "any"  # bad values too


class _Order(Enum):
    """What a watchdog is told beside its events."""

    PULSE = "pulse"
    ARM = "arm"
    DISARM = "disarm"


class Watchdog(Stage):
    """Speaks when a route is silent; values pass through unchanged.

    It speaks once per silence, and once more when a value comes back, on its own route: a word of
    `Health`, the sentence in the event's detail. Time is monotonic; a gap of exactly `silence_s` is
    still healthy. It is armed by the first value unless `expect_first` is set, so a route that was
    never there raises no alarm by default.

    Args:
        silence_s: longest gap between values, in seconds.
        raises: key of the route to speak on; empty: the health route of the line's end.
        expect_first: armed from the start, so that a first value that never comes is told of.
        counts: which events are a sign of life.

    Raises:
        StageError: a silence that is not positive.
    """

    kind = "watchdog"

    def __init__(
        self,
        silence_s: float,
        raises: str = "",
        *,
        expect_first: bool = False,
        counts: Counts | str = Counts.USABLE,
    ) -> None:
        super().__init__()
        if not silence_s > 0:
            raise StageError("watchdog.silence", f"found {silence_s} s, expected more than 0 s")
        self.silence_s = silence_s
        self.raises = raises
        self.expect_first = expect_first
        self.counts = Counts(counts)
        self.watch = Watch.DISARMED
        self.silences = 0
        self._silence_ns = round(silence_s * NS)
        self._resting = False  # disarmed by hand: the next value does not arm it
        self._last_ns = 0
        self._last: Event | None = None  # the newest sign of life
        self._newest: Event | None = None  # the newest event of any kind
        self._alarm: Alarm | None = None
        self._stopped = False
        self._turns: Turnstile[Event | _Order] = Turnstile(self._turn)

    @property
    def side_route(self) -> str:
        """The route it speaks on."""
        return self.raises

    def attach(self, site: Site) -> None:
        """Take the place in the line; with `expect_first`, begin to watch."""
        super().attach(site)
        self._clock = site.executor.clock
        if self.expect_first:
            self.arm()

    def arm(self) -> None:
        """Watch from now on, whether or not a value has come."""
        self._turns.order(_Order.ARM)

    def disarm(self) -> None:
        """Rest until armed by hand; say nothing meanwhile."""
        self._turns.order(_Order.DISARM)

    def accept(self, event: Event) -> None:
        """Note a sign of life and pass the event on."""
        self.entered += 1
        self._turns.enter(event)
        self.out += 1
        self.site.send(event)

    def _turn(self, piece: Event | _Order) -> None:
        if self._stopped:
            return
        if piece is _Order.PULSE:
            self._alarm = None
            self._look()
        elif piece is _Order.ARM:
            self._resting = False
            self._watch_from(self._clock.monotonic_ns())
        elif piece is _Order.DISARM:
            self._resting = True
            self.watch = Watch.DISARMED
        elif isinstance(piece, Event):
            self._hear(piece)

    def _hear(self, event: Event) -> None:
        self._newest = event
        if not self._is_life(event):
            return
        now = self._clock.monotonic_ns()
        gap, self._last = now - self._last_ns, event
        if self.watch is Watch.ARMED:
            self._last_ns = now  # the alarm is moved when it is due, not at each event
        elif self.watch is Watch.SILENT:
            self._watch_from(now)
            self.site.speak(
                Health.RECOVERED.value, f"a value came after {span_words(gap)} of silence", event
            )
        elif not self._resting:
            self._watch_from(now)

    def _is_life(self, event: Event) -> bool:
        return self.counts is Counts.ANY or event.quality < BAD

    def _watch_from(self, now: int) -> None:
        self.watch = Watch.ARMED
        self._last_ns = now
        self._schedule()

    def _schedule(self) -> None:
        if self._alarm is None:
            # The first moment at which the gap is longer than allowed.
            self._alarm = self.site.timer.at(self._last_ns + self._silence_ns + 1, self._pulse)

    def _pulse(self) -> None:
        self._turns.order(_Order.PULSE)

    def _look(self) -> None:
        if self.watch is not Watch.ARMED:
            return
        # A value may be published and on its way to us: it came in time.
        newest = self.site.newest()
        if newest is not None and self._is_life(newest):
            self._last_ns = max(self._last_ns, newest.mono)
        if self._clock.monotonic_ns() - self._last_ns <= self._silence_ns:
            self._schedule()
            return
        self.watch = Watch.SILENT
        self.silences += 1
        self.site.speak(Health.SILENT.value, self._silence_words(), self._last)

    def _silence_words(self) -> str:
        limit = f"{number_words(self.silence_s)} s"
        newest = self._newest
        if newest is not None and not self._is_life(newest):
            reason = newest.detail or newest.reason or "no reason given"
            return f"no usable value for more than {limit}; the newest is bad: {reason}"
        if self._last is None:
            return f"no first value within {limit}"
        return f"nothing for more than {limit}; the last was event {self._last.n}"

    def stop(self) -> None:
        """Say nothing any more."""
        self._stopped = True
        alarm, self._alarm = self._alarm, None
        if alarm is not None:
            self.site.timer.cancel(alarm)

    def words(self) -> str:
        """Say whether it watches, and how long ago the last sign of life was."""
        limit = f"speaks after {number_words(self.silence_s)} s"
        if self.watch is Watch.DISARMED:
            why = "told to rest" if self._resting else "waits for a first value"
            return f"disarmed: {why}"
        ago = span_words(self._clock.monotonic_ns() - self._last_ns)
        if self.watch is Watch.SILENT:
            return f"silent: nothing for {ago}, {limit}"
        if self._last is None:
            return f"armed: no value yet in {ago}, {limit}"
        return f"armed: the last value {ago} ago, {limit}"
