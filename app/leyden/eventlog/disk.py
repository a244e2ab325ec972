"""The disk as the recorder knows it: whether it takes what it is given, and how long to leave it.

It says once that the disk is in trouble and once that it is well again, however often it is asked.
"""

from __future__ import annotations

import contextlib
import errno
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from leyden.kernel import NS, Value
from leyden.storage.errors import explain

STALL_S: Final = 1.0  # a disk that takes longer for one step counts as stalled
SETTLE_S: Final = 10.0  # and has to be faster for this long to count as well again
RETRY_S: Final = (0.5, 30.0)  # the first and the longest pause between attempts

_CONDITIONS: Final = {errno.ENOSPC: "full", errno.EDQUOT: "full", errno.EROFS: "read_only"}


class DiskWatch:
    """Keeps the disk's condition and reports its changes.

    Args:
        mono: monotonic time, ns.
        degraded: told of trouble: `condition` and `detail` in words.
        restored: told of its end: `condition`, `lasted_s` and `lost`, the numbers it cost.
        lost: counts the numbers lost so far.
    """

    def __init__(
        self,
        mono: Callable[[], int],
        degraded: Callable[[Mapping[str, Value]], None],
        restored: Callable[[Mapping[str, Value]], None],
        lost: Callable[[], int],
    ) -> None:
        self.condition = ""  # full, read_only, io_error, stalled or defect; empty: well
        self.failing = False  # it refused; nothing is written before the next attempt
        self.retry_s = 0.0  # the pause before that
        self._mono = mono
        self._degraded = degraded
        self._restored = restored
        self._lost = lost
        self._guard = threading.Lock()
        self._since = 0  # ns; when the condition began
        self._lost_before = 0
        self._step_since = 0  # ns; when the step that is being made began; 0: none is
        self._slow_until = 0  # ns; until when a stalled disk has to prove itself

    @contextlib.contextmanager
    def step(self) -> Iterator[None]:
        """Time one step on the disk: one that is slow is seen here, one that hangs by `check`."""
        since = self._step_since = self._mono()
        try:
            yield
        finally:
            self._step_since = 0
        took = (self._mono() - since) / NS
        if took > STALL_S:
            self._slow_until = self._mono() + round(SETTLE_S * NS)
            self.worsen("stalled", f"the disk took {took:.1f} s for one step")

    def waits_s(self) -> float:
        """Return how long the present step has taken so far."""
        since = self._step_since
        return (self._mono() - since) / NS if since else 0.0

    def is_in_trouble(self) -> bool:
        """Whether it is unwise to wait for this disk."""
        return bool(self.condition) or self.waits_s() > STALL_S

    def check(self) -> None:
        """Report a disk that hangs in one step."""
        waited = self.waits_s()
        if waited > STALL_S:
            self.worsen("stalled", f"the disk has not answered for {waited:.1f} s")

    def refuse(self, error: OSError) -> None:
        """Note that the disk refused, and double the pause before the next attempt."""
        self.give_up(_CONDITIONS.get(error.errno or 0, "io_error"), explain(error))

    def give_up(self, condition: str, detail: str) -> None:
        """Note that an attempt failed, for whatever reason."""
        self.failing = True
        self.retry_s = min(RETRY_S[1], max(RETRY_S[0], 2 * self.retry_s))
        self.worsen(condition, detail)

    def worsen(self, condition: str, detail: str) -> None:
        """Report trouble, unless there is some already."""
        with self._guard:
            if self.condition:
                return
            self.condition = condition
            self._since = self._mono()
            self._lost_before = self._lost()
        self._degraded({"condition": condition, "detail": detail})

    def recover(self) -> None:
        """Note that something was synced; the disk is well, unless it was slow not long ago."""
        self.failing = False
        self.retry_s = 0.0
        if not self.condition or self._mono() < self._slow_until:
            return
        with self._guard:
            condition, self.condition = self.condition, ""
            lasted_s = round((self._mono() - self._since) / NS, 3)
            lost = self._lost() - self._lost_before
        self._restored({"condition": condition, "lasted_s": lasted_s, "lost": lost})
