"""The rate of edges, measured between the edges themselves."""

from __future__ import annotations

from typing import Final

from leyden.kernel import NS, Doubt

STANDSTILL_S: Final = 10.0  # no edge for this long: the rate is zero
HIGHEST_RATE: Final = 1e6  # Hz; no line is served faster


class RateMeter:
    """Edges per second, measured between the edges themselves and not by a gate time.

    With `k` new edges the rate is k divided by the time from the newest edge of the sample before
    to the newest now, so that slow pulses are measured as exactly as fast ones.
    """

    def __init__(self) -> None:
        self._reference: int | None = None  # the edge that the next interval counts from
        self._newest = 0  # ns
        self._intervals = 0
        self._rate = 0.0  # Hz

    def edge(self, mono: int) -> None:
        """Take the next edge."""
        if self._reference is None:
            self._reference = mono
        else:
            self._intervals += 1
        self._newest = max(self._newest, mono)

    def sample(self, now: int) -> tuple[float | None, Doubt | None]:
        """Return the rate in Hz at `now`, and what is doubtful about it."""
        if self._reference is None:
            return 0.0, None
        if self._intervals:
            return self._measure(self._reference)
        silent_s = (now - self._newest) / NS
        if silent_s >= STANDSTILL_S:
            self._rate = 0.0
        elif self._rate == 0.0:
            return None, Doubt.bad("not_ready", "one edge so far; a rate needs two")
        elif silent_s > 0:
            self._rate = min(self._rate, 1.0 / silent_s)  # it cannot be faster than the silence
        return self._rate, None

    def _measure(self, reference: int) -> tuple[float | None, Doubt | None]:
        taken_s = (self._newest - reference) / NS
        intervals, self._intervals = self._intervals, 0
        self._reference = self._newest
        if taken_s <= 0 or intervals / taken_s > HIGHEST_RATE:
            return None, Doubt.bad("out_of_range", f"{intervals} edges within {taken_s:.9f} s")
        self._rate = intervals / taken_s
        return self._rate, None
