"""The members of the LM75 family: what differs between them, each with its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from leyden_drivers.lm75.registers import Resolution


@dataclass(frozen=True, slots=True)
class Part:
    """One member: which bits it has, where it may sit, how long a conversion may take."""

    words: str  # for people
    addresses: tuple[int, ...]
    bits: int  # of temp, from the top
    threshold_bits: int  # of t_os and t_hyst, from the top
    spare_bits_are_zero: bool  # what the sheet says of the bits below those
    conversion_s: float  # from power-on to the first result, at most
    resolutions: Mapping[int, Resolution]  # by bits; empty where there is nothing to choose


_NINE_TO_TWELVE: Final = dict(zip((9, 10, 11, 12), Resolution, strict=True))
_EIGHT: Final = tuple(range(0x48, 0x50))  # A2, A1, A0

PARTS: Final[Mapping[str, Part]] = {
    # TI, LM75B LM75C, SNIS153B, sections 1.12 to 1.14 in National's edition: bits 6 to 0 undefined;
    # "conversions take about 100 ms, typically", 300 ms at most.
    "lm75": Part("an LM75", _EIGHT, 9, 9, False, 0.3, {}),
    # NXP, LM75B, Rev. 6.1, sections 7.4.3 and 7.4.4; a conversion each 100 ms (section 7.1). NXP's
    # LM75A (Rev. 04) is alike.
    "lm75b": Part("an LM75A or LM75B of NXP", _EIGHT, 11, 9, True, 0.2, {}),
    # TI, TMP175 TMP75, SBOS288M, section 7.5; at most 300 ms with 12 bits (section 6.5).
    "tmp75": Part("a TMP75", _EIGHT, 12, 12, True, 0.32, _NINE_TO_TWELVE),
    # TI, TMP105, SLLS648D, tables 3 to 8; it has one address pin.
    "tmp105": Part("a TMP105", _EIGHT[:2], 12, 12, True, 0.32, _NINE_TO_TWELVE),
}
