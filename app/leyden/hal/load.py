"""Bus load: what share of the last seconds the wire was busy, from bits and clock."""

from __future__ import annotations

from collections import deque
from typing import Final

from leyden.kernel import NS, Clock

WINDOW_S: Final = 10


class LoadMeter:
    """Adds up the time that transfers take on the wire, over a sliding window of seconds.

    It counts bits divided by the clock, not the time of the call, so that a slow computer does not
    look like a full bus.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began_ns = clock.monotonic_ns()
        self._seconds: deque[list[int]] = deque()  # [second, ns busy in it]

    def add(self, bits: int, speed_hz: int) -> None:
        """Count a transfer of so many bits at this clock."""
        second = self._clock.monotonic_ns() // NS
        if not self._seconds or self._seconds[-1][0] != second:
            while self._seconds and self._seconds[0][0] <= second - WINDOW_S:
                self._seconds.popleft()
            self._seconds.append([second, 0])
        self._seconds[-1][1] += bits * NS // speed_hz

    def load(self) -> float:
        """Return the share of the window in which the wire was busy; 0 to 1 and more."""
        now = self._clock.monotonic_ns()
        oldest = now // NS - WINDOW_S + 1
        # Only read here: whoever asks is in another lane than the bus.
        busy = sum(ns for second, ns in tuple(self._seconds) if second >= oldest)
        return busy / max(NS, now - max(self._began_ns, oldest * NS))
