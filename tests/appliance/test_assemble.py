"""The whole greenhouse in simulated time: assembled, run, broken, healed, and alike twice."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from leyden.appliance.assemble import Appliance, Opening, assemble
from leyden.appliance.config import load
from leyden.appliance.plan import Plan, decode, encode
from leyden.hal import Bias
from leyden.hal.mock.gpio import MockGpioChip
from leyden.hal.mock.rig import Rig
from leyden.kernel import (
    BAD,
    GOOD,
    UNCERTAIN,
    Delivery,
    Event,
    Intent,
    LeydenError,
    Role,
    SimulatedExecutor,
)

GREENHOUSE = Path(__file__).parents[2] / "app/leyden/manual/greenhouse.toml"
SAMPLE_ROUTES = (
    *("air.temperature", "air.humidity", "air.pressure", "soil.moisture_1", "dust.pm2_5"),
    *("vent.state", "host.load", "host.memory_used"),
)


class Bench:
    """An appliance in simulated time."""

    def __init__(self, plan: Plan) -> None:
        self.executor = SimulatedExecutor()
        self.appliance: Appliance = assemble(plan, self.executor)
        self.events = self.appliance.runtime.events
        self.seen: list[Event] = []
        self.events.subscribe(self.seen.append, name="bench", delivery=Delivery.INLINE)

    def boot(self, seconds: float) -> Bench:
        self.appliance.runtime.boot()
        self.executor.run_for(seconds)
        return self

    def set(self, name: str, value: float | bool | str) -> None:
        assert self.appliance.world is not None
        self.appliance.world.set(name, value)

    def latest(self, route: str) -> Event:
        found = self.events.latest(route)
        assert found is not None
        return found

    def level(self, line: int) -> bool:
        """The level of a line, seen from outside."""
        assert isinstance(self.appliance.rig, Rig)
        wire = self.appliance.rig.wires["header"]
        assert isinstance(wire, MockGpioChip)
        return wire.level(line, Bias.DOWN, self.executor.clock.monotonic_ns())

    def close(self) -> None:
        self.appliance.runtime.shutdown("test over")
        self.appliance.close()
        self.executor.close()


@pytest.fixture
def plan() -> Plan:
    return load(GREENHOUSE, mock=True)


@pytest.fixture
def bench(plan: Plan) -> Iterator[Bench]:
    made = Bench(plan)
    yield made
    made.close()


def test_a_plan_survives_the_way_to_another_process(plan: Plan) -> None:
    assert decode(encode(plan)) == plan


def test_every_sample_route_is_good_after_a_minute(bench: Bench) -> None:
    bench.boot(60)
    for route in SAMPLE_ROUTES:
        assert bench.latest(route).quality is GOOD, bench.latest(route)
    assert abs(bench.latest("air.temperature").value - 22) < 4


def test_derived_routes_name_the_reading_they_follow_from(bench: Bench) -> None:
    bench.boot(60)
    calm = bench.latest("flow.air_temperature")
    cause = next(event for event in bench.seen if event.n == calm.cause)
    assert cause.route == "air.temperature"
    assert calm.trace == cause.n


@pytest.mark.parametrize(
    ("device", "route", "period"),
    [("air", "air.temperature", 1), ("soil", "soil.moisture_1", 2), ("dust", "dust.pm2_5", 3)],
)
def test_unplugging_a_chip_turns_its_channels_bad_in_time_and_plugging_it_in_heals_them(
    bench: Bench, device: str, route: str, period: float
) -> None:
    bench.boot(60)
    bench.set(f"{device}.present", False)
    bench.executor.run_for(max(3 * period, 2) + 0.5)
    lost = bench.latest(route)
    assert (lost.quality, lost.value) == (BAD, None)
    assert len(lost.detail) > 10
    bench.set(f"{device}.present", True)
    bench.executor.run_for(45)  # the dust sensor warms up again
    assert bench.latest(route).quality is GOOD
    healthy = {status.id for status in bench.appliance.runtime.devices() if status.id != device}
    failed = [e.route for e in bench.seen if e.route.endswith(".failed") and e.n > 100]
    assert not [name for name in failed if name.split(".")[1] in healthy]


def test_a_write_moves_the_vent_and_shutdown_makes_it_safe(bench: Bench) -> None:
    bench.boot(5)
    runtime = bench.appliance.runtime
    payload = {"route": "vent.state", "value": True}
    intent = Intent("device.write", payload, "test", Role.OPERATOR)
    bench.executor.start_lane("asker", lambda: runtime.submit(intent))
    bench.executor.run_for(3)
    assert bench.latest("vent.state").value is True
    assert bench.level(22) is True
    runtime.shutdown("enough")
    assert bench.level(22) is False


def test_a_hung_gpio_bus_lets_the_lease_run_out_and_the_vent_goes_safe(bench: Bench) -> None:
    bench.boot(5)
    runtime = bench.appliance.runtime
    payload = {"route": "vent.state", "value": True}
    intent = Intent("device.write", payload, "test", Role.OPERATOR)
    bench.executor.start_lane("asker", lambda: runtime.submit(intent))
    bench.executor.run_for(3)
    never = bench.executor.signal()
    runtime.device("door").read = never.wait  # type: ignore[method-assign]  # hangs
    bench.executor.run_for(6)
    assert bench.level(22) is False
    assert [event for event in bench.seen if event.route == "output.lease_expired"]


def test_openings_are_told_once_at_boot_after_who_it_is(plan: Plan) -> None:
    executor = SimulatedExecutor()
    opening = Opening(
        "runtime.configuration", {"state": "default"}, "configuration", UNCERTAIN, "fallback", "why"
    )
    appliance = assemble(plan, executor, openings=[opening])
    seen: list[Event] = []
    appliance.runtime.events.subscribe(seen.append, name="bench", delivery=Delivery.INLINE)
    try:
        appliance.runtime.boot()
        executor.run_for(5)
    finally:
        appliance.runtime.shutdown("test over")
        appliance.close()
        executor.close()
    routes = [event.route for event in seen]
    assert routes[:3] == ["runtime.identity", "runtime.booting", "runtime.configuration"]
    assert routes.count("runtime.configuration") == 1
    told = seen[2]
    assert (told.quality, told.reason, told.detail) == (UNCERTAIN, "fallback", "why")


def test_a_misspelt_signal_of_the_world_is_found(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text(GREENHOUSE.read_text().replace('"air.humidity" =', '"air.humidty" ='))
    with pytest.raises(LeydenError, match=r"air.humidty: no chip senses it"):
        assemble(load(file, mock=True), SimulatedExecutor())


def test_real_buses_that_are_not_there_leave_an_appliance_that_says_so(plan: Plan) -> None:
    bench = Bench(msgspec.structs.replace(plan, mock=False, world={})).boot(10)
    states = {status.id: status for status in bench.appliance.runtime.devices()}
    assert states["host"].state == "online"
    fault = states["air"].fault
    assert fault is not None
    assert "/dev/i2c-1" in fault.detail
    bench.close()


def test_a_simulated_hour_of_the_greenhouse_twice_gives_one_digest(plan: Plan) -> None:
    # The machine itself is real, and so not alike twice.
    devices = tuple(device for device in plan.devices if device.driver != "host")
    world = {**plan.world, "air.fault": {"step": {
        "points": [["0 s", "none"], ["5 min", "nack 30 %"], ["10 min", "stuck_high"]],
        "repeat": "15 min",
    }}}  # fmt: skip
    modelled = msgspec.structs.replace(plan, devices=devices, world=world)

    def hour() -> str:
        bench = Bench(modelled).boot(3600)
        digest = hashlib.sha256()
        for event in bench.seen:
            if event.route != "runtime.identity":
                digest.update(repr(event).encode())
        assert len(bench.seen) > 20_000
        bench.close()
        return digest.hexdigest()

    assert hour() == hour()
