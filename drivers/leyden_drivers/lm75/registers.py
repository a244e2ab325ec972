"""Register map of the LM75 family: LM75, LM75A, LM75B (National, TI, NXP), TMP75, TMP105 (TI).

Facts only. Names are those of the LM75B's sheet (NXP, Rev. 6.1, section 7.4); TI calls t_os and
t_hyst T_HIGH and T_LOW. How many of the bits exist depends on the part, see `parts.py`. Left out:
bit 7 of conf on TI's parts, which starts one conversion and always reads as 0 (TMP106, SLLS672A,
"One-shot"; the TMP105's sheet says it in the same words).
"""

from __future__ import annotations

from enum import IntEnum

from leyden.hal.registers import Register


class FaultQueue(IntEnum):
    """How many conversions in a row have to pass a threshold (LM75B, table 8, OS_F_QUE)."""

    ONE = 0b00
    TWO = 0b01
    FOUR = 0b10
    SIX = 0b11


class Resolution(IntEnum):
    """Converter resolution of TI's parts (TMP105, SLLS648D, table 8, R1 and R0)."""

    BITS_9 = 0b00  # 0.5 °C, 27.5 ms
    BITS_10 = 0b01  # 0.25 °C, 55 ms
    BITS_11 = 0b10  # 0.125 °C, 110 ms
    BITS_12 = 0b11  # 0.0625 °C, 220 ms


class Lm75Registers:
    """What all of them have. No behaviour lives here.

    A register's address holds all of its bytes; the pointer does not move by itself.
    """

    temp = Register(0x00, width=16, access="ro", signed=True)
    conf = Register(0x01)
    t_hyst = Register(0x02, width=16, reset=0x4B00, signed=True)  # 75 °C
    t_os = Register(0x03, width=16, reset=0x5000, signed=True)  # 80 °C

    os_f_que = conf.choice(4, 3, FaultQueue)
    os_pol = conf.flag(2)
    os_comp_int = conf.flag(1)
    shutdown = conf.flag(0)


class Tmp75Registers(Lm75Registers):
    """TI's later parts, which let one choose how finely they convert."""

    resolution = Lm75Registers.conf.choice(6, 5, Resolution)
