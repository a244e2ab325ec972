"""The one exchange that the MCP3008 knows, bit by bit; it has no registers.

Source: Microchip MCP3004/3008 data sheet DS21295D (2008), section 5.0 and figures 5-1 and 5-2.
The host sends leading zeros, a start bit and four bits that choose the input. The converter answers
with a null bit, the ten bits of the result, and then, if the clock goes on, the same bits in
reverse; bit 0 is shared by both. After that come zeros for as long as the clock runs.

    clock   0 1 2 3 4 5 6 7  8 9 …                 19                …28 29 30 31
    DIN     0 0 0 1 S D D D  x x x x x x x x x x x x x x x x x x x x x x  x  x  x
    DOUT    ? ? ? ? ? ? ? ?  ? 0 9 8 7 6 5 4 3 2 1 0 1 2 3 4 5 6 7 8 9  0  0  0

Three leading zeros put the last clock at the end of the fourth byte, and show that the chip waits
for the start bit: were DIN stuck high, everything would come three clocks early.
"""

from __future__ import annotations

from typing import Final

EXCHANGE_BYTES: Final = 4
CHANNELS: Final = 8
RESOLUTION: Final = 10  # bits
FULL_SCALE: Final = 1 << RESOLUTION  # code = 1024 × VIN / VREF, equation 4-2
TOP_CODE: Final = FULL_SCALE - 1

START: Final = 1 << 28  # clock 3; bits of the 32-bit word that DIN carries
SINGLE_ENDED: Final = 1 << 27  # SGL/DIFF, clock 4
CHANNEL_SHIFT: Final = 24  # D2, D1, D0, clocks 5 to 7; table 5-2

NULL_BIT: Final = 1 << 22  # clock 9; bits of the 32-bit word that DOUT carries
MSB_FIRST_SHIFT: Final = 12  # B9 … B0, clocks 10 to 19
LSB_FIRST_SHIFT: Final = 3  # B0 … B9, clocks 19 to 28
AFTERWARDS: Final = 0b111  # clocks 29 to 31

MAX_SPEED_HZ: Final = 1_350_000  # at 2.7 V; 3.6 MHz at 5 V (section 1.0, table)
MIN_SPEED_HZ: Final = 10_000  # below, the sampled charge leaks away (section 6.2)
