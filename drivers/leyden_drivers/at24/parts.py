"""The members of the 24Cxx family of memories: size, page and pointer of each.

Facts only, from Atmel's sheets: AT24C01A/02/04/08A/16A (0180Z1), AT24C32/64 (0336K), AT24C128/256
(0670T), AT24C512 (1116O). Pages of other makers are as long or longer; a write that keeps to a
shorter page is right on a longer one too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

ADDRESSES: Final = tuple(range(0x50, 0x58))
WRITE_CYCLE_S: Final = 0.005  # AT24C256C, DS20006042A, "self-timed write cycle within 5 ms"
LONGEST_CYCLE_S: Final = 0.020  # older parts take 10 ms (0180Z1); doubled


@dataclass(frozen=True, slots=True)
class Part:
    """One member, as far as it is used."""

    size: int  # bytes
    page: int  # bytes that one write may carry
    pointer: int  # bytes of an address within the memory


# 24C04, 08 and 16 have more blocks of 256 bytes, at the next I2C addresses; these are not used.
PARTS: Final[Mapping[str, Part]] = {
    "24c02": Part(256, 8, 1),
    "24c04": Part(256, 16, 1),
    "24c08": Part(256, 16, 1),
    "24c16": Part(256, 16, 1),
    "24c32": Part(4096, 32, 2),
    "24c64": Part(8192, 32, 2),
    "24c128": Part(16_384, 64, 2),
    "24c256": Part(32_768, 64, 2),
    "24c512": Part(65_536, 128, 2),
}
