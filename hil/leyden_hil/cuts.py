"""What a power cut leaves on a card: what was flushed, and a part by chance of what was not.

A killed emulator leaves every write in the host's memory, so nothing would be lost that a real card
loses. The emulator therefore notes each write and flush in a journal, and the card after the cut is
made anew: all writes up to the last flush that was answered, and of those after it some, in any
order, sector by sector.

The journal is that of QEMU's `blklogwrites`, which is that of Linux's dm-log-writes (Linux
documentation, "dm-log-writes": super block, then entries, each followed by its data).
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from leyden_hil.card import SECTOR, tool
from leyden_hil.errors import InfraError

_MAGIC: Final = 0x6A736677736872
_SUPER: Final = struct.Struct(
    "<QQQI"
)  # magic, version, entries (written now and then), sector size
_ENTRY: Final = struct.Struct("<QQQQ")  # sector, sectors, flags, bytes of data
_FLUSH, _FUA, _DISCARD = 1, 2, 4


@dataclass(frozen=True, slots=True)
class Entry:
    """One write, flush or discard."""

    offset: int  # on the card, in bytes
    flags: int
    at: int  # of its data in the journal
    size: int  # of its data

    @property
    def flushes(self) -> bool:
        """Whether all writes before it were on the card when it was answered."""
        return bool(self.flags & _FLUSH)

    @property
    def forced(self) -> bool:
        """Whether it was on the card itself when it was answered."""
        return bool(self.flags & _FUA)


@dataclass(frozen=True, slots=True)
class Cut:
    """What became of the writes."""

    safe: int  # bytes that a flush had put on the card
    kept: int  # bytes after that which made it
    lost: int  # bytes after that which did not


def entries(journal: BinaryIO) -> Iterator[Entry]:
    """Yield the entries of a journal, as far as it is whole.

    Raises:
        InfraError: it is no journal.
    """
    head = journal.read(_SUPER.size)
    if len(head) < _SUPER.size or _SUPER.unpack(head)[0] != _MAGIC:
        raise InfraError("the emulator left no journal of the card's writes")
    sector = _SUPER.unpack(head)[3]
    place, end = sector, journal.seek(0, 2)
    while place + sector <= end:
        journal.seek(place)
        where, count, flags, _ = _ENTRY.unpack(journal.read(_ENTRY.size))
        data = 0 if flags & _DISCARD else count * sector
        if not (count or flags) or place + sector + data > end:
            return
        yield Entry(where * sector, flags, place + sector, data)
        place += sector + data


def cut(before: Path, journal: Path, after: Path, chance: random.Random) -> Cut:
    """Make the card as it is after the cut.

    Args:
        before: the card as it was when the journal began.
        journal: what was written since.
        after: where the new card goes.
        chance: draws what is kept of what was not flushed; half of it, on average.

    Raises:
        InfraError: the journal is none.
    """
    tool(["cp", "--sparse=always", "--reflink=auto", str(before), str(after)])
    with journal.open("rb") as log, after.open("r+b") as card:
        found = list(entries(log))
        last = max((i for i, entry in enumerate(found) if entry.flushes), default=-1)
        safe = sum(_copy(log, card, entry) for entry in found[: last + 1])
        kept = lost = 0
        for entry in found[last + 1 :]:
            if entry.forced:
                safe += _copy(log, card, entry)
                continue
            some = _copy_some(log, card, entry, chance)
            kept, lost = kept + some, lost + entry.size - some
    return Cut(safe, kept, lost)


def _copy(log: BinaryIO, card: BinaryIO, entry: Entry) -> int:
    log.seek(entry.at)
    card.seek(entry.offset)
    return card.write(log.read(entry.size))


def _copy_some(log: BinaryIO, card: BinaryIO, entry: Entry, chance: random.Random) -> int:
    """Keep a write, lose it, or keep a part of its sectors."""
    fate = chance.random()
    kept = 0
    for place in range(0, entry.size, SECTOR):
        if fate < 0.4 or (fate < 0.6 and chance.random() < 0.5):
            sector = Entry(entry.offset + place, entry.flags, entry.at + place, SECTOR)
            kept += _copy(log, card, sector)
    return kept
