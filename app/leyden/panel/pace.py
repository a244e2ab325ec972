"""The pace at which one person may ask for changes: each is on record, and the log is finite."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

from leyden.kernel import NS, Clock

A_SECOND: Final = 20.0  # a slider that is dragged sends fewer
AT_ONCE: Final = 40.0
_PEOPLE: Final = 256


class Pace:
    """Counts what each person asks for, in a bucket that refills with time.

    Args:
        clock: tells the time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._left: OrderedDict[str, tuple[float, int]] = OrderedDict()  # asks left, as of when, ns

    def wait_s(self, who: str) -> float:
        """Count one thing asked for; return 0, or for how many seconds it is refused."""
        now = self._clock.monotonic_ns()
        with self._lock:
            left, then = self._left.get(who, (AT_ONCE, now))
            left = min(AT_ONCE, left + (now - then) / NS * A_SECOND)
            wait = 0.0 if left >= 1 else (1 - left) / A_SECOND
            self._left[who] = (left if wait else left - 1, now)
            self._left.move_to_end(who)
            while len(self._left) > _PEOPLE:
                self._left.popitem(last=False)
        return wait
