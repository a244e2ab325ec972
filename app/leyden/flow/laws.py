"""Laws of a resistor: pass, gate, when, throttle and deadband, each deciding one event at a time.

Quality comes first. A bad value is None and cannot be compared, so no comparison ever holds it
back: where a law would hide that a value has become worse, the worse value passes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import ClassVar

from leyden import units
from leyden.flow.errors import StageError
from leyden.flow.node import Control
from leyden.flow.words import number_words, short, span_words, symbol
from leyden.kernel import BAD, GOOD, NS, Event, Quality, Route, Schema, Value

_NUMBERS = ("float", "int")


class Law:
    """Decides which events pass; this one lets all of them."""

    timed: ClassVar[bool] = False  # whether what does not pass now is held and asked about later

    def admits(self, event: Event, now_ns: int) -> bool:
        """Return whether this event may pass now."""
        return True

    def passed(self, event: Event, now_ns: int) -> None:
        """Take note that an event has been sent on."""

    def due_ns(self) -> int:
        """Monotonic time at which a held event may pass; for timed laws."""
        return 0

    def shape(self, schema: Schema) -> None:
        """Take note of the values to expect.

        Raises:
            StageError: the law makes no sense for such values.
        """

    def period(self, period_s: float | None) -> float | None:
        """Return the expected distance of values that pass; None: not regular."""
        return period_s

    def controls(self) -> tuple[Control, ...]:
        """Routes that steer the law."""
        return ()

    def words(self, now_ns: int) -> str:
        """Say what the law does now, in words."""
        return "open: passes everything"


class Pass(Law):
    """Lets everything pass."""


class When(Law):
    """Passes values for which a predicate holds; bad values pass, since nobody can judge them.

    Args:
        predicate: called with each value that is not bad, in the publisher's thread. If it raises,
            that value is dropped, counted and told of.
    """

    def __init__(self, predicate: Callable[[Value], bool]) -> None:
        self._predicate = predicate
        self._refused_ns: int | None = None

    def admits(self, event: Event, now_ns: int) -> bool:
        """Ask the predicate."""
        if event.quality is BAD or self._predicate(event.value):
            return True
        self._refused_ns = now_ns
        return False

    def passed(self, event: Event, now_ns: int) -> None:
        """Note that the way is open."""
        self._refused_ns = None

    def period(self, period_s: float | None) -> float | None:
        """What is filtered has no rhythm."""
        return None

    def words(self, now_ns: int) -> str:
        """Say whether the newest value held."""
        name = getattr(self._predicate, "__name__", "the predicate")
        if self._refused_ns is None:
            return f"open: {name} holds"
        return f"closed: {name} refused a value {span_words(now_ns - self._refused_ns)} ago"


class Gate(Law):
    """Passes events while another route's latest value is true.

    Closed means closed, for bad values too: what is not wanted is not wanted. A control that is
    bad, or has not spoken yet, closes the gate: without a known permission nothing flows.

    Args:
        route: the control route, or its key; true and numbers other than 0 open the gate.
    """

    def __init__(self, route: str | Route) -> None:
        self.route = route.key if isinstance(route, Route) else route
        self._open = False
        self._why = f"{self.route} has not spoken yet"
        self._since_ns = 0

    def admits(self, event: Event, now_ns: int) -> bool:
        """Return whether the gate is open."""
        return self._open

    def period(self, period_s: float | None) -> float | None:
        """What is gated has no rhythm."""
        return None

    def controls(self) -> tuple[Control, ...]:
        """The control route; its latest value counts at once."""
        return (Control("gate", self.route, self._steer, ("bool", "int", "float"), replay=True),)

    def _steer(self, event: Event) -> None:
        opened = event.quality < BAD and bool(event.value)
        if event.quality is BAD:
            why = f"{self.route} is bad ({event.reason or 'no reason given'})"
        else:
            why = f"{self.route} is {event.value!r}".lower()
        if opened != self._open or not self._since_ns:
            self._since_ns = event.mono
        self._open, self._why = opened, why

    def words(self, now_ns: int) -> str:
        """Say whether the gate is open, and since when."""
        state = "open" if self._open else "closed"
        since = f" since {span_words(now_ns - self._since_ns)}" if self._since_ns else ""
        return f"{state}: {self._why}{since}"


class Throttle(Law):
    """Passes at most `count` events in any span of `per_s` seconds; the newest refused is held.

    A held event leaves as soon as the span allows, so the last word of a burst always arrives; an
    event that is replaced while it is held is coalesced.

    A value that is worse than the last one sent does not wait: it passes at once and uses up the
    next regular place, which keeps a failure from looking good for a whole span. Only one place can
    be borrowed at a time. So in any span pass at most `count` events and one that is worse; in the
    long run never more than `count` a span. With `strict` nothing is borrowed: never more than
    `count` in any span, and a failure may stay unseen for up to `per_s`.

    Args:
        count: events, 1 or more.
        per_s: span in seconds.
        strict: whether worse values wait like any other.
    """

    timed = True

    def __init__(self, count: int, per_s: float, *, strict: bool = False) -> None:
        if count < 1 or not per_s > 0:
            raise StageError(
                "resistor.at_most",
                f"found {count} per {number_words(per_s)} s, expected 1 or more per positive span",
            )
        self.count = count
        self.per_s = per_s
        self.strict = strict
        self._span_ns = round(per_s * NS)
        # When each of the last `count` places was used; a borrowed place counts as used when it
        # would have come.
        self._used: deque[int] = deque(maxlen=count)
        self._quality: Quality = GOOD

    def admits(self, event: Event, now_ns: int) -> bool:
        """Return whether a place is free, or may be borrowed for this event."""
        if now_ns >= self.due_ns():
            return True
        worse = event.quality > self._quality
        return worse and not self.strict and self._used[-1] <= now_ns

    def passed(self, event: Event, now_ns: int) -> None:
        """Use the place; `now_ns` is after sending, so that arrivals keep the distance too."""
        self._used.append(max(now_ns, self.due_ns()))
        self._quality = event.quality

    def due_ns(self) -> int:
        """When the next regular place comes."""
        if len(self._used) < self.count:
            return 0
        return self._used[0] + self._span_ns

    def period(self, period_s: float | None) -> float | None:
        """Values come no faster than the rate."""
        return None if period_s is None else max(period_s, self.per_s / self.count)

    def words(self, now_ns: int) -> str:
        """Say how much of the rate is used and when there is room again."""
        limit = f"{self.count} per {number_words(self.per_s)} s"
        left = self.due_ns() - now_ns
        if left > 0:
            return f"closed: the limit of {limit} is reached, passes again in {span_words(left)}"
        recent = sum(used > now_ns - self._span_ns for used in self._used)
        return f"open: {recent} of {limit} used"


class Deadband(Law):
    """Passes a value that differs from the last one passed by `width` or more.

    A width of 0 passes every change, which is what bool and text routes need; an equal value never
    passes. A change of quality or of its reason always passes, in either direction: otherwise a
    failed sensor would look steady for ever.

    Args:
        width: in the route's unit; or text with a unit such as "0.5 K", read as a difference.
        percent: instead of `width`: of the last value passed.
    """

    def __init__(self, width: float | str = 0.0, *, percent: float = 0.0) -> None:
        if percent and width:
            raise StageError("resistor.deadband", "found both a width and a percentage; keep one")
        if percent < 0 or (not isinstance(width, str) and width < 0):
            raise StageError("resistor.deadband", "found a negative width, expected 0 or more")
        self._written = width
        self._width = 0.0 if isinstance(width, str) else float(width)
        self._ratio = percent / 100
        self._unit = ""
        self._last: Event | None = None
        self._refused = 0

    def shape(self, schema: Schema) -> None:
        """Read a width written with a unit; refuse one for values that have no distance."""
        self._unit = symbol(schema.unit)
        if isinstance(self._written, str):
            self._width = self._read_width(self._written, schema)
        if (self._width or self._ratio) and schema.id not in _NUMBERS:
            raise StageError(
                "resistor.deadband",
                f"found a width for {schema.id} values, which have no distance; "
                "write changes = true instead",
            )

    def _read_width(self, text: str, schema: Schema) -> float:
        try:
            width = units.parse_difference(text, schema.unit)
        except units.UnitError as error:
            raise StageError("resistor.deadband", str(error)) from None
        if width < 0:
            raise StageError("resistor.deadband", f'found "{text}", expected 0 or more')
        return width

    def admits(self, event: Event, now_ns: int) -> bool:
        """Compare with the last event passed."""
        last = self._last
        if last is None or event.quality is not last.quality or event.reason != last.reason:
            return True
        if event.value == last.value:
            self._refused += 1
            return False
        if _is_number(event.value) and _is_number(last.value):
            band = self._width + self._ratio * abs(last.value)
            if abs(event.value - last.value) < band:
                self._refused += 1
                return False
        return True

    def passed(self, event: Event, now_ns: int) -> None:
        """Measure from this value from now on."""
        self._last = event
        self._refused = 0

    def period(self, period_s: float | None) -> float | None:
        """What passes on change has no rhythm."""
        return None

    def words(self, now_ns: int) -> str:
        """Say what the newest values are compared with."""
        last = self._last
        if last is None:
            return "open: the first value passes"
        if last.quality is BAD:
            return f"open: the last was bad ({last.reason}), the next good value passes"
        shown = number_words(last.value) if _is_number(last.value) else short(last.value)
        value = f"{shown} {self._unit}".strip()
        if self._ratio:
            band = f"{number_words(self._ratio * 100)} % of {value}"
        elif self._width:
            band = f"{number_words(self._width)} {self._unit}".strip() + f" around {value}"
        else:
            band = f"no distance from {value}"
        if self._refused:
            return f"closed: {self._refused} within {band} held back"
        return f"open: passes what leaves {band}"


def _is_number(value: Value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
