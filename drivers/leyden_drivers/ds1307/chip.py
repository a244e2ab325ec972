"""Model of the DS1307, DS1338 and DS3231: a counter of seconds, shown as decimals, on a battery.

Written from the sheets that README.md names. Where the driver asks Python's calendar, this counts
days by the rule of the Gregorian one, so that a slip in either shows. Not modelled: the alarms,
the SQW pin, and the DS3231's own corrections; its thermometer stands at 25 °C.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from leyden.hal.mock.chip import I2cChip
from leyden.hal.mock.world import World
from leyden.kernel import NS, Clock
from leyden_drivers.ds1307.driver import Ds1307Options

_DAYS_TO_2000: Final = 10_957  # from 1970-01-01
_MONTHS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_CENTURY_DAYS: Final = 36_525  # 2000 to 2099


class Ds1307Chip(I2cChip):
    """Counts seconds as long as its crystal swings, and keeps them as long as it has a battery."""

    def __init__(self, world: World, name: str, options: Ds1307Options, clock: Clock) -> None:
        super().__init__(world, name, options, clock)
        self.lsb: Mapping[str, float] = {"offset": 0.5}  # seconds are whole
        self._temperature_compensated = options.part == "ds3231"
        self._memory = bytearray(19 if self._temperature_compensated else 64)
        self._pointer = 0
        self._count = 0  # seconds since 2000 …
        self._since_ns = 0  # … at this time
        self._halted = False
        self._swings = True
        self._twelve = False
        self._week = 0  # days by which its week is turned
        self._odd: bytes | None = None  # registers that are no time, as they were written
        self._offset = world.signal(
            f"{name}.offset", 0.0, unit="s", minimum=-8_640_000.0, maximum=8_640_000.0
        )
        self._battery = world.signal(f"{name}.battery", True)
        self._crystal = world.signal(f"{name}.crystal", True)
        world.watch(f"{name}.offset", self._set_from_outside)
        world.watch(f"{name}.crystal", self._crystal_changed)
        self._is_new = True

    # Power

    def power_on(self) -> None:
        """Go on, on a battery; else begin with nothing. It comes set and running."""
        self._pointer = 0
        if self._is_new:
            self._is_new = False
            self._fill_memory()
            self._put_flags(stopped=False)
            self._set_from_outside()
        elif not self._battery.flag():
            self._forget()

    def _forget(self) -> None:
        self._fill_memory()
        self._count, self._since_ns = 0, self.clock.monotonic_ns()
        self._halted = not self._temperature_compensated
        self._twelve, self._week, self._odd = False, 0, None
        self._put_flags(stopped=True)

    def _fill_memory(self) -> None:
        # What memory holds that nobody has written is not defined.
        for at in range(7, len(self._memory)):
            self._memory[at] = 0x81 * at & 0xFF

    def _put_flags(self, *, stopped: bool) -> None:
        """Put control and status at what they are after the first power-on."""
        match self.options.part:
            case "ds1307":
                self._memory[0x07] = 0x03
            case "ds1338":
                self._memory[0x07] = 0xB3 if stopped else 0x93
            case _:
                self._memory[0x0E:0x13] = bytes((0x1C, 0x88 if stopped else 0x08, 0, 25, 0))

    # Counting

    def _now(self) -> int:
        """Return the seconds since 2000 that it has counted."""
        if self._halted or not self._swings:
            return self._count
        return self._count + (self.clock.monotonic_ns() - self._since_ns) // NS

    def _hold(self) -> None:
        """Take the count as it is now, before the way it goes on changes."""
        now = self._now()
        if not self._halted and self._swings:
            self._since_ns += (now - self._count) * NS
        self._count = now

    def _set_from_outside(self) -> None:
        wall = self.clock.time_ns() + round(self._offset.number() * NS)
        self._count, below = divmod(wall - _DAYS_TO_2000 * 86_400 * NS, NS)
        self._since_ns = self.clock.monotonic_ns() - below
        self._odd = None

    def _crystal_changed(self) -> None:
        self._hold()
        self._swings = self._crystal.flag()
        self._since_ns = self.clock.monotonic_ns()
        if not self._swings:
            self._note_stop()

    def _note_stop(self) -> None:
        if self.options.part == "ds1338":
            self._memory[0x07] |= 0x20
        elif self._temperature_compensated:
            self._memory[0x0F] |= 0x80

    # The bus

    def write(self, data: bytes) -> None:
        """Take a pointer and what is to be written from there on."""
        if not data:
            return
        self._pointer = data[0] % 64 if len(self._memory) == 64 else data[0]
        self._show()
        for byte in data[1:]:
            self._write_one(byte)
            self._advance()
        if len(data) > 1 and data[0] < 7:
            self._take(seconds_written=data[0] == 0)

    def read(self, length: int) -> bytes:
        """Return what stands from the pointer on; the time is that of the start of the read."""
        self._show()
        answer = bytearray()
        for _ in range(length):
            inside = self._pointer < len(self._memory)
            answer.append(self._memory[self._pointer] if inside else 0x00)
            self._advance()
        return bytes(answer)

    def _advance(self) -> None:
        self._pointer += 1
        if self._pointer >= len(self._memory):
            self._pointer = 0

    def _write_one(self, byte: int) -> None:
        at = self._pointer
        if at >= len(self._memory):
            return
        if at < 7:
            zeros = (0x00, 0x80, 0x80, 0xF8, 0xC0, 0xE0, 0x00)
            if self._temperature_compensated:
                zeros = (0x80, 0x80, 0x80, 0xF8, 0xC0, 0x60, 0x00)
            self._memory[at] = byte & ~zeros[at]
        elif self._temperature_compensated:
            self._write_extremely_accurate(at, byte)
        elif at == 7:
            kept = 0x93 if self.options.part == "ds1307" else 0xB3
            flag = self._memory[7] & byte & 0x20  # can be cleared, not set
            self._memory[7] = byte & kept & ~0x20 | flag
        else:
            self._memory[at] = byte

    def _write_extremely_accurate(self, at: int, byte: int) -> None:
        if at == 0x0F:
            kept = self._memory[0x0F]
            self._memory[0x0F] = byte & 0x08 | kept & 0x04 | kept & byte & 0x83
        elif at < 0x11:
            self._memory[at] = byte

    # Registers and the count

    def _show(self) -> None:
        """Put the time into the registers, as every start of a transfer does."""
        if self._odd is not None:
            self._memory[:7] = self._odd
            return
        days, rest = divmod(self._now(), 86_400)
        year, month, date = _date(days % _CENTURY_DAYS)
        hour = rest // 3600
        self._memory[0] = _packed(rest % 60) | (0x80 if self._halted else 0)
        self._memory[1] = _packed(rest // 60 % 60)
        self._memory[2] = _twelve(hour) if self._twelve else _packed(hour)
        self._memory[3] = (days + 5 + self._week) % 7 + 1  # 2000-01-01 was a Saturday
        self._memory[4], self._memory[5], self._memory[6] = map(_packed, (date, month, year))

    def _take(self, *, seconds_written: bool) -> None:
        """Count on from what was written, if that is a time."""
        raw = bytes(self._memory[:7])
        self._halted = bool(raw[0] & 0x80) and not self._temperature_compensated
        if self._halted:
            self._note_stop()
        self._twelve = bool(raw[2] & 0x40)
        count = _count(raw, self._temperature_compensated)
        self._odd = raw if count is None else None
        if count is None:
            return
        fraction = 0 if seconds_written else (self.clock.monotonic_ns() - self._since_ns) % NS
        self._count, self._since_ns = count, self.clock.monotonic_ns() - fraction
        self._week += raw[3] - ((count // 86_400 + 5 + self._week) % 7 + 1)


def _packed(number: int) -> int:
    tens, ones = divmod(number, 10)
    return 16 * tens + ones


def _unpacked(code: int, most: int, least: int = 0) -> int | None:
    number = int(f"{code:x}") if f"{code:x}".isdecimal() else -1
    return number if least <= number <= most else None


def _twelve(hour: int) -> int:
    """Return an hour as the 12-hour mode shows it: 12 AM, 1 AM, …, 12 PM, …, 11 PM."""
    return 0x40 | (0x20 if hour >= 12 else 0) | _packed((hour + 11) % 12 + 1)


def _leap(year: int) -> bool:
    return year % 4 == 0  # all of 2000 to 2099; 2000 itself is one


def _date(days: int) -> tuple[int, int, int]:
    """Return year (0 … 99), month and date of so many days after 2000-01-01."""
    year = 0
    while days >= 365 + _leap(year):
        days -= 365 + _leap(year)
        year += 1
    for month, length in enumerate(_MONTHS, start=1):
        actual = length + (month == 2 and _leap(year))
        if days < actual:
            return year, month, days + 1
        days -= actual
    raise ValueError(f"{days} days left over")


def _count(raw: bytes, has_century: bool) -> int | None:
    """Return the seconds since 2000 that registers stand for; None where they are no time."""
    shown = (
        _unpacked(raw[0] & 0x7F, 59),
        _unpacked(raw[1], 59),
        _hour(raw[2]),
        _unpacked(raw[4], 31, 1),
        _unpacked(raw[5] & (0x1F if has_century else 0xFF), 12, 1),
        _unpacked(raw[6], 99),
    )
    fields = [field for field in shown if field is not None]
    if len(fields) < len(shown):
        return None
    second, minute, hour, date, month, year = fields
    if date > _MONTHS[month - 1] + (month == 2 and _leap(year)):
        return None
    days = sum(365 + _leap(each) for each in range(year))
    days += sum(_MONTHS[: month - 1]) + (month > 2 and _leap(year)) + date - 1
    return ((days * 24 + hour) * 60 + minute) * 60 + second


def _hour(code: int) -> int | None:
    if not code & 0x40:
        return _unpacked(code, 23)
    shown = _unpacked(code & 0x1F, 12, 1)
    return None if shown is None else shown % 12 + (12 if code & 0x20 else 0)


CHIP = Ds1307Chip

__all__ = ["CHIP", "Ds1307Chip"]
