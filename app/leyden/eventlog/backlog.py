"""The backlog: records on their way from publisher to disk, and the recent ones for readers.

It is bounded. When the writer takes nothing out, the oldest records go, and since numbers have no
holes, the numbers say exactly which.
"""

from __future__ import annotations

import bisect
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat, starmap
from typing import Final

from leyden.eventlog.schema import Entry
from leyden.kernel import Gap, Record, last_number

OVERFLOWED: Final = "not recorded: the disk did not take it and memory was full"

PACE: Final = 8192  # a publisher that nothing else brings to notice is, after so many numbers


class Backlog:
    """A queue from many publishers, who come one at a time, to one writer, and its recent past.

    Args:
        first: the number of the first record.
        attend: called by `append` with the number of a record that reaches `attend_at`.
        capacity: how many records wait at most.
        batch: how many the writer takes at once.
        recent: how many of those taken are kept for readers, about.
    """

    def __init__(
        self,
        first: int,
        attend: Callable[[int], None],
        *,
        capacity: int,
        batch: int,
        recent: int,
    ) -> None:
        self.taken = first - 1  # the last number that left the queue, for the disk or for good
        self.lost = 0  # numbers that left it for good
        self._batch = batch
        self._keep = recent
        self.attend_at = 0  # the number from which the publisher is attended to; 0: at once
        self._attend = attend
        self._queue: deque[Record] = deque(maxlen=capacity)
        # The deque's own method: what it holds too much it drops at the other end.
        self._put = self._queue.append
        self._recent: list[Entry] = []
        self._guard = threading.Lock()  # moving from queue to recent, and looking at both

    def append(self, record: Record) -> None:
        """Take a record."""
        self._put(record)
        if record.n >= self.attend_at:
            self._attend(record.n)

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def last(self) -> int:
        """The last number that was appended."""
        try:
            return last_number(self._queue[-1])
        except IndexError:
            return self.taken

    def overflowed(self) -> int:
        """Return how many numbers have left the queue for good and are not yet known to `lost`."""
        try:
            return max(0, self._queue[0].n - self.taken - 1)
        except IndexError:
            return 0

    def take(self, synced: int) -> Sequence[Entry]:
        """Return the next records for the disk, with a gap where some are gone; empty if none.

        Of what was taken before, all above number `synced` is kept for readers.
        """
        with self._guard:
            queue = self._queue
            # Only a queue that was nearly full can lose records while they are taken out.
            crowded = 2 * len(queue) > (queue.maxlen or 0)
            count = min(len(queue), self._batch)
            records = list(starmap(queue.popleft, repeat((), count)))  # twice as fast as a loop
            if not records:
                return []
            entries: Sequence[Entry] = records
            if crowded or records[0].n != self.taken + 1:
                entries = list(self._with_gaps(records))
            self.taken = last_number(records[-1])
            self._recent += entries
            excess = len(self._recent) - self._keep
            if excess > self._batch:
                del self._recent[: min(excess, bisect.bisect(self._recent, synced, key=_end_of))]
            return entries

    def held(self, after: int, limit: int) -> tuple[int | None, list[Entry]]:
        """Return the oldest number in memory, None if there is none, and what follows `after`."""
        with self._guard:
            waiting = _copy(self._queue)
            recent = self._recent
            start = bisect.bisect_right(recent, after, key=_end_of)
            found = recent[start : start + limit]
            if waiting and len(found) < limit:
                if waiting[0].n > max(self.taken, after) + 1:
                    found.append(Gap(max(self.taken, after) + 1, waiting[0].n - 1, OVERFLOWED))
                start = bisect.bisect_right(waiting, after, key=_end_of)
                found += waiting[start : start + limit - len(found)]
            oldest = recent[0] if recent else waiting[0] if waiting else None
        return (None if oldest is None else _begin_of(oldest)), found

    def _with_gaps(self, records: list[Record]) -> Iterator[Entry]:
        expected = self.taken + 1
        for record in records:
            if record.n > expected:
                self.lost += record.n - expected
                yield Gap(expected, record.n - 1, OVERFLOWED)
            yield record
            expected = last_number(record) + 1


def _copy(queue: deque[Record]) -> list[Record]:
    while True:
        try:
            return list(queue)
        except RuntimeError:  # the publisher came in between; what it appended is welcome too
            continue


def _begin_of(entry: Entry) -> int:
    return entry.first if isinstance(entry, Gap) else entry.n


def _end_of(entry: Entry) -> int:
    return entry.last if isinstance(entry, Gap) else last_number(entry)
