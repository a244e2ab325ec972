"""Driver for the BME280, a humidity, pressure and temperature sensor on I2C (Bosch Sensortec).

Source: data sheet BST-BME280-DS002 revision 1.6, September 2018; sections are cited where used.

The chip measures by itself ("normal mode") and keeps its newest result in registers, so a read
never waits and writes nothing. Forced mode would have to wait for each measurement, and a write
that got lost on the way would pass the measurement before it off as a new one.

I2C carries no checksum. A read therefore takes the data four times, from changing first registers,
and believes them only when all agree: a bit that is always damaged at the same place on the wire
hits different data each time, and on a wire that flips one bit at random in every transfer, four
agree in less than one of 500 000 reads. The first of them carries the settings as well: a chip that
lost power forgets them, and what its data registers then hold looks like 26 °C.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Annotated, Final

from leyden.hal.i2c import I2cBus
from leyden.hal.options import Quantity
from leyden.hal.registers import I2cRegisters, Register
from leyden.kernel import (
    ChecksumError,
    ComponentError,
    Device,
    DeviceResetError,
    Doubt,
    NotReadyError,
    Reading,
    Span,
    StuckDataError,
    WrongDeviceError,
)
from leyden.units import Celsius, Pascal, RelativeHumidity
from leyden_drivers.bme280.compensation import (
    HIGH_BYTES,
    LOW_BYTES,
    Calibration,
    fine_temperature,
    humidity,
    pressure,
    temperature,
)
from leyden_drivers.bme280.registers import (
    Bme280Registers,
    Filter,
    Mode,
    Oversampling,
    Standby,
)

ADDRESSES: Final = (0x76, 0x77)  # SDO to GND, SDO to VDDIO; section 6.2

_SOFT_RESET: Final = 0xB6  # section 5.4.2
_START_UP_S: Final = 0.005  # 2 ms at most (section 1.1, table 1), more than doubled
_TRIMMING_TRIES: Final = 5  # looks at im_update after a reset, 2 ms apart

_OVERSAMPLING: Final = dict(zip((1, 2, 4, 8, 16), list(Oversampling)[1:], strict=True))
_FILTER: Final = dict(zip((0, 2, 4, 8, 16), Filter, strict=True))
# Shorter pauses exist; with them a new result would come while a read compares the last one.
_STANDBY: Final = {
    0.0625: Standby.MS_62_5,
    0.125: Standby.MS_125,
    0.250: Standby.MS_250,
    0.500: Standby.MS_500,
    1.0: Standby.MS_1000,
}

# Parts whose register 0xD0 answers on the same addresses. BMP280: section 5.2, table 17; the
# others: their own data sheets, BST-BME680-DS001 and BST-BMP180-DS000.
_RELATIVES: Final = {
    0x55: "a BMP180, which needs another driver",
    0x56: "a BMP280 sample, which has no humidity sensor",
    0x57: "a BMP280 sample, which has no humidity sensor",
    0x58: "a BMP280, which has no humidity sensor (often sold as a BME280)",
    0x61: "a BME680 or BME688, which needs another driver",
}

# A burst from ctrl_hum (0xF2) to hum_lsb (0xFE): four settings, one reserved byte, eight of data.
_BURST: Final = 13
_DATA_BYTES: Final = 8  # press, temp, hum
_SETTINGS: Final = 4  # ctrl_hum, status, ctrl_meas, config
_SETTINGS_MASK: Final = bytes((0x07, 0x00, 0xFF, 0xFD))  # status moves; the rest is reserved
_AGREEING: Final = 4  # bursts
_MOST_BURSTS: Final = 2 * _AGREEING - 1  # one new result may come in between: three old, four new

# Where the further bursts begin and how long they are; all of them end with hum_lsb.
_WINDOWS: Final = (
    (Bme280Registers.press, _DATA_BYTES),
    (Bme280Registers.status, _BURST - 1),
)

# What the data registers hold after a reset; "skipped" is the same code (section 5.4.7 to 5.4.9).
_NO_PRESSURE: Final = Bme280Registers.press.reset >> 4
_NO_TEMPERATURE: Final = Bme280Registers.temp.reset >> 4
_NO_HUMIDITY: Final = Bme280Registers.hum.reset


@dataclass(frozen=True, slots=True)
class Bme280Options:
    """Options of one BME280 in the configuration.

    Raises:
        ComponentError: a value the chip cannot be set to.
    """

    address: int = ADDRESSES[0]
    temperature_oversampling: int = 2
    pressure_oversampling: int = 4
    humidity_oversampling: int = 1
    filter: int = 0  # coefficient of the low-pass filter on pressure and temperature
    standby: Annotated[float, Quantity("s")] = 0.25  # pause between measurements

    def __post_init__(self) -> None:
        _one_of("address", self.address, ADDRESSES, "#x")
        for name in ("temperature", "pressure", "humidity"):
            key = f"{name}_oversampling"
            _one_of(key, getattr(self, key), tuple(_OVERSAMPLING))
        _one_of("filter", self.filter, tuple(_FILTER))
        # Text with a unit becomes a float that may be a hair off.
        object.__setattr__(self, "standby", round(self.standby, 6))
        _one_of("standby", self.standby, tuple(_STANDBY), "g")


def _one_of(key: str, found: float, allowed: tuple[float, ...], form: str = "d") -> None:
    if found not in allowed:
        expected = ", ".join(f"{choice:{form}}" for choice in allowed)
        raise ComponentError(f"{key}: found {found:{form}}, expected one of {expected}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Climate(Reading):
    """One measurement; ranges are those the chip is specified for (section 1)."""

    temperature: Annotated[Celsius, Span("Cel", -40, 85, step=0.01, label="Temperature")]
    humidity: Annotated[RelativeHumidity, Span("%", 0, 100, step=0.01, label="Relative humidity")]
    pressure: Annotated[Pascal, Span("Pa", 30_000, 110_000, step=1, label="Pressure")]


class Port(Bme280Registers, I2cRegisters):
    """The register map, reached over the bus."""


class BME280(Device[Climate]):
    """Returns the newest of the measurements that the chip makes by itself."""

    bus_kind = "i2c"
    reading = Climate
    compatible = "bosch,bme280"
    witness = "chip id 0x60, settings read back with every value, data read four times"

    def __init__(self, bus: I2cBus, options: Bme280Options) -> None:
        self.port = Port(bus, options.address)
        self._trim: Calibration | None = None
        self._settings = _settings(options)
        self._measuring_s = _measuring_time(options)

    def probe(self) -> None:
        """Raise `WrongDeviceError` unless a BME280 answers."""
        found = self._confirmed(Bme280Registers.id, 1)[0]
        if found == Bme280Registers.id.reset:
            return
        if found in (0x00, 0xFF):
            raise StuckDataError(f"the chip id reads as {found:#04x}: the data line is dead")
        what = _RELATIVES.get(found, "some other part")
        raise WrongDeviceError(f"chip id is {found:#04x}, {what}; a BME280 says 0x60")

    def start(self) -> None:
        """Reset the chip, fetch its trimming words, write the settings that `read` then checks."""
        self.port.reset = _SOFT_RESET
        self.clock.sleep(_START_UP_S)
        self._await_trimming()
        self._trim = self._calibration()
        self._write_settings()
        # By the first read there shall be a result; with every ×16 it takes one read longer.
        self.clock.sleep(min(self._measuring_s, 0.09))

    def read(self) -> Climate:
        """Return the newest measurement.

        Raises:
            DeviceResetError: the settings are gone; `start` brings them back.
            ChecksumError: what arrived differs from one time to the next.
            StuckDataError: every bit is the same.
            NotReadyError: no measurement since the settings were written.
        """
        if self._trim is None:
            raise NotReadyError("not started: the trimming words are not known yet")
        data = self._confirmed_data()
        adc_p = int.from_bytes(data[0:3], "big") >> 4
        adc_t = int.from_bytes(data[3:6], "big") >> 4
        adc_h = int.from_bytes(data[6:8], "big")
        if (adc_p, adc_t, adc_h) == (_NO_PRESSURE, _NO_TEMPERATURE, _NO_HUMIDITY):
            raise NotReadyError("the chip has not finished its first measurement")
        return _climate(adc_t, adc_p, adc_h, self._trim)

    def check(self) -> None:
        """See that the same BME280 is there, set as it was, with the same trimming words."""
        if self.port.id != Bme280Registers.id.reset:
            self.probe()  # looks twice before it names another part
            raise ChecksumError("the chip id read wrong once; check the wiring")
        self._refuse_settings(self._settings_read())
        if self._trim is None or self._trimming_once() == self._trim:
            return
        if self._calibration() == self._trim:
            raise ChecksumError("the trimming words read wrong once; check the wiring")
        raise DeviceResetError("the trimming words changed: another BME280 is here now")

    def stop(self) -> None:
        """Put the chip to sleep."""
        self.port.ctrl_meas = Mode.SLEEP

    def _await_trimming(self) -> None:
        # Trimming words read while the chip still copies them may be half of each (section 5.4.4).
        for _ in range(_TRIMMING_TRIES):
            if not self.port.im_update:
                return
            self.clock.sleep(0.002)
        raise NotReadyError("the chip does not finish loading its trimming words; is power steady?")

    def _calibration(self) -> Calibration:
        low = self._confirmed(Bme280Registers.calib00, LOW_BYTES)
        high = self._confirmed(Bme280Registers.calib26, HIGH_BYTES)
        trim = Calibration.from_bytes(low, high)
        if flaw := trim.flaw():
            raise StuckDataError(f"{flaw}; a clone, or its memory did not load")
        return trim

    def _trimming_once(self) -> Calibration:
        low = self._block(Bme280Registers.calib00, LOW_BYTES)
        return Calibration.from_bytes(low, self._block(Bme280Registers.calib26, HIGH_BYTES))

    def _write_settings(self) -> None:
        ctrl_hum, _, ctrl_meas, config = self._settings
        reg = Bme280Registers
        # Pairs of address and value in one transfer (section 6.2.1). config first, since it may be
        # ignored in normal mode (5.4.6); ctrl_meas last, since it makes ctrl_hum count (5.4.3).
        pairs = (config, reg.ctrl_hum.address, ctrl_hum, reg.ctrl_meas.address, ctrl_meas)
        self.port.write_block(reg.config, bytes(pairs))

    def _confirmed_data(self) -> bytes:
        whole = self._block(Bme280Registers.ctrl_hum, _BURST)
        self._refuse_settings(whole[:_SETTINGS])
        seen = [whole[-_DATA_BYTES:]]
        windows = itertools.cycle(_WINDOWS)
        while len(seen) < _MOST_BURSTS and _changes(seen) <= 1:
            first, length = next(windows)
            seen.append(self._block(first, length)[-_DATA_BYTES:])
            if len(seen) >= _AGREEING and not _changes(seen[-_AGREEING:]):
                return _left_aligned(seen[-1])
        raise ChecksumError("the data differ each time they are read; check the wiring")

    def _settings_read(self) -> bytes:
        # With the data after them: settings that are all zero alone would look like a dead line.
        return self._block(Bme280Registers.ctrl_hum, _BURST)[:_SETTINGS]

    def _refuse_settings(self, found: bytes) -> None:
        if _masked(found) == _masked(self._settings):
            return
        again = self._settings_read()
        if _masked(again) == _masked(self._settings):
            raise ChecksumError("the settings read back wrong once; check the wiring")
        if _masked(again) == bytes(_SETTINGS):
            raise DeviceResetError("the settings are gone: the chip lost power for a moment")
        raise DeviceResetError(
            f"the settings are {again.hex(' ')}, expected {self._settings.hex(' ')} (0xF2 to 0xF5)"
        )

    def _confirmed(self, first: Register, length: int) -> bytes:
        """Return bytes that do not change, read three times as data are, each from one earlier."""
        once = self._block(first, length)
        for before in (1, 2):
            earlier = Register(first.address - before, access="ro")
            if self.port.read_block(earlier, before + length)[before:] != once:
                raise ChecksumError(
                    f"{length} bytes from {first.address:#04x} differ from one time to the next"
                )
        return once

    def _block(self, first: Register, length: int) -> bytes:
        data = self.port.read_block(first, length)
        if length > 1 and (data == b"\xff" * length or data == bytes(length)):
            raise StuckDataError(
                f"{length} bytes from {first.address:#04x} are all {data[0]:#04x}: "
                "the data line is dead"
            )
        return data


def _settings(options: Bme280Options) -> bytes:
    """Return what ctrl_hum, status, ctrl_meas and config shall hold."""
    reg = Bme280Registers
    ctrl_hum = reg.osrs_h.insert(0, _OVERSAMPLING[options.humidity_oversampling])
    ctrl_meas = reg.osrs_t.insert(0, _OVERSAMPLING[options.temperature_oversampling])
    ctrl_meas = reg.osrs_p.insert(ctrl_meas, _OVERSAMPLING[options.pressure_oversampling])
    ctrl_meas = reg.mode.insert(ctrl_meas, Mode.NORMAL)
    config = reg.t_sb.insert(0, _STANDBY[options.standby])
    config = reg.filter.insert(config, _FILTER[options.filter])
    return bytes((ctrl_hum, 0, ctrl_meas, config))


def _measuring_time(options: Bme280Options) -> float:
    """Return the longest one measurement may take, in seconds (section 9.1, maximum)."""
    return (
        1.25
        + 2.3 * options.temperature_oversampling
        + (2.3 * options.pressure_oversampling + 0.575)
        + (2.3 * options.humidity_oversampling + 0.575)
    ) / 1000


def _masked(settings: bytes) -> bytes:
    return bytes(found & mask for found, mask in zip(settings, _SETTINGS_MASK, strict=True))


def _changes(seen: list[bytes]) -> int:
    return sum(before != after for before, after in itertools.pairwise(seen))


def _left_aligned(data: bytes) -> bytes:
    """Refuse data whose lowest four bits are not zero where the chip always sends zeros."""
    if data[2] & 0x0F or data[5] & 0x0F:
        raise ChecksumError(f"bits that are always 0 are set in {data.hex(' ')}")
    return data


def _climate(adc_t: int, adc_p: int, adc_h: int, trim: Calibration) -> Climate:
    t_fine = fine_temperature(adc_t, trim)
    percent = humidity(adc_h, t_fine, trim)
    return Climate(
        temperature=Celsius(temperature(t_fine)),
        humidity=RelativeHumidity(min(max(percent, 0.0), 100.0)),
        pressure=Pascal(pressure(adc_p, t_fine, trim)),
        doubts=_doubts(adc_t, adc_p, adc_h, percent),
    )


def _doubts(adc_t: int, adc_p: int, adc_h: int, percent: float) -> dict[str, Doubt]:
    doubts: dict[str, Doubt] = {}
    if not 0.0 <= percent <= 100.0:
        doubts["humidity"] = Doubt.uncertain(
            "saturated", "at the end of what the chip can say; is water on it?"
        )
    # One code means both "not measured" and a value in the middle of the range. The settings say
    # that everything is measured, but that alone is no proof.
    skipped = Doubt.uncertain("not_ready", "the code for a skipped measurement, or just this value")
    if adc_p == _NO_PRESSURE:
        doubts["pressure"] = skipped
    if adc_h == _NO_HUMIDITY:
        doubts["humidity"] = skipped
    if adc_t == _NO_TEMPERATURE:  # both others are corrected by temperature
        doubts.update(dict.fromkeys(("temperature", "pressure", "humidity"), skipped))
    return doubts
