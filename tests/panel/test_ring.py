"""The ring gives every reader everything after its place, once, in order, in bounded memory."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leyden.kernel import NS, Gap
from leyden.link.client import EventPage, EventRow
from leyden.panel.ring import Entry, Ring, Stretch, entries_of


def event(n: int, route: str = "air.temperature", value: object = 1.0) -> EventRow:
    return EventRow(n, route, value, "good", "2026-01-01T00:00:00.000Z")


def page(first: int, last: int, *, gaps: tuple[Gap, ...] = (), route: str = "a.b") -> EventPage:
    lost = {n for gap in gaps for n in range(gap.first, gap.last + 1)}
    rows = tuple(event(n, route) for n in range(first, last + 1) if n not in lost)
    return EventPage(rows, last, gaps, last)


def everything(_: str) -> bool:
    return True


def numbers(stretch: Stretch | None) -> list[int]:
    assert stretch is not None
    return [entry.first for entry in stretch.entries]


def filled(*pages: EventPage) -> Ring:
    ring = Ring()
    for each in pages:
        ring.extend(each, 0)
    return ring


def test_a_reader_gets_what_follows_its_place() -> None:
    ring = filled(page(1, 5), page(6, 9))
    found = ring.after(4, everything, 100)
    assert numbers(found) == [5, 6, 7, 8, 9]
    assert found is not None
    assert (found.upto, found.total, found.live) == (9, 5, True)


def test_a_reader_at_the_head_gets_nothing_and_is_live() -> None:
    found = filled(page(1, 5)).after(5, everything, 100)
    assert found == Stretch([], 0, 5, live=True)


def test_a_reader_from_before_the_ring_is_sent_to_the_log() -> None:
    ring = Ring()
    ring.restart(100)
    ring.extend(page(101, 105), 0)
    assert ring.after(99, everything, 10) is None
    assert numbers(ring.after(100, everything, 10)) == [101, 102, 103, 104, 105]


def test_a_limit_ends_a_stretch_at_an_event() -> None:
    found = filled(page(1, 9)).after(0, everything, 4)
    assert found is not None
    assert (numbers(found), found.upto, found.live) == ([1, 2, 3, 4], 4, False)


def test_what_the_filter_leaves_out_is_passed_all_the_same() -> None:
    ring = filled(page(1, 3), page(4, 6, route="c.d"))
    found = ring.after(0, lambda route: route == "a.b", 10)
    assert found is not None
    assert (numbers(found), found.upto) == ([1, 2, 3], 6)


def test_gaps_stand_where_they_are_whatever_the_filter() -> None:
    ring = filled(page(1, 9, gaps=(Gap(3, 5, "lost"),)))
    found = ring.after(1, lambda _: False, 10)
    assert found is not None
    assert [(entry.first, entry.last, entry.route) for entry in found.entries] == [(3, 5, "")]
    inside = ring.after(4, everything, 10)
    assert numbers(inside) == [3, 6, 7, 8, 9]


def test_what_is_older_than_ten_minutes_is_forgotten() -> None:
    ring = Ring()
    for minute in range(15):
        ring.extend(page(minute * 10 + 1, minute * 10 + 10), minute * 60 * NS)
    assert (ring.low, ring.high) == (40, 150)
    assert numbers(ring.after(40, everything, 1)) == [41]


def test_what_is_more_than_the_ring_holds_is_forgotten() -> None:
    ring = Ring(size=10_000)
    for start in range(1, 2_000, 10):
        ring.extend(page(start, start + 9), 0)
        assert ring.bytes <= 10_000
    assert ring.low > 1_900
    assert ring.high == 2_000


def test_an_empty_ring_forgets_its_weight() -> None:
    ring = filled(page(1, 5))
    ring.restart(50)
    assert (ring.low, ring.high, ring.bytes) == (50, 50, 0)
    assert ring.after(49, everything, 5) is None


def test_an_event_is_kept_as_the_json_that_is_sent() -> None:
    (entry,) = entries_of(EventPage((event(7),), 7, (), 7))
    assert entry == Entry(7, 7, "air.temperature", msgspec.json.encode(event(7)))


def test_a_late_reader_is_spared_all_but_the_newest_sample_of_each_channel() -> None:
    rows = [event(n, "a.b" if n % 2 else "c.d") for n in range(1, 11)]
    rows[4] = event(5, "device.air")
    rows[6] = event(7, "device.air")
    ring = filled(EventPage(tuple(rows), 10, (), 10))
    found = ring.after(0, everything, 100, lambda route: route in {"a.b", "c.d"})
    assert found is not None
    assert numbers(found) == [5, 7, 9, 10]
    assert (found.total, found.upto, found.live) == (10, 10, True)


def test_sparing_keeps_to_the_limit_too() -> None:
    rows = [event(n, f"r.r{n % 8}") for n in range(1, 41)]
    ring = filled(EventPage(tuple(rows), 40, (), 40))
    found = ring.after(0, everything, 3, everything)
    assert found is not None
    assert (numbers(found), found.upto, found.total, found.live) == ([33, 34, 35], 35, 35, False)


@pytest.mark.parametrize(("position", "late"), [(0, True), (7, True), (8, False), (12, False)])
def test_how_far_behind_a_reader_is(position: int, late: bool) -> None:
    ring = filled(page(1, 6), page(7, 12))
    assert ring.behind(position, 4) is late


@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=12),
    lost=st.sets(st.integers(0, 11)),
    limit=st.integers(1, 50),
    start=st.integers(0, 60),
)
def test_reading_on_and_on_misses_nothing_and_repeats_nothing(
    sizes: list[int], lost: set[int], limit: int, start: int
) -> None:
    ring, last = Ring(), 0
    for i, size in enumerate(sizes):
        gap = (Gap(last + 1, last + size, "lost"),) if i in lost else ()
        ring.extend(page(last + 1, last + size, gaps=gap), 0)
        last += size
    position = min(start, last)
    covered: list[int] = []
    while True:
        found = ring.after(position, everything, limit)
        assert found is not None
        for entry in found.entries:
            covered += range(max(entry.first, start + 1), entry.last + 1)
        assert found.upto >= position
        position = found.upto
        if found.live:
            break
    assert position == last
    assert covered == list(range(min(start, last) + 1, last + 1))
