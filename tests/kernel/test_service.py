"""Services: fixed rate, restarts that back off, failures that end, criticality that acts."""

from __future__ import annotations

import itertools
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel.parts import Rig, Thermometer, Ticker

from leyden.kernel import (
    CRITICAL_EXIT,
    NEVER,
    ComponentError,
    Context,
    Delivery,
    Event,
    Restart,
)


def boot(rig: Rig, *services: Ticker) -> None:
    for service in services:
        rig.runtime.add_service(service)
    rig.runtime.boot()


def fail(ctx: Context) -> None:
    raise RuntimeError("broken")


def test_ticks_keep_their_rate_however_long_a_tick_takes(rig: Rig) -> None:
    ticker = Ticker(period_s=0.1)
    ticker.on_tick = lambda ctx: ctx.clock.sleep(0.09)
    boot(rig, ticker)
    rig.run_for(10.05)
    assert len(ticker.ticks) == 101
    assert {b - a for a, b in itertools.pairwise(ticker.ticks)} == {100_000_000}


def test_missed_periods_are_counted_and_the_grid_is_kept(rig: Rig) -> None:
    ticker = Ticker(period_s=1.0)
    ticker.on_tick = lambda ctx: ctx.clock.sleep(2.5) if len(ticker.ticks) == 3 else None
    boot(rig, ticker)
    rig.run_for(9.5)
    seconds = [tick / 1e9 for tick in ticker.ticks]
    assert seconds == [0, 1, 2, 4.5, 5, 6, 7, 8, 9]
    figures = rig.runtime.services()[0].timing
    assert figures.overruns == 1
    assert figures.lateness_p99_ms == 500.0


def test_started_is_published_before_the_first_tick(rig: Rig) -> None:
    ticker = Ticker()
    seen: list[list[str]] = []
    ticker.on_tick = lambda ctx: seen.append(rig.routes("service.ticker."))
    boot(rig, ticker)
    rig.run_for(0.5)
    assert seen[0] == ["service.ticker.started"]


def test_a_restart_is_a_stop_then_a_start_after_a_wait_that_grows(rig: Rig) -> None:
    ticker = Ticker()
    ticker.on_tick = fail
    boot(rig, ticker)
    rig.run_for(20)
    assert ticker.calls[:4] == ["start", "stop", "start", "stop"]
    gaps = [(b - a) / 1e9 for a, b in itertools.pairwise(ticker.ticks)]
    assert all(0.8 * 0.5 * 2**i <= gap <= 1.2 * 0.5 * 2**i for i, gap in enumerate(gaps))
    assert len(gaps) >= 4
    error = rig.of("service.ticker.error")[0].value
    assert error["error"] == "RuntimeError: broken"
    assert "in fail" in error["traceback"]


def test_a_failing_service_costs_a_bounded_number_of_events_then_raises_an_alarm(rig: Rig) -> None:
    ticker = Ticker(period_s=0.01)
    ticker.on_tick = fail
    boot(rig, ticker)
    rig.run_for(3600)
    assert len(rig.routes("service.ticker.")) < 40
    assert rig.runtime.services()[0].state == "failed"
    alarm = rig.of("alarm.service.ticker")[0]
    assert alarm.detail == "service ticker is down: RuntimeError: broken"
    assert rig.runtime.booted


def test_an_error_in_start_is_supervised_like_one_in_a_tick(rig: Rig) -> None:
    ticker = Ticker()
    ticker.on_start = lambda ctx: fail(ctx) if len(ticker.calls) < 4 else None
    boot(rig, ticker)
    rig.run_for(5)
    assert ticker.calls == ["start", "stop", "start", "stop", "start"]
    assert ticker.ticks
    assert rig.runtime.services()[0].restarts == 2


def test_success_for_a_while_forgets_old_failures(rig: Rig) -> None:
    ticker = Ticker()
    ticker.restart = Restart(limit=2, window_s=1000, settle_s=10)
    ticker.on_tick = lambda ctx: fail(ctx) if len(ticker.ticks) % 50 == 49 else None
    boot(rig, ticker)
    rig.run_for(600)
    assert rig.runtime.services()[0].state == "running"
    assert rig.runtime.services()[0].restarts > 5


def test_a_critical_failure_leads_to_the_safe_state_and_a_non_zero_exit(rig: Rig) -> None:
    ticker, air = Ticker(), Thermometer()
    ticker.critical = True
    ticker.on_tick = lambda ctx: fail(ctx) if len(ticker.ticks) == 3 else None
    rig.runtime.add_device(air, "vent")
    rig.runtime.add_service(ticker)
    assert rig.runtime.run() == CRITICAL_EXIT
    assert air.calls[-1] == "stop"
    assert ticker.calls == ["start", "stop"]
    assert rig.of("service.ticker.critical_failure")
    assert "service ticker is down" in rig.of("runtime.shutting_down")[0].value["reason"]


def test_a_service_that_never_restarts_is_stopped_and_failed(rig: Rig) -> None:
    ticker = Ticker()
    ticker.restart = NEVER
    ticker.on_tick = fail
    boot(rig, ticker)
    rig.run_for(100)
    assert ticker.calls == ["start", "stop"]
    assert rig.of("service.ticker.failed")


