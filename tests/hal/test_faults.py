"""Faults on the wire: what each does to what arrives, and that it is alike in every run."""

from __future__ import annotations

import pytest
from hal.parts import (
    ADDRESS,
    FarEnd,
    InvertingChip,
    Mode,
    Options,
    Switch,
    ThermoChip,
    ThermoPort,
)

from leyden.hal import BusMissingError, BusStuckError, NoAnswerError, Read, Write
from leyden.hal.errors import WorldError
from leyden.hal.mock.chip import Chip, LineChip, Nack
from leyden.hal.mock.faults import APPLICABLE, Fault, FaultKind, parse_fault
from leyden.hal.mock.i2c import MockI2cBus
from leyden.hal.mock.rig import Rig
from leyden.kernel import NS, SimulatedExecutor

ID = (Write(b"\x0f"), Read(2))
I2C = APPLICABLE["i2c"]


# As people write them


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("none", Fault()),
        ("nack", Fault(FaultKind.NACK)),
        (" nack once ", Fault(FaultKind.NACK, times=1)),
        ("nack 3", Fault(FaultKind.NACK, times=3)),
        ("nack 30 %", Fault(FaultKind.NACK, share=0.3)),
        ("slow 300 ms", Fault(FaultKind.SLOW, seconds=0.3)),
        ("crc_error 5 %", Fault(FaultKind.CRC_ERROR, share=0.05)),
    ],
)
def test_a_fault_is_read_as_written(text: str, fault: Fault) -> None:
    assert parse_fault(text, I2C) == fault


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nak", 'found fault "nak", expected one of .*did you mean "nack"'),
        ("", 'found fault ""'),
        ("uart_disconnect", "expected one of"),
        ("nack often", 'fault "nack often": found'),
        ("slow 3 V", "voltage"),
        ("slow -3 s", "found -3 s, expected more than 0 s"),
        ("nack 0", 'fault "nack 0": found 0 times, expected 1 or more'),
        ("nack 130 %", "found 130 %, expected more than 0 % and at most 100 % of the transfers"),
        ("nack 0 %", "found 0 %, expected more than 0 %"),
        ("nack -3", "found -300 %, expected more than 0 %"),
    ],
)
def test_a_fault_that_cannot_be_is_refused(text: str, words: str) -> None:
    with pytest.raises(WorldError, match=words):
        parse_fault(text, I2C)


def test_a_fault_the_bus_cannot_have_is_refused_when_set(rig: Rig) -> None:
    rig.spi("spi0")
    rig.plug("spi0", InvertingChip, "adc", Options())
    with pytest.raises(WorldError, match='found fault "nack", expected one of'):
        rig.world.set("adc.fault", "nack")
    assert rig.world.get("adc.fault") == "none"


# What they do; below the guard, so that no retry hides them


@pytest.fixture
def wire(rig: Rig) -> MockI2cBus:
    rig.i2c("i2c1")
    rig.plug("i2c1", ThermoChip, "air", Options())
    made = rig.wires["i2c1"]
    assert isinstance(made, MockI2cBus)
    return made


def answers(wire: MockI2cBus, count: int) -> list[bytes | None]:
    found: list[bytes | None] = []
    for _ in range(count):
        try:
            found += wire.transfer(ADDRESS, ID)
        except NoAnswerError:
            found.append(None)
    return found


GOOD = b"\x01\x17"


def test_a_nack_lasts_as_often_as_it_says(wire: MockI2cBus, rig: Rig) -> None:
    rig.world.set("air.fault", "nack 2")
    assert answers(wire, 4) == [None, None, GOOD, GOOD]
    rig.world.set("air.fault", "nack once")
    assert answers(wire, 2) == [None, GOOD]


def test_a_share_of_nacks_is_about_that_share(wire: MockI2cBus, rig: Rig) -> None:
    rig.world.set("air.fault", "nack 30 %")
    found = answers(wire, 1000)
    assert 240 < found.count(None) < 360
    assert set(found) == {None, GOOD}


