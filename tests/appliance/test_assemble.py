"""The whole greenhouse in simulated time: assembled, run, broken, healed, and alike twice."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import pytest

from leyden.appliance.assemble import assemble
from leyden.appliance.config import load
from leyden.appliance.plan import Plan
from leyden.kernel import BAD, GOOD, Intent, LeydenError, Role, SimulatedExecutor

GREENHOUSE = Path(__file__).parents[2] / "app/leyden/manual/greenhouse.toml"
SAMPLE_ROUTES = (
    *("air.temperature", "air.humidity", "air.pressure", "soil.moisture_1", "dust.pm2_5"),
    *("vent.state", "host.load", "host.memory_used"),
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


def test_a_misspelt_signal_of_the_world_is_found(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text(GREENHOUSE.read_text().replace('"air.humidity" =', '"air.humidty" ='))
    with pytest.raises(LeydenError, match="no chip senses air.humidty"):
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
