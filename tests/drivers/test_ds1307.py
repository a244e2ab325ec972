"""Tests of the ds1307 driver: registers and calendar, and every way a clock can be wrong."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leyden.hal.mock.chip import RegisterChip
from leyden.hal.mock.faults import APPLICABLE, FaultKind
from leyden.hal.mock.rig import Rig
from leyden.hal.registers import Register
from leyden.kernel import (
    BAD,
    GOOD,
    NS,
    ChecksumError,
    ComponentError,
    DeviceResetError,
    Event,
    ManualClock,
    SimulatedExecutor,
    StuckDataError,
    WrongDeviceError,
)
from leyden.testing import Bench, DriverConformance, Kit, load_kit
from leyden_drivers.ds1307.calendar import EARLIEST, LATEST, registers_of_time, seconds_of
from leyden_drivers.ds1307.chip import Ds1307Chip
from leyden_drivers.ds1307.driver import DS1307, Ds1307Options, Time
from leyden_drivers.ds1307.registers import PARTS, Ds3231Registers

PACKAGE = "leyden_drivers.ds1307"
PART = PARTS["ds1307"]


def variant(**options: Any) -> Kit:
    kit = load_kit(PACKAGE)
    table = {**kit.table, **options}
    return dataclasses.replace(kit, name=str(table["part"]), table=table)


class _Variant(DriverConformance):
    """The whole suite again, for another part of the family."""

    package = PACKAGE
    options: ClassVar[Mapping[str, Any]]

    @pytest.fixture
    def kit(self) -> Kit:
        return variant(**self.options)


class TestDs1338(_Variant):
    options: ClassVar[Mapping[str, Any]] = {"part": "ds1338"}


class Ds3231Writable:
    """What of the DS3231's own registers takes any value."""

    control = Ds3231Registers.control
    eosc = control.flag(7)


class TestDs3231(_Variant):
    options: ClassVar[Mapping[str, Any]] = {"part": "ds3231"}

    @pytest.fixture
    def kit(self) -> Kit:
        return dataclasses.replace(variant(**self.options), registers=Ds3231Writable)


# Registers and the calendar

# DS1307, table 2: 00 to 59 in decimals, hours in two modes, years 00 to 99 from 2000 on. The second
# column is what `date -u -d "…" +%s` says of the first.
ROWS = [
    ("2000-01-01 00:00:00", 946_684_800, "00 00 00 06 01 01 00"),
    ("2024-02-29 23:59:59", 1_709_251_199, "59 59 23 04 29 02 24"),
    ("2026-11-20 11:29:18", 1_795_174_158, "18 29 11 05 20 11 26"),
    ("2038-01-19 03:14:08", 2_147_483_648, "08 14 03 02 19 01 38"),
    ("2099-12-31 23:59:59", 4_102_444_799, "59 59 23 04 31 12 99"),
]
# The 12-hour mode: bit 6, PM in bit 5; 12 AM is midnight.
HOURS = [(0, 0x52), (1, 0x41), (11, 0x51), (12, 0x72), (13, 0x61), (23, 0x71)]


@pytest.mark.parametrize(("_text", "seconds", "registers"), ROWS)
def test_registers_and_seconds_stand_for_each_other(
    _text: str, seconds: int, registers: str
) -> None:
    assert registers_of_time(seconds) == bytes.fromhex(registers)
    assert seconds_of(bytes.fromhex(registers), PART) == seconds


@pytest.mark.parametrize(("hour", "code"), HOURS)
def test_the_twelve_hour_mode_is_read(hour: int, code: int) -> None:
    registers = bytes((0x00, 0x30, code, 0x01, 0x15, 0x06, 0x25))
    expected = datetime.datetime(2025, 6, 15, hour, 30, tzinfo=datetime.UTC).timestamp()
    assert seconds_of(registers, PART) == expected


@pytest.mark.parametrize(
    "registers",
    [
        "60 00 00 01 01 01 25", "0a 00 00 01 01 01 25", "00 60 00 01 01 01 25",
        "00 00 24 01 01 01 25", "00 00 40 01 01 01 25", "00 00 53 01 01 01 25",
        "00 00 00 01 00 01 25", "00 00 00 01 32 01 25", "00 00 00 01 30 02 24",
        "00 00 00 01 29 02 25", "00 00 00 01 01 00 25", "00 00 00 01 01 13 25",
        "00 00 00 01 01 01 a0",
    ],
)  # fmt: skip
def test_what_is_no_time_is_none(registers: str) -> None:
    assert seconds_of(bytes.fromhex(registers), PART) is None


