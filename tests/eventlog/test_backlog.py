"""The queue between publisher and disk is bounded, exact about what it loses, and readable."""

from __future__ import annotations

import pytest
from eventlog.rig import gaps, numbers
from hypothesis import given
from hypothesis import strategies as st

from leyden.eventlog.backlog import OVERFLOWED, Backlog
from leyden.eventlog.schema import Entry
from leyden.kernel import Event, Gap, Record, Scan


def nobody(n: int) -> None:
    """Attend to nothing."""


def backlog(capacity: int = 100, batch: int = 10, recent: int = 20, first: int = 1) -> Backlog:
    return Backlog(first, nobody, capacity=capacity, batch=batch, recent=recent)


def record(n: int, width: int) -> Record:
    if width == 1:
        return Event(n, 0, "air.temperature", 1.0)
    return Scan(n, 0, ("a.b",) * width, (1.0,) * width)


@given(
    steps=st.lists(st.integers(1, 5) | st.just("take"), max_size=60),
    capacity=st.integers(1, 8),
    batch=st.integers(1, 5),
)
def test_what_is_taken_and_what_is_lost_is_all_there_was(
    steps: list[int | str], capacity: int, batch: int
) -> None:
    queue = backlog(capacity, batch)
    n = 1
    taken: list[Entry] = []
    for step in [*steps, *["take"] * 9]:
        if isinstance(step, int):
            queue.append(record(n, step))
            n += step
            assert queue.last == n - 1
        else:
            before = queue.lost + queue.overflowed()
            taken += queue.take(0)
            assert queue.lost + queue.overflowed() == before
    seen = numbers(taken)
    for gap in gaps(taken):
        seen += range(gap.first, gap.last + 1)
    assert sorted(seen) == list(range(1, n))
    assert sum(gap.last - gap.first + 1 for gap in gaps(taken)) == queue.lost
    assert queue.taken == n - 1
    assert queue.overflowed() == 0


def test_what_is_not_synced_stays_readable_however_much_it_is() -> None:
    queue = backlog(capacity=1000, batch=10, recent=20)
    for n in range(1, 501):
        queue.append(record(n, 1))
    for _ in range(30):
        queue.take(synced=5)
    oldest, held = queue.held(5, 1000)
    assert oldest == 6
    assert numbers(held) == list(range(6, 501))
    for _ in range(5):
        queue.take(synced=300)
    oldest, held = queue.held(300, 1000)
    assert oldest == 301
    assert numbers(held) == list(range(301, 501))


def test_what_is_synced_is_kept_as_far_as_readers_like_it() -> None:
    queue = backlog(capacity=1000, batch=10, recent=20)
    for n in range(1, 501):
        queue.append(record(n, 1))
    for _ in range(50):
        queue.take(synced=490)
    oldest, _ = queue.held(0, 1)
    assert oldest is not None
    assert 470 <= oldest <= 481


def test_a_hole_in_front_of_the_queue_is_a_gap_for_readers_too() -> None:
    queue = backlog(capacity=3)
    for n in range(1, 4):
        queue.append(record(n, 1))
    queue.take(0)
    for n in range(4, 11):
        queue.append(record(n, 1))
    _, held = queue.held(1, 100)
    assert held[:3] == [record(2, 1), record(3, 1), Gap(4, 7, OVERFLOWED)]
    assert numbers(held) == [2, 3, 8, 9, 10]
    _, held = queue.held(5, 100)
    assert held[0] == Gap(6, 7, OVERFLOWED)


@pytest.mark.parametrize("limit", [1, 3, 7])
def test_no_more_is_returned_than_asked_for(limit: int) -> None:
    queue = backlog()
    for n in range(1, 21):
        queue.append(record(n, 1))
    queue.take(0)
    assert numbers(queue.held(7, limit)[1]) == list(range(8, 8 + limit))


def test_an_empty_backlog_holds_nothing() -> None:
    queue = backlog(first=77)
    assert queue.held(0, 10) == (None, [])
    assert queue.take(0) == []
    assert (queue.last, queue.overflowed(), len(queue)) == (76, 0, 0)


def test_the_publisher_is_attended_to_from_the_number_that_was_set() -> None:
    seen: list[int] = []
    queue = Backlog(1, seen.append, capacity=10, batch=10, recent=10)
    queue.append(record(1, 1))
    queue.append(record(2, 1))
    queue.attend_at = 4
    queue.append(record(3, 1))
    queue.append(record(4, 3))
    queue.attend_at = 8
    queue.append(record(7, 1))
    assert seen == [1, 2, 4]
