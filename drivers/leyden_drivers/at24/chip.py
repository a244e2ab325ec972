"""Model of the 24Cxx family: cells, pages that roll over, and a write cycle in which it is deaf.

Written from the sheets that README.md names. It lays the record down byte by byte with a checksum
of its own making, where the driver leaves both to libraries.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from leyden.hal.errors import WorldError
from leyden.hal.mock.chip import I2cChip, Nack
from leyden.hal.mock.curves import Scalar
from leyden.hal.mock.world import World
from leyden.kernel import Clock
from leyden_drivers.at24.driver import At24Options

# kbit in the name: bytes, bytes a page, bytes of a pointer.
_KINDS: Final[Mapping[str, tuple[int, int, int]]] = {
    "02": (256, 8, 1), "04": (256, 16, 1), "08": (256, 16, 1), "16": (256, 16, 1),
    "32": (4096, 32, 2), "64": (8192, 32, 2), "128": (16384, 64, 2), "256": (32768, 64, 2),
    "512": (65536, 128, 2),
}  # fmt: skip
_CYCLE_NS: Final = 4_000_000  # typical; at most 5 ms


class At24Chip(I2cChip):
    """Keeps what is written to it; comes with a record that the world can change."""

    latency_s = 0.0  # what somebody programs is there at once

    def __init__(self, world: World, name: str, options: At24Options, clock: Clock) -> None:
        super().__init__(world, name, options, clock)
        size, self._page, self._pointer_bytes = _KINDS[options.part.removeprefix("24c")]
        self.memory = bytearray(b"\xff" * size)
        self.protected = False  # the WP pin
        self.programmed = 0  # pages
        self._at = 0
        self._busy_until_ns = 0
        self._writing: tuple[int, bytes] | None = None  # page and what it held, in the cycle
        self._record = world.signal(
            f"{name}.record", options.expect or "greenhouse-carrier 0017", check=self._fits
        )
        world.watch(f"{name}.record", self._program_from_outside)
        self._program_from_outside()

    def power_on(self) -> None:
        """Keep everything but a page that was being written: its cells are anything now."""
        if self._writing is not None and self.clock.monotonic_ns() < self._busy_until_ns:
            start, old = self._writing
            for index in range(0, len(old), 2):
                self.memory[start + index] = old[index] & self.memory[start + index] | 0x24
        self._at, self._busy_until_ns, self._writing = 0, 0, None

    def write(self, data: bytes) -> None:
        """Take a pointer, and bytes that roll over at the end of their page."""
        self._refuse_while_busy()
        if len(data) < self._pointer_bytes:
            return
        pointer, values = data[: self._pointer_bytes], data[self._pointer_bytes :]
        self._at = int.from_bytes(pointer, "big") % len(self.memory)
        if not values or self.protected:
            return
        start = self._at - self._at % self._page
        self._writing = start, bytes(self.memory[start : start + self._page])
        for value in values:
            self.memory[self._at] = value
            self._at = start + (self._at + 1 - start) % self._page
        self.programmed += 1
        self._busy_until_ns = self.clock.monotonic_ns() + _CYCLE_NS

    def read(self, length: int) -> bytes:
        """Return what follows the pointer, round from the last cell to the first."""
        self._refuse_while_busy()
        answer = bytes(self.memory[(self._at + i) % len(self.memory)] for i in range(length))
        self._at = (self._at + length) % len(self.memory)
        return answer

    def _refuse_while_busy(self) -> None:
        if self.clock.monotonic_ns() < self._busy_until_ns:
            raise Nack
        self._writing = None

    def _program_from_outside(self) -> None:
        """Lay the world's record down in both copies, as a programmer on the bench would."""
        text = self._record.text().encode()
        self._revision = getattr(self, "_revision", 0) + 1
        frame = bytearray(b"LEY1")
        for number, size in ((self._revision, 4), (len(text), 2), (65535 - len(text), 2)):
            frame += number.to_bytes(size, "big")
        frame += _crc(frame + text).to_bytes(4, "big") + text
        room = self._room()
        for copy in (0, room):
            self.memory[copy : copy + room] = frame.ljust(room, b"\xff")

    def _room(self) -> int:
        return min(len(self.memory) // 2, 256)

    def _fits(self, value: Scalar) -> None:
        if len(str(value).encode()) > self._room() - 16:
            raise WorldError(f"found {len(str(value))} characters, more than the memory holds")


def _crc(data: bytes | bytearray) -> int:
    """Return the CRC-32 of IEEE 802.3, bit by bit."""
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0xEDB88320 if register & 1 else 0)
    return register ^ 0xFFFFFFFF


CHIP = At24Chip

__all__ = ["CHIP", "At24Chip"]
