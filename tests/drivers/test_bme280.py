"""Tests of the bme280 driver: worked examples of its conversion, peculiarities of the chip."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leyden.appliance.options import read_options
from leyden.hal.mock.rig import Rig
from leyden.hal.registers import Register
from leyden.kernel import (
    ChecksumError,
    ComponentError,
    DeviceResetError,
    DeviceState,
    NotReadyError,
    SimulatedExecutor,
    StuckDataError,
    WrongDeviceError,
)
from leyden.testing import Bench, load_kit
from leyden.units import parse
from leyden_drivers.bme280.chip import HUMIDITY, PRESSURE, TEMPERATURE, Bme280Chip
from leyden_drivers.bme280.compensation import (
    Calibration,
    fine_temperature,
    humidity,
    pressure,
    temperature,
)
from leyden_drivers.bme280.driver import BME280, Bme280Options
from leyden_drivers.bme280.registers import Mode

# BMP280 data sheet BST-BMP280-DS001, section 3.12: the sheets of this family have one worked
# example. Its humidity words are those of a BME280 sample (the sheet's part has none).
SHEET = Calibration(
    27504, 26435, -1000, 36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000,
    75, 363, 0, 349, 30, 30,
)  # fmt: skip

# Two real chips, from the tests of github.com/periph/devices: the memory of one as read over I2C,
# the words of the other.
LOW = bytes.fromhex("106e6c6632005d95b8d5d00b771e9dfff9ffac260ad8bd10004b")
HIGH = bytes.fromhex("6e01001305001e")
READ_OUT = Calibration.from_bytes(LOW, HIGH)
OTHER_CHIP = Calibration(
    28176, 26220, 350, 38237, -10824, 3024, 7799, -99, -7, 9900, -10230, 4285,
    75, 366, 0, 309, 0, 30,
)  # fmt: skip


# The conversion


def test_the_data_sheets_example_comes_out() -> None:
    t_fine = fine_temperature(519888, SHEET)
    assert round(temperature(t_fine), 2) == 25.08
    assert round(pressure(415148, t_fine, SHEET), 2) == 100653.27


def test_humidity_of_the_integer_formula_comes_out() -> None:
    # 35945 is the Q22.10 result of section 4.2.3 for these words.
    percent = humidity(0x6FF0, fine_temperature(519888, SHEET), SHEET)
    assert percent == pytest.approx(35945 / 1024, abs=0.005)


def test_codes_of_a_real_chip_come_out() -> None:
    # Burst 4a 52 c0 80 96 c0 7a 76: 23.72 °C, 1009.427 hPa, 65.306 %.
    t_fine = fine_temperature(0x8096C, READ_OUT)
    assert temperature(t_fine) == pytest.approx(23.72, abs=0.005)
    assert pressure(0x4A52C, t_fine, READ_OUT) == pytest.approx(100942.695, abs=0.5)
    assert humidity(0x7A76, t_fine, READ_OUT) == pytest.approx(65.3056, abs=0.005)


def test_codes_of_another_real_chip_come_out() -> None:
    t_fine = fine_temperature(524112, OTHER_CHIP)
    assert temperature(t_fine) == pytest.approx(22.93, abs=0.005)
    assert pressure(309104, t_fine, OTHER_CHIP) == pytest.approx(25611063 / 256, abs=0.1)
    assert humidity(30987, t_fine, OTHER_CHIP) == pytest.approx(64686 / 1024, abs=0.005)


def test_the_trimming_words_are_taken_apart_as_table_16_says() -> None:
    words = dataclasses.astuple(READ_OUT)
    assert words == (
        28176, 26220, 50, 38237, -10824, 3024, 7799, -99, -7, 9900, -10230, 4285,
        75, 366, 0, 309, 0, 30,
    )  # fmt: skip


def test_negative_humidity_words_keep_their_sign() -> None:
    # 0xE4 0xE5 0xE6 = 80 F8 7F: dig_H4 = 0x808, dig_H5 = 0x7FF, as 12-bit two's complement.
    trim = Calibration.from_bytes(LOW, bytes.fromhex("6a01 00 80f87f 1e"))
    assert (trim.dig_h4, trim.dig_h5) == (-2040, 2047)


@given(
    st.sampled_from([SHEET, READ_OUT, OTHER_CHIP]),
    st.integers(320_000, 700_000),  # about -40 to 85 °C
    st.integers(200_000, 700_000),
    st.integers(20_000, 45_000),
)
def test_the_integer_formulas_of_the_sheet_agree(
    trim: Calibration, adc_t: int, adc_p: int, adc_h: int
) -> None:
    t_fine, whole = fine_temperature(adc_t, trim), integer_fine(adc_t, trim)
    assert whole / 5120 == pytest.approx(temperature(t_fine), abs=0.004)
    pascal = pressure(adc_p, t_fine, trim)
    assert integer_pressure(adc_p, whole, trim) == pytest.approx(pascal, abs=1.0)
    percent = min(max(humidity(adc_h, t_fine, trim), 0.0), 100.0)
    assert integer_humidity(adc_h, whole, trim) == pytest.approx(percent, abs=0.02)


# Section 4.2.3 of the BME280 data sheet, in integers, as a second opinion.


def integer_fine(adc_t: int, c: Calibration) -> int:
    first = ((adc_t >> 3) - (c.dig_t1 << 1)) * c.dig_t2 >> 11
    off = (adc_t >> 4) - c.dig_t1
    return first + ((off * off >> 12) * c.dig_t3 >> 14)


def integer_pressure(adc_p: int, t_fine: int, c: Calibration) -> float:
    warm = t_fine - 128000
    offset = warm * warm * c.dig_p6 + (warm * c.dig_p5 << 17) + (c.dig_p4 << 35)
    scale = (warm * warm * c.dig_p3 >> 8) + (warm * c.dig_p2 << 12)
    scale = ((1 << 47) + scale) * c.dig_p1 >> 33
    p = (((1048576 - adc_p << 31) - offset) * 3125) // scale
    square = c.dig_p9 * (p >> 13) * (p >> 13) >> 25
    linear = c.dig_p8 * p >> 19
    return ((p + square + linear >> 8) + (c.dig_p7 << 4)) / 256


def integer_humidity(adc_h: int, t_fine: int, c: Calibration) -> float:
    v = t_fine - 76800
    centred = ((adc_h << 14) - (c.dig_h4 << 20) - c.dig_h5 * v + 16384) >> 15
    slope = ((v * c.dig_h6 >> 10) * ((v * c.dig_h3 >> 11) + 32768) >> 10) + 2097152
    v = centred * (slope * c.dig_h2 + 8192 >> 14)
    v -= ((v >> 15) * (v >> 15) >> 7) * c.dig_h1 >> 4
    return (min(max(v, 0), 419430400) >> 12) / 1024


# The model against the driver's formulas, without a bus between


@given(st.floats(-40, 85), st.floats(30_000, 110_000), st.floats(0, 100))
def test_the_models_inverse_is_the_inverse(celsius: float, pascal: float, percent: float) -> None:
    fine = celsius * 5120.0
    assert fine_temperature(TEMPERATURE.code(celsius), READ_OUT) == pytest.approx(fine, abs=0.01)
    assert pressure(PRESSURE.code(pascal, fine), fine, READ_OUT) == pytest.approx(pascal, abs=0.01)
    assert humidity(HUMIDITY.code(percent, fine), fine, READ_OUT) == pytest.approx(
        percent, abs=1e-6
    )


# The driver on its bus


class Setup:
    """A driver and its model on a modelled bus, without a runtime."""

    def __init__(
        self, options: Bme280Options | None = None, model: type[Bme280Chip] = Bme280Chip
    ) -> None:
        self.options = options or Bme280Options()
        self.rig = Rig(SimulatedExecutor())
        bus = self.rig.i2c("i2c1")
        self.chip = self.rig.plug("i2c1", model, "air", self.options)
        self.driver = BME280(bus, self.options)
        self.driver.clock = self.clock = self.rig.executor.clock
        self.clock.sleep(0.01)

    def start(self) -> None:
        self.driver.probe()
        self.driver.start()


@pytest.fixture
def setup() -> Iterator[Setup]:
    made = Setup()
    yield made
    made.rig.close()


def test_a_reading_is_what_the_world_is(setup: Setup) -> None:
    setup.start()
    reading = setup.driver.read()
    assert reading.temperature == pytest.approx(21.5, abs=0.005)
    assert reading.humidity == pytest.approx(55.0, abs=0.01)
    assert reading.pressure == pytest.approx(101_325, abs=0.5)
    assert not reading.doubts


def test_a_read_writes_nothing_and_waits_for_nothing(setup: Setup) -> None:
    setup.start()
    before, since = setup.chip.ctrl_meas, setup.clock.monotonic_ns()
    setup.driver.read()
    assert setup.chip.ctrl_meas == before
    assert setup.clock.monotonic_ns() == since


@pytest.mark.parametrize(
    ("found", "words"),
    [(0x58, "BMP280, which has no"), (0x61, "BME680"), (0x55, "BMP180"), (0x42, "some other part")],
)
def test_another_part_is_refused_by_name(setup: Setup, found: int, words: str) -> None:
    setup.chip.id = found
    with pytest.raises(WrongDeviceError, match=words):
        setup.driver.probe()


@pytest.mark.parametrize("found", [0x00, 0xFF])
def test_a_dead_line_is_no_other_part(setup: Setup, found: int) -> None:
    setup.chip.id = found
    with pytest.raises(StuckDataError, match="dead"):
        setup.driver.probe()


def test_before_the_first_measurement_there_is_nothing(setup: Setup) -> None:
    setup.start()
    setup.driver.stop()
    setup.chip.power_on()
    setup.clock.sleep(0.01)
    setup.chip.config, setup.chip.ctrl_hum, setup.chip.ctrl_meas = 0x60, 1, 0x4F
    with pytest.raises(NotReadyError, match="first measurement"):
        setup.driver.read()


def test_lost_power_is_seen_at_once_and_not_as_26_degrees(setup: Setup) -> None:
    setup.start()
    setup.driver.read()
    setup.chip.power_on()
    with pytest.raises(DeviceResetError, match="lost power"):
        setup.driver.read()
    setup.driver.start()
    assert setup.driver.read().temperature == pytest.approx(21.5, abs=0.005)


def test_settings_changed_by_somebody_else_are_seen(setup: Setup) -> None:
    setup.start()
    setup.chip.ctrl_meas = 0x4D  # another program asked for one forced measurement
    with pytest.raises(DeviceResetError, match="expected 01 00 4f 60"):
        setup.driver.read()


def test_another_bme280_in_its_place_is_seen_by_the_witness(setup: Setup) -> None:
    setup.start()
    setup.chip.calib00 = setup.chip.calib00 ^ 0x01  # dig_H1
    with pytest.raises(DeviceResetError, match="another BME280"):
        setup.driver.check()


class UntrimmedChip(Bme280Chip):
    calib00 = Register(0x88, 208, int.from_bytes(bytes(2) + LOW[2:], "big"), "ro")


def test_a_chip_without_trimming_words_is_refused() -> None:
    setup = Setup(model=UntrimmedChip)
    with pytest.raises(StuckDataError, match="dig_t1 is 0"):
        setup.driver.start()


def test_a_new_result_in_the_middle_of_a_read_is_no_damage() -> None:
    bench_kit = load_kit("leyden_drivers.bme280")
    with Bench(bench_kit) as bench:
        assert bench.settle()
        bench.fault("slow 40 ms")  # each read now spans most of a cycle of 266 ms
        bench.set("temperature", 25.0)
        bench.run_reads(50)
        assert bench.status().errors == 0
        assert not bench.tally.wrong


def test_a_code_that_means_skipped_is_never_good(setup: Setup) -> None:
    setup.start()
    setup.driver.read()
    setup.chip.hum = 0x8000
    reading = setup.driver.read()
    assert reading.doubts["humidity"].reason == "not_ready"
    assert "temperature" not in reading.doubts
    setup.chip.temp = 0x800000
    assert set(setup.driver.read().doubts) == {"temperature", "humidity", "pressure"}


def test_water_on_the_sensor_is_the_end_of_the_range(setup: Setup) -> None:
    setup.start()
    setup.driver.read()
    setup.chip.hum = 0xC000
    reading = setup.driver.read()
    assert reading.humidity == 100.0
    assert reading.doubts["humidity"].reason == "saturated"


def test_bits_that_are_always_zero_are_looked_at(setup: Setup) -> None:
    setup.start()
    setup.driver.read()
    setup.chip.temp = setup.chip.temp | 0x000001
    with pytest.raises(ChecksumError, match="always 0"):
        setup.driver.read()


def test_stop_puts_the_chip_to_sleep(setup: Setup) -> None:
    setup.start()
    setup.driver.stop()
    assert setup.chip.mode is Mode.SLEEP


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"address": 0x40}, "address: found 0x40, expected one of 0x76, 0x77"),
        ({"pressure_oversampling": 3}, "found 3, expected one of 1, 2, 4, 8, 16"),
        ({"filter": 1}, "filter"),
        ({"standby": 0.3}, "standby: found 0.3"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, float], words: str) -> None:
    with pytest.raises(ComponentError, match=words):
        Bme280Options(**options)  # type: ignore[arg-type]  # impossible on purpose


@pytest.mark.parametrize("times", [1, 16])
def test_every_setting_is_read_right(times: int) -> None:
    made = Setup(Bme280Options(0x77, times, times, times, 16, 1.0))
    made.start()
    made.clock.sleep(0.1)
    reading = made.driver.read()
    assert reading.temperature == pytest.approx(21.5, abs=0.005)
    assert reading.pressure == pytest.approx(101_325, abs=3)
    made.rig.close()


@pytest.mark.parametrize("text", ["62.5 ms", "125 ms", "250 ms", "0.5 s", "1 s"])
def test_every_pause_can_be_written(text: str) -> None:
    assert read_options(Bme280Options, {"standby": text}).standby == parse(text, "s")


# The model


def test_the_model_measures_at_its_own_pace(setup: Setup) -> None:
    setup.start()
    setup.driver.read()
    setup.rig.world.set("air.temperature", 30.0)
    assert setup.driver.read().temperature == pytest.approx(21.5, abs=0.005)
    setup.clock.sleep(0.27)
    assert setup.driver.read().temperature == pytest.approx(30.0, abs=0.005)


def test_the_models_filter_smooths_pressure() -> None:
    made = Setup(Bme280Options(filter=4))
    made.start()
    made.driver.read()
    made.rig.world.set("air.pressure", 90_000.0)
    made.clock.sleep(0.27)
    smoothed = made.driver.read().pressure
    assert 90_000 < smoothed < 101_325
    made.clock.sleep(10)
    assert made.driver.read().pressure == pytest.approx(90_000, abs=1)
    made.rig.close()


def test_the_model_sleeps_again_after_a_forced_measurement(setup: Setup) -> None:
    setup.driver.port.ctrl_hum = 1
    setup.driver.port.ctrl_meas = 0x25  # ×1, ×1, forced
    before = setup.driver.port.measuring
    setup.clock.sleep(0.02)
    after = setup.driver.port.measuring
    assert (before, after) == (True, False)
    assert setup.driver.port.mode is Mode.SLEEP
    assert setup.driver.port.hum != 0x8000


def test_the_model_is_reset_by_the_right_word_only(setup: Setup) -> None:
    setup.driver.port.ctrl_hum = 5
    setup.driver.port.reset = 0x42
    assert setup.driver.port.ctrl_hum == 5
    setup.driver.port.reset = 0xB6
    assert setup.driver.port.ctrl_hum == 0


def test_unplugged_and_back_it_is_good_again_without_a_restart() -> None:
    with Bench(load_kit("leyden_drivers.bme280")) as bench:
        assert bench.settle()
        bench.fault("absent")
        bench.run_for(3.5)
        latest = bench.latest("temperature")
        assert latest is not None
        assert latest.value is None
        assert latest.reason == "no_data"
        assert bench.status().state is DeviceState.OFFLINE
        bench.heal()
        assert bench.settle(10)
