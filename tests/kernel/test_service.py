"""Services: fixed rate, restarts that back off, failures that end, criticality that acts."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel.parts import Rig, Thermometer, Ticker

from leyden.kernel import CRITICAL_EXIT, NEVER, Context, Restart


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