def test_two_runs_of_one_seed_fail_at_the_same_transfers() -> None:
    def run(seed: int) -> list[bytes | None]:
        executor = SimulatedExecutor()
        rig = Rig(executor, seed=seed)
        rig.i2c("i2c1")
        rig.plug("i2c1", ThermoChip, "air", Options())
        wire = rig.wires["i2c1"]
        assert isinstance(wire, MockI2cBus)
        rig.world.set("air.fault", "nack 30 %")
        missed = answers(wire, 100)
        rig.world.set("air.fault", "crc_error 30 %")
        found = missed + answers(wire, 100)
        rig.close()
        executor.close()
        return found

    assert run(5) == run(5)
    assert run(5) != run(6)


@pytest.mark.parametrize(("fault", "byte"), [("stuck_high", 0xFF), ("stuck_low", 0x00)])
def test_a_stuck_line_reads_as_itself_and_hears_nothing(
    wire: MockI2cBus, rig: Rig, fault: str, byte: int
) -> None:
    rig.world.set("air.fault", fault)
    assert wire.transfer(ADDRESS, ID) == [bytes((byte, byte))]
    wire.transfer(ADDRESS, (Write(b"\x01\x0c\x20"),))
    rig.world.set("air.fault", "none")
    assert wire.transfer(ADDRESS, (Write(b"\x01"), Read(2))) == [b"\x02\x20"]


def test_a_flipped_bit_is_one_bit_of_the_transfer(wire: MockI2cBus, rig: Rig) -> None:
    rig.world.set("air.fault", "crc_error")
    good = GOOD + b"\x02\x20"
    places = set()
    for _ in range(50):
        found = b"".join(wire.transfer(ADDRESS, (*ID, Write(b"\x01"), Read(2))))
        wrong = int.from_bytes(found) ^ int.from_bytes(good)
        assert wrong.bit_count() == 1
        places.add(wrong)
    assert len(places) > 10


def test_a_brown_out_resets_once_and_the_chip_goes_on(wire: MockI2cBus, rig: Rig) -> None:
    chip = ThermoPort(rig.buses["i2c1"], ADDRESS)  # type: ignore[arg-type]  # made above as I2C
    chip.mode = Mode.SHUTDOWN
    rig.world.set("air.fault", "brown_out")
    assert chip.mode is Mode.CONTINUOUS
    chip.mode = Mode.SHUTDOWN
    assert chip.mode is Mode.SHUTDOWN


def test_a_brown_out_nobody_looked_at_has_happened_all_the_same(wire: MockI2cBus, rig: Rig) -> None:
    wire.transfer(ADDRESS, (Write(b"\x01\x0c\x20"),))
    rig.world.set("air.present", False)
    rig.world.set("air.present", True)
    assert wire.transfer(ADDRESS, (Write(b"\x01"), Read(2))) == [b"\x02\x20"]


def test_power_comes_on_once_for_each_replug(rig: Rig) -> None:
    bus = rig.i2c("i2c1")
    chip = rig.plug("i2c1", ThermoChip, "air", Options())
    for _ in range(3):
        rig.world.set("air.fault", "unplug")
        with pytest.raises(NoAnswerError):
            bus.transfer(ADDRESS, ID)
        rig.world.set("air.fault", "none")
        for _ in range(3):
            bus.transfer(ADDRESS, ID)
    assert chip.power_ons == 1 + 3


def test_a_delay_is_simulated_time(wire: MockI2cBus, rig: Rig, executor: SimulatedExecutor) -> None:
    rig.world.set("air.fault", "slow 80 ms")
    before = executor.clock.monotonic_ns()
    assert wire.transfer(ADDRESS, ID) == [GOOD]
    assert executor.clock.monotonic_ns() - before == 80_000_000


@pytest.mark.parametrize("signal", ["air.fault", "i2c1.fault"])
def test_a_hanging_call_returns_when_the_fault_is_taken_away(
    wire: MockI2cBus, rig: Rig, executor: SimulatedExecutor, signal: str
) -> None:
    rig.world.set(signal, "hang")
    done: list[tuple[int, bytes]] = []

    def call() -> None:
        [answer] = wire.transfer(ADDRESS, ID)
        done.append((executor.clock.monotonic_ns(), answer))

    executor.start_lane("bus.i2c1", call)
    executor.run_for(60.0)
    assert done == []
    rig.world.set(signal, "none")
    executor.run_for(1.0)
    assert done == [(60 * NS, GOOD)]


