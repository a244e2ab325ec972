"""A device in its place: attached, read, doubted, lost, found again."""

from __future__ import annotations

import itertools

import pytest
from kernel.parts import Rig, Thermometer

from leyden.kernel import (
    BAD,
    GOOD,
    UNCERTAIN,
    BootError,
    ChecksumError,
    ComponentError,
    DeviceResetError,
    DeviceState,
    Doubt,
    IfAbsent,
    NoDataError,
    NotReadyError,
    Placement,
    Reading,
    WrongDeviceError,
)


def boot_with(rig: Rig, device: Thermometer, **place: object) -> None:
    rig.runtime.add_device(device, "air", place=Placement("air", **place))  # type: ignore[arg-type]
    rig.runtime.boot()


def test_a_device_is_probed_started_checked_and_read_every_period(rig: Rig) -> None:
    air = Thermometer()
    boot_with(rig, air)
    rig.run_for(3.5)
    assert air.calls == ["probe", "start", "check", "read", "read", "read", "read"]
    readings = rig.of("air.temperature")
    assert [event.value for event in readings] == [21.4] * 4
    assert all(event.quality is GOOD for event in readings)
    assert [b.mono - a.mono for a, b in itertools.pairwise(readings)] == [10**9] * 3


def test_the_witness_is_asked_at_its_own_rate(rig: Rig) -> None:
    air = Thermometer()
    boot_with(rig, air, check_s=5.0)
    rig.run_for(20.5)
    assert air.calls.count("check") == 5  # once on attaching, then every five seconds
    assert rig.runtime.devices()[0].witness_result == "ok"


def test_a_dead_device_does_not_stop_a_boot_and_comes_back_by_itself(rig: Rig) -> None:
    air = Thermometer()
    air.present = False
    boot_with(rig, air)
    assert rig.runtime.booted
    assert rig.runtime.devices()[0].state is DeviceState.ABSENT
    newest = rig.runtime.events.latest("air.temperature")
    assert newest is not None
    assert (newest.quality, newest.value, newest.reason) == (BAD, None, "no_data")
    rig.run_for(60)
    assert rig.routes("device.air.failed") == ["device.air.failed"]  # said once, not each retry
    air.present = True
    rig.run_for(6)
    assert rig.runtime.devices()[0].state is DeviceState.ONLINE
    assert rig.of("air.temperature")[-1].quality is GOOD


def test_a_device_that_must_be_there_stops_the_boot(rig: Rig) -> None:
    air = Thermometer()
    air.present = False
    with pytest.raises(BootError, match="device air failed at boot: no answer"):
        boot_with(rig, air, if_absent=IfAbsent.FAIL)


def test_a_device_that_may_be_missing_is_tried_once_a_boot(rig: Rig) -> None:
    air = Thermometer()
    air.present = False
    boot_with(rig, air, if_absent=IfAbsent.IGNORE)
    rig.run_for(60)
    assert air.calls == ["probe"]
    assert rig.runtime.devices()[0].state is DeviceState.ABSENT
    rig.runtime.shutdown()
    air.present = True
    rig.runtime.boot()
    rig.run_for(1)
    assert rig.of("air.temperature")[-1].quality is GOOD


@pytest.mark.parametrize(("period", "limit"), [(0.1, 2.0), (1.0, 3.0), (5.0, 15.0)])
def test_a_lost_device_turns_stale_then_bad_within_three_periods_or_two_seconds(
    rig: Rig, period: float, limit: float
) -> None:
    air = Thermometer()
    # A reading takes its time, a missing acknowledgement does not.
    air.before["read"] = lambda: rig.executor.clock.sleep(0.02 if air.present else 0.0)
    boot_with(rig, air, period_s=period)
    rig.run_for(10 * period + 0.05)  # just after a reading: the longest way to the third failure
    air.present = False
    lost = rig.executor.clock.monotonic_ns()
    rig.run_for(limit + period)
    after = [event for event in rig.of("air.temperature") if event.mono > lost]
    assert (after[0].quality, after[0].reason, after[0].value) == (UNCERTAIN, "stale", 21.4)
    bad = next(event for event in after if event.quality is BAD)
    assert (bad.mono - lost) / 1e9 <= limit
    assert (bad.value, bad.reason) == (None, "no_data")
    assert "no answer" in bad.detail
    good = rig.runtime.events.last_good("air.temperature")
    assert good is not None
    assert good.value == 21.4


def test_a_device_that_answers_again_is_good_again_without_a_restart(rig: Rig) -> None:
    air = Thermometer()
    boot_with(rig, air)
    rig.run_for(2)
    air.present = False
    rig.run_for(30)
    assert rig.runtime.devices()[0].state is DeviceState.OFFLINE
    air.present, air.value = True, 25.0
    rig.run_for(6)
    assert rig.of("air.temperature")[-1].value == 25.0
    assert rig.routes("device.air.") == [
        "device.air.attached",
        "device.air.degraded",
        "device.air.failed",
        "device.air.attached",
    ]


def test_one_failed_read_is_a_doubt_not_a_loss(rig: Rig) -> None:
    air = Thermometer()
    boot_with(rig, air)
    air.fail["read"] = ChecksumError("crc is 0x12, expected 0x34")
    rig.run_for(1.5)
    assert rig.of("air.temperature")[-1].quality is UNCERTAIN
    assert rig.runtime.devices()[0].state is DeviceState.DEGRADED
    del air.fail["read"]
    rig.run_for(1)
    assert rig.runtime.devices()[0].state is DeviceState.ONLINE
    assert rig.routes("device.air.")[-1] == "device.air.recovered"


