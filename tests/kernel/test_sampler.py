"""A bus's lane: one thread whoever asks, and what hangs, comes late, dies or is taken away."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from functools import partial

import pytest
from kernel.parts import Rig, Thermometer

from leyden.kernel import (
    BAD,
    GOOD,
    ComponentError,
    Delivery,
    DeviceState,
    DuplicateError,
    Event,
    Intent,
    NotReadyError,
    Outcome,
    Placement,
    Role,
    Runtime,
    Value,
)

HUNG_SHUTDOWN_S = 2.5  # one wait for the lane, one for those that are stopped beside it


class Wire:
    """A bus that does nothing but remember who was allowed to use it."""

    def __init__(self, name: str = "i2c1") -> None:
        self.name = name
        self.holders: list[str] = []
        self.on_abandon: Callable[[], str] = lambda: "transfer to 0x76"

    def allow(self, holder: str, until_ns: int) -> None:
        self.holders.append(holder)

    def release(self) -> None:
        pass

    def abandon(self) -> str:
        return self.on_abandon()

    def status(self) -> Mapping[str, Value]:
        return {}


def seconds(rig: Rig) -> float:
    return rig.executor.clock.monotonic_ns() / 1e9


def test_what_returns_after_its_device_was_removed_is_void(rig: Rig) -> None:
    never = rig.executor.signal()
    air = Thermometer()
    rig.runtime.add_device(air, "air")
    rig.runtime.boot()
    rig.run_for(1.5)
    air.before["read"] = never.wait
    rig.run_for(0.6)
    rig.runtime.remove("air")
    heard = len(rig.events)
    never.set()
    rig.run_for(1)
    assert rig.events[heard:] == []


def test_what_returns_after_a_shutdown_is_void(rig: Rig) -> None:
    never = rig.executor.signal()
    air = Thermometer()
    rig.runtime.add_device(air, "air")
    rig.runtime.boot()
    rig.run_for(1.5)
    air.before["read"] = never.wait
    rig.run_for(0.6)
    rig.runtime.shutdown()
    never.set()
    rig.run_for(1)
    assert rig.routes()[-1] == "runtime.shutdown"


def test_a_removed_device_that_hung_can_be_added_again_and_is_read(rig: Rig) -> None:
    never = rig.executor.signal()
    hung, fresh = Thermometer(), Thermometer()
    wire = Wire()
    rig.runtime.add_device(hung, "air", transport=wire)
    rig.runtime.boot()
    rig.run_for(1.5)
    hung.before["read"] = never.wait
    rig.run_for(0.6)
    rig.runtime.remove("air")
    fresh.value = 17.0
    rig.runtime.add_device(fresh, "air", transport=wire)
    rig.run_for(3)
    never.set()
    rig.run_for(3)
    assert {event.value for event in rig.of("air.temperature")[-4:]} == {17.0}


def test_a_device_removed_before_boot_is_not_touched(rig: Rig) -> None:
    air = Thermometer()
    rig.runtime.add_device(air, "air")
    rig.runtime.remove("air")
    assert (air.calls, rig.routes(), seconds(rig)) == ([], [], 0.0)


def test_a_bus_that_hangs_with_all_its_devices_holds_no_shutdown_up(rig: Rig) -> None:
    never = rig.executor.signal()
    wire = Wire()
    other, hung = Thermometer(), [Thermometer() for _ in range(8)]
    rig.runtime.add_device(other, "other")
    for i, device in enumerate(hung):
        rig.runtime.add_device(device, f"d{i}", transport=wire)
    rig.runtime.boot()
    rig.run_for(1.5)
    for device in hung:
        device.before["read"] = device.before["stop"] = never.wait
    rig.run_for(1.2)
    before = seconds(rig)
    rig.runtime.shutdown()
    assert seconds(rig) - before <= HUNG_SHUTDOWN_S
    assert other.calls[-1] == "stop"
    assert [device.calls.count("stop") for device in hung] == [1] * 8


def test_a_stop_that_hangs_is_not_begun_a_second_time(rig: Rig) -> None:
    never = rig.executor.signal()
    air = Thermometer()
    air.before["stop"] = never.wait
    rig.runtime.add_device(air, "air")
    rig.runtime.boot()
    rig.run_for(1.5)
    rig.runtime.shutdown()
    assert air.calls.count("stop") == 1


def test_a_bus_that_cannot_be_opened_again_is_said_and_the_others_are_watched_on(rig: Rig) -> None:
    never = rig.executor.signal()

    def gone() -> str:
        raise OSError("No such device")

    wire, air, soil = Wire(), Thermometer(), Thermometer()
    wire.on_abandon = gone
    rig.runtime.add_device(air, "air", transport=wire)
    rig.runtime.add_device(soil, "soil")
    rig.runtime.boot()
    rig.run_for(1.5)
    air.before["read"] = never.wait
    rig.run_for(3)
    newest = rig.of("air.temperature")[-1]
    assert newest.quality is BAD
    assert newest.detail == "i2c1 hangs: it cannot be opened again: No such device"
    soil.before["read"] = never.wait
    rig.run_for(3)
    assert rig.of("soil.temperature")[-1].quality is BAD


def test_a_driver_that_exits_python_costs_one_reading_not_the_bus(rig: Rig) -> None:
    air = Thermometer()
    air.before["read"] = partial(sys.exit, 1)
    rig.runtime.add_device(air, "air")
    rig.runtime.boot()
    rig.run_for(1.5)
    fault = rig.runtime.devices()[0].fault
    assert fault is not None
    assert fault.reason == "driver_error"
    del air.before["read"]
    rig.run_for(6)
    assert rig.of("air.temperature")[-1].quality is GOOD


def test_a_lane_whose_thread_has_died_gets_another(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[object] = []
    monkeypatch.setattr(threading, "excepthook", reported.append)
    air = Thermometer()
    attachment = rig.runtime.add_device(air, "air")
    rig.runtime.boot()
    rig.run_for(1.5)

    def broken() -> float:
        del attachment.step
        raise MemoryError("the lane itself")

    attachment.step = broken  # type: ignore[method-assign]
    rig.run_for(5)
    assert len(reported) == 1
    assert rig.of("air.temperature")[-1].mono / 1e9 > seconds(rig) - 1.1


def test_a_handler_in_the_lane_itself_may_write_to_the_device(rig: Rig) -> None:
    class Vent(Thermometer):
        def write(self, channel: str, value: Value) -> None:
            self.calls.append(f"{channel}={value}")

    vent, outcomes = Vent(), list[Outcome]()
    intent = Intent("device.write", {"route": "vent.lid", "value": 1}, role=Role.OPERATOR)

    def answer(event: Event) -> None:
        outcomes.append(rig.runtime.submit(intent).outcome)

    rig.runtime.add_device(vent, "vent")
    rig.runtime.events.subscribe(
        answer, name="rule", prefix="vent.temperature", delivery=Delivery.INLINE
    )
    rig.runtime.boot()
    rig.run_for(2.5)
    assert outcomes == [Outcome.DONE] * 3
    assert rig.runtime.devices()[0].state is DeviceState.ONLINE


def test_a_handler_in_the_lane_itself_may_remove_the_device(rig: Rig) -> None:
    air = Thermometer()
    rig.runtime.add_device(air, "air")
    rig.runtime.boot()
    rig.runtime.events.subscribe(
        lambda event: rig.runtime.remove("air"),
        name="rule",
        prefix="air.temperature",
        delivery=Delivery.INLINE,
    )
    rig.run_for(3)
    assert rig.runtime.devices() == ()
    assert (air.calls.count("read"), air.calls[-1]) == (2, "stop")
    assert rig.of("air.temperature")[-1].quality is BAD


def test_devices_added_from_many_threads_share_one_thread_of_their_bus() -> None:
    runtime, wire = Runtime("crowd"), Wire()
    runtime.boot()
    ready = threading.Barrier(8)

    def add(i: int) -> None:
        ready.wait(10)
        runtime.add_device(Thermometer(), f"d{i}", transport=wire)

    adders = [threading.Thread(target=add, args=(i,)) for i in range(8)]
    for each in adders:
        each.start()
    for each in adders:
        each.join(10)
    lanes = [thread for thread in threading.enumerate() if thread.name == "lane.i2c1"]
    runtime.shutdown()
    assert len(lanes) == 1


def test_the_nearer_deadline_comes_first_and_no_device_of_a_busy_bus_starves(rig: Rig) -> None:
    wire, fast, slow = Wire(), Thermometer(), Thermometer()
    fast.before["read"] = partial(rig.executor.clock.sleep, 0.15)
    rig.runtime.add_device(fast, "fast", transport=wire, every_s=0.1)
    rig.runtime.add_device(slow, "slow", transport=wire, every_s=1.0)
    rig.runtime.boot()
    rig.run_for(20)
    figures = {status.id: status.timing for status in rig.runtime.devices()}
    assert 17 <= len(rig.of("slow.temperature")) <= 21
    assert figures["fast"].overruns > 0
    assert figures["slow"].overruns <= 1


@pytest.mark.parametrize("period_s", [0.0, -1.0, 1e-5, float("nan"), float("inf")])
def test_a_period_that_is_none_is_refused_in_words(rig: Rig, period_s: float) -> None:
    with pytest.raises(ComponentError, match=r"device air: found period_s .*, expected 0.001"):
        rig.runtime.add_device(Thermometer(), "air", every_s=period_s)


def test_two_buses_of_one_name_are_refused_and_one_opened_anew_is_not(rig: Rig) -> None:
    old, new = Wire(), Wire()
    rig.runtime.boot()
    rig.runtime.add_device(Thermometer(), "air", transport=old)
    with pytest.raises(DuplicateError, match='two buses are called "i2c1"'):
        rig.runtime.add_device(Thermometer(), "soil", transport=new)
    rig.runtime.remove("air")
    rig.runtime.add_device(Thermometer(), "soil", transport=new)
    rig.run_for(2)
    assert "soil" in new.holders
    assert "soil" not in old.holders


def test_a_part_that_needs_time_after_it_was_away_for_long_comes_back(rig: Rig) -> None:
    air = Thermometer()
    rig.runtime.add_device(air, "air")
    rig.runtime.boot()
    rig.run_for(2)
    air.present = False
    rig.run_for(60)
    air.present = True
    air.fail["read"] = NotReadyError("measuring")
    rig.run_for(6)
    del air.fail["read"]
    starts = air.calls.count("start")
    rig.run_for(1.1)
    assert rig.of("air.temperature")[-1].quality is GOOD
    assert starts <= 4  # not one for every time it was not ready


def test_a_device_that_is_absent_again_at_a_second_boot_is_reported_again(rig: Rig) -> None:
    air = Thermometer()
    air.present = False
    rig.runtime.add_device(air, "air", place=Placement("air"))
    for _ in range(2):
        rig.runtime.boot()
        rig.run_for(1)
        rig.runtime.shutdown()
    assert len(rig.of("device.air.failed")) == 2


@pytest.mark.parametrize("value", [True, "warm", None, float("nan"), float("inf"), b"1"])
def test_what_is_no_number_is_never_good_on_a_channel_of_numbers(rig: Rig, value: Value) -> None:
    air = Thermometer()
    air.value = value
    rig.runtime.add_device(air, "air")
    rig.runtime.boot()
    newest = rig.of("air.temperature")[-1]
    assert (newest.value, newest.quality) == (None, BAD)