@pytest.mark.parametrize("seconds", [EARLIEST - 1, LATEST + 1])
def test_a_time_the_clock_cannot_hold_is_refused(seconds: int) -> None:
    with pytest.raises(ValueError, match="2000 to 2099"):
        registers_of_time(seconds)


# The driver on its bus


class Setup:
    """A driver and its model on a modelled bus, without a runtime, at a wall time of choice."""

    def __init__(self, *, model: Any = Ds1307Chip, wall_s: float = 1_795_174_158, **options: Any):
        self.options = Ds1307Options(**options)
        self.executor = SimulatedExecutor()
        clock = self.executor.clock
        assert isinstance(clock, ManualClock)
        self.clock = clock
        clock.set_wall(round(wall_s * NS))
        self.rig = Rig(self.executor)
        bus = self.rig.i2c("i2c1")
        self.chip = self.rig.plug("i2c1", model, "rtc", self.options)
        self.driver = DS1307(bus, self.options)
        self.driver.clock = clock

    def start(self) -> None:
        self.driver.probe()
        self.driver.start()

    def moving(self) -> Time:
        """Return a reading of a clock that was seen to move."""
        self.start()
        self.driver.read()
        self.clock.advance(1.0)
        return self.driver.read()

    def world(self, name: str, value: Any) -> None:
        self.rig.world.set(f"rtc.{name}", value)


@pytest.fixture(params=["ds1307", "ds1338", "ds3231"])
def setup(request: pytest.FixtureRequest) -> Iterator[Setup]:
    made = Setup(part=request.param)
    yield made
    made.rig.close()


def test_a_reading_is_what_the_world_is(setup: Setup) -> None:
    reading = setup.moving()
    assert int(reading.time) == 1_795_174_159
    assert abs(reading.offset) <= 0.5
    assert reading.running
    assert not reading.doubts


@given(st.integers(EARLIEST, LATEST - 2), st.sampled_from(sorted(PARTS)))
def test_the_drivers_calendar_and_the_models_agree_at_any_time(seconds: int, part: str) -> None:
    made = Setup(part=part, wall_s=seconds)
    assert int(made.moving().time) == seconds + 1
    made.driver.set_time(seconds)
    assert int(made.driver.read().time) == seconds
    made.clock.advance(1.0)
    assert int(made.driver.read().time) == seconds + 1


def test_before_it_was_seen_to_move_nothing_is_good(setup: Setup) -> None:
    setup.start()
    reading = setup.driver.read()
    assert {doubt.reason for doubt in reading.doubts.values()} == {"not_ready"}
    assert set(reading.doubts) == {"time", "offset", "running"}


def test_a_clock_halted_by_its_bit_is_bad_and_stopped() -> None:
    made = Setup(part="ds1307")
    made.moving()
    made.driver.port.ch = True
    reading = made.driver.read()
    assert not reading.running
    assert {name: doubt.reason for name, doubt in reading.doubts.items()} == {
        "time": "stopped",
        "offset": "stopped",
    }


@pytest.mark.parametrize("part", ["ds1338", "ds3231"])
def test_a_crystal_that_stood_is_known_by_its_flag_for_good(part: str) -> None:
    made = Setup(part=part)
    made.moving()
    made.world("crystal", False)
    made.world("crystal", True)
    for _ in range(5):
        made.clock.advance(1.0)
        assert made.driver.read().doubts["time"].reason == "stopped"
    made.driver.set_time(1_795_174_200)
    made.driver.read()
    made.clock.advance(1.0)
    assert not made.driver.read().doubts.keys() & {"time"}


def test_a_dead_crystal_without_a_flag_is_seen_by_the_seconds_that_stand_still() -> None:
    made = Setup(part="ds1307")
    made.moving()
    made.world("crystal", False)
    readings = []
    for _ in range(4):
        made.clock.advance(1.0)
        readings.append(made.driver.read())
    assert not readings[-1].running
    assert readings[-1].doubts["time"].reason == "stopped"
    assert readings[0].offset > -2.5, "what was called good was not far off"
    made.world("crystal", True)
    made.clock.advance(1.0)
    back = made.driver.read()
    assert back.running
    assert back.offset < -2.5
    assert back.doubts["time"].reason == "implausible"


