"""Wrong secrets are counted, and the more there are the longer the next one waits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leyden.kernel import ManualClock
from leyden.panel.attempts import BY_EVERYBODY, Attempts

HOUR = 3600.0


def failures(attempts: Attempts, count: int, address: str = "10.0.0.5") -> list[bool]:
    return [attempts.failed(address) > 0 for _ in range(count)]


def test_the_fourth_failure_within_a_minute_is_refused(clock: ManualClock) -> None:
    attempts = Attempts(clock)
    assert failures(attempts, 4) == [False, False, False, True]
    clock.advance(61)
    assert failures(attempts, 1) == [False]


def test_the_sixth_failure_within_ten_minutes_is_refused(clock: ManualClock) -> None:
    attempts = Attempts(clock)
    refused = []
    for _ in range(6):
        refused += failures(attempts, 1)
        clock.advance(61)
    assert refused == [False] * 5 + [True]


def test_the_eleventh_failure_within_an_hour_is_refused(clock: ManualClock) -> None:
    attempts = Attempts(clock)
    refused = []
    for _ in range(11):
        refused += failures(attempts, 1)
        clock.advance(150)
    assert refused == [False] * 10 + [True]
    clock.advance(HOUR)
    assert failures(attempts, 1) == [False]


def test_how_long_to_wait_is_told(clock: ManualClock) -> None:
    attempts = Attempts(clock)
    failures(attempts, 3)
    clock.advance(20)
    assert attempts.failed("10.0.0.5") == pytest.approx(40.0)


def test_one_address_does_not_count_for_another(clock: ManualClock) -> None:
    attempts = Attempts(clock)
    failures(attempts, 4)
    assert failures(attempts, 1, "10.0.0.6") == [False]


def test_a_million_addresses_need_no_million_places(clock: ManualClock) -> None:
    attempts = Attempts(clock)
    for number in range(3000):
        attempts.failed(f"10.0.{number // 256}.{number % 256}")
    assert len(attempts._failures) == 1024


def crowd(attempts: Attempts, count: int) -> int:
    """Let as many addresses fail once each; return how many of them were looked at."""
    return sum(attempts.failed(f"192.0.2.{number}") == 0 for number in range(count))


def test_many_addresses_together_get_no_further_than_a_few(clock: ManualClock) -> None:
    attempts = Attempts(clock, BY_EVERYBODY)
    assert crowd(attempts, 50) == 10
    assert attempts.wait_s("198.51.100.1") == pytest.approx(60.0)
    clock.advance(61)
    assert attempts.wait_s("198.51.100.1") == 0


def test_who_got_in_before_is_not_held_up_by_others(clock: ManualClock) -> None:
    attempts = Attempts(clock, BY_EVERYBODY)
    attempts.succeeded("10.0.0.5")
    crowd(attempts, 50)
    assert attempts.wait_s("10.0.0.5") == 0
    assert failures(attempts, 4) == [False, False, False, True]


def test_failures_of_a_known_address_hold_up_nobody_else(clock: ManualClock) -> None:
    attempts = Attempts(clock, BY_EVERYBODY)
    for number in range(20):
        attempts.succeeded(f"10.0.0.{number}")
        attempts.failed(f"10.0.0.{number}")
    assert attempts.wait_s("192.0.2.1") == 0


def test_looking_does_not_count(clock: ManualClock) -> None:
    attempts = Attempts(clock, BY_EVERYBODY)
    for _ in range(100):
        assert attempts.wait_s("10.0.0.5") == 0
    assert failures(attempts, 1) == [False]


@given(pauses=st.lists(st.integers(0, 400), max_size=60), addresses=st.integers(1, 30))
def test_no_hour_ever_holds_more_than_a_hundred_guesses(pauses: list[int], addresses: int) -> None:
    clock, taken = ManualClock(), []
    attempts = Attempts(clock, BY_EVERYBODY)
    for number, pause in enumerate(pauses * 4):
        clock.advance(pause)
        if attempts.failed(f"192.0.2.{number % addresses}") == 0:
            taken.append(clock.monotonic_ns())
    for span_s, most in BY_EVERYBODY:
        for begin in taken:
            within = [at for at in taken if begin <= at < begin + span_s * 1e9]
            assert len(within) <= most
