"""The writer: puts records into blocks, blocks into segments, and begins a new segment when due.

It raises what the disk raises and keeps every record until that is synced; when to write, to sync
and to try again is its owner's business.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from leyden.eventlog.clocklog import WallWatch
from leyden.eventlog.schema import (
    About,
    Entry,
    Head,
    LineEncoder,
    Table,
    describe,
    encode_gap,
    encode_head,
    trailer,
)
from leyden.eventlog.values import portable
from leyden.kernel import NS, Clock, Gap, Record, RouteInfo, last_number
from leyden.storage.files import FILES, Files
from leyden.storage.segment import Segment
from leyden.storage.segments import segment_path

SEGMENT_BYTES: Final = 8_000_000
SEGMENT_S: Final = 600.0

_LINES_AT_ONCE: Final = 4096  # records encoded and written in one call
_BLOCK_BYTES: Final = 1 << 15  # a block that has grown to this is closed after each write
# At a sync a smaller block is closed too, unless it is so small and young that trailers would be a
# large part of the log: ten channels once a second make 1 kB in ten seconds.
_SMALL_BLOCK_BYTES: Final = 4096
_YOUNG_BLOCK_S: Final = 30.0

_Piece: TypeAlias = Sequence[Record] | Gap  # a run of records, or one gap


class LogWriter:
    """Writes one boot's segments into `folder`.

    Args:
        folder: where segments go.
        boot: the boot that writes.
        clock: time, for the age of segments and blocks.
        watch: what heads say of wall time.
        files: the file system.
        segment_bytes: the size at which a segment is closed.
        segment_s: the age, in seconds, at which it is.
    """

    def __init__(
        self,
        folder: Path,
        boot: int,
        clock: Clock,
        watch: WallWatch,
        files: Files = FILES,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        segment_s: float = SEGMENT_S,
    ) -> None:
        self.about = About()
        self.routes: Callable[[], Iterable[RouteInfo]] = tuple
        self.scans: Callable[[], Iterable[Table]] = tuple
        self.synced = 0  # the last number known to be on the disk
        self.opened = 0  # segments begun
        self.unsynced: list[Entry] = []  # in order; kept until they are on the disk
        self._folder = folder
        self._boot = boot
        self._clock = clock
        self._watch = watch
        self._files = files
        self._segment_bytes = segment_bytes
        self._segment_ns = round(segment_s * NS)
        self._encoder = LineEncoder()
        self._segment: Segment | None = None
        self._segment_since = 0  # ns
        self._written = 0  # how many of `unsynced` are in the present segment
        self._last = 0  # the last number in the present segment
        self._block_crc = self._block_bytes = self._block_since = 0

    @property
    def path(self) -> Path | None:
        """The segment that is being written."""
        return self._segment.path if self._segment else None

    @property
    def unwritable(self) -> int:
        """Records whose value no line could carry."""
        return self._encoder.unwritable

    def write(self, entries: Sequence[Entry]) -> None:
        """Take entries, which follow on what was taken before, and write all that is not written.

        Raises:
            OSError: the disk refused; nothing taken is lost, `abandon` and `write` again.
        """
        self.unsynced.extend(entries)
        while self._written < len(self.unsynced):
            run = self.unsynced[self._written : self._written + _LINES_AT_ONCE]
            kinds = set(map(type, run))
            segment = self._segment_for(run, kinds)
            self._append(segment, _pieces(run, kinds))
            self._written += len(run)

    def sync(self, *, seal: bool) -> None:
        """Return when everything written is on the disk; with `seal`, under a checksum.

        Raises:
            OSError: the disk refused; `abandon` and `write` again.
        """
        if self._segment is None:
            return
        if self._block_bytes and (seal or self._block_is_due()):
            self._segment.append(self._trailer())
        self._segment.sync()
        self.synced = max(self.synced, self._last)
        del self.unsynced[: self._written]
        self._written = 0

    def close(self) -> None:
        """Sync, seal and end the present segment; the next write begins another.

        Raises:
            OSError: the disk refused; `abandon` and `write` again.
        """
        if self._segment is not None:
            self.sync(seal=True)
            self._segment.close()
            self._segment = None

    def abandon(self) -> None:
        """Give the present segment up after an error; what it had not synced is written again."""
        if self._segment is not None:
            self._segment.abandon()
            self._segment = None
        self._written = 0

    # How it works

    def _segment_for(self, run: Sequence[Entry], kinds: set[type[Entry]]) -> Segment:
        # A segment's head describes all that is in it: something new begins another segment.
        tables, keys = self._encoder.learn(run, kinds)
        if self._segment is not None and (tables or self._declared(keys) or self._is_full()):
            self.close()
        self._encoder.add_tables(tables)
        self._encoder.routes |= keys
        if self._segment is None:
            self._segment = self._open(_first_of(run[0]))
        return self._segment

    def _declared(self, keys: set[str]) -> bool:
        return bool(keys) and any(info.route.key in keys for info in self.routes())

    def _is_full(self) -> bool:
        age = self._clock.monotonic_ns() - self._segment_since
        size = self._segment.size if self._segment else 0
        return size >= self._segment_bytes or age >= self._segment_ns

    def _open(self, first: int) -> Segment:
        path = segment_path(self._folder, self._boot, first)
        opening = encode_head(self._head(first))
        try:
            segment = Segment.create(path, opening, self._files)
        except FileExistsError:
            # One of our own that was abandoned before anything in it was synced.
            self._files.remove(path)
            segment = Segment.create(path, opening, self._files)
        self.opened += 1
        self._segment_since = self._clock.monotonic_ns()
        self._last = first - 1
        self._block_crc = self._block_bytes = 0
        return segment

    def _head(self, first: int) -> Head:
        infos = tuple(self.routes())
        self._encoder.routes |= {info.route.key for info in infos}
        self._encoder.add_tables(set(self.scans()))
        tables = sorted(self._encoder.tables.items(), key=lambda item: item[1])
        return Head(
            boot=self._boot,
            boot_id=self.about.boot_id,
            first=first,
            config=portable(self.about.config),
            config_digest=self.about.digest(),
            versions=portable(self.about.versions),
            routes=[describe(info) for info in infos],
            tables={str(number): list(routes) for (routes, _), number in tables},
            sources={str(number): source for (_, source), number in tables},
            clock=self._watch.now(),
        )

    def _append(self, segment: Segment, pieces: Iterable[_Piece]) -> None:
        parts = [self._lines(piece) for piece in pieces]
        if self._block_bytes >= _BLOCK_BYTES:
            parts.append(self._trailer())
        segment.append(b"".join(parts))

    def _lines(self, piece: _Piece) -> bytes:
        if isinstance(piece, Gap):
            lines = encode_gap(piece)
            self._last = piece.last
        else:
            lines = self._encoder.encode(piece)
            self._last = last_number(piece[-1])
        if not self._block_bytes:
            self._block_since = self._clock.monotonic_ns()
        self._block_bytes += len(lines)
        self._block_crc = zlib.crc32(lines, self._block_crc)
        return lines

    def _block_is_due(self) -> bool:
        age = self._clock.monotonic_ns() - self._block_since
        return self._block_bytes >= _SMALL_BLOCK_BYTES or age >= _YOUNG_BLOCK_S * NS

    def _trailer(self) -> bytes:
        line = trailer(self._last, self._block_crc)
        self._block_crc = self._block_bytes = 0
        return line


def _pieces(run: Sequence[Entry], kinds: set[type[Entry]]) -> Iterator[_Piece]:
    if Gap not in kinds:
        yield run  # type: ignore[misc]  # no Gap is in it
        return
    piece: list[Record] = []
    for entry in run:
        if not isinstance(entry, Gap):
            piece.append(entry)
            continue
        if piece:
            yield piece
        yield entry
        piece = []
    if piece:
        yield piece


def _first_of(entry: Entry) -> int:
    return entry.first if isinstance(entry, Gap) else entry.n