@pytest.mark.parametrize("part", ["ds1307", "ds1338"])
def test_a_clock_that_was_without_power_is_not_believed_until_confirmed(part: str) -> None:
    made = Setup(part=part)
    made.moving()
    made.world("battery", False)
    made.rig.world.set("rtc.fault", "brown_out")
    with pytest.raises(DeviceResetError, match="lost its content"):
        made.driver.read()
    made.start()
    assert made.driver.read().doubts["time"].reason == "stopped"
    made.chip._halted = False  # another program starts it, at the wrong time
    made.chip._memory[7] &= ~0x20
    for _ in range(2):
        made.clock.advance(1.0)
        reading = made.driver.read()
    assert reading.running
    assert reading.doubts["time"].reason == "implausible"
    made.world("offset", 0.0)
    for _ in range(2):
        made.clock.advance(1.0)
        reading = made.driver.read()
    assert not reading.doubts


def test_that_it_was_confirmed_outlives_a_restart_of_the_program() -> None:
    made = Setup(part="ds1307")
    assert not made.moving().doubts
    made.driver = DS1307(made.driver.port.bus, made.options)
    made.driver.clock = made.clock
    made.clock.set_wall(0, synchronised=False)  # nobody can confirm anything any more
    made.start()
    made.driver.read()
    made.clock.advance(1.0)
    assert set(made.driver.read().doubts) == {"offset"}


def test_a_new_clock_without_anybody_to_confirm_it_stays_uncertain() -> None:
    made = Setup(part="ds1307")
    made.clock.set_wall(0, synchronised=False)
    reading = made.moving()
    assert reading.doubts["time"].reason == "implausible"
    assert reading.doubts["offset"].reason == "no_reference"


def test_a_clock_set_by_somebody_else_is_not_believed_at_once() -> None:
    made = Setup(part="ds1307")
    made.moving()
    made.world("offset", 3600.0)
    made.clock.advance(1.0)
    reading = made.driver.read()
    assert reading.offset == pytest.approx(3600.0, abs=0.5)
    assert reading.doubts["time"].reason == "implausible"


def test_what_is_no_date_is_bad(setup: Setup) -> None:
    setup.moving()
    setup.driver.port.write_block(Register(4), bytes((0x31, 0x02)))
    reading = setup.driver.read()
    assert set(reading.doubts) == {"time", "offset", "running"}
    assert {doubt.quality for doubt in reading.doubts.values()} == {BAD}
    assert "31 02" in reading.doubts["time"].detail


def test_it_is_set_from_the_system_when_that_is_wanted(setup: Setup) -> None:
    made = Setup(part=setup.options.part, set_from_system=True)
    made.world("offset", -500.0)
    made.start()
    made.driver.read()
    made.clock.advance(1.0)
    assert abs(made.driver.read().offset) <= 1.0
    made.world("offset", 30.0)
    with pytest.raises(DeviceResetError, match="set from the system"):
        made.driver.read()
    made.start()
    assert abs(made.driver.read().offset) <= 1.0


def test_it_is_never_set_while_the_systems_time_is_unknown() -> None:
    made = Setup(part="ds1307", set_from_system=True)
    made.world("offset", -500.0)
    made.clock.set_wall(0, synchronised=False)
    before = made.chip._now()
    made.start()
    assert made.chip._now() == before


@pytest.mark.parametrize("synchronised", [True, False])
def test_it_is_never_set_unless_wanted(setup: Setup, synchronised: bool) -> None:
    setup.world("offset", -500.0)
    setup.clock.set_wall(setup.clock.time_ns(), synchronised=synchronised)
    setup.moving()
    assert setup.chip._now() == 1_795_174_159 - EARLIEST - 500


def test_a_second_in_the_middle_of_a_read_is_no_damage() -> None:
    with Bench(load_kit(PACKAGE)) as bench:
        assert bench.settle()
        bench.fault("slow 60 ms")  # each read now takes a quarter of a second
        bench.run_reads(50)
        assert bench.status().errors == 0
        assert not bench.tally.wrong


# Who it is


