"""Probing: what configured devices answer, and the careful search of an I2C bus."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest
from hal.seams import KernelI2c

from leyden.appliance import drivers
from leyden.appliance.assemble import Appliance, assemble
from leyden.appliance.config import load
from leyden.appliance.probe import (
    AddressFinding,
    DeviceFinding,
    Found,
    ScanError,
    outputs_on,
    probe_devices,
    scan,
)
from leyden.hal.errors import BusError, BusStuckError, InUseError
from leyden.hal.guard import GuardedI2c
from leyden.hal.i2c import Message, Read, Write, no_answer
from leyden.hal.linux.i2c import open_i2c
from leyden.hal.mock.i2c import MockI2cBus
from leyden.hal.mock.world import World
from leyden.kernel import (
    Channel,
    Device,
    Direction,
    Placement,
    SimulatedExecutor,
    SystemExecutor,
)

MANUAL = Path(__file__).parents[2] / "app" / "leyden" / "manual"


@pytest.fixture
def executor() -> Iterator[SimulatedExecutor]:
    made = SimulatedExecutor()
    yield made
    made.close()


@pytest.fixture
def appliance(executor: SimulatedExecutor) -> Iterator[Appliance]:
    made = assemble(load(MANUAL / "greenhouse.toml", mock=True), executor)
    yield made
    made.close()


def set_world(appliance: Appliance, name: str, value: object) -> None:
    assert appliance.world is not None
    appliance.world.set(name, value)  # type: ignore[arg-type]  # whatever a signal takes


def asked(appliance: Appliance, executor: SimulatedExecutor) -> dict[str, DeviceFinding]:
    found = probe_devices(appliance, executor, lambda _: None)
    return {each.id: each for each in found}


class RawBus:
    """A bus of its own making: what it is asked is noted, what it answers is told to it."""

    def __init__(self, *present: int, errors: dict[int, BusError] | None = None) -> None:
        self.name = "i2c9"
        self.speed_hz = 100_000
        self.asked: dict[int, list[Message]] = {}
        self._present = present
        self._errors = errors or {}

    def transfer(
        self, address: int, messages: Sequence[Message], *, deadline: int | None = None
    ) -> list[bytes]:
        self.asked.setdefault(address, []).extend(messages)
        if address in self._errors:
            raise self._errors[address]
        if address not in self._present:
            raise no_answer(self.name, address)
        return [b"\x00" * message.length for message in messages if isinstance(message, Read)]

    def close(self) -> None:
        """Nothing was opened."""


def search(raw: RawBus, asked: dict[int, DeviceFinding] | None = None) -> list[AddressFinding]:
    executor = SimulatedExecutor()
    bus = GuardedI2c("i2c9", lambda: raw, executor.clock)
    try:
        return list(scan(bus, executor, lambda _: None, asked))
    finally:
        executor.close()


# Devices


def test_every_device_of_the_greenhouse_is_found(
    appliance: Appliance, executor: SimulatedExecutor
) -> None:
    found = {id: each.found for id, each in asked(appliance, executor).items()}
    assert found == {
        "air": Found.FOUND,
        "soil": Found.FOUND,
        "dust": Found.FOUND,
        "door": Found.UNASKED,
        "vent": Found.UNASKED,
        "host": Found.FOUND,
    }


def test_a_device_that_was_found_is_told_with_its_witness(
    appliance: Appliance, executor: SimulatedExecutor
) -> None:
    air = asked(appliance, executor)["air"]
    assert (air.driver, air.bus, air.address) == ("bme280", "i2c1", "0x76")
    assert air.detail == appliance.runtime.device("air").witness


@pytest.mark.parametrize(
    ("signal", "value", "id", "found", "words"),
    [
        ("air.present", False, "air", Found.ABSENT, "no answer from 0x76"),
        ("air.fault", "stuck_low", "air", Found.TROUBLE, "the data line is dead"),
        ("i2c1.fault", "stuck_low", "air", Found.TROUBLE, "did not move"),
        ("i2c1.fault", "unplug", "air", Found.TROUBLE, "is its adapter plugged in"),
        ("dust.present", False, "dust", Found.ABSENT, "no frame yet"),
        ("soil.present", False, "soil", Found.ABSENT, "0 V"),
    ],
)
def test_what_is_wrong_is_told_in_words(
    appliance: Appliance, executor: SimulatedExecutor, signal: str, value: object, id: str,
    found: Found, words: str,
) -> None:  # fmt: skip
    set_world(appliance, signal, value)
    finding = asked(appliance, executor)[id]
    assert finding.found is found
    assert words in finding.detail


def test_a_bus_that_hangs_is_given_up_and_the_others_are_asked(
    appliance: Appliance, executor: SimulatedExecutor
) -> None:
    set_world(appliance, "i2c1.fault", "hang")
    found = asked(appliance, executor)
    assert found["air"].found is Found.TROUBLE
    assert found["air"].detail == "the transfer to 0x76 does not come back"
    assert found["soil"].found is Found.FOUND


def test_a_driver_that_breaks_is_named_and_the_others_are_asked(
    appliance: Appliance, executor: SimulatedExecutor
) -> None:
    class Broken(Device[object]):  # type: ignore[type-var]  # it never reads
        def channels(self) -> tuple[Channel, ...]:
            return (Channel("x"),)

        def probe(self) -> None:
            raise ZeroDivisionError("division by zero")

    appliance.runtime.add_device(Broken(), "broken", place=Placement("broken"))
    broken = asked(appliance, executor)["broken"]
    assert broken.found is Found.TROUBLE
    assert broken.detail == "the driver failed: ZeroDivisionError: division by zero"


def test_a_machine_without_a_bus_is_told_what_to_switch_on() -> None:
    executor = SystemExecutor()
    plan = load(MANUAL / "greenhouse.toml")
    appliance = assemble(plan, executor)
    try:
        found = {each.id: each for each in probe_devices(appliance, executor, lambda _: None)}
    finally:
        appliance.close()
    assert found["soil"].found is Found.TROUBLE
    assert "switch SPI on" in found["soil"].detail


# Addresses


def test_most_addresses_get_an_empty_write_and_memories_a_read() -> None:
    raw = RawBus()
    search(raw)
    assert sorted(raw.asked) == list(range(0x08, 0x78))
    reads = {address for address, messages in raw.asked.items() if Read(1) in messages}
    assert reads == {*range(0x30, 0x38), *range(0x50, 0x60)}
    others = [messages for address, messages in raw.asked.items() if address not in reads]
    assert all(set(messages) == {Write(b"")} for messages in others)


def test_silence_is_not_reported() -> None:
    assert search(RawBus()) == []


def test_a_part_that_no_driver_knows_is_told_of() -> None:
    (found,) = search(RawBus(0x3C))
    assert (found.address, found.found, found.candidates) == (0x3C, Found.FOUND, ())
    assert found.detail == "no driver knows a part at this address"


def test_a_configured_address_is_not_asked_again() -> None:
    raw = RawBus(0x76)
    air = DeviceFinding("air", "bme280", "i2c9", "0x76", Found.FOUND, "chip id 0x60")
    (found,) = search(raw, {0x76: air})
    assert (found.device, found.found) == ("air", Found.FOUND)
    assert 0x76 not in raw.asked


def test_an_address_of_a_kernel_driver_is_told_and_not_touched() -> None:
    error = InUseError("0x68 on i2c9 belongs to the kernel driver rtc-ds1307")
    (found,) = search(RawBus(errors={0x68: error}))
    assert (found.address, found.found) == (0x68, Found.KERNEL)
    assert "rtc-ds1307" in found.detail


def test_a_controller_that_cannot_send_an_address_alone_is_not_made_to_read() -> None:
    raw = RawBus(errors={0x20: BusError("transfer to 0x20 failed: Operation not supported")})
    (found,) = search(raw)
    assert (found.address, found.found) == (0x20, Found.UNKNOWN)
    assert raw.asked[0x20] == [Write(b"")]


def test_a_stuck_bus_ends_the_search_and_keeps_what_was_found() -> None:
    executor = SimulatedExecutor()
    raw = RawBus(0x20, errors={0x40: BusStuckError("i2c9 did not move")})
    bus = GuardedI2c("i2c9", lambda: raw, executor.clock)
    findings = scan(bus, executor, lambda _: None)
    assert next(findings).address == 0x20
    with pytest.raises(ScanError, match="did not move"):
        next(findings)
    executor.close()


def test_a_bus_that_hangs_ends_the_search(
    appliance: Appliance, executor: SimulatedExecutor
) -> None:
    set_world(appliance, "i2c1.fault", "hang")
    bus = appliance.rig.buses["i2c1"]
    assert isinstance(bus, GuardedI2c)
    with pytest.raises(ScanError, match="transfer to 0x08 does not come back"):
        list(scan(bus, executor, lambda _: None))


def test_a_part_without_a_place_in_the_configuration_is_recognised(
    appliance: Appliance, executor: SimulatedExecutor
) -> None:
    bus = appliance.rig.buses["i2c1"]
    assert isinstance(bus, GuardedI2c)
    (found,) = scan(bus, executor, lambda _: None)
    assert (found.address, found.candidates) == (0x76, ("bme280",))


def test_a_relative_of_a_known_part_is_named() -> None:
    class Bmp280(RawBus):
        """Says chip id 0x58 wherever it is read."""

        def transfer(
            self, address: int, messages: Sequence[Message], *, deadline: int | None = None
        ) -> list[bytes]:
            answers = super().transfer(address, messages, deadline=deadline)
            return [b"\x58" * len(each) for each in answers]

    (found,) = search(Bmp280(0x77))
    assert found.candidates == ()
    assert "a BMP280, which has no humidity sensor" in found.detail


def test_the_search_goes_through_the_real_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, executor: SimulatedExecutor
) -> None:
    world = World(executor.clock)
    wire = MockI2cBus("i2c9", executor, world)
    model = drivers.load("bme280").model()
    assert model is not None
    wire.plug(model(world, "air", drivers.load("bme280").options(), executor.clock))
    kernel = KernelI2c(wire, tmp_path, monkeypatch)
    kernel.own(0x50, "at24")
    opener = partial(open_i2c, str(kernel.path), name="i2c9", sysfs=kernel.sysfs)
    bus = GuardedI2c("i2c9", opener, executor.clock)
    found = {each.address: each for each in scan(bus, executor, lambda _: None)}
    bus.close()
    assert found.keys() == {0x50, 0x76}
    assert found[0x50].found is Found.KERNEL
    assert found[0x76].candidates == ("bme280",)


def test_a_bus_that_drives_outputs_is_known_by_its_devices(
    appliance: Appliance, executor: SimulatedExecutor
) -> None:
    class Expander(Device[object]):  # type: ignore[type-var]  # it never reads
        bus_kind = "i2c"

        def channels(self) -> tuple[Channel, ...]:
            return (Channel("valve", bool, direction=Direction.OUT),)

    assert outputs_on(appliance, "i2c1") == ()
    bus = appliance.rig.buses["i2c1"]
    place = Placement("valves")
    appliance.runtime.add_device(Expander(), "valves", transport=bus, place=place)
    assert outputs_on(appliance, "i2c1") == ("valves",)
    assert outputs_on(appliance, "header") == ("vent",)


def test_asking_says_what_is_asked_next(appliance: Appliance, executor: SimulatedExecutor) -> None:
    notes: list[str] = []
    list(probe_devices(appliance, executor, notes.append))
    assert notes[:2] == ["asking air", "asking soil"]
