"""Buses under the kernel: real samplers, real guards, modelled wires; and a real line replugged."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import pytest
from hal.parts import ADDRESS, Options, ThermoChip, ThermoPort
from hal.test_uart import Pty

from leyden.hal import BusLostError, BusMissingError, I2cBus
from leyden.hal.guard import GuardedUart
from leyden.hal.linux.uart import open_uart
from leyden.hal.mock.rig import Rig
from leyden.kernel import (
    NS,
    Delivery,
    Device,
    Event,
    Reading,
    Runtime,
    SimulatedExecutor,
    Span,
    SystemClock,
    WrongDeviceError,
)
from leyden.units import Celsius


@dataclass(frozen=True, slots=True, kw_only=True)
class Warmth(Reading):
    temperature: Annotated[Celsius, Span("Cel", -40, 85, step=0.01)]


class Thermometer(Device[Warmth]):
    """A driver as drivers are written."""

    reading = Warmth
    witness = "device id"

    def __init__(self, bus: I2cBus, address: int = ADDRESS) -> None:
        self.port = ThermoPort(bus, address)

    def probe(self) -> None:
        if self.port.device_id != 0x0117:
            raise WrongDeviceError("another part answers")

    def check(self) -> None:
        self.probe()

    def read(self) -> Warmth:
        return Warmth(temperature=Celsius(self.port.temp_result / 128))


class House:
    """Two thermometers on one bus, one on another."""

    def __init__(self, seed: int = 1) -> None:
        self.executor = SimulatedExecutor()
        self.rig = Rig(self.executor, seed=seed)
        self.runtime = Runtime("house", executor=self.executor)
        self.events: list[Event] = []
        self.runtime.events.subscribe(
            self.events.append, name="test", prefix="", delivery=Delivery.INLINE
        )
        for bus, device, address in (
            ("i2c1", "air", 0x48),
            ("i2c1", "soil", 0x49),
            ("i2c2", "roof", 0x48),
        ):
            guard = self.rig.buses.get(bus) or self.rig.i2c(bus)
            self.rig.plug(bus, ThermoChip, device, Options(address=address))
            driver = Thermometer(guard, address)  # type: ignore[arg-type]  # made above as I2C
            self.runtime.add_device(driver, device, transport=guard)
        self.runtime.boot()

    def run(self, seconds: float) -> None:
        self.executor.run_for(seconds)

    def latest(self, device: str) -> Event:
        event = self.runtime.events.latest(f"{device}.temperature")
        assert event is not None
        return event

    def age_s(self, device: str) -> float:
        return (self.executor.clock.monotonic_ns() - self.latest(device).mono) / NS

    def close(self) -> None:
        self.runtime.request_shutdown("the test is over")
        self.runtime.shutdown()
        self.rig.close()
        self.executor.close()


@pytest.fixture
def house() -> Iterator[House]:
    made = House()
    yield made
    made.close()


def test_three_thermometers_on_two_buses_are_read(house: House) -> None:
    house.run(5.0)
    assert [house.latest(d).value for d in ("air", "soil", "roof")] == [21.0] * 3


def test_a_hung_call_takes_its_bus_down_and_no_other(house: House) -> None:
    house.run(3.0)
    house.rig.world.set("air.fault", "hang")
    house.run(10.0)
    air, soil = house.latest("air"), house.latest("soil")
    assert (air.quality.word, air.reason, air.value) == ("bad", "no_data", None)
    assert "transfer to 0x48" in air.detail
    assert house.latest("roof").quality.word == "good"
    assert house.age_s("roof") <= 1.5
    assert soil.mono > 0


def test_after_a_hang_everything_is_read_again(house: House) -> None:
    house.run(3.0)
    house.rig.world.set("air.fault", "hang")
    house.run(10.0)
    house.rig.world.set("air.fault", "none")
    house.run(60.0)
    for device in ("air", "soil", "roof"):
        assert (house.latest(device).quality.word, house.latest(device).value) == ("good", 21.0)
        assert house.age_s(device) <= 1.5
    assert house.rig.buses["i2c1"].status()["abandoned"] >= 1


def test_an_unplugged_chip_is_bad_in_words_and_good_again_without_a_restart(house: House) -> None:
    house.run(3.0)
    house.rig.world.set("air.present", False)
    house.run(5.0)
    assert "no answer from 0x48 on i2c1" in house.latest("air").detail
    assert house.latest("soil").quality.word == "good"
    house.rig.world.set("air.present", True)
    house.run(60.0)
    assert house.latest("air").quality.word == "good"


def test_two_runs_of_one_seed_give_one_digest() -> None:
    def digest(seed: int) -> str:
        house = House(seed)
        house.rig.world.set("air.fault", "nack 40 %")
        house.rig.world.set("soil.fault", "slow 20 ms")
        house.rig.world.set("roof.fault", "crc_error 5 %")
        house.run(120.0)
        lines = b"\n".join(msgspec.json.encode(event) for event in house.events)
        house.close()
        assert len(house.events) > 300
        return hashlib.sha256(lines).hexdigest()

    assert digest(1) == digest(1)
    assert digest(1) != digest(2)


def test_a_real_line_is_opened_again_when_its_adapter_is_back(tmp_path: Path) -> None:
    clock = SystemClock()
    by_id = tmp_path / "usb-dust-sensor"
    first = Pty()
    by_id.symlink_to(first.path)
    uart = GuardedUart(
        "uart0", lambda: open_uart(str(by_id), name="uart0", clock=clock), clock, path=str(by_id)
    )

    def read(limit: int) -> bytes:
        return uart.read(limit, deadline=clock.monotonic_ns() + NS)

    uart.flush_input()  # opens it
    first.say(b"T=21.")
    assert read(5) == b"T=21."
    first.close()
    by_id.unlink()
    with pytest.raises(BusLostError):
        read(5)
    with pytest.raises(BusMissingError):
        read(5)

    second = Pty()
    by_id.symlink_to(second.path)
    uart.flush_input()
    second.say(b"T=22.5\n")
    # Nothing of the line that broke off is in front of the new one.
    assert read(64).startswith(b"T=22")
    assert uart.status()["opened"] == 2
    uart.close()
    second.close()
