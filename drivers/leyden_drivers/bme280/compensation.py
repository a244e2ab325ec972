"""The BME280's conversion from raw codes to units, with the trimming words each chip carries.

The formulas are the double precision ones of the data sheet (BST-BME280-DS002 revision 1.6,
appendix 8.1). Those of its section 4.2.3, in integers, agree with them to the last digit that
means something; the tests use them as a second opinion.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

# Section 4.2.2, table 16: two blocks, because other registers lie between them.
LOW_BYTES = 26  # calib00 to calib25, 0x88 to 0xA1: dig_T1 to dig_H1
HIGH_BYTES = 7  # calib26 and up, 0xE1 to 0xE7: dig_H2 to dig_H6


@dataclass(frozen=True, slots=True)
class Calibration:
    """The trimming words of one chip, under the data sheet's names (section 4.2.2, table 16)."""

    dig_t1: int
    dig_t2: int
    dig_t3: int
    dig_p1: int
    dig_p2: int
    dig_p3: int
    dig_p4: int
    dig_p5: int
    dig_p6: int
    dig_p7: int
    dig_p8: int
    dig_p9: int
    dig_h1: int
    dig_h2: int
    dig_h3: int
    dig_h4: int
    dig_h5: int
    dig_h6: int

    @classmethod
    def from_bytes(cls, low: bytes, high: bytes) -> Calibration:
        """Return the words held in the two blocks, each as read from its first register."""
        h2, h3, h4_high, shared, h5_high, h6 = struct.unpack("<hBbBbb", high)
        # 0xE5 is shared: its lower half ends dig_H4, its upper half ends dig_H5.
        humid = (h2, h3, h4_high << 4 | shared & 0x0F, h5_high << 4 | shared >> 4, h6)
        words = (*struct.unpack("<HhhH8hxB", low), *humid)  # 0xA0 holds nothing
        return cls(*words)

    def flaw(self) -> str:
        """Return what makes these words impossible, in words; "" when nothing does.

        A chip that was never trimmed, or whose memory did not load, holds the same bit everywhere.
        dig_T1, dig_T2 and dig_P1 scale everything else, so zero in one of them cannot be.
        """
        for name in ("dig_t1", "dig_t2", "dig_p1"):
            word: int = getattr(self, name)
            if word in (0, -1, 0xFFFF):
                return f"trimming word {name} is {word}, which no trimmed chip holds"
        if self.dig_t2 < 0:
            return f"trimming word dig_t2 is {self.dig_t2}: readings would fall as it gets warmer"
        return ""


def fine_temperature(adc_t: float, trim: Calibration) -> float:
    """Return t_fine, temperature in 1/5120 °C, from the 20-bit code."""
    offset = adc_t / 16384.0 - trim.dig_t1 / 1024.0
    return offset * trim.dig_t2 + (offset / 8.0) ** 2 * trim.dig_t3


def temperature(t_fine: float) -> float:
    """Return °C."""
    return t_fine / 5120.0


def pressure(adc_p: float, t_fine: float, trim: Calibration) -> float:
    """Return Pa from the 20-bit code, corrected for temperature."""
    warm = t_fine / 2.0 - 64000.0
    offset = warm * warm * trim.dig_p6 / 32768.0 + warm * trim.dig_p5 * 2.0
    offset = offset / 4.0 + trim.dig_p4 * 65536.0
    scale = (trim.dig_p3 * warm * warm / 524288.0 + trim.dig_p2 * warm) / 524288.0
    scale = (1.0 + scale / 32768.0) * trim.dig_p1
    if scale == 0.0:
        return 0.0
    linear = (1048576.0 - adc_p - offset / 4096.0) * 6250.0 / scale
    square = trim.dig_p9 * linear * linear / 2147483648.0
    return linear + (square + linear * trim.dig_p8 / 32768.0 + trim.dig_p7) / 16.0


def humidity(adc_h: float, t_fine: float, trim: Calibration) -> float:
    """Return % relative humidity from the 16-bit code, before it is limited to 0 to 100 %."""
    warm = t_fine - 76800.0
    centred = adc_h - (trim.dig_h4 * 64.0 + trim.dig_h5 / 16384.0 * warm)
    slope = 1.0 + trim.dig_h3 / 67108864.0 * warm
    slope = 1.0 + trim.dig_h6 / 67108864.0 * warm * slope
    linear = centred * trim.dig_h2 / 65536.0 * slope
    return linear * (1.0 - trim.dig_h1 * linear / 524288.0)
