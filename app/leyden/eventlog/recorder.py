"""The recorder: the durable store that the event stream appends to.

The publisher only puts a record into a queue. A lane of the recorder's own writes what has gathered
within 100 ms and syncs it within a second; who needs a record on disk before going on waits for it
with `commit`, which syncs at once. An idle recorder sleeps.

A disk that is full, read-only, failing or slow never stops the appliance. Records wait in memory, a
bounded number of them; the recorder tries again with growing pauses, goes on by itself, and says
exactly which numbers it had to let go.
"""

from __future__ import annotations

import contextlib
import errno
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

from leyden.eventlog.backlog import PACE, Backlog
from leyden.eventlog.clocklog import WallWatch
from leyden.eventlog.disk import DiskWatch
from leyden.eventlog.numbers import Numbers
from leyden.eventlog.reader import MISSING, RESTARTED, LogReader
from leyden.eventlog.recovery import Recovery, mend_segments
from leyden.eventlog.schema import About, Entry, Table
from leyden.eventlog.writer import SEGMENT_BYTES, SEGMENT_S, LogWriter
from leyden.kernel import (
    NS,
    Executor,
    Gap,
    Lane,
    Page,
    Record,
    RouteInfo,
    Signal,
    Value,
    last_number,
)
from leyden.storage.atomic import remove_leftovers
from leyden.storage.errors import StorageError, explain
from leyden.storage.files import FILES, Files
from leyden.storage.segments import SegmentFile, list_segments, remove_segment

RECOVERED: Final = "log.recovered"  # what was cut or made up for when the log was opened
GAP: Final = "log.gap"  # numbers that nobody will ever see
DEGRADED: Final = "log.degraded"  # the disk does not take what is published
RESTORED: Final = "log.restored"  # it does again
DROPPED: Final = "log.dropped"  # old segments made room for new ones
REPORTS: Final = (RECOVERED, GAP, DEGRADED, RESTORED, DROPPED)

Report: TypeAlias = Callable[[str, Mapping[str, Value]], object]

LIMIT_BYTES: Final = 2_000_000_000
CAPACITY: Final = 131_072  # records that wait for the disk at most
GATHER_S: Final = 0.05  # how long records gather before they are written together
SYNC_S: Final = 0.8  # and before they are synced: with the sync itself, within a second

_BATCH: Final = 4096  # records taken from the backlog at once
_MOST_UNSYNCED: Final = 16_384  # a burst is synced when this many records are not
_RECENT: Final = 8192  # records kept in memory for readers
# A publisher that outruns the writer gives way for this long, several times if the backlog is
# nearly full.
_PAUSE_S: Final = 0.005
_PAUSES: Final = 20
_GAPS_KNOWN: Final = 64
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_UNUSABLE: Final = (errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.ENOENT)


