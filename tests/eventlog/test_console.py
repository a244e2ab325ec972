"""Events are shown as lines of JSON, and a terminal that is slow or gone holds nobody up."""

from __future__ import annotations

import io
import json
import threading
from typing import Any

import pytest

from leyden.eventlog.console import CAPACITY, Console, line_of
from leyden.kernel import (
    BAD,
    Event,
    EventStream,
    FrozenDict,
    Route,
    SimulatedExecutor,
    SystemExecutor,
)


def attached(
    stream: Any, prefix: str = ""
) -> tuple[SimulatedExecutor, EventStream, Route, Console]:
    executor = SimulatedExecutor()
    events = EventStream(executor)
    route = events.declare(Route.of("air.temperature", unit="Cel"))
    events.declare(Route.of("vent.state", bool))
    console = Console(stream, executor.clock)
    console.attach(events, prefix)
    return executor, events, route, console


def test_every_event_is_a_line_of_json_with_whole_words() -> None:
    text = io.StringIO()
    executor, events, route, _ = attached(text)
    first = events.publish(route, 21.5, source="device.air")
    executor.run_for(1.5)
    events.publish(
        route, None, quality=BAD, reason="no_data", detail="no answer for 12 s", cause=first
    )
    executor.run_for(0)
    assert [json.loads(line) for line in text.getvalue().splitlines()] == [
        {
            "n": 1,
            "time": "2026-01-01T00:00:00.000Z",
            "route": "air.temperature",
            "value": 21.5,
            "source": "device.air",
        },
        {
            "n": 2,
            "time": "2026-01-01T00:00:01.500Z",
            "route": "air.temperature",
            "value": None,
            "quality": "bad",
            "reason": "no_data",
            "detail": "no answer for 12 s",
            "cause": 1,
            "trace": 1,
        },
    ]
    executor.close()


def test_only_the_routes_asked_for_are_shown() -> None:
    text = io.StringIO()
    executor, events, route, _ = attached(text, "vent.")
    events.publish(route, 1.0)
    events.publish("vent.state", True)
    executor.run_for(0)
    assert [json.loads(line)["route"] for line in text.getvalue().splitlines()] == ["vent.state"]
    executor.close()


@pytest.mark.parametrize("value", [float("nan"), b"\xff", FrozenDict(a=(1, None)), "line\nbreak"])
def test_whatever_is_published_stays_on_one_line(value: Any) -> None:
    line = line_of(Event(1, 0, "air.note", value), 0)
    assert "\n" not in line
    json.loads(line)


@pytest.mark.parametrize("error", [BrokenPipeError(32, "Broken pipe"), ValueError("closed file")])
def test_a_terminal_that_is_gone_ends_the_console_and_nothing_else(error: Exception) -> None:
    class Gone(io.StringIO):
        def write(self, _: str) -> int:
            raise error

    executor, events, route, console = attached(Gone())
    events.publish(route, 1.0)
    executor.run_for(0)
    events.publish(route, 2.0)
    executor.run_for(0)
    assert console.error == str(error)
    assert events.subscriptions() == ()
    assert events.latest("event.subscriber_error") is None
    executor.close()


def test_a_terminal_that_takes_nothing_does_not_hold_the_publisher() -> None:
    release = threading.Event()
    lines: list[str] = []

    class Stuck(io.StringIO):
        def write(self, text: str) -> int:
            release.wait(30)
            lines.append(text)
            return len(text)

    events = EventStream(SystemExecutor())
    route = events.declare(Route.of("air.temperature"))
    console = Console(Stuck(), events.clock)
    subscription = console.attach(events)
    for i in range(3 * CAPACITY):
        events.publish(route, float(i))
    assert events.head == 3 * CAPACITY
    assert subscription.counters()["dropped"] >= CAPACITY
    console.detach()
    release.set()


def test_a_console_that_was_detached_can_be_attached_again() -> None:
    text = io.StringIO()
    executor, events, route, console = attached(text)
    console.detach()
    console.detach()
    events.publish(route, 1.0)
    console.attach(events)
    events.publish(route, 2.0)
    executor.run_for(0)
    assert [json.loads(line)["value"] for line in text.getvalue().splitlines()] == [2.0]
    executor.close()
