"""What every benchmark script shares: options, a rate measured in chunks, one JSON line of result.

It loads the standard library only, so that it runs in the environment of any subject.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn

CHUNKS = 9  # the median of so many shrugs off a few that were preempted
VALUES = tuple(20.0 + i * 0.01 for i in range(1000))  # readings of a thermometer, step 0.01 Cel


def option(name: str, default: float) -> float:
    """Return the number that the command line gives as `name=number`, or `default`."""
    return float(text_option(name, str(default)))


def text_option(name: str, default: str = "") -> str:
    """Return the text that the command line gives as `name=text`, or `default`."""
    for argument in sys.argv[1:]:
        key, equals, value = argument.partition("=")
        if key == name and equals:
            return value
    return default


class Seen:
    """An inline subscriber: counts what it is given and keeps the last."""

    def __init__(self) -> None:
        self.count = 0
        self.last: Any = None

    def take(self, item: Any) -> None:
        """Be called with one event."""
        self.count += 1
        self.last = item


class Rate:
    """How often something can be done in a second, measured in chunks of equal size.

    Args:
        chunk: does it as often as it is told.
        seconds: how long all chunks together shall take, warm-up not included.
        most: how often one chunk may do it at most.
        cpu: count processor time instead of time on the wall. For work of one thread that never
            waits they are the same, except that a busy machine does not disturb the former.
    """

    def __init__(
        self,
        chunk: Callable[[int], None],
        seconds: float,
        *,
        most: int = 1 << 62,
        cpu: bool = False,
    ) -> None:
        self.done = 0  # how often it was done in all, warm-up included
        self._chunk = chunk
        self._now = time.process_time if cpu else time.perf_counter
        size = min(self._calibrate(seconds / CHUNKS, most), most)
        self.per_second = median([size / self._timed(size) for _ in range(CHUNKS)])

    def _calibrate(self, seconds: float, most: int) -> int:
        size = 16
        while (took := self._timed(size)) < seconds / 4 and size * 2 <= most:
            size *= 2
        return max(1, round(size * seconds / took))

    def _timed(self, size: int) -> float:
        start = self._now()
        self._chunk(size)
        self.done += size
        return self._now() - start


def median(values: list[float]) -> float:
    """Return the middle value; `statistics` would weigh 2 MB on every figure of memory."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def readings(count: int) -> list[float]:
    """Return so many readings, made before the clock starts."""
    whole, rest = divmod(count, len(VALUES))
    return list(VALUES) * whole + list(VALUES[:rest])


def confirm(holds: bool, words: str) -> None:
    """End with an error when the script did not do what it claims to measure."""
    if not holds:
        fail(words)


def fail(words: str) -> NoReturn:
    """End with an error, in words that become the row's."""
    sys.exit(words)


def rss_mb(pid: int | str = "self") -> float:
    """Return the resident memory of a process in MB (10^6 bytes)."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:  # noqa: PTH123 - pathlib would weigh on every figure of memory
        return rss_in(status.read())


def rss_in(status: str) -> float:
    """Return the resident memory that the text of `/proc/<pid>/status` states, in MB."""
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024 / 1e6


def report(value: float, unit: str, also: dict[str, float] | None = None, **detail: Any) -> None:
    """Print the result: the value, further figures by name, and what was done in words."""
    line = {"value": value, "unit": unit, "also": also or {}, "detail": detail}
    sys.stdout.write(json.dumps(line) + "\n")
