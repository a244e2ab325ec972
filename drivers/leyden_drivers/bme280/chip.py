"""Model of the BME280, from the air around it to the codes in its registers.

Written from the data sheet BST-BME280-DS002 revision 1.6. It goes the other way than the driver:
where that evaluates the sheet's polynomials, this solves them, so that the same slip in both would
not cancel out. Its trimming words are those of a real chip, read out and published with the tests
of periph.io's driver.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from leyden.hal.mock.chip import RegisterChip
from leyden.hal.mock.world import World
from leyden.hal.registers import Register
from leyden.kernel import NS, Clock
from leyden_drivers.bme280.driver import Bme280Options
from leyden_drivers.bme280.registers import Bme280Registers, Mode

_LOW_BLOCK: Final = bytes.fromhex(
    "10 6e 6c 66 32 00 5d 95 b8 d5 d0 0b 77 1e 9d ff f9 ff ac 26 0a d8 bd 10 00 4b"
)
_HIGH_BLOCK: Final = bytes.fromhex("6e 01 00 13 05 00 1e")

_TIMES: Final = (0, 1, 2, 4, 8, 16, 16, 16)  # oversampling by code
_STANDBY_MS: Final = (0.5, 62.5, 125, 250, 500, 1000, 10, 20)  # by code, table 27
_FILTERS: Final = (0, 2, 4, 8, 16, 16, 16, 16)  # coefficient by code, table 28
_TRIMMING_S: Final = 0.001  # how long the trimming words are copied after power-on


class Bme280Chip(Bme280Registers, RegisterChip):
    """Measures the world in the rhythm that its registers say."""

    write_pairs = True  # section 6.2.1

    # The trimming memory as whole blocks, so that a burst reads through them.
    calib00 = Register(0x88, width=208, reset=int.from_bytes(_LOW_BLOCK, "big"), access="ro")
    calib26 = Register(0xE1, width=56, reset=int.from_bytes(_HIGH_BLOCK, "big"), access="ro")

    def __init__(self, world: World, name: str, options: Bme280Options, clock: Clock) -> None:
        super().__init__(world, name, options, clock)
        self._temperature = world.signal(
            f"{name}.temperature", 21.5, unit="Cel", minimum=-40.0, maximum=85.0
        )
        self._humidity = world.signal(
            f"{name}.humidity", 55.0, unit="%", minimum=0.0, maximum=100.0
        )
        self._pressure = world.signal(
            f"{name}.pressure", 101_325.0, unit="Pa", minimum=30_000.0, maximum=110_000.0
        )
        self._powered_ns = 0
        self._begun_ns: int | None = None  # when the running measurement, or cycle, began
        self._done = 0  # measurements finished since then
        self._osrs_h = 0  # what ctrl_hum said when ctrl_meas was last written
        self._memory: tuple[float, float] | None = None  # of the filter: press, temp

    def power_on(self) -> None:
        """Put every register at its reset value and sleep."""
        super().power_on()
        self._powered_ns = self.clock.monotonic_ns()
        self._begun_ns, self._done, self._osrs_h, self._memory = None, 0, 0, None

    def catch_up(self) -> None:
        """Finish the measurements that are over by now; only the last one is left to be read."""
        now = self.clock.monotonic_ns()
        self.im_update = now < self._powered_ns + round(_TRIMMING_S * NS)
        if self._begun_ns is None:
            return
        measuring, cycle = self._times_ns()
        elapsed = now - self._begun_ns
        done = (elapsed - measuring) // cycle + 1 if elapsed >= measuring else 0
        if done > self._done:
            self._measure(self._begun_ns + (done - 1) * cycle + measuring, done - self._done)
            self._done = done
        self.measuring = (
            elapsed - done * cycle < measuring if self.mode is Mode.NORMAL else done == 0
        )
        if self.mode is not Mode.NORMAL and done:
            self.mode, self._begun_ns = Mode.SLEEP, None
            self.measuring = False

    def on_write(self, register: Register, value: int) -> None:
        """Reset, set or start as the register says."""
        reg = Bme280Registers
        if register.address == reg.reset.address:
            if value == 0xB6:
                self.power_on()
            return
        if register.address == reg.config.address and self.mode is Mode.NORMAL:
            return  # "writes to config in normal mode may be ignored", section 5.4.6
        super().on_write(register, value)
        if register.address == reg.config.address:
            self._memory = None  # writing to the filter resets it, section 3.4.4
        if register.address == reg.ctrl_meas.address:
            self._osrs_h = self.ctrl_hum & 0b111
            if value & 0b11 == 0b10:
                self.mode = Mode.FORCED  # both codes mean forced, table 25
            asleep = self.mode is Mode.SLEEP
            self._begun_ns, self._done = None if asleep else self.clock.monotonic_ns(), 0

    # Measuring

    def _times_ns(self) -> tuple[int, int]:
        """Return how long a measurement takes, and how far apart two of them begin (section 9)."""
        times_t, times_p, times_h = self._oversampling()
        ms = 1.0 + 2.0 * times_t  # typical
        ms += 2.0 * times_p + 0.5 if times_p else 0.0
        ms += 2.0 * times_h + 0.5 if times_h else 0.0
        return round(ms * 1e6), round((ms + _STANDBY_MS[self.config >> 5]) * 1e6)

    def _oversampling(self) -> tuple[int, int, int]:
        codes = self.ctrl_meas
        return _TIMES[codes >> 5], _TIMES[codes >> 2 & 0b111], _TIMES[self._osrs_h]

    def _measure(self, at_ns: int, finished: int) -> None:
        """Put the result of a measurement that ended at `at_ns` into the data registers."""
        times_t, times_p, times_h = self._oversampling()
        celsius = self._temperature.number(at_ns)
        fine = celsius * 5120.0
        press = PRESSURE.code(self._pressure.number(at_ns), fine)
        temp = TEMPERATURE.code(celsius)
        hum = HUMIDITY.code(self._humidity.number(at_ns), fine)
        press, temp = self._filtered(press, temp, finished)
        # Skipped channels read as after a reset (sections 5.4.7 to 5.4.9).
        self.press = self._stored(press, times_p) if times_p else Bme280Registers.press.reset
        self.temp = self._stored(temp, times_t) if times_t else Bme280Registers.temp.reset
        self.hum = _limited(hum, 16) if times_h else Bme280Registers.hum.reset

    def _filtered(self, press: float, temp: float, finished: int) -> tuple[float, float]:
        """Return the codes after the filter: memory moves by 1/c of the way (section 3.4.4)."""
        coefficient = _FILTERS[self.config >> 2 & 0b111]
        if coefficient and self._memory is not None:
            kept = (1.0 - 1.0 / coefficient) ** finished
            press = kept * self._memory[0] + (1.0 - kept) * press
            temp = kept * self._memory[1] + (1.0 - kept) * temp
        self._memory = (press, temp)
        return press, temp

    def _stored(self, code: float, times: int) -> int:
        """Return what the three bytes hold: 20 bits with the filter, else 16 and more."""
        bits = 20 if _FILTERS[self.config >> 2 & 0b111] else min(20, 15 + times.bit_length())
        unused = 24 - bits
        return _limited(code / 2 ** (unused - 4), bits) << unused


def _limited(code: float, bits: int) -> int:
    return min(max(round(code), 0), (1 << bits) - 1)


# The inverse of the compensation, for the one chip that is modelled. Each polynomial of the sheet
# is of second order in the code, so it can be solved instead of searched.


def _root(square: float, linear: float, constant: float) -> float:
    """Return the root of square·x² + linear·x + constant next to where it would be without x²."""
    if square == 0.0:
        return -constant / linear
    spread = math.sqrt(max(0.0, linear * linear - 4.0 * square * constant))
    return -2.0 * constant / (linear + math.copysign(spread, linear))


@dataclass(frozen=True, slots=True)
class _Temperature:
    t1: int
    t2: int
    t3: int

    def code(self, celsius: float) -> float:
        # 5120 T = T2·u + T3·u²/64 with u = code/2^14 - T1/2^10
        u = _root(self.t3 / 64.0, self.t2, -5120.0 * celsius)
        return (u + self.t1 / 1024.0) * 16384.0


@dataclass(frozen=True, slots=True)
class _Pressure:
    p: tuple[int, ...]  # dig_P1 … dig_P9

    def code(self, pascal: float, fine: float) -> float:
        p1, p2, p3, p4, p5, p6, p7, p8, p9 = self.p
        w = fine / 2.0 - 64000.0
        # P = x + (P9·x²/2^31 + P8·x/2^15 + P7)/16
        x = _root(p9 / 2.0**35, 1.0 + p8 / 2.0**19, p7 / 16.0 - pascal)
        sensitivity = p1 * (1.0 + p2 * w / 2.0**34 + p3 * w * w / 2.0**53)
        offset = p4 * 16.0 + p5 * w / 8192.0 + p6 * w * w / 2.0**29
        return 2.0**20 - offset - x * sensitivity / 6250.0


@dataclass(frozen=True, slots=True)
class _Humidity:
    h: tuple[int, ...]  # dig_H1 … dig_H6

    def code(self, percent: float, fine: float) -> float:
        h1, h2, h3, h4, h5, h6 = self.h
        w = fine - 76800.0
        # RH = x - H1·x²/2^19
        x = _root(-h1 / 2.0**19, 1.0, -percent)
        slope = h2 / 2.0**16 * (1.0 + h6 * w / 2.0**26 * (1.0 + h3 * w / 2.0**26))
        return x / slope + h4 * 64.0 + h5 * w / 2.0**14


def _word(block: bytes, at: int, *, signed: bool) -> int:
    return int.from_bytes(block[at : at + 2], "little", signed=signed)


def _twelve_bits(high: int, low: int) -> int:
    value = high << 4 | low
    return value - 4096 if value & 0x800 else value


TEMPERATURE: Final = _Temperature(
    _word(_LOW_BLOCK, 0, signed=False),
    _word(_LOW_BLOCK, 2, signed=True),
    _word(_LOW_BLOCK, 4, signed=True),
)
PRESSURE: Final = _Pressure(tuple(_word(_LOW_BLOCK, 6 + 2 * i, signed=i > 0) for i in range(9)))
HUMIDITY: Final = _Humidity(
    (
        _LOW_BLOCK[25],
        _word(_HIGH_BLOCK, 0, signed=True),
        _HIGH_BLOCK[2],
        _twelve_bits(_HIGH_BLOCK[3], _HIGH_BLOCK[4] & 0x0F),
        _twelve_bits(_HIGH_BLOCK[5], _HIGH_BLOCK[4] >> 4),
        int.from_bytes(_HIGH_BLOCK[6:7], "little", signed=True),
    )
)

CHIP = Bme280Chip

__all__ = ["CHIP", "Bme280Chip"]
