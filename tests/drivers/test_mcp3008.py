"""Tests of the mcp3008 driver: the exchange bit by bit, scaling, and what a value is worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leyden.hal.mock.rig import Rig
from leyden.kernel import (
    BAD,
    ChecksumError,
    ComponentError,
    NoDataError,
    Quality,
    SimulatedExecutor,
    StuckDataError,
    TableReading,
    WrongDeviceError,
)
from leyden.testing import Bench, load_kit
from leyden_drivers.mcp3008.chip import Mcp3008Chip
from leyden_drivers.mcp3008.driver import MCP3008, Input, Mcp3008Options

SOIL = Input(0, "Bed 1", "%", 2.8, 1.2)
VOLTS = Input(3)


class FakeBus:
    """Answers each exchange from a list, the last one for ever."""

    name = "spi0"

    def __init__(self, *answers: str) -> None:
        self.answers = [int(answer.replace(" ", ""), 2).to_bytes(4, "big") for answer in answers]
        self.sent: list[bytes] = []

    def transfer(self, chip_select: int, data: bytes, **_: Any) -> bytes:
        self.sent.append(data)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def answer(code: int, *, copy: int | None = None, null: int = 0, after: int = 0) -> str:
    """Return the 32 bits of DOUT; where it is not driven the line is high."""
    forwards = f"{code:010b}"
    backwards = f"{code if copy is None else copy:010b}"[::-1]
    return "1" * 9 + str(null) + forwards + backwards[1:] + f"{after:03b}"


def driver(*answers: str, inputs: Mapping[str, Input] | None = None) -> MCP3008:
    options = Mcp3008Options(inputs or {"battery": VOLTS})
    return MCP3008(FakeBus(*answers), options)


def volts(reading: TableReading) -> float:
    return float(str(reading.table["battery"]))


# The exchange: MCP3004/3008 data sheet DS21295D, figures 5-1 and 5-2


def test_the_request_is_the_one_of_figure_6_1() -> None:
    made = driver(answer(512))
    made.read()
    bus = made._bus
    assert isinstance(bus, FakeBus)
    # Three zeros, start, single-ended, 011 for CH3; then don't care.
    assert set(bus.sent) == {bytes.fromhex("1b000000")}


@pytest.mark.parametrize(("code", "expected"), [(1, 0.00322), (512, 1.65), (1022, 3.29356)])
def test_a_code_is_so_many_1024ths_of_vref(code: int, expected: float) -> None:
    assert volts(driver(answer(code)).read()) == pytest.approx(expected, abs=1e-5)


@given(st.integers(1, 1023), st.integers(1, 9))
def test_copies_that_differ_are_refused(code: int, bit: int) -> None:
    with pytest.raises(ChecksumError, match="malformed"):
        driver(answer(code, copy=code ^ 1 << bit)).read()


def test_a_null_bit_that_is_not_null_is_refused() -> None:
    with pytest.raises(ChecksumError):
        driver(answer(512, null=1)).read()


def test_ones_after_the_result_are_refused() -> None:
    with pytest.raises(ChecksumError):
        driver(answer(512, after=0b001)).read()


def test_a_line_that_is_always_high_is_dead() -> None:
    with pytest.raises(StuckDataError, match="every bit is 1"):
        driver("1" * 32).read()


def test_zeros_on_all_inputs_are_no_chip() -> None:
    with pytest.raises(NoDataError, match="as without a chip"):
        driver("0" * 32).read()
    with pytest.raises(NoDataError, match="tie an unused input to VREF"):
        driver("0" * 32).probe()


def test_zero_on_one_input_is_the_end_of_the_range() -> None:
    both = {"battery": VOLTS, "other": Input(4)}
    reading = driver(*[answer(0)] * 3, answer(300), inputs=both).read()
    assert reading.doubts["battery"].reason == "saturated"
    assert "other" not in reading.doubts


def test_full_scale_is_the_end_of_the_range() -> None:
    assert driver(answer(1023)).read().doubts["battery"].reason == "saturated"


def test_a_request_that_went_astray_is_outvoted() -> None:
    reading = driver(answer(500), answer(20), answer(501)).read()
    assert volts(reading) == pytest.approx(500 * 3.3 / 1024)


def test_an_input_that_moves_too_much_is_uncertain() -> None:
    reading = driver(answer(500), answer(200), answer(800)).read()
    assert reading.doubts["battery"].reason == "implausible"


def test_an_mcp3208_is_refused_by_name() -> None:
    # Its 12 bits forwards, then bits 1 to 10 of the reverse (DS21298E, figure 5-2).
    code = 0b1011_0010_0110
    forwards = f"{code:012b}"
    with pytest.raises(WrongDeviceError, match="MCP3208"):
        driver("1" * 9 + "0" + forwards + forwards[-2:0:-1]).probe()


def test_noise_is_not_taken_for_another_part() -> None:
    with pytest.raises(ChecksumError):
        driver(answer(500), answer(500, copy=7), answer(3)).probe()


# Scaling


@pytest.mark.parametrize(("code", "percent"), [(869, 0.0), (620, 50.1), (373, 99.9), (372, 100.0)])
def test_two_points_make_a_line(code: int, percent: float) -> None:
    reading = driver(answer(code), inputs={"moisture": SOIL}).read()
    assert reading.table["moisture"] == pytest.approx(percent, abs=0.1)
    assert not reading.doubts


def test_a_little_beyond_the_points_is_the_nearer_end() -> None:
    reading = driver(answer(360), inputs={"moisture": SOIL}).read()
    assert reading.table["moisture"] == 100.0
    assert reading.doubts["moisture"].reason == "saturated"


def test_far_beyond_the_points_the_probe_is_not_connected() -> None:
    doubt = driver(answer(1000), inputs={"moisture": SOIL}).read().doubts["moisture"]
    assert (doubt.quality, doubt.reason) == (BAD, "out_of_range")
    assert "is the probe connected?" in doubt.detail


def test_channels_come_from_the_configuration() -> None:
    inputs = {
        "moisture_1": SOIL,
        "battery": VOLTS,
        "tank": Input(5, "Tank", "bar", 0.5, 3.0, 0, 10),
    }
    moisture, battery, tank = driver(answer(1), inputs=inputs).channels()
    assert (moisture.name, moisture.unit, moisture.label, moisture.step) == (
        "moisture_1",
        "%",
        "Bed 1",
        0.1,
    )
    assert (battery.unit, battery.maximum, battery.step) == ("V", 3.3, 0.001)
    assert (tank.unit, tank.minimum, tank.maximum, tank.step) == ("bar", 0, 10, 0.01)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({}, "found none"),
        ({"a": Input(8)}, "inputs.a.pin: found 8, expected 0 to 7"),
        ({"a": Input(1), "b": Input(1)}, "inputs.b.pin: found 1, which a has"),
        ({"a": Input(1, unit="furlong")}, 'unknown unit "furlong"'),
        ({"a": Input(1, unit="%")}, "expected low and high"),
        ({"a": Input(1, unit="%", low=1.0)}, "two different voltages"),
        ({"a": Input(1, unit="%", low=1.0, high=1.0)}, "two different voltages"),
        ({"a": Input(1, unit="%", low=1.0, high=4.0)}, "between 0 V and 3.3 V"),
        ({"a": Input(1, "", "bar", 1.0, 2.0, 5.0, 5.0)}, "minimum has to be less"),
    ],
)
def test_impossible_inputs_are_refused(inputs: dict[str, Input], words: str) -> None:
    with pytest.raises(ComponentError, match=words):
        Mcp3008Options(inputs)


@pytest.mark.parametrize(
    ("options", "words"), [({"vref": 12.0}, "vref: found 12 V"), ({"speed": 5e6}, "speed: found")]
)
def test_impossible_options_are_refused(options: dict[str, float], words: str) -> None:
    with pytest.raises(ComponentError, match=words):
        Mcp3008Options({"a": Input(1)}, **options)  # type: ignore[arg-type]  # on purpose


# The model


def chip(**signals: float) -> Mcp3008Chip:
    rig = Rig(SimulatedExecutor())
    rig.spi("spi0")
    options = Mcp3008Options({"moisture": SOIL, "battery": VOLTS})
    model = rig.plug("spi0", Mcp3008Chip, "soil", options)
    for name, value in signals.items():
        rig.world.set(f"soil.{name}", value)
    return model


def test_the_model_shifts_out_what_figure_5_2_draws() -> None:
    out = chip(battery=1.65).exchange(bytes.fromhex("1b000000"))
    assert f"{int.from_bytes(out, 'big'):032b}" == answer(512)


def test_the_model_waits_for_its_start_bit() -> None:
    model = chip(battery=1.0)
    early = model.exchange(bytes.fromhex("d8000000"))  # the same request three clocks sooner
    late = model.exchange(bytes.fromhex("1b000000"))
    assert int.from_bytes(early, "big") << 3 & 0xFFFF_FFFF != int.from_bytes(late, "big")
    assert (
        f"{int.from_bytes(early, 'big'):032b}"[6:]
        == f"{int.from_bytes(late, 'big'):032b}"[9:] + "000"
    )


def test_without_a_start_bit_the_model_says_nothing() -> None:
    assert chip().exchange(bytes(4)) == b"\xff\xff\xff\xff"


def test_the_model_subtracts_neighbours_when_asked_to() -> None:
    model = chip(battery=2.0)  # CH3; CH2 floats at 5/16 of VREF
    out = int.from_bytes(model.exchange(bytes.fromhex("13000000")), "big")  # CH3 minus CH2
    assert out >> 12 & 0x3FF == int((2.0 - 3.3 * 5 / 16) * 1024 / 3.3)


def test_a_request_stuck_high_is_noticed() -> None:
    out = chip(battery=1.7).exchange(b"\xff\xff\xff\xff")
    with pytest.raises(ChecksumError):
        driver(f"{int.from_bytes(out, 'big'):032b}").read()


def test_unplugged_it_turns_bad_in_words() -> None:
    with Bench(load_kit("leyden_drivers.mcp3008")) as bench:
        assert bench.settle()
        bench.fault("absent")
        bench.run_for(3.5)
        latest = bench.latest("moisture_1")
        assert latest is not None
        assert latest.quality is Quality.BAD
        assert latest.reason == "no_data"
        assert "check CS" in latest.detail
