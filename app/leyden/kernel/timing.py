"""Timing: how late and how long periodic work is, over the newest turns."""

from __future__ import annotations

from collections import deque
from typing import Final

import msgspec

_KEPT: Final = 512  # turns; at 1 Hz the last eight and a half minutes


class TimingFigures(msgspec.Struct, frozen=True):
    """Figures over the newest turns; times in milliseconds."""

    turns: int
    overruns: int
    lateness_p50_ms: float
    lateness_p99_ms: float
    busy_p99_ms: float


class Timing:
    """Counts turns and overruns of something periodic; touched by its own lane only."""

    def __init__(self) -> None:
        self.turns = 0
        self.overruns = 0
        self._late: deque[int] = deque(maxlen=_KEPT)
        self._busy: deque[int] = deque(maxlen=_KEPT)

    def began(self, late_ns: int) -> None:
        """A turn began this much after it was due."""
        self.turns += 1
        self._late.append(late_ns)

    def ended(self, busy_ns: int) -> None:
        """The turn took this long."""
        self._busy.append(busy_ns)

    def overran(self, periods: int) -> None:
        """So many whole periods were missed."""
        self.overruns += periods

    def figures(self) -> TimingFigures:
        """Return the figures as they stand; callable from any thread."""
        late, busy = sorted(self._late.copy()), sorted(self._busy.copy())
        return TimingFigures(
            self.turns, self.overruns, _ms(late, 0.5), _ms(late, 0.99), _ms(busy, 0.99)
        )


def _ms(values: list[int], share: float) -> float:
    if not values:
        return 0.0
    return round(values[min(len(values) - 1, int(share * len(values)))] / 1e6, 3)
