"""Register map of the DS1307 and what the DS1338 and DS3231 do otherwise (Maxim).

Facts only. DS1307: sheet REV 100208 and 3/15, tables 2 and "Control register". DS1338: 19-5007 (REV
8/09), table 3. DS3231: 19-5170 (Rev 10, 3/15), figure 1. Left out: the DS3231's alarms (0x07 to
0x0D), aging offset (0x10) and thermometer (0x11, 0x12), which the others do not have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from leyden.hal.registers import Register

ADDRESS: Final = 0x68  # the only one that these parts have


class SquareWave(IntEnum):
    """Frequency of the SQW pin, DS1307, "Control register", RS1 and RS0."""

    HZ_1 = 0b00
    HZ_4096 = 0b01
    HZ_8192 = 0b10
    HZ_32768 = 0b11


class Ds1307Registers:
    """Addresses, values after the first power-on, and fields. No behaviour lives here.

    The time is in binary-coded decimals, 00:00:00 on 01/01/00 after the first power-on. The pointer
    moves on by itself and comes round from 0x3F to 0x00.
    """

    seconds = Register(0x00, reset=0x80)
    minutes = Register(0x01)
    hours = Register(0x02)
    day = Register(0x03, reset=0x01)  # of the week, 1 to 7; which is 1, the user says
    date = Register(0x04, reset=0x01)
    month = Register(0x05, reset=0x01)
    year = Register(0x06)
    control = Register(0x07, reset=0x03)
    ram_end = Register(0x38, width=64)  # the last eight of 56 bytes of memory on the battery

    ch = seconds.flag(7)  # clock halt
    twelve = hours.flag(6)  # 12-hour mode; bit 5 is then PM
    out = control.flag(7)
    sqwe = control.flag(4)
    rs = control.choice(1, 0, SquareWave)


class Ds1338Registers(Ds1307Registers):
    """The DS1338 says whether it ever stopped."""

    control = Register(0x07, reset=0xB3)
    osf = control.flag(5)  # oscillator stop flag: can only be cleared


class Ds3231Registers:
    """The DS3231's own; its pointer comes round from 0x12 to 0x00."""

    control = Register(0x0E, reset=0x1C)
    status = Register(0x0F, reset=0x88)

    eosc = control.flag(7)  # 1 stops the oscillator while on the battery
    osf = status.flag(7)


@dataclass(frozen=True, slots=True)
class Part:
    """One member of the family."""

    ram: bool  # memory on the battery at 0x08 to 0x3F
    # Where reads begin and how many bytes they take; all of them end with the time or with the
    # control register after it, and reach it over the pointer's turning point.
    windows: tuple[tuple[int, int], ...]
    zeros: tuple[int, ...]  # bits of the seven time registers that always read as 0
    flags: Register  # where the sign of a stopped oscillator is, beside `ch`
    flags_zeros: int  # bits of that register that always read as 0
    stopped: int  # the sign in it; 0 where there is none
    century: int = 0  # bit of the month register
    halt: int = 0  # bit of the seconds register


_FROM_RAM: Final = ((0x38, 16), (0x00, 8))

PARTS: Final[Mapping[str, Part]] = {
    "ds1307": Part(
        ram=True,
        windows=_FROM_RAM,
        zeros=(0x00, 0x80, 0x80, 0xF8, 0xC0, 0xE0, 0x00),
        flags=Ds1307Registers.control,
        flags_zeros=0x6C,
        stopped=0x00,
        halt=0x80,
    ),
    "ds1338": Part(
        ram=True,
        windows=_FROM_RAM,
        zeros=(0x00, 0x80, 0x80, 0xF8, 0xC0, 0xE0, 0x00),
        flags=Ds1338Registers.control,
        flags_zeros=0x4C,
        stopped=0x20,
        halt=0x80,
    ),
    "ds3231": Part(
        ram=False,
        windows=((0x0E, 12), (0x0F, 11), (0x0D, 13)),
        zeros=(0x80, 0x80, 0x80, 0xF8, 0xC0, 0x60, 0x00),
        flags=Ds3231Registers.status,
        flags_zeros=0x70,
        stopped=0x80,
        century=0x80,
    ),
}
