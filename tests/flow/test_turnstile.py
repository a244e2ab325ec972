"""A turnstile does work one piece at a time, in order, whichever thread brings it."""

from __future__ import annotations

import threading

import pytest

from leyden.flow.turnstile import WAITING_LIMIT, Turnstile

PATIENCE_S = 30


def test_what_the_work_itself_brings_is_done_after_it() -> None:
    done: list[int] = []

    def work(piece: int) -> None:
        if piece < 3:
            turns.enter(piece + 1)
        done.append(piece)

    turns = Turnstile(work)
    turns.enter(0)
    assert done == [0, 1, 2, 3]


def test_a_piece_that_fails_does_not_lock_the_next_one_out() -> None:
    done: list[int] = []

    def work(piece: int) -> None:
        if piece == 1:
            raise ValueError("one")
        done.append(piece)

    turns = Turnstile(work)
    with pytest.raises(ValueError, match="one"):
        turns.enter(1)
    turns.enter(2)
    assert done == [2]


class Held:
    """A turnstile whose first piece stays inside until it is released."""

    def __init__(self) -> None:
        self.done: list[int] = []
        self.inside, self.release = threading.Event(), threading.Event()
        self.turns = Turnstile(self._work)
        self.thread = threading.Thread(target=lambda: self.turns.enter(-1))
        self.thread.start()
        assert self.inside.wait(PATIENCE_S)

    def _work(self, piece: int) -> None:
        if piece == -1:
            self.inside.set()
            assert self.release.wait(PATIENCE_S)
        self.done.append(piece)

    def finish(self) -> list[int]:
        self.release.set()
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()
        return self.done


def test_others_leave_their_pieces_and_go_on() -> None:
    held = Held()
    for piece in range(10):
        assert held.turns.enter(piece)  # would never return if it waited
    assert held.done == []
    assert held.finish() == [-1, *range(10)]


def test_too_many_displace_the_oldest_and_orders_are_never_displaced() -> None:
    held = Held()
    held.turns.order(1_000_000)
    fitted = [held.turns.enter(piece) for piece in range(WAITING_LIMIT + 5)]
    assert fitted == [True] * WAITING_LIMIT + [False] * 5
    assert held.finish() == [-1, 1_000_000, *range(5, WAITING_LIMIT + 5)]


def test_many_threads_are_each_served_once_and_never_together() -> None:
    total, inside, done = 8 * 100, 0, []  # fewer than may wait
    finished = threading.Event()

    def work(piece: int) -> None:
        nonlocal inside
        inside += 1
        assert inside == 1
        done.append(piece)
        inside -= 1
        if len(done) == total:
            finished.set()

    turns = Turnstile(work)

    def bring(who: int) -> None:
        for i in range(100):
            turns.enter(who * 100 + i)

    threads = [threading.Thread(target=bring, args=(who,)) for who in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert finished.wait(PATIENCE_S)
    assert sorted(done) == list(range(total))
