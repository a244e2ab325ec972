"""Frames of the PMS5003: cut out of a stream of bytes that may begin, break or lie anywhere."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from leyden_drivers.pms5003.registers import (
    ANSWER_LENGTH,
    DATA_LENGTH,
    HEADER_BYTES,
    RELATIVES,
    START,
)

_LENGTHS: Final = frozenset((DATA_LENGTH, ANSWER_LENGTH, *RELATIVES))


@dataclass(frozen=True, slots=True)
class Frame:
    """One data frame, its checksum verified."""

    cf1: tuple[int, ...]  # µg/m³ for a factory's standard particles: PM1.0, PM2.5, PM10
    atmospheric: tuple[int, ...]  # µg/m³ for outdoor air: the same three
    counts: tuple[int, ...]  # particles beyond 0.3, 0.5, 1.0, 2.5, 5.0, 10 µm in 0.1 l of air
    version: int
    error: int

    @classmethod
    def from_bytes(cls, data: bytes) -> Frame:
        """Return what a whole frame of 32 bytes says."""
        words = struct.unpack(">12H", data[HEADER_BYTES:-4])
        return cls(words[0:3], words[3:6], words[6:12], version=data[-4], error=data[-3])

    def values(self) -> tuple[int, ...]:
        """The atmospheric masses and the counts, in the order of the frame."""
        return (*self.atmospheric, *self.counts)

    def empty(self) -> bool:
        """Whether it counts no particle at all: the fan does not turn yet, or not any more."""
        return not any(self.counts)

    def flaw(self) -> str:
        """Return what contradicts itself in it, in words; "" when nothing does.

        Each count includes the next smaller one of larger particles, and so do the masses.
        """
        if list(self.counts) != sorted(self.counts, reverse=True):
            return "more large particles than particles at all; a PMS5003T sends other data there"
        if list(self.atmospheric) != sorted(self.atmospheric):
            return "PM1.0, PM2.5 and PM10 do not rise"
        return ""


class Splitter:
    """Cuts a stream into whole frames with a right sum, and counts what was none.

    A frame begins at start characters and a length that exists. When its sum is wrong, the search
    goes on one byte after its first, since the true start may lie within.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.damaged = 0  # frames with a wrong sum
        self.skipped = 0  # bytes that belonged to no frame

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes as they arrived; return the frames completed by them, oldest first."""
        self._buffer += data
        frames: list[bytes] = []
        while self._find_start():
            size = HEADER_BYTES + self._length()
            if len(self._buffer) < size:
                break
            frame = bytes(self._buffer[:size])
            if _sum(frame[:-2]) == int.from_bytes(frame[-2:], "big"):
                frames.append(frame)
                del self._buffer[:size]
            else:
                self.damaged += 1
                self._skip(1)
        return frames

    def forgive(self) -> None:
        """Begin to count anew."""
        self.damaged = self.skipped = 0

    def pending(self) -> bool:
        """Whether a frame has begun and is not whole."""
        return bool(self._buffer)

    def reset(self) -> None:
        """Forget what has begun: what comes next is not its rest."""
        self._skip(len(self._buffer))

    def _find_start(self) -> bool:
        """Put the next start of a frame first in the buffer; return whether its length is there."""
        while self._buffer:
            at = self._buffer.find(START)
            if at < 0:
                # The last byte may be the first half of the start.
                kept = 1 if self._buffer[-1] == START[0] else 0
                self._skip(len(self._buffer) - kept)
                return False
            self._skip(at)
            if len(self._buffer) < HEADER_BYTES:
                return False
            if self._length() in _LENGTHS:
                return True
            self._skip(1)
        return False

    def _length(self) -> int:
        return int.from_bytes(self._buffer[2:HEADER_BYTES], "big")

    def _skip(self, count: int) -> None:
        self.skipped += count
        del self._buffer[:count]


def _sum(data: bytes) -> int:
    return sum(data) & 0xFFFF
