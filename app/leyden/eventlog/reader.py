"""Reads a log from its folder alone, whether a runtime is writing it, has ended or has crashed.

Nothing is skipped in silence: numbers that cannot be read come back as a `Gap` with the reason. A
block whose checksum does not fit is a gap as a whole, since nobody can tell which of its values
changed. Lines after the last trailer are read as they stand; the next trailer protects them.
"""

from __future__ import annotations

import bisect
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeAlias

from leyden.eventlog.blocks import SegmentContents, read_head
from leyden.eventlog.schema import Head, Item
from leyden.kernel import Clock, Event, Gap, Page, Record, last_number
from leyden.storage.segments import SegmentFile, list_segments

DROPPED: Final = "dropped to keep the log within its limit"
DAMAGED: Final = "damaged on disk"
RESTARTED: Final = (
    "the runtime ended here; most of these numbers were only set aside, at most a second's was lost"
)
MISSING: Final = "missing from the log"

Prefix: TypeAlias = str | tuple[str, ...]

_END: Final = 1 << 63  # above every number
_RESUME_POINTS: Final = 32  # readers that page through the log at the same time


class LogReader:
    """Reads the segments in `folder`; keeps no file open between calls, and may be shared."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Where in which file to go on after a number, for readers that take page after page.
        self._resume: dict[int, tuple[Path, int]] = {}
        self._guard = threading.Lock()

    def read(self, after: int, limit: int = 1000, *, before: int | None = None) -> Page:
        """Return up to `limit` records with numbers above `after` and below `before`.

        A scan that begins at or below `after` and ends above it comes whole. `next` never passes
        over damage at the very end of the log, since nobody knows how far that reaches; it becomes
        a gap as soon as something readable follows, or with `before`, which bounds it.
        """
        walk = _Walk(after, _END if before is None else before)
        records: list[Record] = []
        gaps: list[Gap] = []
        for item in self._items(walk):
            if isinstance(item, Gap):
                gaps.append(item)
                continue
            records.append(item)
            if len(records) >= limit:
                break
        else:
            if before is not None and walk.seen + 1 < before:
                gaps.append(walk.jump_to(before))
        if walk.place is not None:
            self._remember(walk.seen, walk.place)
        return Page(tuple(records), walk.seen, tuple(gaps))

    def walk(self, after: int = 0) -> Iterator[Record | Gap]:
        """Yield records and gaps above `after` in order, reading only as far as is asked for."""
        walk = _Walk(after, _END)
        yield from self._items(walk)
        yield from walk.at_end()

    def events(self, after: int = 0, prefix: Prefix = "") -> Iterator[Event | Gap]:
        """Yield events above `after` on routes that begin with `prefix`, and every gap."""
        for item in self.walk(after):
            yield from expand(item, after, prefix)

    def tail(self, count: int, prefix: Prefix = "") -> list[Event | Gap]:
        """Return the newest `count` events on such routes, with the gaps among them."""
        segments = self.segments()
        back = 1
        while True:
            first = segments[-back].first if back < len(segments) else 1
            newest = _newest(self.events(first - 1, prefix), count)
            enough = sum(isinstance(item, Event) for item in newest) >= count
            if enough or back >= len(segments):
                return newest
            back *= 2

    def follow(
        self, clock: Clock, after: int, prefix: Prefix = "", *, every_s: float = 0.25
    ) -> Iterator[Event | Gap]:
        """Yield events above `after` as they are written, for ever; looks every `every_s` s."""
        while True:
            page = self.read(after)
            for item in sorted((*page.records, *page.gaps), key=_first_of):
                yield from expand(item, after, prefix)
            if page.next == after:
                clock.sleep(every_s)
            after = page.next

    def segments(self) -> list[SegmentFile]:
        """Return the segments in order; none if the folder cannot be read."""
        try:
            return list_segments(self.folder)
        except OSError:
            return []

    def heads(self) -> Iterator[tuple[SegmentFile, Head | None]]:
        """Yield each segment with its head; None where that is damaged."""
        for segment in self.segments():
            try:
                with segment.path.open("rb") as file:
                    head = read_head(file)
            except OSError:
                head = None
            yield segment, head

    def last(self) -> tuple[int, int]:
        """Return the last boot and the last number that the log holds; zeros if it is empty."""
        segments = self.segments()
        for segment in reversed(segments):
            number = 0
            for item in self.walk(segment.first - 1):
                if not isinstance(item, Gap):
                    number = last_number(item)
            if number:
                return segments[-1].boot, number
        return (segments[-1].boot, segments[-1].first - 1) if segments else (0, 0)

    def forget(self) -> None:
        """Forget where pages ended; for the writer, when it has replaced a segment."""
        with self._guard:
            self._resume.clear()

    def _items(self, walk: _Walk) -> Iterator[Record | Gap]:
        segments = self.segments()
        if not segments:
            return
        start = max(0, bisect.bisect_right(segments, walk.seen + 1, key=_first_of_segment) - 1)
        if segments[start].first > walk.seen + 1:
            walk.why = DROPPED  # only the very first one can begin later than what is asked for
        # A later segment that begins with a number of this one was written because this one's disk
        # failed; from there on it is the later one that counts.
        bounds = [segment.first for segment in segments[1:]] + [_END]
        for segment, bound in zip(segments[start:], bounds[start:], strict=True):
            walk.enter(segment)
            if segment.first >= walk.before:
                return
            yield from self._segment(segment, min(bound, walk.before), walk)

    def _segment(self, segment: SegmentFile, bound: int, walk: _Walk) -> Iterator[Record | Gap]:
        path, offset = self._resume.get(walk.seen, (segment.path, 0))
        if path != segment.path:
            offset = 0
        try:
            with segment.path.open("rb") as file:
                contents = SegmentContents(file, segment, offset)
                for start, items in contents.blocks(walk.seen):
                    walk.place = (segment.path, start)
                    for item in items:
                        # Nearly every item is the event that is expected next.
                        if (
                            type(item) is Event
                            and item.n == walk.seen + 1
                            and item.n < bound
                            and not walk.why
                        ):
                            walk.seen = item.n
                            yield item
                        elif _number_of(item) >= walk.before:
                            return
                        else:
                            yield from walk.take(item, bound)
        except FileNotFoundError:
            walk.why = DROPPED  # by its writer, just now
        except OSError:
            walk.damage()

    def _remember(self, number: int, place: tuple[Path, int]) -> None:
        with self._guard:
            self._resume.pop(number, None)
            self._resume[number] = place
            if len(self._resume) > _RESUME_POINTS:
                del self._resume[next(iter(self._resume))]


def expand(item: Record | Gap, after: int = 0, prefix: Prefix = "") -> Iterator[Event | Gap]:
    """Yield the events of a record above `after` on routes that begin with `prefix`, or the gap."""
    if isinstance(item, Gap):
        yield item
        return
    for event in (item,) if isinstance(item, Event) else item.events():
        if event.n > after and event.route.startswith(prefix or ""):
            yield event


class _Walk:
    """How far a reader has come, and what it has met since the last record."""

    def __init__(self, seen: int, before: int) -> None:
        self.seen = seen
        self.before = before
        self.why = ""  # what explains the next jump in numbers
        self.place: tuple[Path, int] | None = None
        self._boot: int | None = None
        self._said: Gap | None = None  # what the writer itself said is missing
        self._unread = 0  # lines or blocks without a record that could be read

    def enter(self, segment: SegmentFile) -> None:
        """Go on to another segment."""
        if self._boot not in (None, segment.boot) and not self.why:
            self.why = RESTARTED
        self._boot = segment.boot

    def damage(self) -> None:
        """Note that something could not be read."""
        self.why = DAMAGED
        self._unread += 1

    def take(self, item: Item, bound: int) -> Iterator[Record | Gap]:
        """Take what a line held; yield it if it is new, after the gap before it if there is one."""
        if item is None:
            self.damage()
        elif isinstance(item, Gap):
            self._said = item
            if self.why != DAMAGED:
                self.why = item.reason
        elif item.n < bound and (last := last_number(item)) > self.seen:
            if item.n > self.seen + 1:
                yield self.jump_to(item.n)
            self.seen, self.why, self._said, self._unread = last, "", None, 0
            yield item

    def jump_to(self, number: int) -> Gap:
        """Return the gap between what was seen and `number`, and go on from there."""
        gap = Gap(self.seen + 1, number - 1, self.why or MISSING)
        self.seen = number - 1
        return gap

    def at_end(self) -> Iterator[Gap]:
        """Yield what is known to be missing after the last record: at least one number a line."""
        if self._unread:
            yield Gap(self.seen + 1, self.seen + self._unread, DAMAGED)
        elif self._said is not None and self._said.last > self.seen:
            yield Gap(max(self._said.first, self.seen + 1), self._said.last, self._said.reason)


def _newest(items: Iterator[Event | Gap], count: int) -> list[Event | Gap]:
    kept: deque[Event | Gap] = deque()
    events = 0
    for item in items:
        kept.append(item)
        events += isinstance(item, Event)
        while events > count or (kept and isinstance(kept[0], Gap) and events == count):
            events -= isinstance(kept.popleft(), Event)
    return list(kept)


def _first_of(item: Record | Gap) -> int:
    return item.first if isinstance(item, Gap) else item.n


def _number_of(item: Item) -> int:
    return 0 if item is None or isinstance(item, Gap) else item.n


def _first_of_segment(segment: SegmentFile) -> int:
    return segment.first
