"""The panel's memory of the stream: the newest minutes, ready to send to any browser.

Every event is kept as the JSON it is sent as, so that twenty browsers cost one encoding. What the
ring no longer holds is read from the runtime again.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final, NamedTuple

import msgspec

from leyden.kernel import NS
from leyden.link.client import EventPage

AGE_S: Final = 600.0
SIZE: Final = 12 << 20  # bytes
_OVERHEAD: Final = 200  # bytes an entry needs beside its JSON: tuple, numbers, object headers

_encode = msgspec.json.Encoder().encode


class Entry(NamedTuple):
    """An event or a gap; `route` is "" for a gap."""

    first: int
    last: int
    route: str
    json: bytes


class Stretch(NamedTuple):
    """Part of the stream: all of it in (…, upto] that was asked for."""

    entries: list[Entry]  # what to send
    total: int  # how many there were, the left out included
    upto: int
    live: bool  # whether this is all there is by now


class _Chunk(NamedTuple):
    entries: tuple[Entry, ...]
    upto: int
    mono: int  # ns, when it was read
    size: int


def entries_of(page: EventPage) -> tuple[Entry, ...]:
    """Return a page's events and gaps in order, encoded."""
    found = [Entry(row.n, row.n, row.route, _encode(row)) for row in page.events]
    if page.gaps:
        found += [Entry(gap.first, gap.last, "", _encode(gap)) for gap in page.gaps]
        found.sort()
    return tuple(found)


class Ring:
    """Everything in (`low`, `high`], at most ten minutes and twelve megabytes of it."""

    def __init__(self, *, age_s: float = AGE_S, size: int = SIZE) -> None:
        self.low = 0
        self.high = 0
        self.bytes = 0
        self._age_ns = round(age_s * NS)
        self._size = size
        self._chunks: deque[_Chunk] = deque()
        self._lock = threading.Lock()

    def restart(self, at: int) -> None:
        """Forget everything; what follows begins above `at`."""
        with self._lock:
            self._chunks.clear()
            self.low = self.high = at
            self.bytes = 0

    def extend(self, page: EventPage, mono_ns: int) -> None:
        """Add what was read after `high`; drop what is too old or too much."""
        entries = entries_of(page)
        size = sum(len(entry.json) + _OVERHEAD for entry in entries)
        with self._lock:
            if entries:
                self._chunks.append(_Chunk(entries, page.next, mono_ns, size))
                self.bytes += size
            self.high = max(self.high, page.next)
            while self._chunks and self._surplus(self._chunks[0], mono_ns):
                gone = self._chunks.popleft()
                self.low = gone.upto
                self.bytes -= gone.size

    def _surplus(self, chunk: _Chunk, mono_ns: int) -> bool:
        return self.bytes > self._size or chunk.mono < mono_ns - self._age_ns

    def after(
        self,
        position: int,
        wanted: Callable[[str], bool],
        limit: int,
        latest_only: Callable[[str], bool] | None = None,
    ) -> Stretch | None:
        """Return what follows `position`; None when the ring does not reach back so far.

        Args:
            position: the last number that the reader has.
            wanted: tells by a route's key whether the reader wants it.
            limit: the most entries to return.
            latest_only: when given, of the routes it names only the newest entry is kept.
        """
        with self._lock:
            if position < self.low:
                return None
            chunks, high = self._newer(position), self.high
        found = (
            entry for entry in _after(chunks, position) if not entry.route or wanted(entry.route)
        )
        if latest_only is not None:
            return _coalesced(list(found), latest_only, limit, high)
        entries: list[Entry] = []
        for entry in found:
            if len(entries) == limit:
                return Stretch(entries, limit, entries[-1].last, live=False)
            entries.append(entry)
        return Stretch(entries, len(entries), high, live=True)

    def behind(self, position: int, limit: int) -> bool:
        """Whether more than `limit` entries follow `position`, wanted or not."""
        with self._lock:
            chunks = self._newer(position)
        return sum(1 for _ in islice(_after(chunks, position), limit + 1)) > limit

    def _newer(self, position: int) -> list[_Chunk]:
        # From the newest back: nearly every reader stands at the end.
        found = []
        for chunk in reversed(self._chunks):
            if chunk.upto <= position:
                break
            found.append(chunk)
        found.reverse()
        return found


def _after(chunks: list[_Chunk], position: int) -> Iterator[Entry]:
    for i, chunk in enumerate(chunks):
        start = bisect_right(chunk.entries, position, key=_last) if i == 0 else 0
        yield from chunk.entries[start:]


def _last(entry: Entry) -> int:
    return entry.last


def _coalesced(
    entries: list[Entry], latest_only: Callable[[str], bool], limit: int, high: int
) -> Stretch:
    newest = {entry.route: entry.last for entry in entries if entry.route}
    kept = [
        entry
        for entry in entries
        if not entry.route or newest[entry.route] == entry.last or not latest_only(entry.route)
    ]
    if len(kept) <= limit:
        return Stretch(kept, len(entries), high, live=True)
    kept = kept[:limit]
    upto = kept[-1].last
    return Stretch(kept, sum(1 for entry in entries if entry.last <= upto), upto, live=False)
