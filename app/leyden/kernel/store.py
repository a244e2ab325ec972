"""Stores: where the stream puts a record before anyone is told of it.

`Store` is what the stream needs of a log. `MemoryStore` is the bounded one that a library user or a
test gets by default; the event log's recorder is the durable one.
"""

from __future__ import annotations

import bisect
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from leyden.kernel.event import Record, last_number

_WHOLE_RANGE: Final = 1 << 62


class Gap(msgspec.Struct, frozen=True):
    """Numbers that no reader will ever see, and why."""

    first: int
    last: int
    reason: str


class Page(msgspec.Struct, frozen=True):
    """A run of records in order; `next` is where to go on reading after."""

    records: tuple[Record, ...]
    next: int
    gaps: tuple[Gap, ...] = ()


class Store(Protocol):
    """Keeps records in the order the stream numbered them."""

    boot: int  # which boot of the data directory this is

    def append(self, record: Record) -> None:
        """Take a record; called under the stream's lock, so constant time and no disk."""
        ...

    def commit(self, n: int, timeout_s: float) -> bool:
        """Wait until record `n` is safe on disk; return whether it is."""
        ...

    def first_number(self) -> int:
        """The first sequence number this boot may use."""
        ...

    def reserve(self) -> int:
        """Return the next number this boot may not use yet; may wait for a disk."""
        ...

    def read(self, after: int, limit: int) -> Page:
        """Return up to `limit` records with numbers above `after`, oldest first."""
        ...


class MemoryStore:
    """The newest records, in memory only."""

    def __init__(self, capacity: int = 10_000, boot: int = 1) -> None:
        self.boot = boot
        self._records: deque[Record] = deque(maxlen=capacity)
        # The deque's own method: keeps a record, forgetting the oldest when full.
        self.append: Callable[[Record], None] = self._records.append

    def commit(self, n: int, timeout_s: float) -> bool:
        """Nothing outlives this process, so nothing is waited for."""
        return True

    def first_number(self) -> int:
        """Numbers start at 1."""
        return 1

    def reserve(self) -> int:
        """All numbers are free."""
        return _WHOLE_RANGE

    def read(self, after: int, limit: int) -> Page:
        """Return what is still held; what is forgotten is a gap."""
        records = list(self._records)
        start = bisect.bisect_right(records, after, key=last_number)
        found = tuple(records[start : start + limit])
        gaps: tuple[Gap, ...] = ()
        if records and after + 1 < records[0].n:
            gaps = (Gap(after + 1, records[0].n - 1, "no longer in memory"),)
        return Page(found, last_number(found[-1]) if found else after, gaps)
