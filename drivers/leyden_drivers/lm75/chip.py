"""Model of the LM75 family: converts at its own pace, compares nothing, keeps what it is told.

Written from the sheets that README.md names, part by part, and not from the driver's table. The OS
or ALERT pin is not modelled: nothing on the bus depends on it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from leyden.hal.mock.chip import RegisterChip
from leyden.hal.mock.curves import uniform
from leyden.hal.mock.world import World
from leyden.hal.registers import Register
from leyden.kernel import Clock
from leyden_drivers.lm75.driver import Lm75Options
from leyden_drivers.lm75.registers import Tmp75Registers

_MS = 1_000_000  # nanoseconds


class Lm75Chip(Tmp75Registers, RegisterChip):
    """Measures the world again and again, and holds two thresholds that nobody may lose."""

    word_registers = True  # each pointer value stands for one register of one or two bytes
    auto_increment = False

    def __init__(self, world: World, name: str, options: Lm75Options, clock: Clock) -> None:
        super().__init__(world, name, options, clock)
        self._is_tmp = options.part.startswith("tmp")
        self._temperature = world.signal(
            f"{name}.temperature", 21.5, unit="Cel", minimum=-55.0, maximum=125.0
        )
        self._began_ns = 0  # of the running conversion
        self._turn = 0

    @property
    def lsb(self) -> Mapping[str, float]:
        """What the last bit is worth, once the part is set as its options say."""
        digits = (self.options.resolution or 12) if self._is_tmp else self._digits()
        return {"temperature": 0.5 ** (digits - 8)}

    def power_on(self) -> None:
        """Reset the registers; temp reads 0 °C until the first conversion is over."""
        super().power_on()
        self._began_ns = self.clock.monotonic_ns()

    def catch_up(self) -> None:
        """Finish the conversions that are over by now; the last one counts."""
        if self.shutdown:
            return
        done = (self.clock.monotonic_ns() - self._began_ns) // self._period_ns()
        if done:
            self._began_ns += done * self._period_ns()
            self.temp = self._code(self._temperature.number(self._began_ns))

    def write(self, data: bytes) -> None:
        """Take a pointer of two bits, whatever stands above them, and the register's bytes."""
        super().write(bytes((data[0] & 0b11,)) + data[1:] if data else data)

    def on_read(self, register: Register) -> int:
        """Return a register; what the sheet calls undefined is never twice the same."""
        value = super().on_read(register)
        if self.options.part == "lm75" and register.size == 2:
            self._turn += 1
            value |= int(uniform(0x75, self._turn) * 0x80)
        return value

    def on_write(self, register: Register, value: int) -> None:
        """Keep the bits that the part has; a new configuration begins a new conversion."""
        if register.address == Tmp75Registers.conf.address:
            super().on_write(register, value & (0b0111_1111 if self._is_tmp else 0b0001_1111))
            self._began_ns = self.clock.monotonic_ns()
        else:
            super().on_write(register, value & (0xFFF0 if self._is_tmp else 0xFF80))

    def _digits(self) -> int:
        """Return the bits of a result: 9 to 12."""
        if self._is_tmp:
            return 9 + (self.conf >> 5 & 0b11)
        return 11 if self.options.part == "lm75b" else 9

    def _period_ns(self) -> int:
        """Return the time from one result to the next, typical."""
        if self._is_tmp:
            return round(27.5 * _MS) << self._digits() - 9
        return 100 * _MS

    def _code(self, celsius: float) -> int:
        """Return the nearest result, left aligned in a signed word."""
        nearest = math.floor(celsius * (1 << self._digits()) / 256 + 0.5)
        top = 1 << self._digits() - 1
        return min(max(nearest, -top), top - 1) << 16 - self._digits()


CHIP = Lm75Chip

__all__ = ["CHIP", "Lm75Chip"]
