"""Clock records are made when something happens to the clock, and date what was logged before."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from eventlog.rig import ABOUT
from hypothesis import given
from hypothesis import strategies as st
from storage.failing import FailingFiles

from leyden.eventlog.clocklog import CLOCK_ROUTE, WallMap, WallWatch, as_value, read_wall_map
from leyden.eventlog.keeper import LogKeeper
from leyden.eventlog.reader import LogReader
from leyden.eventlog.recorder import REPORTS, Recorder
from leyden.eventlog.schema import ClockRecord
from leyden.kernel import NS, Event, FrozenDict, ManualClock, Route, Runtime, SimulatedExecutor

Y1970 = 5 * NS
Y2026 = 1_767_225_600 * NS


def test_the_first_look_is_a_record() -> None:
    watch = WallWatch(ManualClock(7 * NS, Y2026))
    assert watch.look() == ClockRecord(7 * NS, Y2026, "synced", 0.0)
    assert watch.look() is None


def test_a_record_comes_every_ten_minutes() -> None:
    clock = ManualClock(0, Y2026)
    watch = WallWatch(clock)
    moments = []
    for second in range(3600):
        if watch.look() is not None:
            moments.append(second)
        clock.advance(1)
    assert moments == [0, 600, 1200, 1800, 2400, 3000]


def test_a_step_is_a_record_with_its_length() -> None:
    clock = ManualClock(0, Y2026)
    watch = WallWatch(clock)
    watch.look()
    clock.advance(1)
    clock.set_wall(Y2026 - 90 * NS)
    record = watch.look()
    assert record is not None
    assert (record.step_s, record.state) == (-91.0, "synced")
    assert watch.look() is None


def test_steering_is_not_a_step() -> None:
    clock = ManualClock(0, Y2026)
    watch = WallWatch(clock)
    watch.look()
    for second in range(1, 500):
        clock.advance(1)
        clock.set_wall(clock.time_ns() + 900_000_000 // second)
        assert watch.look() is None


def test_a_clock_at_1970_is_unsynced_until_somebody_sets_it() -> None:
    clock = ManualClock(0, Y1970)
    clock.set_wall(Y1970, synchronised=False)
    watch = WallWatch(clock)
    states = [watch.look()]
    clock.advance(20)
    clock.set_wall(Y2026, synchronised=False)  # by hand
    states.append(watch.look())
    clock.advance(700)
    states.append(watch.look())
    clock.set_wall(clock.time_ns(), synchronised=True)
    states.append(watch.look())
    assert [state.state for state in states if state] == [
        "unsynced",
        "stepped",
        "stepped",
        "synced",
    ]


def test_asking_for_the_time_does_not_hide_a_step_from_the_next_look() -> None:
    clock = ManualClock(0, Y2026)
    watch = WallWatch(clock)
    watch.look()
    clock.set_wall(Y2026 + 100 * NS)
    assert watch.now().step_s == watch.now().step_s == 100.0
    record = watch.look()
    assert record is not None
    assert record.step_s == 100.0


def test_data_from_before_synchronisation_is_dated_by_the_first_synchronised_record() -> None:
    wall = WallMap()
    wall.add(3, ClockRecord(1 * NS, Y1970, "unsynced"))
    undated = wall.date(3, 10 * NS)
    assert undated is not None
    assert (undated.wall, undated.trusted) == (Y1970 + 9 * NS, False)
    wall.add(3, ClockRecord(60 * NS, Y2026, "synced", 1e9))
    dated = wall.date(3, 10 * NS)
    assert dated is not None
    assert (dated.wall, dated.trusted) == (Y2026 - 50 * NS, True)


def test_among_synchronised_records_the_last_one_before_counts() -> None:
    wall = WallMap()
    wall.add(1, ClockRecord(0, Y2026, "synced"))
    wall.add(1, ClockRecord(100 * NS, Y2026 + 3700 * NS, "synced", 3600.0))
    wall.add(1, ClockRecord(50 * NS, Y1970, "stepped", -1e9))
    assert [wall.date(1, mono * NS) for mono in (10, 99, 100, 110)] == [
        (Y2026 + 10 * NS, True),
        (Y2026 + 99 * NS, True),
        (Y2026 + 3700 * NS, True),
        (Y2026 + 3710 * NS, True),
    ]


def test_a_boot_of_which_nothing_is_known_has_no_dates() -> None:
    wall = WallMap()
    wall.add(1, ClockRecord(0, Y2026, "synced"))
    assert wall.date(2, 0) is None
    assert wall.synchronised(1)
    assert not wall.synchronised(2)


@given(records=st.permutations([(m, s) for m in range(0, 100, 10) for s in ("unsynced", "synced")]))
def test_dates_do_not_depend_on_the_order_records_are_learnt_in(
    records: list[tuple[int, str]],
) -> None:
    wall, other = WallMap(), WallMap()
    for mono, state in records:
        wall.add(1, ClockRecord(mono, 1000 + mono * 2, state))
    for mono, state in sorted(records):
        other.add(1, ClockRecord(mono, 1000 + mono * 2, state))
    assert all(wall.date(1, mono) == other.date(1, mono) for mono in range(-5, 105, 3))


def test_a_year_of_records_does_not_fill_the_memory() -> None:
    wall = WallMap()
    for step in range(52_560):
        wall.add(1, ClockRecord(step * 600 * NS, Y2026 + step * 600 * NS, "synced"))
    assert len(wall._boots[1][0]) <= 4096
    assert wall.date(1, 52_000 * 600 * NS) == (Y2026 + 52_000 * 600 * NS, True)


@pytest.mark.parametrize(
    "value", [None, 7, "now", FrozenDict(mono=1), FrozenDict(mono="a", wall=2, state="synced")]
)
def test_an_event_that_is_no_clock_record_is_left_out(value: object) -> None:
    wall = WallMap()
    wall.add_event(Event(1, 0, CLOCK_ROUTE, value, boot=1))
    wall.add_event(Event(2, 0, "air.temperature", as_value(ClockRecord(0, 0, "synced")), boot=1))
    wall.add(1, ClockRecord(0, 0, "quantum"))
    assert wall.date(1, 0) is None


class Appliance:
    """A runtime whose log is kept, in simulated time."""

    def __init__(self, folder: Path, wall_ns: int) -> None:
        self.executor = SimulatedExecutor(wall_ns=wall_ns)
        self.files = FailingFiles()
        self.recorder = Recorder(folder, self.executor, files=self.files)
        self.runtime = Runtime("greenhouse", executor=self.executor, store=self.recorder)
        events = self.runtime.events
        for key in REPORTS:
            events.declare_system(key)
        self.route = events.declare(Route.of("air.temperature", unit="Cel"))
        self.runtime.add_service(LogKeeper(self.recorder))
        self.recorder.start(
            ABOUT, events.routes, lambda route, value: events.publish(route, value, source="log")
        )
        self.runtime.boot()

    def end(self) -> None:
        """End at once, as a simulation does."""
        self.executor.close()


def test_a_boot_that_learnt_the_time_late_is_dated_from_its_log(tmp_path: Path) -> None:
    appliance = Appliance(tmp_path, Y1970)
    clock = appliance.executor.manual_clock
    clock.set_wall(Y1970, synchronised=False)
    appliance.executor.run_for(5)
    early = appliance.runtime.events.publish(appliance.route, 20.0)
    appliance.executor.run_for(55)
    clock.set_wall(Y2026, synchronised=True)
    appliance.executor.run_for(30)
    appliance.end()
    events = [e for e in LogReader(tmp_path).events(0, CLOCK_ROUTE) if isinstance(e, Event)]
    assert [event.value["state"] for event in events] == ["unsynced", "synced"]
    dated = read_wall_map(LogReader(tmp_path)).date(1, early.mono)
    assert dated is not None
    assert dated.trusted
    assert dated.wall == Y2026 - (60 * NS - early.mono)


def test_each_boot_is_dated_by_its_own_records(tmp_path: Path) -> None:
    for boot in range(1, 4):
        appliance = Appliance(tmp_path, Y2026 + boot * 86_400 * NS)
        appliance.executor.run_for(700)
        appliance.end()
    wall = read_wall_map(LogReader(tmp_path))
    for boot in range(1, 4):
        dated = wall.date(boot, 10 * NS)
        assert dated is not None
        assert dated.trusted
        assert dated.wall == Y2026 + boot * 86_400 * NS + 10 * NS


def test_the_keeper_reports_a_disk_that_hangs(tmp_path: Path) -> None:
    appliance = Appliance(tmp_path, Y2026)
    appliance.files.delay("sync_data", lambda: appliance.executor.clock.sleep(3600))
    appliance.executor.run_for(5)
    degraded = appliance.runtime.events.latest("log.degraded")
    assert degraded is not None
    assert degraded.value["condition"] == "stalled"
    appliance.end()


def test_records_at_equal_moments_do_not_disturb_each_other() -> None:
    wall = WallMap()
    for state, offset in itertools.product(("synced", "unsynced"), (0, 1)):
        wall.add(1, ClockRecord(5, 100 + offset, state))
    assert wall.date(1, 5) == (101, True)