def test_pulling_the_chip_ends_a_hanging_call(
    wire: MockI2cBus, rig: Rig, executor: SimulatedExecutor
) -> None:
    rig.world.set("air.fault", "hang")
    found: list[list[bytes | None]] = []
    executor.start_lane("bus.i2c1", lambda: found.append(answers(wire, 1)))
    executor.run_for(5.0)
    rig.world.set("air.present", False)
    executor.run_for(1.0)
    assert found == [[None]]


@pytest.mark.parametrize("kind", sorted(APPLICABLE))
def test_every_fault_of_a_kind_of_bus_can_be_set(rig: Rig, kind: str) -> None:
    for fault in APPLICABLE[kind]:
        assert parse_fault(fault.value, APPLICABLE[kind]).kind is fault


# The models are strict with those who write models


class Careless(ThermoChip):
    """Answers one byte too few."""

    def read(self, length: int) -> bytes:
        return super().read(length)[1:]


class CarelessSpi(InvertingChip):
    """Answers one byte too many."""

    def exchange(self, data: bytes) -> bytes:
        return data + b"\x00"


class Refusing(ThermoChip):
    """Does not acknowledge a write."""

    def write(self, data: bytes) -> None:
        raise Nack


def test_a_model_that_answers_the_wrong_length_is_found(rig: Rig) -> None:
    i2c, spi = rig.i2c("i2c1"), rig.spi("spi0")
    rig.plug("i2c1", Careless, "air", Options())
    rig.plug("spi0", CarelessSpi, "adc", Options())
    with pytest.raises(WorldError, match="the model of air answered 1 bytes, expected 2"):
        i2c.transfer(ADDRESS, ID)
    with pytest.raises(WorldError, match="the model of adc answered 2 bytes, expected 1"):
        spi.transfer(0, b"\x00", speed_hz=1_000_000)


def test_a_chip_may_refuse_what_it_is_told(rig: Rig) -> None:
    bus = rig.i2c("i2c1")
    rig.plug("i2c1", Refusing, "air", Options())
    with pytest.raises(NoAnswerError):
        bus.transfer(ADDRESS, ID)


@pytest.mark.parametrize(
    ("make", "model", "words"),
    [
        ("spi", InvertingChip, "b and a are both at chip select 0 on bus"),
        ("uart", FarEnd, "b and a are both on bus"),
        ("gpio", Switch, "b and a are both on line 17 of bus"),
    ],
)
def test_two_models_in_one_place_are_refused(
    rig: Rig, make: str, model: type[Chip], words: str
) -> None:
    getattr(rig, make)("bus")
    rig.plug("bus", model, "a", Options())
    with pytest.raises(WorldError, match=words):
        rig.plug("bus", model, "b", Options())


def test_a_model_on_no_line_is_refused(rig: Rig) -> None:
    rig.gpio("gpio")
    with pytest.raises(WorldError, match="door names no lines of gpio"):
        rig.plug("gpio", LineChip, "door", Options())


# The whole bus at fault


def test_a_slow_bus_is_slow_for_everybody(
    wire: MockI2cBus, rig: Rig, executor: SimulatedExecutor
) -> None:
    rig.world.set("i2c1.fault", "slow 40 ms")
    assert wire.transfer(ADDRESS, ID) == [GOOD]
    assert executor.clock.monotonic_ns() == 40_000_000
    rig.world.set("i2c1.fault", "slow 2 s")
    with pytest.raises(BusStuckError):
        wire.transfer(ADDRESS, ID)


@pytest.mark.parametrize("fault", ["nack", "stuck_high"])
def test_a_bus_without_acknowledge_answers_nobody(wire: MockI2cBus, rig: Rig, fault: str) -> None:
    rig.world.set("i2c1.fault", fault)
    assert answers(wire, 2) == [None, None]


def test_a_bus_that_is_not_there_cannot_be_opened(rig: Rig) -> None:
    bus = rig.i2c("i2c1")
    rig.world.set("i2c1.fault", "unplug")
    with pytest.raises(BusMissingError, match="i2c1 is not there; is its adapter plugged in"):
        bus.transfer(ADDRESS, ID)