def test_a_disabled_service_waits_until_it_is_started_by_hand(rig: Rig) -> None:
    ticker = Ticker()
    ticker.enabled = False
    boot(rig, ticker)
    rig.run_for(100)
    assert ticker.calls == []
    assert rig.routes("service.") == []
    rig.runtime.start_service("ticker")
    rig.run_for(2)
    assert ticker.ticks
    assert rig.runtime.stop_service("ticker")
    with pytest.raises(ValueError, match='no service "tikcer"; there is ticker'):
        rig.runtime.start_service("tikcer")


def test_a_failed_service_can_be_started_again_by_hand(rig: Rig) -> None:
    ticker = Ticker()
    ticker.restart = NEVER
    ticker.on_tick = fail
    boot(rig, ticker)
    rig.run_for(5)
    ticker.on_tick = lambda ctx: None
    rig.runtime.start_service("ticker")
    rig.run_for(5)
    assert rig.runtime.services()[0].state == "running"


def test_stopping_during_a_back_off_does_not_wait_for_it(rig: Rig) -> None:
    ticker = Ticker()
    ticker.restart = Restart(first_s=100, longest_s=100)
    ticker.on_tick = fail
    boot(rig, ticker)
    rig.run_for(5)
    before = rig.executor.clock.monotonic_ns()
    assert rig.runtime.stop_service("ticker")
    assert rig.executor.clock.monotonic_ns() == before


@given(st.integers(1, 30), st.floats(-1, 1))
def test_the_wait_grows_is_spread_and_is_bounded(failures: int, spread: float) -> None:
    restart = Restart()
    assert restart.wait_s(failures, spread) <= 36.0 + 1e-9
    assert restart.wait_s(failures, 0) <= restart.wait_s(failures + 1, 0)


def test_a_service_started_twice_at_once_has_one_lane(rig: Rig) -> None:
    ticker = Ticker()
    ticker.enabled = False
    boot(rig, ticker)
    rig.runtime.start_service("ticker")
    rig.runtime.start_service("ticker")
    rig.run_for(3.5)
    assert ticker.calls == ["start"]
    assert [tick / 1e9 for tick in ticker.ticks] == [0, 1, 2, 3]


def test_a_service_stopped_while_it_starts_is_stopped_once_and_never_ticks(rig: Rig) -> None:
    ticker = Ticker()
    ticker.on_start = lambda ctx: ctx.clock.sleep(1)
    boot(rig, ticker)
    rig.run_for(0.5)
    assert rig.runtime.stop_service("ticker")
    assert (ticker.calls, ticker.ticks) == (["start", "stop"], [])


def test_a_service_that_exits_python_has_failed_and_is_started_again(rig: Rig) -> None:
    ticker = Ticker()
    ticker.on_tick = lambda ctx: sys.exit("enough")
    boot(rig, ticker)
    rig.run_for(1)
    assert rig.of("service.ticker.error")[0].value["error"] == "SystemExit: enough"
    assert ticker.calls[:3] == ["start", "stop", "start"]


def test_a_critical_service_that_fails_in_an_orderly_stop_changes_no_exit_code(rig: Rig) -> None:
    ticker = Ticker()
    ticker.critical = True
    ticker.on_stop = fail
    rig.runtime.add_service(ticker)
    later = Ticker("later", 0.5)

    def enough(ctx: Context) -> None:
        if len(later.ticks) > 2:
            rig.runtime.request_shutdown("enough")

    later.on_tick = enough
    rig.runtime.add_service(later)
    assert rig.runtime.run() == 0
    assert rig.of("service.ticker.error")
    assert not rig.routes("alarm.")


def test_services_that_hang_share_one_deadline_at_shutdown(rig: Rig) -> None:
    never = rig.executor.signal()
    stuck = [Ticker(f"stuck{i}") for i in range(5)]
    for each in stuck:
        each.on_tick = lambda ctx: never.wait()
    boot(rig, *stuck)
    rig.run_for(1)
    before = rig.executor.clock.monotonic_ns()
    rig.runtime.shutdown()
    assert (rig.executor.clock.monotonic_ns() - before) / 1e9 <= 2.0
    assert len(rig.routes("service.stuck")) == 10  # started and stuck, each


def test_a_service_may_add_another_and_remove_itself_and_nothing_is_stuck(rig: Rig) -> None:
    first, second = Ticker("first"), Ticker("second")
    first.on_start = lambda ctx: ctx.runtime.add_service(second)
    first.on_tick = lambda ctx: ctx.runtime.remove("first")
    boot(rig, first)
    rig.run_for(2.5)
    assert first.calls == ["start", "stop"]
    assert len(second.ticks) == 3
    assert [status.name for status in rig.runtime.services()] == ["second"]
    assert not [route for route in rig.routes("service.") if route.endswith("stuck")]


def test_no_service_is_started_once_the_shutdown_has_begun_or_before_boot(rig: Rig) -> None:
    ticker = Ticker()
    rig.runtime.add_service(ticker)
    with pytest.raises(ComponentError, match="the runtime is not up"):
        rig.runtime.start_service("ticker")

    def revive(event: Event) -> None:
        rig.runtime.start_service("ticker")

    rig.runtime.events.subscribe(
        revive, name="revive", prefix="service.ticker.stopped", delivery=Delivery.INLINE
    )
    rig.runtime.boot()
    rig.run_for(1)
    rig.runtime.shutdown()
    ticks = len(ticker.ticks)
    rig.run_for(5)
    assert len(ticker.ticks) == ticks
    assert "the runtime is not up" in rig.of("event.subscriber_error")[0].detail
