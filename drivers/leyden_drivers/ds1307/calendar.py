"""The time as seven registers in binary-coded decimals, and as seconds since 1970."""

from __future__ import annotations

import datetime
from typing import Final

from leyden_drivers.ds1307.registers import Part

TIME_BYTES: Final = 7  # seconds, minutes, hours, day, date, month, year
EARLIEST: Final = 946_684_800  # 2000-01-01, where two digits of a year begin
LATEST: Final = 4_102_444_799  # 2099-12-31 23:59:59

_TWELVE: Final = 0x40  # 12-hour mode, in hours
_PM: Final = 0x20


def seconds_of(registers: bytes, part: Part) -> int | None:
    """Return the seconds since 1970 (UTC) that the registers stand for; None if they are no time.

    Both hour modes are read.
    """
    second, minute, hour, _, date, month, year = registers
    century = 100 if month & part.century else 0
    try:
        moment = datetime.datetime(
            2000 + century + _decimal(year),
            _decimal(month & ~part.century),
            _decimal(date),
            _hour(hour),
            _decimal(minute),
            _decimal(second & ~part.halt),
            tzinfo=datetime.UTC,
        )
    except ValueError:
        return None
    return int(moment.timestamp())


def registers_of_time(seconds: int) -> bytes:
    """Return the registers for seconds since 1970 (UTC), in 24-hour mode, with the clock running.

    Raises:
        ValueError: before 2000 or after 2099.
    """
    if not EARLIEST <= seconds <= LATEST:
        raise ValueError(f"found {seconds} s, expected {EARLIEST} to {LATEST} (2000 to 2099)")
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    parts = (
        moment.second, moment.minute, moment.hour, moment.isoweekday(),
        moment.day, moment.month, moment.year - 2000,
    )  # fmt: skip
    return bytes(value // 10 << 4 | value % 10 for value in parts)


def _decimal(code: int) -> int:
    """Return what a binary-coded decimal stands for.

    Raises:
        ValueError: a digit above 9.
    """
    tens, ones = code >> 4, code & 0x0F
    if tens > 9 or ones > 9:
        raise ValueError(f"{code:#04x} is no decimal")
    return 10 * tens + ones


def _hour(code: int) -> int:
    if not code & _TWELVE:
        return _decimal(code)
    hour = _decimal(code & 0x1F)
    if not 1 <= hour <= 12:
        raise ValueError(f"{hour} o'clock")
    return hour % 12 + (12 if code & _PM else 0)
