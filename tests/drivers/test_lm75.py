"""Tests of the lm75 driver: the sheets' tables, the parts of the family, what gives one away."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leyden.hal.mock.chip import RegisterChip
from leyden.hal.mock.rig import Rig
from leyden.hal.registers import Register
from leyden.kernel import (
    ChecksumError,
    ComponentError,
    DeviceResetError,
    NotReadyError,
    SimulatedExecutor,
    StuckDataError,
    WrongDeviceError,
)
from leyden.testing import Bench, DriverConformance, Kit, load_kit
from leyden_drivers.lm75.chip import Lm75Chip
from leyden_drivers.lm75.driver import LM75, Lm75Options
from leyden_drivers.lm75.registers import Lm75Registers

PACKAGE = "leyden_drivers.lm75"


class _Variant(DriverConformance):
    """The whole suite again, for another part of the family."""

    package = PACKAGE
    options: ClassVar[Mapping[str, Any]]

    @pytest.fixture
    def kit(self) -> Kit:
        kit = load_kit(PACKAGE)
        table = {**kit.table, **self.options}
        return dataclasses.replace(kit, name=str(table["part"]), table=table)


class TestLm75OfTi(_Variant):
    options: ClassVar[Mapping[str, Any]] = {"part": "lm75"}


class TestTmp75(_Variant):
    options: ClassVar[Mapping[str, Any]] = {"part": "tmp75"}


class TestTmp105(_Variant):
    options: ClassVar[Mapping[str, Any]] = {
        "part": "tmp105",
        "resolution": 10,
        "t_os": "60 °C",
        "t_hyst": "55 °C",
    }


# The sheets' tables

# TI, TMP105, SLLS648D, table 5, and TMP175 TMP75, SBOS288M, table 7-1: twelve bits.
TWELVE_BITS = [
    (100.0, 0x640), (80.0, 0x500), (75.0, 0x4B0), (50.0, 0x320), (25.0, 0x190), (0.25, 0x004),
    (0.0, 0x000), (-0.25, 0xFFC), (-25.0, 0xE70), (-55.0, 0xC90),
]  # fmt: skip
# NXP, LM75B, Rev. 6.1, table 10: eleven bits.
ELEVEN_BITS = [
    (127.0, 0x3F8), (126.875, 0x3F7), (126.125, 0x3F1), (125.0, 0x3E8), (25.0, 0x0C8),
    (0.125, 0x001), (0.0, 0x000), (-0.125, 0x7FF), (-25.0, 0x738), (-54.875, 0x649),
    (-55.0, 0x648),
]  # fmt: skip
# TI, LM75B LM75C, SNIS153B, "Temperature data format": nine bits.
NINE_BITS = [
    (125.0, 0x0FA), (25.0, 0x032), (0.5, 0x001), (0.0, 0x000), (-0.5, 0x1FF), (-25.0, 0x1CE),
    (-55.0, 0x192),
]  # fmt: skip
ROWS = [
    *(("tmp105", celsius, code << 4) for celsius, code in TWELVE_BITS),
    *(("tmp75", celsius, code << 4) for celsius, code in TWELVE_BITS),
    *(("lm75b", celsius, code << 5) for celsius, code in ELEVEN_BITS),
    *(("lm75", celsius, code << 7) for celsius, code in NINE_BITS),
]


class StillChip(Lm75Chip):
    """A part whose temperature register holds what the test put there."""

    def catch_up(self) -> None:
        pass


class Setup:
    """A driver and its model on a modelled bus, without a runtime."""

    def __init__(self, *, model: Any = Lm75Chip, **options: Any) -> None:
        self.options = Lm75Options(**{"part": "lm75b", **options})
        self.rig = Rig(SimulatedExecutor())
        bus = self.rig.i2c("i2c1")
        self.chip = self.rig.plug("i2c1", model, "case", self.options)
        self.driver = LM75(bus, self.options)
        self.driver.clock = self.clock = self.rig.executor.clock

    def start(self) -> None:
        self.driver.probe()
        self.driver.start()
        self.clock.sleep(0.33)

    def celsius(self) -> float:
        value = self.driver.read().table["temperature"]
        assert isinstance(value, float)
        return value


@pytest.fixture
def setup() -> Iterator[Setup]:
    made = Setup()
    yield made
    made.rig.close()


@pytest.mark.parametrize(("part", "celsius", "word"), ROWS)
def test_the_sheets_rows_come_out(part: str, celsius: float, word: int) -> None:
    made = Setup(model=StillChip, part=part)
    made.start()
    made.chip.write_register(Lm75Registers.temp, word)
    assert made.celsius() == celsius


@pytest.mark.parametrize(("part", "celsius", "word"), ROWS)
def test_the_model_makes_the_sheets_words(part: str, celsius: float, word: int) -> None:
    if celsius > 125.0:
        return  # beyond what the part is specified for: the model's world ends there
    made = Setup(part=part)
    made.rig.world.set("case.temperature", celsius)
    made.start()
    made.driver.read()
    assert made.chip.read_register(Lm75Registers.temp) == word


@given(st.floats(-55, 125), st.sampled_from([9, 10, 11, 12]))
def test_what_is_read_is_within_half_a_code_of_the_truth(celsius: float, bits: int) -> None:
    made = Setup(part="tmp105", resolution=bits)
    made.rig.world.set("case.temperature", celsius)
    made.start()
    lsb = made.chip.lsb["temperature"]
    assert lsb == 2.0 ** (8 - bits)
    assert abs(made.celsius() - celsius) <= lsb / 2
    assert made.driver.channels()[0].step == lsb


# Who it is


class Ads1115Chip(RegisterChip):
    """What of an ADS1115 is seen at these pointers: conversion, config, Lo_thresh, Hi_thresh."""

    word_registers, auto_increment = True, False
    conversion = Register(0, width=16, reset=0x1230, access="ro")
    config = Register(1, width=16, reset=0x8583)
    lo_thresh = Register(2, width=16, reset=0x8000)
    hi_thresh = Register(3, width=16, reset=0x7FFF)


class QuietAds1115Chip(Ads1115Chip):
    """One that somebody has set up so that nothing of it looks odd."""

    config = Register(1, width=16, reset=0x0483)
    lo_thresh = Register(2, width=16, reset=0x1000)
    hi_thresh = Register(3, width=16, reset=0x2000)


@pytest.mark.parametrize("part", ["lm75", "lm75b", "tmp75", "tmp105"])
@pytest.mark.parametrize("model", [Ads1115Chip, QuietAds1115Chip])
def test_an_ads1115_is_refused(part: str, model: Any) -> None:
    made = Setup(part=part, model=model)
    with pytest.raises(WrongDeviceError):
        made.start()


def test_another_converter_is_refused_before_anything_is_written() -> None:
    made = Setup(model=Ads1115Chip)
    with pytest.raises(WrongDeviceError, match="has no bits 0x007f; an ADS1115"):
        made.driver.probe()
    assert made.chip.hi_thresh == 0x7FFF


def test_a_part_with_more_bits_than_configured_is_refused_by_name() -> None:
    made = Setup(part="lm75b")
    made.chip._is_tmp = True  # what is soldered on is a TMP75
    with pytest.raises(WrongDeviceError, match="LM75A or LM75B of NXP has no bits"):
        made.start()


def test_a_part_with_fewer_bits_than_configured_is_refused() -> None:
    made = Setup(part="tmp75")
    made.chip._is_tmp = False
    with pytest.raises(WrongDeviceError, match="not a TMP75"):
        made.start()


@pytest.mark.parametrize("byte", [0x00, 0xFF])
def test_a_dead_line_is_no_other_part(setup: Setup, byte: int) -> None:
    setup.rig.world.set("case.fault", "stuck_low" if byte == 0 else "stuck_high")
    with pytest.raises(StuckDataError, match="dead"):
        setup.driver.probe()


# What is remembered


def test_lost_power_is_seen_at_once_and_not_as_zero_degrees(setup: Setup) -> None:
    setup.start()
    assert setup.celsius() == 21.5
    setup.chip.power_on()
    with pytest.raises(DeviceResetError, match="t_os is back at 0x5000.*lost power"):
        setup.driver.read()
    setup.driver.start()
    with pytest.raises(NotReadyError, match="first conversion"):
        setup.driver.read()
    setup.clock.sleep(0.2)
    assert setup.celsius() == 21.5


@pytest.mark.parametrize(
    ("register", "value", "words"),
    [
        (Lm75Registers.conf, 0x00, "conf is back at 0x0000"),
        (Lm75Registers.conf, 0x11, "conf is 0x0011, expected 0x0010"),  # shutdown
        (Lm75Registers.t_hyst, 0x4B00, "t_hyst is back"),
        (Lm75Registers.t_os, 0x3000, "t_os is 0x3000, expected 0x2a80"),
    ],
)
def test_settings_changed_by_somebody_else_are_seen(
    setup: Setup, register: Register, value: int, words: str
) -> None:
    setup.start()
    setup.chip.write_register(register, value)
    with pytest.raises(DeviceResetError, match=words):
        setup.driver.read()
    with pytest.raises(DeviceResetError, match=words):
        setup.driver.check()


@pytest.mark.parametrize("bit", range(16))
@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("part", ["lm75", "lm75b", "tmp105"])
def test_a_stuck_bit_is_seen_whatever_the_temperature(bit: int, level: int, part: str) -> None:
    made = Setup(part=part)
    made.start()
    bus, whole = made.driver.port.bus, made.driver.port.bus.transfer

    def stuck(*args: Any, **kwargs: Any) -> list[bytes]:
        spoilt = []
        for data in whole(*args, **kwargs):
            word = int.from_bytes(data.ljust(2, b"\0"), "big")
            word = word | 0x8000 >> bit if level else word & ~(0x8000 >> bit)
            spoilt.append(word.to_bytes(2, "big")[: len(data)])
        return spoilt

    bus.transfer = stuck  # type: ignore[method-assign]  # the wire, spoilt
    held = bit < {"lm75": 9, "lm75b": 9, "tmp105": 12}[part]
    if held or (level and part != "lm75"):
        with pytest.raises((ChecksumError, DeviceResetError, StuckDataError)):
            made.driver.read()
    else:  # nothing, or the last two bits of an LM75B's temperature, which no threshold has
        assert abs(made.celsius() - 21.5) <= 0.375


def test_a_value_that_differs_each_time_is_none(setup: Setup) -> None:
    setup.start()
    setup.rig.world.set("case.fault", "crc_error")
    with pytest.raises(ChecksumError):
        setup.driver.read()


def test_a_new_conversion_in_the_middle_of_a_read_is_no_damage() -> None:
    with Bench(load_kit(PACKAGE)) as bench:
        assert bench.settle()
        bench.fault("slow 30 ms")
        for celsius in (25.0, 30.0, 35.0):
            bench.set("temperature", celsius)
            bench.run_reads(20)
        assert bench.status().errors == 0
        assert not bench.tally.wrong


def test_thresholds_of_ones_own_are_written_and_watched() -> None:
    made = Setup(t_os=60.0, t_hyst=55.0)
    made.start()
    assert (made.chip.t_os, made.chip.t_hyst) == (60 * 256, 55 * 256)
    made.chip.power_on()
    with pytest.raises(DeviceResetError):
        made.driver.read()


def test_a_read_writes_nothing_and_waits_for_nothing(setup: Setup) -> None:
    setup.start()
    before, since = setup.chip.conf, setup.clock.monotonic_ns()
    setup.driver.read()
    assert setup.chip.conf == before
    assert setup.clock.monotonic_ns() == since


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"part": "lm76"}, 'part: found "lm76", expected one of lm75, lm75b, tmp75, tmp105'),
        ({"address": 0x50}, "address: found 0x50, expected 0x48 to 0x4f"),
        ({"part": "tmp105", "address": 0x4A}, "expected 0x48 to 0x49"),
        ({"resolution": 12}, "resolution: found 12, expected none"),
        ({"part": "tmp75", "resolution": 8}, "resolution: found 8, expected 9, 10, 11, 12"),
        ({"t_os": 60.0}, "together"),
        ({"t_os": 50.0, "t_hyst": 55.0}, "t_hyst below t_os"),
        ({"t_os": 150.0, "t_hyst": 55.0}, "-55 °C to 125 °C"),
        ({"t_os": 80.0, "t_hyst": 75.0}, "could not be seen"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ComponentError, match=words):
        Lm75Options(**{"part": "lm75b", **options})


# The model


def test_the_model_measures_at_its_own_pace(setup: Setup) -> None:
    setup.start()
    setup.driver.read()
    setup.rig.world.set("case.temperature", 30.0)
    assert setup.celsius() == 21.5
    setup.clock.sleep(0.1)
    assert setup.celsius() == 30.0


def test_the_model_stands_still_in_shutdown(setup: Setup) -> None:
    setup.start()
    setup.driver.port.shutdown = True
    setup.rig.world.set("case.temperature", 30.0)
    setup.clock.sleep(1.0)
    assert setup.driver.port.temp == round(21.5 * 256)


def test_the_model_reads_as_zero_until_the_first_conversion_is_over(setup: Setup) -> None:
    setup.chip.power_on()
    assert setup.driver.port.temp == 0
    setup.clock.sleep(0.1)
    assert setup.driver.port.temp == round(21.5 * 256)
