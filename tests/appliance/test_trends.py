"""Charts' data: nothing twice, nothing lost, no more points than asked for, holes stay holes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leyden.appliance.backend import _judged
from leyden.appliance.trends import Trends
from leyden.kernel import BAD, GOOD, NS, UNCERTAIN, Event, Quality, Value

ROUTE = "air.temperature"
DAY_S = 86_400


def event(at_s: float, value: Value, quality: Quality = GOOD, n: int = 1) -> Event:
    return Event(n, round(at_s * NS), ROUTE, value, "", quality)


def trends(*events: Event) -> Trends:
    made = Trends(lambda each: each.mono)  # times are given as the wall's
    for each in events:
        made.take(each)
    return made


def counted(held: Trends, since_s: float, until_s: float, points: int = 300) -> int:
    found = held.history(ROUTE, round(since_s * NS), round(until_s * NS), points)
    return sum(stretch.count for stretch in found)


def every(step_s: float, first_s: float, last_s: float) -> Iterable[Event]:
    for i in range(round((last_s - first_s) / step_s)):
        yield event(first_s + i * step_s, float(i))


def test_an_unknown_route_an_empty_past_and_an_empty_span_have_no_stretches() -> None:
    held = trends(event(5, 1.0))
    assert Trends(lambda each: 0).history(ROUTE, 0, NS, 10) == []
    assert held.history("air.humidity", 0, 10 * NS, 10) == []
    assert held.history(ROUTE, 10 * NS, 10 * NS, 10) == []
    assert held.history(ROUTE, 20 * NS, 30 * NS, 10) == []


@given(
    st.lists(st.floats(0, 890), min_size=1, max_size=50).map(sorted),
    st.floats(0, 1_000),
    st.floats(0.001, 1_000),
    st.integers(1, 40),
)
def test_every_value_of_a_span_is_in_one_stretch_and_there_are_not_too_many(
    times: list[float], since_s: float, span_s: float, points: int
) -> None:
    since, until = round(since_s * NS), round((since_s + span_s) * NS)
    held = trends(*(event(at, 1.0) for at in times))
    found = held.history(ROUTE, since, until, points)
    assert len(found) <= points
    assert [each.start for each in found] == sorted(each.start for each in found)
    within = [at for at in times if since <= round(at * NS) <= until]
    assert sum(each.count for each in found) == len(within)


def test_a_hole_stays_a_hole() -> None:
    held = trends(*every(1, 0, 10), *every(1, 50, 60))
    starts = [each.start / NS for each in held.history(ROUTE, 0, 60 * NS, 60)]
    assert [b - a for a, b in itertools.pairwise(starts) if b - a > 1] == [41]


def test_where_single_values_end_and_minutes_begin_nothing_is_twice_or_missing() -> None:
    held = trends(*every(0.1, 0, 2_000))  # 20 000 values, of which 9 000 are kept one by one
    assert counted(held, 0, 2_000) == 20_000
    assert counted(held, 0, 2_000, points=10) == 20_000
    starts = [each.start / NS for each in held.history(ROUTE, 0, 2_000 * NS, 20_000)]
    assert max(b - a for a, b in itertools.pairwise(starts)) <= 60


def test_a_day_is_kept_as_minutes_a_quarter_of_an_hour_value_by_value_and_no_more() -> None:
    held = trends(*every(10, 0, 2 * DAY_S))
    stretches = held.history(ROUTE, 0, 2 * DAY_S * NS, DAY_S)
    assert stretches[0].start >= (DAY_S - 60) * NS
    single = [each for each in stretches if each.count == 1]
    assert 85 <= len(single) <= 91
    assert counted(held, 0, 2 * DAY_S) == DAY_S / 10


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "text", {"a": 1}, None])
def test_what_is_no_number_leaves_no_mark(value: Value) -> None:
    assert trends(event(1, value)).history(ROUTE, 0, 2 * NS, 10) == []


def test_a_switch_is_nought_or_one_and_a_bad_moment_has_no_value() -> None:
    held = trends(event(1, True), event(2, False), event(3, None, BAD))
    found = held.history(ROUTE, 0, 4 * NS, 4)
    assert [(each.mean, each.quality) for each in found] == [(1, GOOD), (0, GOOD), (None, BAD)]


def test_a_clock_that_is_set_back_loses_what_was_dated_later_and_nothing_that_follows() -> None:
    held = trends(*every(1, 1_000, 1_100), *every(1, 400, 500))
    assert counted(held, 400, 500) == 100
    assert counted(held, 0, 2_000) == 100


def test_the_past_of_a_log_goes_before_what_came_meanwhile() -> None:
    held = trends(event(100, 5.0, n=11))
    held.fill((event(at, 1.0, n=at) for at in range(1, 20)), upto=10)
    assert counted(held, 0, 200) == 10


def test_a_past_that_is_filled_in_after_the_clock_was_set_stays_in_order() -> None:
    held = trends(*every(1, 0, 5), *every(1, 9_000, 9_010))  # 1970 first, then the time is known
    held.fill((event(8_000 + i, 1.0, n=i) for i in range(1, 10)), upto=10)
    assert counted(held, 7_000, 9_100) == 19
    assert counted(held, 8_999, 9_100) == 10


@pytest.mark.parametrize(
    ("age_s", "period_s", "quality", "reason"),
    [
        (0.0, 1.0, GOOD, ""),
        (2.0, 1.0, GOOD, ""),
        (2.1, 1.0, UNCERTAIN, "stale"),
        (3.0, 1.0, UNCERTAIN, "stale"),
        (3.1, 1.0, BAD, "no_data"),
        (1.0, 0.1, GOOD, ""),  # not before a second, however fast it is read
        (1.1, 0.1, UNCERTAIN, "stale"),
        (2.1, 0.1, BAD, "no_data"),
        (119.0, 60.0, GOOD, ""),
        (121.0, 60.0, UNCERTAIN, "stale"),
        (181.0, 60.0, BAD, "no_data"),
        (1e9, None, GOOD, ""),  # it comes when it changes
    ],
)
def test_a_value_gets_doubtful_and_then_bad_by_its_age(
    age_s: float, period_s: float | None, quality: Quality, reason: str
) -> None:
    judged = _judged(event(0, 21.4), age_s, period_s)
    assert judged[:2] == (quality, reason)


def test_age_never_makes_a_bad_or_doubtful_value_better() -> None:
    bad = Event(1, 0, ROUTE, None, "", BAD, "checksum", "damaged")
    doubtful = Event(1, 0, ROUTE, 1.0, "", UNCERTAIN, "warming_up", "soon")
    assert _judged(bad, 99, 1.0) == (BAD, "checksum", "damaged")
    assert _judged(doubtful, 2.5, 1.0) == (UNCERTAIN, "warming_up", "soon")
    assert _judged(doubtful, 3.5, 1.0)[:2] == (BAD, "no_data")
