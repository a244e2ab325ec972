"""Trends: what each route has been, kept small enough for memory, for charts of up to a day.

The last quarter of an hour is kept value by value, the last day as minutes with mean, extremes and
worst quality. After a start the minutes are filled in from the log, in the background.
"""

from __future__ import annotations

import bisect
import math
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

import msgspec

from leyden.kernel import BAD, NS, Event, Quality

RAW_S: Final = 900
MINUTE_S: Final = 60
_RAW_MOST: Final = 9_000  # values kept one by one: a quarter of an hour at 10 Hz
_MINUTES_MOST: Final = 1_440  # a day


_Row: TypeAlias = tuple[int, float | None, Quality]  # wall time in ns since 1970, value, quality


class Stretch(msgspec.Struct, gc=False):
    """What a stretch of time held: times in ns since 1970."""

    start: int
    total: float = 0.0
    count: int = 0
    minimum: float = 0.0
    maximum: float = 0.0
    quality: Quality = Quality.GOOD

    def take(self, value: float | None, quality: Quality) -> None:
        """Add one value; None counts for the quality alone."""
        self.quality = max(self.quality, quality)
        if value is None:
            return
        self.minimum = value if not self.count else min(self.minimum, value)
        self.maximum = value if not self.count else max(self.maximum, value)
        self.total += value
        self.count += 1

    def merge(self, other: Stretch) -> None:
        """Add all that another stretch held."""
        self.quality = max(self.quality, other.quality)
        if other.count:
            self.minimum = min(self.minimum, other.minimum) if self.count else other.minimum
            self.maximum = max(self.maximum, other.maximum) if self.count else other.maximum
            self.total += other.total
            self.count += other.count

    @property
    def mean(self) -> float | None:
        """The mean; None where nothing usable was held."""
        return self.total / self.count if self.count else None


class _Trend:
    """The past of one route."""

    def __init__(self) -> None:
        self.raw: deque[_Row] = deque(maxlen=_RAW_MOST)
        self.minutes: deque[Stretch] = deque(maxlen=_MINUTES_MOST)

    def take(self, wall: int, value: float | None, quality: Quality) -> None:
        if self.raw and self.raw[-1][0] - wall > NS:
            self._forget_after(wall)
        self.raw.append((wall, value, quality))
        while wall - self.raw[0][0] > RAW_S * NS:
            self.raw.popleft()
        self.take_minute(wall, value, quality)

    def _forget_after(self, wall: int) -> None:
        # The clock was set back: what was dated later than now has no place on a time axis.
        while self.raw and self.raw[-1][0] > wall:
            self.raw.pop()
        while self.minutes and self.minutes[-1].start > wall:
            self.minutes.pop()

    def take_minute(self, wall: int, value: float | None, quality: Quality) -> None:
        start = wall - wall % (MINUTE_S * NS)
        if not self.minutes or self.minutes[-1].start < start:
            self.minutes.append(Stretch(start))
        self.minutes[-1].take(value, quality)


class Trends:
    """The past of every numeric route.

    Args:
        wall: turns an event into its wall time, ns since 1970.
    """

    def __init__(self, wall: Callable[[Event], int]) -> None:
        self._wall = wall
        self._trends: dict[str, _Trend] = {}

    def take(self, event: Event) -> None:
        """Add a live event; anything but a number or its absence is left out."""
        value = _number(event)
        if value is not None or event.quality is BAD:
            self._of(event.route).take(self._wall(event), value, event.quality)

    def fill(self, events: Iterator[Event], *, upto: int) -> None:
        """Add the past from a log, oldest first, below number `upto`; then what came meanwhile."""
        older: dict[str, _Trend] = {}
        for event in events:
            if event.n >= upto:
                break
            value = _number(event)
            if value is not None or event.quality is BAD:
                older.setdefault(event.route, _Trend()).take(
                    self._wall(event), value, event.quality
                )
        for route, trend in older.items():
            self._prepend(route, trend)

    def history(self, route: str, since: int, until: int, points: int) -> list[Stretch]:
        """Return at most `points` stretches of equal length from `since` to `until`, ns since 1970.

        A stretch in which nothing came is left out: a hole stays a hole.
        """
        trend = self._trends.get(route)
        if trend is None or until <= since:
            return []
        width = -(-(until - since) // points)  # rounded up, so that the last one ends at `until`
        found: dict[int, Stretch] = {}
        for piece in _pieces(trend, since, until):
            at = min(max(0, piece.start - since) // width, points - 1)
            held = found.get(at)
            if held is None:
                found[at] = held = Stretch(piece.start)
            held.merge(piece)
        return [found[at] for at in sorted(found)]

    def _of(self, route: str) -> _Trend:
        trend = self._trends.get(route)
        if trend is None:
            trend = self._trends[route] = _Trend()
        return trend

    def _prepend(self, route: str, older: _Trend) -> None:
        live = self._of(route)
        merged = _Trend()
        merged.raw.extend(older.raw)
        # Live values from before the clock was set seem older than the past: they have no place.
        newest = older.raw[-1][0]
        merged.raw.extend(row for row in live.raw.copy() if row[0] >= newest)
        merged.minutes.extend(older.minutes)
        for minute in live.minutes.copy():
            newest_minute = merged.minutes[-1]
            if newest_minute.start == minute.start:
                newest_minute.merge(minute)
            elif newest_minute.start < minute.start:
                merged.minutes.append(minute)
        self._trends[route] = merged


def _number(event: Event) -> float | None:
    value = event.value
    if isinstance(value, bool):
        return 1.0 if value else 0.0
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)


def _pieces(trend: _Trend, since: int, until: int) -> Iterator[Stretch]:
    # Minutes as far as the values of one no longer lie there one by one, values from there on.
    raw = list(trend.raw)
    begin = raw[0][0] if raw else until
    for minute in list(trend.minutes):
        end = minute.start + MINUTE_S * NS
        if minute.start < begin and (end <= begin or _reaches_further_back(minute, raw, end)):
            begin = max(begin, end)
            if end > since:
                yield minute
    start = bisect.bisect_left(raw, max(since, begin), key=_wall)
    for wall, value, quality in raw[start:]:
        if wall > until:
            return
        piece = Stretch(wall)
        piece.take(value, quality)
        yield piece


def _reaches_further_back(minute: Stretch, raw: list[_Row], end: int) -> bool:
    return minute.count > bisect.bisect_left(raw, end, key=_wall)


def _wall(row: _Row) -> int:
    return row[0]
