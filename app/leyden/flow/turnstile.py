"""A turnstile: work that several threads bring is done one piece at a time, and nobody waits."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Final, Generic, TypeVar

T = TypeVar("T")

WAITING_LIMIT: Final = 1024  # pieces that may queue behind one that takes long


class Turnstile(Generic[T]):
    """Calls `work` with what is handed in, in order, never twice at the same time.

    Whoever comes while nobody is inside does the work, and then what others left behind meanwhile.
    Whoever comes while somebody is inside, another thread or the same one further up its own stack,
    leaves the piece and goes on. So no lock is held while a stage sends on, which keeps feedback
    and cross traffic free of deadlock, and what is decided in order is sent in order.

    A piece is anything but None.
    """

    __slots__ = ("_inside", "_orders", "_waiting", "_work")

    def __init__(self, work: Callable[[T], None]) -> None:
        self._work = work
        self._waiting: deque[T] = deque()
        self._orders: deque[T] = deque()
        self._inside = threading.Lock()

    def enter(self, piece: T) -> bool:
        """Hand in one piece; return False if the oldest of too many that wait had to go for it."""
        crowded = len(self._waiting) >= WAITING_LIMIT and self._displace()
        self._waiting.append(piece)
        self._do_the_work()
        return not crowded

    def order(self, piece: T) -> None:
        """Hand in one piece that is never displaced and goes before those that wait.

        For the timer's pulses and for people's orders, of which there are only ever a few.
        """
        self._orders.append(piece)
        self._do_the_work()

    def _do_the_work(self) -> None:
        # After leaving, look once more: somebody may have left a piece just before.
        while (self._waiting or self._orders) and self._inside.acquire(blocking=False):
            try:
                while (piece := self._next()) is not None:
                    self._work(piece)
            finally:
                self._inside.release()

    def _next(self) -> T | None:
        if self._orders:
            return self._orders.popleft()
        try:
            return self._waiting.popleft()
        except IndexError:  # none there, or displaced this moment
            return None

    def _displace(self) -> bool:
        try:
            self._waiting.popleft()
        except IndexError:  # whoever is inside has just caught up
            return False
        return True
