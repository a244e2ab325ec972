"""Clock records, and the dates that follow from them.

Everything is logged in monotonic time. What the wall clock said at which monotonic time is logged
beside it, so that data recorded before the machine knew the time is dated correctly afterwards.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from operator import attrgetter
from typing import Final, NamedTuple

import msgspec

from leyden.eventlog.reader import LogReader
from leyden.eventlog.schema import ClockRecord
from leyden.kernel import NS, Clock, Event, FrozenDict, WallState
from leyden.storage.segments import SegmentFile

CLOCK_ROUTE: Final = "clock.wall"
STEP_S: Final = 1.0  # a jump larger than this is a step; smaller ones are the clock being steered
EVERY_S: Final = 600.0  # the longest time without a record

_MOST_RECORDS: Final = 4096  # of one boot and rank in memory: four weeks; older ones are thinned
_RANKS: Final = {WallState.SYNCED: 0, WallState.STEPPED: 1, WallState.UNSYNCED: 2}  # best first
_mono_of: Final = attrgetter("mono")


class WallWatch:
    """Watches wall time against monotonic time; one object for all who ask in a process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._issued: ClockRecord | None = None
        self._offset: int | None = None  # wall minus monotonic time at the last look, ns
        self._set_by_hand = False  # stepped, and not disciplined since

    def now(self) -> ClockRecord:
        """Return what the clock says now, and how far it has jumped since the last look."""
        mono, wall = self._clock.monotonic_ns(), self._clock.time_ns()
        jump = 0.0 if self._offset is None else (wall - mono - self._offset) / NS
        step = jump if abs(jump) > STEP_S else 0.0
        if self._clock.synchronised():
            state = WallState.SYNCED
        elif step or self._set_by_hand:
            state = WallState.STEPPED
        else:
            state = WallState.UNSYNCED
        return ClockRecord(mono, wall, state.value, round(step, 3))

    def look(self) -> ClockRecord | None:
        """Return a record when one is due: the first, after a step or change of state, in time."""
        found, issued = self.now(), self._issued
        self._offset = found.wall - found.mono
        self._set_by_hand = found.state == WallState.STEPPED
        if (
            issued is not None
            and not found.step_s
            and found.state == issued.state
            and found.mono - issued.mono < EVERY_S * NS
        ):
            return None
        self._issued = found
        return found


def as_value(record: ClockRecord) -> FrozenDict:
    """Return a clock record as the value of its event."""
    return FrozenDict(msgspec.structs.asdict(record))


class Dated(NamedTuple):
    """A moment on the wall clock."""

    wall: int  # ns since 1970-01-01 UTC
    trusted: bool  # whether it follows from a clock that was synchronised in that boot


class WallMap:
    """Dates moments of monotonic time, from the clock records of their boot.

    The best records of a boot count: synchronised ones before those after a step, and these before
    those of a clock that nobody had set. Among equals it is the last one at or before the moment,
    or the first one after it: that is how data from before the first synchronisation gets its date.
    """

    def __init__(self) -> None:
        self._boots: dict[int, tuple[list[ClockRecord], ...]] = {}

    def add(self, boot: int, record: ClockRecord) -> None:
        """Take a clock record into account."""
        ranks = self._boots.setdefault(boot, ([], [], []))
        try:
            records = ranks[_RANKS[WallState(record.state)]]
        except ValueError:
            return  # a state of a later version: not known how far to trust it
        bisect.insort(records, record, key=_mono_of)
        if len(records) > _MOST_RECORDS:
            del records[1 : _MOST_RECORDS // 2 : 2]

    def add_event(self, event: Event) -> None:
        """Take an event into account if it is a clock record."""
        if event.route == CLOCK_ROUTE:
            try:
                self.add(event.boot, msgspec.convert(dict(event.value), ClockRecord))
            except (TypeError, ValueError):
                return  # not a clock record of a form we know

    def date(self, boot: int, mono: int) -> Dated | None:
        """Return the wall time of a moment of `boot`; None if nothing is known of that boot."""
        for rank, records in enumerate(self._boots.get(boot, ())):
            if records:
                at = max(0, bisect.bisect_right(records, mono, key=_mono_of) - 1)
                record = records[at]
                return Dated(record.wall + mono - record.mono, trusted=rank == 0)
        return None

    def synchronised(self, boot: int) -> bool:
        """Whether the clock was synchronised at some time in that boot, as far as is known."""
        return bool(self._boots.get(boot, ((),))[0])


def read_wall_map(reader: LogReader) -> WallMap:
    """Return the map that a log's clock records make.

    The heads hold a record each. Only where no head of a boot was written under a synchronised
    clock are the events of its last segment looked through, for what came after the head.
    """
    wall = WallMap()
    last_of_boot: dict[int, SegmentFile] = {}
    for segment, head in reader.heads():
        if head is not None and head.clock is not None:
            wall.add(segment.boot, head.clock)
        last_of_boot[segment.boot] = segment
    for segment in last_of_boot.values():
        if not wall.synchronised(segment.boot):
            for event in _events_in(reader, segment):
                wall.add_event(event)
    return wall


def _events_in(reader: LogReader, segment: SegmentFile) -> Iterator[Event]:
    for item in reader.walk(segment.first - 1):
        if isinstance(item, Event):
            if item.boot != segment.boot:
                return
            yield item
