"""Recovery: what is done to the segments of a boot that ended without closing them.

Only the end of a segment is ever cut: what follows the last line that is whole, can be read and
goes on from the number before. What stays is sealed with a trailer. Damage further up is left as it
is; readers report it as a gap.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from leyden.eventlog.blocks import Block, SegmentContents
from leyden.eventlog.schema import Item, parse_trailer, split_lines, trailer
from leyden.kernel import Gap, last_number
from leyden.storage.files import FILES, Files
from leyden.storage.segment import Segment
from leyden.storage.segments import SegmentFile, list_segments, read_end, remove_segment

_LONGEST_TRAILER: Final = 64


class Cut(msgspec.Struct, frozen=True):
    """What was cut from the end of a segment."""

    segment: str  # file name
    cut_bytes: int
    kept_bytes: int  # 0: nothing could be kept, the file is gone


class Recovery(msgspec.Struct, frozen=True):
    """What a boot found when it opened the log."""

    boot: int  # the boot that begins now
    cuts: tuple[Cut, ...] = ()
    gap: Gap | None = None  # numbers of earlier boots that will never be seen
    sequence_lost: bool = False  # `sequence.json` was gone or damaged, and was made up for
    trouble: str = ""  # what the disk would not do, in words


def mend_segments(folder: Path, files: Files = FILES) -> tuple[list[Cut], OSError | None]:
    """Cut and seal every segment that was left open; return the cuts and the disk's last refusal.

    A disk that refuses leaves segments as they are; readers cope.
    """
    cuts: list[Cut] = []
    trouble: OSError | None = None
    for segment in list_segments(folder):
        try:
            if not _is_closed(segment.path) and (cut := _mend(segment, files)) is not None:
                cuts.append(cut)
        except OSError as error:
            trouble = error
    return cuts, trouble


def _is_closed(path: Path) -> bool:
    end = read_end(path, _LONGEST_TRAILER)
    return parse_trailer(end[end.rfind(b"\n", 0, -1) + 1 :]) is not None


class _Keep(NamedTuple):
    """How much of a segment can be kept."""

    size: int = 0  # bytes
    seal: bytes = b""  # the trailer to add


def _mend(segment: SegmentFile, files: Files) -> Cut | None:
    keep = _find_end(segment)
    size = segment.path.stat().st_size
    if keep.size == 0:
        remove_segment(segment, files)
        return Cut(segment.name, size, 0)
    mended = Segment.reopen(segment.path, keep.size, files)
    try:
        if keep.seal:
            mended.append(keep.seal)
        mended.sync()
    finally:
        mended.close()
    return Cut(segment.name, size - keep.size, keep.size) if size > keep.size else None


def _find_end(segment: SegmentFile) -> _Keep:
    keep = _Keep()
    with segment.path.open("rb") as file:
        contents = SegmentContents(file, segment)
        for block in contents.raw_blocks():
            items = contents.items(block)
            if block.closed:
                keep = _Keep(block.end)
            elif block.intact and block.start > 0:
                return _end_of_open(block, items)
    return keep


def _end_of_open(block: Block, items: list[Item]) -> _Keep:
    size, crc, last = block.start, 0, 0
    for line, item in zip(split_lines(block.lines), items, strict=True):
        if item is None:
            break
        size += len(line) + 1
        crc = zlib.crc32(line + b"\n", crc)
        last = item.last if isinstance(item, Gap) else last_number(item)
    return _Keep(size, trailer(last, crc) if last else b"")
