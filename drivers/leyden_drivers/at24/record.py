"""The record that an EEPROM holds, twice: a head with a checksum, and text.

     0     4         8      10      12      16
    +-----+---------+------+-------+-------+----------
    | LEY1 | revision | length | ~length | CRC-32 | text, UTF-8
    +-----+---------+------+-------+-------+----------

Numbers are big-endian. The CRC-32 (that of Ethernet and zip) is over the first twelve bytes and the
text. Two copies lie one behind the other, each on pages of its own; the higher revision is valid.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Final

from leyden_drivers.at24.parts import Part

MAGIC: Final = b"LEY1"
COPIES: Final = 2
HEAD_BYTES: Final = 16
LAST_REVISION: Final = 0xFFFF_FFFF

_MOST: Final = 256  # bytes of a copy; a read of both takes 48 ms at 100 kHz
_HEAD: Final = struct.Struct(">4sIHH")
_CRC: Final = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Record:
    """What one copy says."""

    revision: int  # counts the writes
    text: str


def copy_bytes(part: Part) -> int:
    """Return how many bytes one copy has for itself."""
    return min(part.size // COPIES, _MOST)


def capacity(part: Part) -> int:
    """Return how many bytes of text, in UTF-8, fit."""
    return copy_bytes(part) - HEAD_BYTES


def encode(record: Record, part: Part) -> bytes:
    """Return the bytes of one copy.

    Raises:
        ValueError: the text is too long for the part, or the revision too high.
    """
    text = record.text.encode()
    if len(text) > capacity(part):
        raise ValueError(f"found {len(text)} bytes of text, expected {capacity(part)} at most")
    if not 0 < record.revision <= LAST_REVISION:
        raise ValueError(f"found revision {record.revision}, expected 1 to {LAST_REVISION}")
    head = _HEAD.pack(MAGIC, record.revision, len(text), len(text) ^ 0xFFFF)
    return head + _CRC.pack(zlib.crc32(head + text)) + text


def decode(copy: bytes) -> Record | None:
    """Return what the bytes of one copy say; None unless every check holds."""
    magic, revision, length, inverse = _HEAD.unpack_from(copy)
    text = copy[HEAD_BYTES : HEAD_BYTES + length]
    if magic != MAGIC or length ^ inverse != 0xFFFF or len(text) != length:
        return None
    (crc,) = _CRC.unpack_from(copy, _HEAD.size)
    if crc != zlib.crc32(copy[: _HEAD.size] + text):
        return None
    try:
        return Record(revision, text.decode())
    except UnicodeDecodeError:
        return None
