"""Resistor: lets through what one law allows; pass, gate, when, throttle or deadband."""

from __future__ import annotations

from enum import Enum

from leyden.flow.laws import Law, Pass
from leyden.flow.node import Control, Site, Stage
from leyden.flow.timer import Alarm
from leyden.flow.turnstile import Turnstile
from leyden.kernel import Event, Schema


class _Pulse(Enum):
    """What the timer brings: the time for what is held."""

    PULSE = "pulse"


class Resistor(Stage):
    """Limits what passes, by one law.

    One resistor, one law: two limits are two resistors in a line, and each explains itself.

    Args:
        law: decides about each event; without one everything passes.
    """

    kind = "resistor"

    def __init__(self, law: Law | None = None) -> None:
        super().__init__()
        self.law = law or Pass()
        self._held_event: Event | None = None
        self._alarm: Alarm | None = None
        self._turns: Turnstile[Event | _Pulse] = Turnstile(self._turn)

    @property
    def sends_from_lane(self) -> bool | None:
        """What is held is sent by the timer, which must not wait."""
        return False if self.law.timed else None

    @property
    def keep(self) -> int:
        """A timed law holds one event, the newest."""
        return 1 if self.law.timed else 0

    @property
    def held(self) -> int:
        """1 while an event waits for its time."""
        return int(self._held_event is not None)

    def shape(self, schema: Schema) -> Schema:
        """Values leave as they came; the law may refuse them altogether."""
        self.law.shape(schema)
        return schema

    def period(self, period_s: float | None) -> float | None:
        """As the law says."""
        return self.law.period(period_s)

    def controls(self) -> tuple[Control, ...]:
        """As the law needs."""
        return self.law.controls()

    def attach(self, site: Site) -> None:
        """Take the place in the line."""
        super().attach(site)
        self._clock = site.executor.clock

    def accept(self, event: Event) -> None:
        """Send, hold or drop one event."""
        self.entered += 1
        if self.law.timed:
            if not self._turns.enter(event):
                self.dropped += 1  # an older one, in a burst faster than can be looked at
            return
        now = self._clock.monotonic_ns()
        try:
            admitted = self.law.admits(event, now)
        except Exception as error:  # noqa: BLE001 - a predicate is anybody's code; told of, the line goes on
            self.dropped += 1
            self.site.failed(self, event, error)
            return
        if not admitted:
            self.dropped += 1
            return
        self.law.passed(event, now)
        self.out += 1
        self.site.send(event)

    def _turn(self, piece: Event | _Pulse) -> None:
        # One at a time, from the line with an event or from the timer with a pulse.
        held, self._held_event = self._held_event, None
        if piece is _Pulse.PULSE:
            self._alarm = None
            if held is not None:
                self._offer(held, late=True)
        elif isinstance(piece, Event):
            self.coalesced += held is not None
            self._offer(piece, late=False)

    def _offer(self, event: Event, *, late: bool) -> None:
        if not self.law.admits(event, self._clock.monotonic_ns()):
            self._held_event = event
            if self._alarm is None:
                self._alarm = self.site.timer.at(self.law.due_ns(), self._pulse)
            return
        self.out += 1
        self.late += late
        try:
            self.site.send(event)
        finally:
            self.law.passed(event, self._clock.monotonic_ns())

    def _pulse(self) -> None:
        self._turns.order(_Pulse.PULSE)

    def stop(self) -> None:
        """Drop what is held."""
        alarm, self._alarm = self._alarm, None
        if alarm is not None:
            self.site.timer.cancel(alarm)
        if self._held_event is not None:
            self._held_event = None
            self.dropped += 1

    def words(self) -> str:
        """As the law says, and whether an event waits."""
        if not self.name:
            return "unattached: waits for a place in a line"
        waiting = ", the newest value is held" if self._held_event is not None else ""
        return self.law.words(self._clock.monotonic_ns()) + waiting