class Mpu6050Chip(RegisterChip):
    """A motion sensor at the same address, as far as a clock's registers go."""

    low = Register(0x00, width=64, reset=0x2124272A2D303336)
    high = Register(0x38, width=64, reset=0x0100FFFE10203040)


def test_a_motion_sensor_at_the_same_address_is_refused() -> None:
    made = Setup(model=Mpu6050Chip)
    with pytest.raises(WrongDeviceError, match="register 0x03 is 0x2a.*MPU-6050"):
        made.driver.probe()


def test_a_ds3231_is_refused_as_a_ds1307() -> None:
    made = Setup(part="ds1307")
    made.chip._temperature_compensated = True
    made.chip._memory = bytearray(19)
    with pytest.raises((WrongDeviceError, ChecksumError), match="DS3231|that it is a DS1307"):
        made.start()


@pytest.mark.parametrize("fault", ["stuck_low", "stuck_high"])
def test_a_dead_line_is_no_other_part(setup: Setup, fault: str) -> None:
    setup.rig.world.set("rtc.fault", fault)
    with pytest.raises(StuckDataError, match="dead"):
        setup.driver.probe()


def test_a_signature_that_reads_wrong_once_is_damage_and_no_reset() -> None:
    made = Setup(part="ds1307")
    made.moving()
    made.rig.world.set("rtc.fault", "stuck_high once")
    with pytest.raises((ChecksumError, StuckDataError)):
        made.driver.read()
    assert made.driver.read().running


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"part": "ds1302"}, 'part: found "ds1302", expected one of ds1307, ds1338, ds3231'),
        ({"address": 0x51}, "address: found 0x51, expected 0x68"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ComponentError, match=words):
        Ds1307Options(**options)


# Under every fault: a time called good is the time


@pytest.mark.parametrize("part", sorted(PARTS))
@pytest.mark.parametrize(
    ("battery", "limit"), [(True, ""), (True, "once"), (True, "30 %"), (False, "")]
)
@pytest.mark.parametrize("kind", sorted(APPLICABLE["i2c"] - {FaultKind.NONE}))
def test_no_fault_makes_a_wrong_time_good(
    kind: FaultKind, battery: bool, limit: str, part: str
) -> None:
    with Bench(variant(part=part)) as bench:
        assert bench.settle()
        heard: list[tuple[Event, int]] = []
        bench.runtime.events.subscribe(
            lambda event: heard.append((event, bench.executor.clock.time_ns())),
            name="test",
            prefix=("rtc.time", "rtc.running"),
        )
        bench.world.set("rtc.battery", battery)
        timed = kind is FaultKind.SLOW and limit != ""
        bench.fault(str(kind) if timed else f"{kind} {limit}".strip())
        bench.run_reads(40)
        bench.heal()
        bench.run_reads(10)
    for event, wall_ns in heard:
        if event.quality is GOOD and event.route == "rtc.time":
            assert isinstance(event.value, float)
            assert abs(event.value + 0.5 - wall_ns / NS) <= 0.7, event
        if event.quality is GOOD and event.route == "rtc.running" and battery:
            assert event.value is True, event
    assert [event for event, _ in heard if event.route == "rtc.time"], "something was heard"


# The model


def test_the_model_shows_hours_in_the_mode_that_is_set(setup: Setup) -> None:
    setup.start()
    for hour, code in HOURS:
        setup.driver.port.hours = code
        assert setup.driver.port.hours == code
        assert setup.chip._now() // 3600 % 24 == hour


def test_the_model_keeps_time_over_a_loss_of_power_with_a_battery(setup: Setup) -> None:
    setup.moving()
    setup.world("present", False)
    setup.clock.advance(3600.0)
    setup.world("present", True)
    assert setup.moving().offset == pytest.approx(0.0, abs=0.5)


def test_the_models_pointer_comes_round(setup: Setup) -> None:
    setup.start()
    last = 0x12 if setup.options.part == "ds3231" else 0x3F
    data = setup.driver.port.read_block(Register(last), 8)
    assert data[1:] == setup.driver.port.read_block(Register(0), 7)


def test_the_model_lets_its_stop_flag_be_cleared_and_not_set() -> None:
    made = Setup(part="ds1338")
    made.start()
    control = made.driver.port.control
    made.driver.port.control = control | 0x20
    assert made.driver.port.control == control
