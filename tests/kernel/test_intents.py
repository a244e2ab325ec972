"""Intents: on record before they are carried out, once a key, refused without the role."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from kernel.parts import Rig, Thermometer

from leyden.kernel import (
    Answer,
    ComponentError,
    Delivery,
    Event,
    Intent,
    Outcome,
    Role,
    Runtime,
    Value,
)


class Vent(Thermometer):
    """A device with an output, which shows in its reading."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[tuple[str, Value]] = []

    def write(self, channel: str, value: Value) -> None:
        if channel != "state":
            raise ComponentError(f"no output {channel}")
        self.written.append((channel, value))


def write(value: Any = True, route: str = "vent.state", **fields: Any) -> Intent:
    payload = {"route": route, "value": value}
    return Intent("device.write", payload, "test", **{"role": Role.OPERATOR, **fields})


def submit(rig: Rig, intent: Intent) -> Answer:
    """Submit from a lane, as the link does."""
    answers: list[Answer] = []
    rig.executor.start_lane("asker", lambda: answers.append(rig.runtime.submit(intent)))
    rig.run_for(3)
    return answers[0]


def vented(rig: Rig) -> Vent:
    vent = Vent()
    rig.runtime.add_device(vent, "vent")
    rig.runtime.boot()
    return vent


def test_a_write_is_on_record_before_it_is_carried_out_and_so_is_its_outcome(rig: Rig) -> None:
    vent = vented(rig)
    answer = submit(rig, write())
    assert answer.outcome is Outcome.DONE
    assert vent.written == [("state", True)]
    accepted, done = rig.of("intent.device.write")
    assert accepted.value["outcome"] == "accepted"
    assert (done.value["outcome"], done.cause, done.n) == ("done", accepted.n, answer.n)
    assert done.value["who"] == "test"


def test_what_was_written_is_read_back_before_the_answer(rig: Rig) -> None:
    vent = vented(rig)
    rig.run_for(0.4)
    vent.value = 30.0  # what the write brings about
    answer = submit(rig, write())
    after = [event for event in rig.of("vent.temperature") if event.value == 30.0]
    assert after[0].n < answer.n


def test_a_role_below_the_goals_is_refused_on_record_and_nothing_moves(rig: Rig) -> None:
    vent = vented(rig)
    answer = submit(rig, write(role=Role.VIEWER))
    assert answer.outcome is Outcome.REFUSED
    assert "needs role operator, found viewer" in answer.detail
    assert vent.written == []
    assert [event.value["outcome"] for event in rig.of("intent.device.write")] == ["refused"]


def test_what_is_refused_for_its_role_leaves_no_payload_on_record(rig: Rig) -> None:
    vented(rig)
    submit(rig, write("x" * 2000, role=Role.VIEWER))
    assert rig.of("intent.device.write")[-1].value["payload"] is None


def test_a_payload_that_would_fill_the_log_is_refused_off_record(rig: Rig) -> None:
    vent = vented(rig)
    answer = submit(rig, write("x" * 5000))
    assert answer.outcome is Outcome.REFUSED
    assert "expected at most 4096" in answer.detail
    assert vent.written == []
    assert rig.of("intent.device.write") == []


def test_a_key_is_its_senders_own(rig: Rig) -> None:
    vent = vented(rig)
    assert submit(rig, write(key="k1", role=Role.VIEWER)).outcome is Outcome.REFUSED
    assert submit(rig, write(key="k1")).outcome is Outcome.DONE
    assert len(vent.written) == 1


def test_an_equal_key_is_carried_out_once(rig: Rig) -> None:
    vent = vented(rig)
    first, second = submit(rig, write(key="k1")), submit(rig, write(key="k1"))
    assert first == second
    assert len(vent.written) == 1
    submit(rig, write(key="k2"))
    assert len(vent.written) == 2


def test_equal_keys_from_many_threads_at_once_are_carried_out_once() -> None:
    runtime = Runtime("threads")
    calls: list[int] = []
    together = threading.Barrier(8)
    runtime.register_goal("test.count", lambda intent: calls.append(1), Role.VIEWER)

    def ask() -> None:
        together.wait(10)
        runtime.submit(Intent("test.count", key="same"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert calls == [1]


def test_nonsense_is_answered_in_words(rig: Rig) -> None:
    vented(rig)
    assert "no goal" in submit(rig, Intent("vent.open")).detail
    assert "found no" in submit(rig, Intent("device.write", 3, role=Role.ADMIN)).detail
    assert 'no device "door"' in submit(rig, write(route="door.state")).detail
    assert "no output x" in submit(rig, write(route="vent.x")).detail


def test_a_write_to_a_device_that_is_away_fails_and_says_so(rig: Rig) -> None:
    vent = vented(rig)
    vent.present = False
    rig.run_for(5)
    answer = submit(rig, write())
    assert (answer.outcome, vent.written) == (Outcome.FAILED, [])
    assert "vent is offline; nothing was written" in answer.detail


def test_a_handler_that_breaks_is_an_answer_not_a_crash(rig: Rig) -> None:
    def broken(intent: Intent) -> Value:
        raise KeyError("oops")

    rig.runtime.register_goal("test.broken", broken, Role.VIEWER)
    assert submit(rig, Intent("test.broken")).outcome is Outcome.FAILED


@pytest.mark.parametrize("payload", [object(), {1: "a"}, {"value": object()}, bytearray(b"x")])
def test_a_payload_that_is_no_plain_data_is_refused_and_holds_nobody_up(
    rig: Rig, payload: Any
) -> None:
    vented(rig)
    intent = Intent("device.write", payload, "test", Role.OPERATOR, key="k1")
    assert [submit(rig, intent).outcome for _ in range(2)] == [Outcome.REFUSED] * 2


def test_a_handler_that_is_interrupted_holds_nobody_up_who_asks_again(rig: Rig) -> None:
    def interrupted(intent: Intent) -> Value:
        raise KeyboardInterrupt

    rig.runtime.register_goal("break.in", interrupted, Role.VIEWER)
    intent = Intent("break.in", key="k1")
    with pytest.raises(KeyboardInterrupt):
        rig.runtime.submit(intent)
    assert rig.runtime.submit(intent).outcome is Outcome.FAILED


def test_a_rule_that_asks_for_what_it_reacts_to_is_ended_by_an_answer(rig: Rig) -> None:
    answers: list[Answer] = []

    def ask_again(event: Event) -> None:
        answers.append(rig.runtime.submit(Intent("go.on")))

    rig.runtime.register_goal("go.on", lambda intent: None, Role.VIEWER)
    rig.runtime.events.subscribe(
        ask_again, name="rule", prefix="intent.go.on", delivery=Delivery.INLINE
    )
    rig.runtime.submit(Intent("go.on"))
    assert answers[-1].outcome is Outcome.FAILED
    assert "follows from itself in more than 1000 events" in answers[-1].detail
    assert rig.runtime.events.head < 5000
