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
    """

    __slots__ = ("_inside", "_waiting", "_work")

    def __init__(self, work: Callable[[T], None]) -> None:
        self._work = work
        self._waiting: deque[T] = deque()
        self._inside = threading.Lock()

    def enter(self, piece: T) -> bool:
        """Hand in one piece; return False if too many wait already and it was turned away."""
        waiting = self._waiting
        if len(waiting) >= WAITING_LIMIT:
            return False
        waiting.append(piece)
        while waiting and self._inside.acquire(blocking=False):
            try:
                while waiting:
                    self._work(waiting.popleft())
            finally:
                self._inside.release()
        return True