def test_a_wrong_device_is_failed_and_the_right_one_heals_it(rig: Rig) -> None:
    air = Thermometer()
    air.fail["probe"] = WrongDeviceError("id is 0x58 (BMP280), expected 0x60")
    boot_with(rig, air)
    status = rig.runtime.devices()[0]
    assert status.state is DeviceState.FAILED
    assert status.fault is not None
    assert status.fault.reason == "wrong_device"
    del air.fail["probe"]
    rig.run_for(6)
    assert rig.runtime.devices()[0].state is DeviceState.ONLINE


def test_a_device_that_lost_its_settings_is_started_again_at_once(rig: Rig) -> None:
    air = Thermometer()
    boot_with(rig, air)
    rig.run_for(1.5)
    air.fail["read"] = DeviceResetError("ctrl_meas is 0, expected 0x25")
    air.before["start"] = air.fail.clear  # settings written: well again
    rig.run_for(1)
    assert rig.of("air.temperature")[-1].reason == "stale"
    rig.run_for(1)
    assert rig.of("air.temperature")[-1].quality is GOOD
    assert rig.runtime.devices()[0].resets == 1


def test_nothing_new_is_no_failure_until_it_lasts(rig: Rig) -> None:
    air = Thermometer()
    boot_with(rig, air)
    rig.run_for(1.5)
    air.fail["read"] = NotReadyError("no new conversion")
    rig.run_for(1)
    assert rig.runtime.devices()[0].errors == 0
    rig.run_for(4)
    assert rig.of("air.temperature")[-1].quality is BAD


def test_a_drivers_own_mistake_stays_the_drivers(rig: Rig) -> None:
    air, soil = Thermometer(), Thermometer()
    rig.runtime.add_device(soil, "soil")
    boot_with(rig, air)
    air.fail["read"] = ZeroDivisionError("division by zero")
    rig.run_for(10)
    assert rig.of("air.temperature")[-1].quality is BAD
    assert "ZeroDivisionError" in rig.of("air.temperature")[-1].detail
    assert rig.of("soil.temperature")[-1].quality is GOOD


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -41.0, 85.5, "warm"])
def test_an_impossible_value_is_never_good(rig: Rig, value: float) -> None:
    air = Thermometer()
    air.value = value
    boot_with(rig, air)
    newest = rig.of("air.temperature")[-1]
    assert (newest.quality, newest.value, newest.reason) == (BAD, None, "out_of_range")


def test_a_driver_may_doubt_its_own_value(rig: Rig) -> None:
    class Doubtful(Thermometer):
        def read(self) -> Reading:  # type: ignore[override]
            good = super().read()
            return type(good)(
                temperature=good.temperature,
                doubts={"temperature": Doubt.uncertain("saturated", "at the end of its range")},
            )

    boot_with(rig, Doubtful())
    newest = rig.of("air.temperature")[-1]
    assert (newest.quality, newest.value, newest.reason) == (UNCERTAIN, 21.4, "saturated")


def test_values_are_uncertain_while_the_part_warms_up(rig: Rig) -> None:
    class Slow(Thermometer):
        warm_up_s = 5.0

    boot_with(rig, Slow())
    rig.run_for(8)
    assert [event.reason for event in rig.of("air.temperature")] == ["warming_up"] * 5 + [""] * 4


def test_a_value_is_rounded_to_the_step_of_its_channel(rig: Rig) -> None:
    air = Thermometer()
    air.value = 21.23456
    boot_with(rig, air)
    assert rig.of("air.temperature")[-1].value == 21.23


def test_dependants_wait_for_what_they_need_and_follow_it_down_and_up(rig: Rig) -> None:
    mux, leaf = Thermometer(), Thermometer()
    rig.runtime.add_device(leaf, "leaf", place=Placement("leaf", needs=("mux",)))
    rig.runtime.add_device(mux, "mux")
    mux.present = False
    rig.runtime.boot()
    assert leaf.calls == []  # not even probed
    mux.present = True
    rig.run_for(8)
    assert rig.of("leaf.temperature")[-1].quality is GOOD
    mux.present = False
    rig.run_for(8)
    newest = rig.of("leaf.temperature")[-1]
    assert (newest.quality, newest.detail) == (BAD, "waits for mux")


def test_devices_that_need_each_other_are_refused(rig: Rig) -> None:
    rig.runtime.add_device(Thermometer(), "a", place=Placement("a", needs=("b",)))
    rig.runtime.add_device(Thermometer(), "b", place=Placement("b", needs=("a",)))
    with pytest.raises(ComponentError, match="a → b → a need each other"):
        rig.runtime.boot()


def test_a_device_without_channels_is_refused_with_words(rig: Rig) -> None:
    class Nothing(Thermometer):
        reading = None  # type: ignore[assignment]  # the point

    with pytest.raises(ValueError, match="neither `reading` nor overrides"):
        rig.runtime.add_device(Nothing(), "air")


def test_no_answer_while_stopping_is_reported_and_stops_nothing_else(rig: Rig) -> None:
    air, soil = Thermometer(), Thermometer()
    rig.runtime.add_device(air, "air")
    rig.runtime.add_device(soil, "soil")
    rig.runtime.boot()
    air.fail["stop"] = NoDataError("no answer")
    soil.fail["stop"] = OSError("gone")
    rig.runtime.shutdown()
    assert air.calls[-1] == soil.calls[-1] == "stop"
    assert rig.routes("runtime.")[-1] == "runtime.shutdown"


def test_how_long_nothing_came_is_said_once(rig: Rig) -> None:
    air = Thermometer()
    boot_with(rig, air)
    rig.run_for(1)
    air.fail["read"] = NoDataError("no frame for 6 s; check TX")
    rig.run_for(6)
    assert rig.of("device.air.failed")[0].detail == "no frame for 6 s; check TX"
