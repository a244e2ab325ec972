"""Leases: a line nobody holds any more is safe, on time, whatever else hangs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from hal.parts import Lamp, Options, Switch
from hypothesis import given
from hypothesis import strategies as st

from leyden.hal import BusError, BusLostError, MessageError, OutputLine
from leyden.hal.guard import GuardedGpio
from leyden.hal.lease import LeasedOutput, LeaseKeeper
from leyden.hal.mock.rig import Rig
from leyden.kernel import DeadlineError, SimulatedExecutor, SystemExecutor

MS = 1_000_000


class Bench:
    """A lamp on line 27 of a guarded chip."""

    def __init__(self, rig: Rig, *, safe: bool = False, active_low: bool = False) -> None:
        self.rig = rig
        self.executor = rig.executor
        self.chip: GuardedGpio = rig.gpio("gpio")
        self.lamp = rig.plug("gpio", Lamp, "lamp", Options(line=27))
        self.line: OutputLine = self.chip.output(
            27, safe=safe, active_low=active_low, consumer="lamp"
        )

    def run(self, milliseconds: int) -> None:
        assert isinstance(self.executor, SimulatedExecutor)
        self.executor.run_for(milliseconds / 1000)

    def lit(self) -> bool | None:
        return self.lamp.levels[-1]


@pytest.fixture
def bench(rig: Rig) -> Bench:
    return Bench(rig)


@pytest.mark.parametrize("safe", [False, True])
def test_a_line_is_opened_at_its_safe_value(rig: Rig, safe: bool) -> None:
    assert Bench(rig, safe=safe).lamp.levels == [safe]


def test_a_line_is_held_as_long_as_its_lease(bench: Bench) -> None:
    bench.line.hold(True, 500)
    bench.run(499)
    assert bench.lit() is True
    bench.run(2)
    assert bench.lit() is False
    assert bench.lamp.seen[-1][0] == 500 * MS


def test_a_renewed_lease_goes_on_without_a_blink(bench: Bench) -> None:
    for _ in range(20):
        bench.line.hold(True, 500)
        bench.run(200)
    assert False not in bench.lamp.levels[1:]
    bench.run(301)
    assert bench.lit() is False


def test_a_shorter_lease_replaces_a_longer_one(bench: Bench) -> None:
    bench.line.hold(True, 60_000)
    bench.run(10)
    bench.line.hold(True, 100)
    bench.run(101)
    assert bench.lit() is False


def test_safe_may_mean_on(rig: Rig) -> None:
    bench = Bench(rig, safe=True)
    bench.line.hold(False, 100)
    bench.run(101)
    assert bench.lit() is True


def test_safe_is_meant_after_active_low(rig: Rig) -> None:
    bench = Bench(rig, safe=False, active_low=True)
    assert bench.lit() is True  # inactive is high
    bench.line.hold(True, 100)
    assert bench.lit() is False
    bench.run(101)
    assert bench.lit() is True


def test_closing_makes_safe_at_once_and_gives_the_line_back(bench: Bench) -> None:
    bench.line.hold(True, 60_000)
    bench.line.close()
    assert bench.lamp.levels[-2:] == [False, None]
    bench.line.close()
    with pytest.raises(BusLostError, match="gpio line 27, lamp is closed"):
        bench.line.hold(True, 100)


def test_a_closed_line_is_not_kept_any_more(bench: Bench) -> None:
    bench.line.hold(True, 100)
    bench.line.close()
    bench.run(1000)
    assert bench.lamp.levels[-1] is None


def test_closing_the_chip_makes_every_line_safe(bench: Bench) -> None:
    bench.line.hold(True, 60_000)
    bench.chip.close()
    assert bench.lamp.levels[-2:] == [False, None]


@pytest.mark.parametrize("lease", [0, -5])
def test_a_lease_has_a_length(bench: Bench, lease: int) -> None:
    with pytest.raises(MessageError, match=f"found a lease of {lease} ms"):
        bench.line.hold(True, lease)
    assert bench.lit() is False


def test_past_its_deadline_a_caller_moves_nothing(bench: Bench) -> None:
    bench.chip.allow("vent", bench.executor.clock.monotonic_ns())
    with pytest.raises(DeadlineError):
        bench.line.hold(True, 100)
    assert bench.lit() is False
    bench.line.close()  # making safe is never refused
    assert bench.lamp.levels[-2:] == [False, None]


def test_a_bus_lane_that_hangs_does_not_keep_a_line_on(
    rig: Rig, bench: Bench, executor: SimulatedExecutor
) -> None:
    rig.plug("gpio", Switch, "door", Options(line=17))
    door = bench.chip.input(17)
    rig.world.set("door.fault", "hang")

    def lane() -> None:
        bench.line.hold(True, 300)
        door.value()

    executor.start_lane("bus.gpio", lane)
    bench.run(200)
    assert bench.lit() is True
    bench.run(200)
    assert bench.lit() is False


def test_what_is_read_back_is_the_line(rig: Rig, bench: Bench) -> None:
    bench.line.hold(True, 1000)
    assert bench.line.value() is True
    rig.world.set("lamp.fault", "stuck_low")
    assert bench.line.value() is False


# The keeper by itself


class Relay:
    """A raw line that may refuse, and lets a test in while it is driven."""

    def __init__(self) -> None:
        self.levels: list[bool] = []
        self.refusals = 0
        self.meanwhile: Callable[[], object] = lambda: None
        self.closed = False

    def drive(self, value: bool) -> None:
        if self.refusals:
            self.refusals -= 1
            raise BusError("EIO")
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        self.levels.append(value)

    def value(self) -> bool:
        return self.levels[-1]

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def keeper(executor: SimulatedExecutor) -> Iterator[LeaseKeeper]:
    made = LeaseKeeper(executor)
    yield made
    made.stop()


def output(keeper: LeaseKeeper, relay: Relay) -> LeasedOutput:
    return LeasedOutput("relay", 5, relay, safe=False, keeper=keeper)


def test_a_line_that_refuses_is_tried_until_it_is_safe(
    keeper: LeaseKeeper, executor: SimulatedExecutor
) -> None:
    relay = Relay()
    output(keeper, relay).hold(True, 100)
    relay.refusals = 3
    executor.run_for(1.0)
    assert relay.levels == [True, False]
    assert (keeper.failures, keeper.expirations) == (3, 1)


def test_one_line_that_refuses_does_not_hold_up_another(
    keeper: LeaseKeeper, executor: SimulatedExecutor
) -> None:
    bad, good = Relay(), Relay()
    output(keeper, bad).hold(True, 100)
    output(keeper, good).hold(True, 100)
    bad.refusals = 1000
    executor.run_for(0.2)
    assert good.levels == [True, False]
    bad.refusals = 0


def test_who_asks_is_told_of_each_expiry(executor: SimulatedExecutor) -> None:
    told: list[str] = []
    keeper = LeaseKeeper(executor, expired=lambda line: told.append(line.name))
    output(keeper, Relay()).hold(True, 100)
    executor.run_for(1.0)
    assert told == ["relay"]
    keeper.stop()


def test_a_listener_that_raises_does_not_end_the_keeper(executor: SimulatedExecutor) -> None:
    def deaf(_: LeasedOutput) -> None:
        raise RuntimeError("the event log is full")

    keeper = LeaseKeeper(executor, expired=deaf)
    relay = Relay()
    line = output(keeper, relay)
    for _ in range(2):
        line.hold(True, 100)
        executor.run_for(1.0)
    assert relay.levels == [True, False, True, False]
    assert keeper.deaf_listeners == 2
    keeper.stop()


def test_stopping_makes_every_line_safe_though_one_refuses(executor: SimulatedExecutor) -> None:
    keeper = LeaseKeeper(executor)
    bad, good = Relay(), Relay()
    output(keeper, bad).hold(True, 60_000)
    output(keeper, good).hold(True, 60_000)
    bad.refusals = 1
    with pytest.raises(BusError):
        keeper.stop()
    assert good.levels == [True, False]
    assert good.closed
    assert bad.closed


def test_a_lease_that_ends_while_the_line_is_driven_leaves_it_safe(
    keeper: LeaseKeeper, executor: SimulatedExecutor
) -> None:
    relay = Relay()
    line = output(keeper, relay)
    # The system call takes longer than the lease: the keeper is there first.
    relay.meanwhile = lambda: line.expire(10**12)
    line.hold(True, 100)
    assert relay.value() is False
    assert line.until() is None


def test_a_lease_renewed_while_the_keeper_drives_leaves_it_on(
    keeper: LeaseKeeper, executor: SimulatedExecutor
) -> None:
    relay = Relay()
    line = output(keeper, relay)
    line.hold(True, 100)
    relay.meanwhile = lambda: line.hold(True, 100)
    line.expire(executor.clock.monotonic_ns() + 200 * MS)
    assert relay.value() is True


@given(
    steps=st.lists(
        st.tuples(st.booleans(), st.integers(1, 500), st.integers(0, 700)), min_size=1, max_size=15
    )
)
def test_no_line_is_ever_away_from_safe_without_a_lease(steps: list[tuple[bool, int, int]]) -> None:
    executor = SimulatedExecutor()
    keeper = LeaseKeeper(executor)
    relay = Relay()
    line = output(keeper, relay)
    for value, lease_ms, wait_ms in steps:
        line.hold(value, lease_ms)
        assert relay.value() is value
        executor.run_for(wait_ms / 1000)
        if wait_ms > lease_ms:
            assert relay.value() is False
        elif wait_ms < lease_ms:
            assert relay.value() is value
    keeper.stop()
    assert relay.value() is False
    executor.close()


def test_threads_that_race_end_where_the_last_lease_says() -> None:
    executor = SystemExecutor()
    keeper = LeaseKeeper(executor)
    relay = Relay()
    line = output(keeper, relay)
    stop = threading.Event()

    def expire() -> None:
        while not stop.is_set():
            line.expire(executor.clock.monotonic_ns() + 10**15)

    racer = threading.Thread(target=expire)
    racer.start()
    for _ in range(300):
        line.hold(True, 60_000)
    stop.set()
    racer.join(5.0)
    line.expire(10**18)
    assert relay.value() is False
    line.hold(True, 60_000)
    assert relay.value() is True
    keeper.stop()
    assert relay.value() is False
