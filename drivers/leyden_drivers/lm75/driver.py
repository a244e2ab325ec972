"""Driver for the LM75 family of thermometers on I2C: LM75, LM75A, LM75B, TMP75, TMP105.

Sources: `parts.py` and README.md name the sheets; sections are cited where used.

These parts have no identity, no checksum and no sign of a lost supply. What makes one impossible to
mistake is its own memory. The two thresholds are set to a pair of complementary bit patterns, and
the settings away from their power-on state; both are read back with every value:

- a part that lost power holds 80 °C, 75 °C and 0 again, whatever its temperature register says;
- each bit of the two data bytes is known to be 1 in one threshold and 0 in the other, so a line
  that is stuck, or a bit that is always damaged at one place, shows in one of them;
- the bits that a threshold does not have are written as ones, and must not come back: a part that
  keeps all sixteen is another one (the ADS1115 sits at these addresses and has thresholds at these
  pointers).

The temperature itself is read until four reads in a row agree, which a bit that flips now and then
does not survive, and before the last threshold: a supply that dips in between is seen after it.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Annotated, Final

from leyden.hal.i2c import I2cBus
from leyden.hal.options import Quantity
from leyden.hal.registers import I2cRegisters, Register
from leyden.kernel import (
    NS,
    Channel,
    ChecksumError,
    ComponentError,
    Device,
    DeviceResetError,
    NotReadyError,
    StuckDataError,
    TableReading,
    WrongDeviceError,
)
from leyden_drivers.lm75.parts import PARTS, Part
from leyden_drivers.lm75.registers import FaultQueue, Lm75Registers, Tmp75Registers

_COLDEST, _WARMEST = -55.0, 125.0  # °C; all sheets, operating range
_PER_CELSIUS: Final = 256.0  # all parts align their bits to the left: bit 8 is 1 °C

# 42.5 °C and -43 °C where nine bits exist, 42.625 °C and -42.6875 °C where twelve do: within the
# range, and each other's complement in every bit that any part has.
_SIGNATURE: Final = (0x2AA0, 0xD550)
_AGREEING: Final = 4  # reads of the temperature
_MOST_READS: Final = 2 * _AGREEING - 1  # one new conversion may come in between
_ALIKE: Final = 3  # looks in a row at a word that does not change by itself …
_LOOKS: Final = 5  # … out of so many


@dataclass(frozen=True, slots=True)
class Lm75Options:
    """Options of one LM75 in the configuration.

    Raises:
        ComponentError: a value the part cannot be set to.
    """

    part: str = "lm75"
    address: int = 0x48
    resolution: int | None = None  # bits, of a TMP75 or TMP105; unset: 12
    t_os: Annotated[float, Quantity("Cel")] | None = None  # where the OS pin goes active …
    t_hyst: Annotated[float, Quantity("Cel")] | None = None  # … and where it lets go

    def __post_init__(self) -> None:
        if self.part not in PARTS:
            raise ComponentError(f'part: found "{self.part}", expected one of {", ".join(PARTS)}')
        part = PARTS[self.part]
        if self.address not in part.addresses:
            expected = f"{part.addresses[0]:#04x} to {part.addresses[-1]:#04x}"
            raise ComponentError(f"address: found {self.address:#04x}, expected {expected}")
        if self.resolution is not None and self.resolution not in part.resolutions:
            allowed = ", ".join(map(str, part.resolutions)) or "none: only TI's TMP parts choose it"
            raise ComponentError(f"resolution: found {self.resolution}, expected {allowed}")
        _refuse_thresholds(self.t_os, self.t_hyst)


def _refuse_thresholds(t_os: float | None, t_hyst: float | None) -> None:
    if t_os is None and t_hyst is None:
        return
    if t_os is None or t_hyst is None:
        raise ComponentError("t_os: expected t_os and t_hyst together")
    if not _COLDEST <= t_hyst < t_os <= _WARMEST:
        raise ComponentError(
            f"t_os: found {t_os:g} °C and t_hyst {t_hyst:g} °C, expected t_hyst below t_os, "
            f"both {_COLDEST:g} °C to {_WARMEST:g} °C"
        )
    if (_word(t_os), _word(t_hyst)) == (Lm75Registers.t_os.reset, Lm75Registers.t_hyst.reset):
        raise ComponentError(
            "t_os: 80 °C and 75 °C are what the part holds after a loss of power, which could not "
            "be seen; take 79.5 °C or 80.5 °C"
        )


def _word(celsius: float) -> int:
    """Return a threshold as the register holds it, in steps of 0.5 °C as every part can."""
    return round(celsius * 2) << 7 & 0xFFFF


class Port(Tmp75Registers, I2cRegisters):
    """The register map, reached over the bus."""


class LM75(Device[TableReading]):
    """Returns the newest of the conversions that the part makes by itself."""

    bus_kind = "i2c"
    compatible = "national,lm75"
    witness = "thresholds and settings read back with every value, temperature read four times"

    def __init__(self, bus: I2cBus, options: Lm75Options) -> None:
        self.port = Port(bus, options.address)
        self._part = PARTS[options.part]
        self._bits = options.resolution or self._part.bits
        self._settings = _settings(self._part, self._bits, options)
        self._started_ns: int | None = None

    def channels(self) -> tuple[Channel, ...]:
        """One temperature, as fine as the part resolves it."""
        step = 2.0**8 / 2**self._bits
        return (Channel("temperature", float, "Cel", _COLDEST, _WARMEST, step, "Temperature"),)

    def probe(self) -> None:
        """Raise `WrongDeviceError` unless the registers look like those of the part; write nothing.

        What they look like is no proof; that comes in `start`, with the first thing written.
        """
        found = {register: self._settled(register) for register in (*_KNOWN, Lm75Registers.temp)}
        for dead in (0x00, 0xFF):
            if all(raw == dead * 0x0101 >> 16 - each.width for each, raw in found.items()):
                raise StuckDataError(f"every byte reads as {dead:#04x}: the data line is dead")
        for register, raw in found.items():
            self._refuse_spare_bits(register, raw)

    def start(self) -> None:
        """Write the settings and thresholds that every read looks for, and see them kept."""
        self._started_ns = None
        for register, value in self._settings.items():
            self.port.write_register(register, value | self._unkept(register))
        found = {register: self._kept_as_written(register) for register in self._settings}
        if all(raw & self._unkept(each) == self._unkept(each) for each, raw in found.items()):
            raise WrongDeviceError(
                f"both thresholds keep all 16 bits; {self._part.words} keeps "
                f"{self._part.threshold_bits}, an ADS1115 all of them"
            )
        self._started_ns = self.clock.monotonic_ns()

    def read(self) -> TableReading:
        """Return the newest conversion.

        Raises:
            DeviceResetError: thresholds or settings are gone; `start` brings them back.
            ChecksumError: what arrived differs from one time to the next.
            StuckDataError: every bit is the same.
            NotReadyError: no conversion since the settings were written.
        """
        self._refuse_early()
        code = self._confirmed_temperature()
        # After the temperature: a supply that dipped before or during it has taken these along.
        self._refuse_forgotten(Lm75Registers.t_hyst)
        self._refuse_forgotten(Lm75Registers.conf)
        return TableReading(table={"temperature": code / _PER_CELSIUS})

    def check(self) -> None:
        """See that settings and thresholds are as they were written."""
        for register in _KNOWN:
            self._refuse_forgotten(register)

    # Temperature

    def _refuse_early(self) -> None:
        # Until the first conversion is over the register reads 0 °C (TMP75, section 7.5.2).
        began = self._started_ns
        wait = self._part.conversion_s
        if began is None or self.clock.monotonic_ns() < began + round(wait * NS):
            raise NotReadyError(f"the first conversion may take {wait:g} s")

    def _confirmed_temperature(self) -> int:
        seen = [self._temperature()]
        # In between, so that the pointer has to move: a part that does not hear is seen here.
        self._refuse_forgotten(Lm75Registers.t_os)
        while len(seen) < _MOST_READS and _changes(seen) <= 1:
            seen.append(self._temperature())
            if len(seen) >= _AGREEING and not _changes(seen[-_AGREEING:]):
                return Lm75Registers.temp.to_number(seen[-1])
        raise ChecksumError("the temperature differs each time it is read; check the wiring")

    def _temperature(self) -> int:
        found = self.port.read_register(Lm75Registers.temp)
        if self._part.spare_bits_are_zero and found & ~_mask(self._bits):
            raise ChecksumError(f"temperature {found:#06x}: bits are set that are always 0")
        return found & _mask(self._bits)

    # What is known

    def _refuse_forgotten(self, register: Register) -> None:
        expected = self._settings[register]
        if self._known(register, self.port.read_register(register)) == expected:
            return
        found = self._known(register, self._settled(register))
        if found == expected:
            raise ChecksumError(f"{register.name} read back wrong once; check the wiring")
        self._refuse_dead(register, found)
        if found == register.reset:
            raise DeviceResetError(
                f"{register.name} is back at {found:#06x}: the part lost power for a moment"
            )
        raise DeviceResetError(f"{register.name} is {found:#06x}, expected {expected:#06x}")

    def _kept_as_written(self, register: Register) -> int:
        """Return what a register holds; refuse it unless that is what was just written."""
        raw, expected = self._settled(register), self._settings[register]
        self._refuse_dead(register, raw)
        self._refuse_spare_bits(register, raw)
        if self._known(register, raw) == expected:
            return raw
        raise WrongDeviceError(
            f"{register.name} was set to {expected:#06x} and holds {raw:#06x}: "
            f"not {self._part.words}, or another program writes to it"
        )

    def _refuse_dead(self, register: Register, raw: int) -> None:
        # conf is left out: 0 is what it holds after a loss of power.
        if register.size > 1 and raw in (0, 0xFFFF, _mask(self._part.threshold_bits)):
            raise StuckDataError(f"{register.name} reads as {raw:#06x}: the data line is dead")

    def _refuse_spare_bits(self, register: Register, raw: int) -> None:
        """Refuse bits that the part does not have."""
        if not (extra := raw & ~self._existing(register)):
            return
        hint = "; an ADS1115 has them" if register.size > 1 else ""
        raise WrongDeviceError(
            f"{register.name} holds {raw:#06x}: {self._part.words} has no bits {extra:#06x}{hint}"
        )

    def _existing(self, register: Register) -> int:
        """Return the bits that may be set in what is read of a register."""
        part = self._part
        if register is Lm75Registers.conf:
            return 0x7F if part.resolutions else 0x1F
        if not part.spare_bits_are_zero:
            return 0xFFFF
        return _mask(part.bits if register is Lm75Registers.temp else part.threshold_bits)

    def _unkept(self, register: Register) -> int:
        """Return the bits that are written as ones although the part does not keep them."""
        if register is Lm75Registers.conf:
            return 0  # these are for the maker's own tests
        return 0xFFFF & ~_mask(self._part.threshold_bits)

    def _known(self, register: Register, raw: int) -> int:
        """Return what of a word the sheet defines."""
        defined = register is Lm75Registers.conf or self._part.spare_bits_are_zero
        return raw if defined else raw & _mask(self._part.threshold_bits)

    def _settled(self, register: Register) -> int:
        """Return what a register that keeps still holds, once three looks in a row agree."""
        seen: list[int] = []
        for _ in range(_LOOKS):
            raw = self.port.read_register(register)
            seen.append(self._known(register, raw))
            if len(seen) >= _ALIKE and not _changes(seen[-_ALIKE:]):
                return raw
        raise ChecksumError(f"{register.name} differs each time it is read; check the wiring")


_KNOWN: Final = (Lm75Registers.t_os, Lm75Registers.t_hyst, Lm75Registers.conf)


def _settings(part: Part, bits: int, options: Lm75Options) -> dict[Register, int]:
    """Return what each register that is written shall hold, in the bits that exist."""
    t_os, t_hyst = _SIGNATURE
    if options.t_os is not None and options.t_hyst is not None:
        t_os, t_hyst = _word(options.t_os), _word(options.t_hyst)
    # Not the power-on state, in any part, and harmless: OS waits for four conversions in a row.
    conf = Lm75Registers.os_f_que.insert(0, FaultQueue.FOUR)
    if part.resolutions:
        conf = Tmp75Registers.resolution.insert(conf, part.resolutions[bits])
    mask = _mask(part.threshold_bits)
    # conf last: TI's parts begin a conversion anew with it.
    return {
        Lm75Registers.t_hyst: t_hyst & mask,
        Lm75Registers.t_os: t_os & mask,
        Lm75Registers.conf: conf,
    }


def _mask(bits: int) -> int:
    """Return the upper `bits` of a word."""
    return 0xFFFF << 16 - bits & 0xFFFF


def _changes(seen: list[int]) -> int:
    return sum(before != after for before, after in itertools.pairwise(seen))
