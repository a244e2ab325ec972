"""The blocks of a segment, read one by one: what each holds, and whether it is what was written."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import BinaryIO, Final, NamedTuple

from leyden.eventlog.schema import COMMIT, Head, Item, LineDecoder, decode_head, parse_trailer
from leyden.kernel import Event, Gap, Scan, last_number
from leyden.storage.segments import SegmentFile

_CHUNK: Final = 1 << 18
_LARGEST: Final = 1 << 24  # no writer makes a block a hundredth of this: it is damage
_NEWLINE: Final = 10


class Block(NamedTuple):
    """The bytes between two trailers."""

    start: int  # where in the file
    lines: bytes  # whole lines, without the trailer
    end: int  # after the trailer, or after the last whole line of a block without one
    closed: bool  # whether a trailer follows
    intact: bool  # whether the trailer's checksum fits; a block without one is taken as it stands


class SegmentContents:
    """Reads the records of an open segment file from `offset` on, the beginning of a block."""

    def __init__(self, file: BinaryIO, segment: SegmentFile, offset: int = 0) -> None:
        self._file = file
        self._offset = offset
        self.head = read_head(file)
        self._decoder = LineDecoder(segment.boot, self.head)
        self._due = segment.first  # the number the next record must have
        self._exact = offset == 0  # otherwise: the least it can have

    def blocks(self, seen: int = 0) -> Iterator[tuple[int, list[Item]]]:
        """Yield where each block starts and what its lines hold; None for what is unreadable.

        A block with nothing above `seen` is passed over.
        """
        for block in self.raw_blocks():
            yield block.start, self.items(block, seen)

    def raw_blocks(self) -> Iterator[Block]:
        """Yield the blocks as bytes."""
        self._file.seek(self._offset)
        return read_blocks(self._file, self._offset)

    def items(self, block: Block, seen: int = 0) -> list[Item]:
        """Return what the lines of a block hold; must be asked of every block in turn."""
        if not block.intact:
            self._exact = False
            return [None]
        lines = block.lines
        if block.start == 0:
            lines = lines[lines.find(b"\n") + 1 :]  # without the head
        if not lines:
            return []
        if not block.closed:
            return [self._in_order(item) for item in self._decoder.block(lines)]
        final = self._decoder.line(lines[lines.rfind(b"\n", 0, -1) + 1 :])
        self._exact = final is not None
        if final is not None:
            self._due = _last_of(final) + 1
            if self._due <= seen + 1:
                return []
        return self._decoder.block(lines)

    def _in_order(self, item: Item) -> Item:
        # No checksum protects these lines yet, but their numbers have to go on from each other:
        # a changed digit would otherwise hide all that follows.
        first = _first_of(item)
        if item is None or first < self._due or (self._exact and first > self._due):
            self._exact = False
            return None
        self._due = _last_of(item) + 1
        self._exact = True
        return item


def _first_of(item: Item) -> int:
    if item is None:
        return 0
    return item.first if isinstance(item, Gap) else item.n


def _last_of(item: Event | Scan | Gap) -> int:
    return item.last if isinstance(item, Gap) else last_number(item)


def read_head(file: BinaryIO) -> Head | None:
    """Return the head at the beginning of a segment; None if it is damaged or from the future."""
    file.seek(0)
    line = file.readline(_LARGEST)
    mark = parse_trailer(file.readline(_CHUNK))
    return decode_head(line) if mark is not None and mark[1] == zlib.crc32(line) else None


def read_blocks(file: BinaryIO, start: int) -> Iterator[Block]:
    """Yield the blocks from where `file` stands, which is `start` bytes into it."""
    rest = b""
    while chunk := file.read(_CHUNK):
        rest += chunk
        used = 0
        while (found := _next_trailer(rest, used)) is not None:
            begin, end, crc = found
            lines = rest[used:begin]
            yield Block(start + used, lines, start + end, True, zlib.crc32(lines) == crc)
            used = end
        rest, start = rest[used:], start + used
        if len(rest) > _LARGEST:
            yield Block(start, b"", start + len(rest), False, False)
            rest, start = b"", start + len(rest)
    if rest:
        # Not closed yet, or never. A line without an end is being written, or was when power went;
        # one with a NUL in it is not being written.
        whole = rest.rfind(b"\n") + 1
        yield Block(start, rest[:whole], start + whole, False, True)
        if b"\0" in rest[whole:]:
            yield Block(start + whole, b"", start + len(rest), False, False)


def _next_trailer(data: bytes, used: int) -> tuple[int, int, int] | None:
    # Where the next trailer begins and ends, and its checksum.
    begin = data.find(COMMIT, used)
    while begin >= 0:
        end = data.find(b"\n", begin) + 1
        if not end:
            return None
        mark = parse_trailer(data[begin:end])
        if mark is not None and (begin == used or data[begin - 1] == _NEWLINE):
            return begin, end, mark[1]
        begin = data.find(COMMIT, end)
    return None
