"""Attempts: wrong secrets are counted, by address and altogether; many of them cost waiting."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Final, TypeVar

from leyden.kernel import NS, Clock

Limits = Sequence[tuple[float, int]]  # seconds, and how many failures they may hold

BY_ADDRESS: Final[Limits] = ((60.0, 3), (600.0, 5), (3600.0, 10))
# Of all addresses together: one who has many gets no further with them. A dictionary's first ten
# thousand words take four days; whoever signed in before is not held up by it.
BY_EVERYBODY: Final[Limits] = ((60.0, 10), (600.0, 40), (3600.0, 100))
_ADDRESSES: Final = 1024

T = TypeVar("T")


class Attempts:
    """Failed attempts: by address, and of all addresses that nobody has proved to be good.

    Args:
        clock: tells the time.
        everybody: limits for all unknown addresses together; none where guessing is hopeless.
    """

    def __init__(self, clock: Clock, everybody: Limits = ()) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()
        self._known: OrderedDict[str, None] = OrderedDict()
        self._limits = everybody
        self._all: deque[float] = deque(maxlen=_most(everybody))

    def wait_s(self, address: str) -> float:
        """Return for how many seconds nothing from an address is looked at; 0: now."""
        with self._lock:
            return self._wait_s(address, self._clock.monotonic_ns() / NS)

    def failed(self, address: str) -> float:
        """Count a failure; return for how many seconds further ones are refused, 0 if not yet."""
        now = self._clock.monotonic_ns() / NS
        with self._lock:
            wait = self._wait_s(address, now)
            if wait == 0:
                self._count(address, now)
        return wait

    def succeeded(self, address: str) -> None:
        """Note an address as good: what others do no longer counts against it."""
        with self._lock:
            _touch(self._known, address, None)

    def _wait_s(self, address: str, now: float) -> float:
        wait = _wait_s(self._failures.get(address, ()), BY_ADDRESS, now)
        if address in self._known:
            return wait
        return max(wait, _wait_s(self._all, self._limits, now))

    def _count(self, address: str, now: float) -> None:
        times = self._failures.get(address) or deque(maxlen=_most(BY_ADDRESS))
        times.append(now)
        _touch(self._failures, address, times)
        if address not in self._known:
            self._all.append(now)


def _touch(places: OrderedDict[str, T], address: str, what: T) -> None:
    places[address] = what
    places.move_to_end(address)
    while len(places) > _ADDRESSES:
        places.popitem(last=False)


def _most(limits: Limits) -> int:
    return max((most for _, most in limits), default=0)


def _wait_s(times: Sequence[float], limits: Limits, now: float) -> float:
    wait = 0.0
    for span, most in limits:
        recent = [time for time in times if time > now - span]
        if len(recent) >= most:
            wait = max(wait, recent[-most] + span - now)
    return wait
