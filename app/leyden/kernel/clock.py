"""Clocks: the only place that asks what time it is or waits for it.

Everything is scheduled on monotonic time. Wall time is an attribute that may be wrong until the
machine has synchronised; `WallState` says how far it can be trusted.
"""

from __future__ import annotations

import ctypes
import datetime
import threading
import time
from enum import StrEnum
from typing import Final, Protocol

NS: Final = 1_000_000_000  # nanoseconds in a second


class WallState(StrEnum):
    """How far wall time can be trusted."""

    UNSYNCED = "unsynced"  # nobody has set it since power came on
    STEPPED = "stepped"  # it jumped by more than a second since the last look
    SYNCED = "synced"  # the kernel reports it disciplined


class Clock(Protocol):
    """Monotonic time for order, wall time for people."""

    def monotonic_ns(self) -> int:
        """Nanoseconds since an arbitrary start; never goes back."""
        ...

    def time_ns(self) -> int:
        """Nanoseconds since 1970-01-01 UTC, as far as the machine knows."""
        ...

    def synchronised(self) -> bool:
        """Whether wall time is disciplined by a time source."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait; inside a lane of a simulated executor this yields to the others."""
        ...

    def uptime(self) -> float:
        """Seconds since this clock was made."""
        ...


class SystemClock:
    """The machine's own time."""

    # The builtins themselves: a wrapping method would double the cost on the hottest path.
    monotonic_ns = staticmethod(time.monotonic_ns)
    time_ns = staticmethod(time.time_ns)

    def __init__(self) -> None:
        self._start = time.monotonic_ns()

    def synchronised(self) -> bool:
        """Whether the kernel clock is disciplined (adjtimex does not report STA_UNSYNC)."""
        return kernel_clock_synchronised()

    def sleep(self, seconds: float) -> None:
        """Block this thread."""
        time.sleep(max(0.0, seconds))

    def uptime(self) -> float:
        """Seconds since this clock was made."""
        return (time.monotonic_ns() - self._start) / NS


class ManualClock:
    """Time that moves only when told to; the simulated executor's clock."""

    def __init__(self, start_ns: int = 0, wall_ns: int = 1_767_225_600 * NS) -> None:
        self._now = self._start = start_ns
        self._wall_offset = wall_ns - start_ns
        self._synchronised = True
        self._moved = threading.Condition()

    def monotonic_ns(self) -> int:
        """Nanoseconds, as last set."""
        return self._now

    def time_ns(self) -> int:
        """Wall nanoseconds: monotonic time plus the offset last set."""
        return self._now + self._wall_offset

    def synchronised(self) -> bool:
        """What `set_wall` last said."""
        return self._synchronised

    def sleep(self, seconds: float) -> None:
        """Block until another thread has advanced time this far."""
        due = self._now + round(seconds * NS)
        with self._moved:
            self._moved.wait_for(lambda: self._now >= due)

    def uptime(self) -> float:
        """Seconds since the start."""
        return (self._now - self._start) / NS

    def advance_to(self, now_ns: int) -> None:
        """Move time forward to `now_ns`; never back."""
        with self._moved:
            self._now = max(self._now, now_ns)
            self._moved.notify_all()

    def advance(self, seconds: float) -> None:
        """Move time forward by `seconds`."""
        self.advance_to(self._now + round(seconds * NS))

    def set_wall(self, wall_ns: int, *, synchronised: bool = True) -> None:
        """Step wall time, as a time source does; monotonic time is untouched."""
        self._wall_offset = wall_ns - self._now
        self._synchronised = synchronised


def iso(wall_ns: int) -> str:
    """Return wall time as ISO 8601 in UTC with milliseconds, `2026-03-09T12:00:01.735Z`."""
    seconds, nanos = divmod(wall_ns, NS)
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanos // 1_000_000:03d}Z"


_STA_UNSYNC: Final = 0x0040  # adjtimex(2)
_TIMEX_BYTES: Final = 256  # struct timex is 208 bytes on 64-bit Linux; room to spare
_TIMEX_STATUS: Final = (
    40  # offset of `status` on 64-bit: modes+pad, offset, freq, maxerror, esterror
)


def kernel_clock_synchronised() -> bool:
    """Return whether adjtimex(2) reports the clock disciplined; False where it cannot be asked."""
    if ctypes.sizeof(ctypes.c_long) != 8:
        return False
    buffer = ctypes.create_string_buffer(_TIMEX_BYTES)  # modes = 0: read only
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        state = libc.adjtimex(buffer)
    except (OSError, AttributeError):
        return False
    if state < 0:
        return False
    status = int.from_bytes(buffer.raw[_TIMEX_STATUS : _TIMEX_STATUS + 4], "little", signed=True)
    return not status & _STA_UNSYNC