class Recorder:
    """Keeps every record of the stream on disk below `folder`; implements the kernel's `Store`.

    Making one opens the log: it mends what the last boot left, takes the next boot number and
    reserves sequence numbers. `start` begins to write; what is appended before waits in memory.

    Args:
        folder: the log's folder; created if need be. One recorder at a time.
        executor: gives the writer its lane.
        limit_bytes: what the log may take; the oldest segments make room.
        segment_bytes: the size at which a segment is closed.
        segment_s: the age, in seconds, at which it is.
        capacity: records that wait in memory when the disk does not take them.
        files: the file system.

    Raises:
        StorageError: the folder cannot be created, or nobody may write there.
    """

    def __init__(
        self,
        folder: Path,
        executor: Executor,
        *,
        limit_bytes: int = LIMIT_BYTES,
        segment_bytes: int = SEGMENT_BYTES,
        segment_s: float = SEGMENT_S,
        capacity: int = CAPACITY,
        files: Files = FILES,
    ) -> None:
        self.folder = folder
        self.reader = LogReader(folder)
        self.watch = WallWatch(executor.clock)
        self._numbers, self.recovery = _open(folder, self.reader, files)
        self.boot = self._numbers.boot
        self._executor = executor
        self._files = files
        self._mono = executor.clock.monotonic_ns
        self._limit_bytes = limit_bytes
        self._segment_bytes = min(segment_bytes, limit_bytes // 4)
        self._writer = LogWriter(
            folder, self.boot, executor.clock, self.watch, files,
            segment_bytes=self._segment_bytes, segment_s=segment_s,
        )  # fmt: skip
        self._backlog = Backlog(
            self._numbers.first, self._attend, capacity=capacity, batch=_BATCH, recent=_RECENT
        )
        # Takes a record and never touches the disk. Never waits either, unless thousands of records
        # come faster than any writer could follow for lack of processor time: then the publisher
        # gives way for milliseconds. Bound to the instance, as it is called for every record.
        self.append: Callable[[Record], None] = self._backlog.append
        self._capacity = capacity
        self._took = threading.Event()  # the writer has taken a batch
        self._wake = executor.signal()  # there is something to take
        self._hurry = executor.signal()  # do not gather: somebody waits, or it is the end
        self._waiters: list[tuple[int, Signal]] = []
        self._guard = threading.Lock()  # of the waiters; never held while waiting
        self._gaps: tuple[Gap, ...] = (self.recovery.gap,) if self.recovery.gap else ()
        self._lane: Lane | None = None
        self._report: Report = _nobody
        self._stopping = self._closed = False
        self._sync_due: int | None = None  # ns; None: everything written is synced
        self._opened = -1  # how many segments had been begun when the limit was last enforced
        self._lost_told = 0
        self._defects = 0
        self._second_try = False  # the disk was full, and room has been made just now
        self._disk = DiskWatch(
            self._mono, partial(self._tell, DEGRADED), partial(self._tell, RESTORED), self._lost
        )

    # What the stream asks for

    def commit(self, n: int, timeout_s: float) -> bool:
        """Sync now and wait until record `n` is on disk, at most `timeout_s`; whether it is.

        While the disk refuses, the answer comes at once.
        """
        if self._is_safe(n) or self._disk.failing or self._closed:
            return self._is_safe(n)
        waiter = (n, self._executor.signal())
        with self._guard:
            self._waiters.append(waiter)
        self._hurry.set()
        self._wake.set()
        waiter[1].wait(timeout_s)
        with self._guard, contextlib.suppress(ValueError):  # released, as it should be
            self._waiters.remove(waiter)
        return self._is_safe(n)

    def first_number(self) -> int:
        """Return the first sequence number of this boot."""
        return self._numbers.first

    def reserve(self) -> int:
        """Return the number that ends the next block.

        At once, unless blocks are used up faster than the disk takes their bounds. A disk that is
        in trouble is not waited for. Reports nothing: the stream's lock is held.
        """
        bound = self._numbers.reserve(0.0 if self._disk.is_in_trouble() else 1.0)
        if self._numbers.due():
            self._hurry.set()
            self._wake.set()
        return bound

    def read(self, after: int, limit: int) -> Page:
        """Return up to `limit` records above `after`: recent ones from memory, older from disk.

        A scan that begins at or below `after` and ends above it comes whole.
        """
        found: list[Entry] = []
        at = after
        while len(found) < limit:
            oldest, held = self._backlog.held(at, limit - len(found))
            if oldest is not None and at + 1 >= oldest:
                found += held
                break
            page = self.reader.read(at, limit - len(found), before=oldest)
            found += page.records
            found += [self._explained(gap) for gap in page.gaps]
            if page.next == at:
                break
            at = page.next
        return _page(found, after)

    # Its life

    def start(
        self,
        about: About,
        routes: Callable[[], Iterable[RouteInfo]],
        report: Report,
        scans: Callable[[], Iterable[Table]] = tuple,
    ) -> None:
        """Begin to write.

        Args:
            about: what segment heads say of the configuration and versions.
            routes: returns the declared routes, for the heads: the stream's `routes`.
            report: publishes a value on one of the routes in `REPORTS`. It is called from the
                writer's lane and must not wait for a commit.
            scans: returns the announced scans, so that the first segment describes them all: the
                stream's `scans`.

        Raises:
            TypeError: the configuration is not plain data.
        """
        about.digest()
        self._writer.about = about
        self._writer.routes = routes
        self._writer.scans = scans
        self._report = report
        self._lane = self._executor.start_lane("log.writer", self._run)

    def opening_reports(self) -> list[tuple[str, dict[str, Value]]]:
        """Return what is to be published about the log that was found, as (route, value)."""
        found = self.recovery
        reports: list[tuple[str, dict[str, Value]]] = []
        if found.cuts or found.sequence_lost:
            cuts = [{"segment": cut.segment, "bytes": cut.cut_bytes} for cut in found.cuts]
            reports.append((RECOVERED, {"cuts": cuts, "sequence_lost": found.sequence_lost}))
        if found.gap is not None:
            reports.append((GAP, _gap_value(found.gap)))
        return reports

    def close(self, timeout_s: float = 5.0) -> bool:
        """Write, seal and sync everything and end the lane; whether all that was done in time.

        To be called after the last publication: what is appended later is not recorded.
        """
        if self._lane is None:
            self._closed = True
            return len(self._backlog) == 0
        self._stopping = True
        self._hurry.set()
        self._wake.set()
        return self._lane.join(timeout_s) and self._waiting() == 0

    def check(self) -> None:
        """Report a disk that hangs in one step; for a service that looks once a second or so."""
        self._disk.check()

    def status(self) -> dict[str, Value]:
        """Return figures for a health page."""
        return {
            "boot": self.boot,
            "synced": self._writer.synced,
            "waiting": self._waiting(),
            "lost": self._lost(),
            "condition": self._disk.condition or "ok",
            "unsecured": self._numbers.unsecured,
            "unwritable": self._writer.unwritable,
            "defects": self._defects,
            "segment": self._writer.path.name if self._writer.path else "",
        }

    # The writer's lane

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._rest()
                self._turn()
        finally:
            self._finish()

    def _rest(self) -> None:
        if self._disk.failing:
            self._hurry.wait(self._disk.retry_s)
            return
        due = self._sync_due
        self._wake.wait(None if due is None else max(0.0, (due - self._mono()) / NS))
        if self._wake.is_set():
            self._hurry.wait(GATHER_S)

    def _turn(self) -> None:
        # In this order: a record appended from here on finds the flag down and wakes us again.
        self._hurry.clear()
        self._wake.clear()
        self._backlog.attend_at = 0
        try:
            if self._numbers.due():
                with self._disk.step():
                    self._numbers.renew()
            self._write_all()
            if self._writer.opened != self._opened:
                with self._disk.step():
                    self._enforce_limit()
        except OSError as error:
            self._refused(error)
        except Exception as error:  # noqa: BLE001 - a defect must not end the log: counted and told
            self._defects += 1
            self._abandon()
            self._disk.give_up("defect", f"{type(error).__name__}: {error}")
        self._release()

    def _write_all(self) -> None:
        with self._disk.step():
            self._writer.write(())  # what an earlier attempt has left
        while entries := self._backlog.take(self._writer.synced):
            self._took.set()
            if self._backlog.lost != self._lost_told:
                self._tell_gaps(entries)
            with self._disk.step():
                self._writer.write(entries)
            if self._waiters or len(self._writer.unsynced) >= _MOST_UNSYNCED:
                self._sync()
        if self._disk.failing or self._waiters or self._is_sync_due():
            self._sync()

    def _is_sync_due(self) -> bool:
        if self._sync_due is None and self._writer.unsynced:
            self._sync_due = self._mono() + round(SYNC_S * NS)
        return self._sync_due is not None and self._mono() >= self._sync_due

    def _sync(self) -> None:
        with self._disk.step():
            self._writer.sync(seal=bool(self._waiters))
        self._sync_due = None
        self._second_try = False
        self._disk.recover()
        self._release()

    def _finish(self) -> None:
        try:
            self._write_all()
            self._writer.close()
        except OSError:
            self._writer.abandon()
        finally:
            with contextlib.suppress(OSError):  # then the next boot begins above the bound
                self._numbers.finish(self._backlog.last)
            self._backlog.attend_at, self._closed = 0, True
            self._release()

    def _attend(self, n: int) -> None:
        if self._closed:
            # Nobody records this any more, but its number is used: the next boot must not have it.
            self._numbers.secure_granted()
            return
        # In this order: the writer lowers both, and must find the flag up if it does so meanwhile.
        self._backlog.attend_at = n + PACE
        self._wake.set()
        if 4 * len(self._backlog) > self._capacity:
            self._give_way()

    def _give_way(self) -> None:
        # Real milliseconds, not the executor's: it is the processor that the writer lacks, and the
        # publisher holds the stream's lock. On a disk that will not, waiting would not help.
        self._hurry.set()
        for _ in range(_PAUSES):
            if self._disk.is_in_trouble():
                return
            self._took.clear()
            self._took.wait(_PAUSE_S)
            if 4 * len(self._backlog) < 3 * self._capacity:
                return

    # Waiting for it

    def _release(self) -> None:
        if not self._waiters:
            return
        with self._guard:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                if self._disk.failing or self._closed or self._is_safe(waiter[0]):
                    waiter[1].set()
                else:
                    self._waiters.append(waiter)

    def _is_safe(self, n: int) -> bool:
        return n <= self._writer.synced and not any(
            gap.first <= n <= gap.last for gap in self._gaps
        )

    def _waiting(self) -> int:
        return len(self._backlog) + len(self._writer.unsynced)

    # When the disk will not

    def _refused(self, error: OSError) -> None:
        # Room is made on a full disk by the oldest records, one segment for each attempt.
        made_room = False
        if error.errno in _FULL:
            with contextlib.suppress(OSError):  # the first error is the one to tell
                made_room = self._drop(1, "full")
        self._abandon()
        if made_room and not self._second_try:
            self._second_try = True
            self._hurry.set()
            self._wake.set()
        else:
            self._disk.refuse(error)

    def _abandon(self) -> None:
        # What was not synced is written again, into another segment.
        self._writer.abandon()
        self.reader.forget()
        self._sync_due = None

    def _lost(self) -> int:
        return self._backlog.lost + self._backlog.overflowed()

    def _tell_gaps(self, entries: Sequence[Entry]) -> None:
        self._lost_told = self._backlog.lost
        for gap in entries:
            if isinstance(gap, Gap):
                self._gaps = (*self._gaps, gap)[-_GAPS_KNOWN:]
                self._tell(GAP, _gap_value(gap))

    def _explained(self, gap: Gap) -> Gap:
        if gap.reason != MISSING:
            return gap
        known = (k for k in self._gaps if k.first <= gap.last and gap.first <= k.last)
        return Gap(gap.first, gap.last, next((k.reason for k in known), MISSING))

    def _tell(self, route: str, value: Mapping[str, Value]) -> None:
        try:
            self._report(route, value)
        except Exception:  # noqa: BLE001 - the listener's defect must not end the log: counted
            self._defects += 1

    # Limits

    def _enforce_limit(self) -> None:
        self._opened = self._writer.opened
        excess = self._segment_bytes - self._limit_bytes  # the present segment may still grow
        closed = self._closed_segments()
        excess += sum(segment.size for segment in closed)
        count = 0
        while excess > 0 and count < len(closed):
            excess -= closed[count].size
            count += 1
        self._drop(count, "limit")

    def _closed_segments(self) -> list[SegmentFile]:
        present = self._writer.path
        return [segment for segment in list_segments(self.folder) if segment.path != present]

    def _drop(self, count: int, reason: str) -> bool:
        dropped = self._closed_segments()[:count]
        for segment in dropped:
            remove_segment(segment, self._files)
        if not dropped:
            return False
        left = list_segments(self.folder)
        safe = max(self._writer.synced, self._numbers.first - 1)
        facts = {
            "reason": reason,
            "segments": len(dropped),
            "bytes": sum(segment.size for segment in dropped),
            "first": dropped[0].first,
            "last": left[0].first - 1 if left else safe,
        }
        self._tell(DROPPED, facts)
        return True


def _open(folder: Path, reader: LogReader, files: Files) -> tuple[Numbers, Recovery]:
    try:
        files.make_folder(folder)
        named = list_segments(folder)[-1:]  # mending removes those of which nothing can be read
        cuts, trouble = mend_segments(folder, files)
    except OSError as error:
        raise StorageError(folder, error) from error
    with contextlib.suppress(OSError):  # a few bytes wasted
        remove_leftovers(folder, files)
    boot, last = reader.last()
    for segment in named:  # what it held is lost, that its numbers were given out is not
        boot, last = max(boot, segment.boot), max(last, segment.first - 1)
    numbers = Numbers(folder, (boot, last), files)
    if numbers.trouble is not None and numbers.trouble.errno in _UNUSABLE:
        raise StorageError(folder, numbers.trouble)
    trouble = trouble or numbers.trouble
    gap = Gap(last + 1, numbers.first - 1, RESTARTED) if numbers.first > last + 1 else None
    told = "" if trouble is None else explain(trouble)
    return numbers, Recovery(numbers.boot, tuple(cuts), gap, numbers.lost, told)


def _page(found: list[Entry], after: int) -> Page:
    records = tuple(entry for entry in found if not isinstance(entry, Gap))
    gaps = tuple(entry for entry in found if isinstance(entry, Gap))
    ends = [last_number(records[-1])] if records else []
    ends += [gap.last for gap in gaps[-1:]]
    return Page(records, max(ends, default=after), gaps)


def _gap_value(gap: Gap) -> dict[str, Value]:
    return {
        "first": gap.first,
        "last": gap.last,
        "count": gap.last - gap.first + 1,
        "reason": gap.reason,
    }


def _nobody(route: str, value: Mapping[str, Value]) -> None:
    """Take a report before anyone listens."""
