"""A pump brings values from outside; what goes wrong there is told, not thrown back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flow.parts import AIR, DEMAND, World, values

from leyden.flow import Capacitor, FlowError
from leyden.kernel import BAD, GOOD, Event, Route

HEALTH = "air.temperature;variant=health"


class Subject:
    """The least an observable can be: remembers its subscriber and whether it is still wanted."""

    def __init__(self) -> None:
        self.disposed = False

    def subscribe(
        self,
        on_next: Callable[[Any], None],
        on_error: Callable[[Exception], None],
        on_completed: Callable[[], None],
    ) -> Subject:
        self.on_next, self.on_error, self.on_completed = on_next, on_error, on_completed
        return self

    def dispose(self) -> None:
        self.disposed = True


def wire(world: World) -> Any:
    """The pipe as somebody calls it who has no type checker."""
    return world.graph.pipe


def test_an_observable_is_piped_onto_a_route(world: World) -> None:
    seen, subject = world.watch(AIR.key), Subject()
    pump = world.graph.pipe(subject, AIR)
    subject.on_next(20.0)
    subject.on_next(21)
    assert values(seen) == [20.0, 21.0]
    assert pump.explain() == ("air.temperature/pump/source: open: publishes what the source sends")
    pump.dispose()
    assert subject.disposed
    subject.on_next(22.0)
    assert len(seen) == 2


def test_an_error_turns_the_route_bad_and_is_a_health_event(world: World) -> None:
    seen, health, subject = world.watch(AIR.key), world.watch(HEALTH), Subject()
    pump = world.graph.pipe(subject, AIR)
    subject.on_next(20.0)
    subject.on_error(OSError("cable out"))
    subject.on_next(21.0)
    assert [(e.value, e.quality, e.reason) for e in seen] == [
        (20.0, GOOD, ""), (None, BAD, "no_data"),
    ]  # fmt: skip
    assert seen[1].detail == "the source failed: OSError: cable out"
    assert values(health) == ["failed"]
    assert health[0].detail == "OSError: cable out"
    assert subject.disposed
    world.run(5)
    assert "failed: OSError: cable out, 5.0 s ago" in pump.explain()
    assert pump.node.counters().dropped == 1


def test_a_source_ends_once(world: World) -> None:
    seen, health, subject = world.watch(AIR.key), world.watch(HEALTH), Subject()
    world.graph.pipe(subject, AIR)
    subject.on_completed()
    subject.on_error(OSError("late"))
    subject.on_completed()
    assert seen == []
    assert values(health) == ["completed"]


def test_completion_is_noticed_and_the_last_value_stands(world: World) -> None:
    seen, health, subject = world.watch(AIR.key), world.watch(HEALTH), Subject()
    pump = world.graph.pipe(subject, AIR)
    subject.on_next(20.0)
    subject.on_completed()
    assert values(seen) == [20.0]
    assert values(health) == ["completed"]
    assert "completed: the source has sent all it had" in pump.explain()


def test_a_source_that_fails_when_subscribed_to_is_told_of(world: World) -> None:
    health = world.watch(HEALTH)

    class Broken(Subject):
        def subscribe(self, **_: Any) -> Subject:  # type: ignore[override]  # raises whatever it is given
            raise OSError("no such port")

    wire(world)(Broken(), AIR)
    assert values(health) == ["failed"]


def test_a_source_that_completes_while_subscribed_to_is_released(world: World) -> None:
    class Short(Subject):
        def subscribe(self, **calls: Any) -> Subject:  # type: ignore[override]  # takes them by name
            calls["on_next"](20.0)
            calls["on_completed"]()
            return self

    seen, short = world.watch(AIR.key), Short()
    wire(world)(short, AIR)
    assert values(seen) == [20.0]
    assert short.disposed


def test_a_function_is_called_in_a_lane_and_what_it_yields_is_published(world: World) -> None:
    seen, health = world.watch(AIR.key), world.watch(HEALTH)

    def readings() -> Iterator[float]:
        for value in (1.0, 2.0, 3.0):
            yield value
            world.executor.clock.sleep(10)

    world.graph.pipe(readings, AIR)
    assert seen == []
    world.run(15)
    assert values(seen) == [1.0, 2.0]
    world.run(60)
    assert values(seen) == [1.0, 2.0, 3.0]
    assert values(health) == ["completed"]


def test_a_function_that_raises_turns_its_route_bad(world: World) -> None:
    seen, errors = world.watch(AIR.key), world.watch("event.stage_error")

    def readings() -> Iterator[float]:
        yield 1.0
        raise OSError("cable out")

    world.graph.pipe(readings, AIR)
    world.settle()
    assert [e.quality for e in seen] == [GOOD, BAD]
    assert errors[0].value["node"] == "air.temperature/pump/source"


def test_a_function_that_returns_nothing_to_draw_from_has_failed(world: World) -> None:
    health = world.watch(HEALTH)
    wire(world)(lambda: None, AIR)
    world.settle()
    assert values(health) == ["failed"]


def test_a_value_of_another_type_is_bad_and_told_of_and_the_pump_goes_on(world: World) -> None:
    seen, errors, subject = world.watch(AIR.key), world.watch("event.stage_error"), Subject()
    pump = world.graph.pipe(subject, AIR)
    for value in (1.0, "warm", 2.0):
        subject.on_next(value)
    assert [(e.value, e.reason) for e in seen] == [(1.0, ""), (None, "out_of_range"), (2.0, "")]
    assert seen[1].detail == "air.temperature: found 'warm', expected float"
    assert len(errors) == 1
    assert pump.node.counters().errors == 1


def test_an_event_that_is_yielded_is_the_cause_of_what_is_published(world: World) -> None:
    seen = world.watch("air.copy")
    world.events.declare(Route.of("air.copy", unit="Cel"))
    reading = world.put(None, quality=BAD, why="checksum")

    def copies() -> Iterator[Event]:
        yield reading

    world.graph.pipe(copies, "air.copy")
    world.settle()
    assert (seen[0].quality, seen[0].reason, seen[0].cause) == (BAD, "checksum", reading.n)


def test_a_disposed_function_is_closed_in_its_own_lane(world: World) -> None:
    seen, closed = world.watch(AIR.key), []

    def readings() -> Iterator[float]:
        try:
            while True:
                yield 1.0
                world.executor.clock.sleep(1)
        finally:
            closed.append(world.now_s())

    pump = world.graph.pipe(readings, AIR)
    world.run(2.5)
    pump.dispose()
    world.run(10)
    assert len(seen) == 3
    assert closed == [3.0]


def test_a_pump_waits_at_a_capacitor_that_blocks(world: World) -> None:
    seen = world.watch("air.smooth")
    world.graph.pipe(
        AIR,
        "air.smooth",
        through=[Capacitor(keep=1, overflow="block", demand=DEMAND, timeout_s=60)],
    )
    pump = world.graph.pipe(lambda: iter((1.0, 2.0, 3.0)), AIR)
    world.run(30)
    assert pump.node.counters().out == 1
    world.put(3, DEMAND)
    world.run(1)
    assert values(seen) == [1.0, 2.0, 3.0]


def test_a_pump_that_waited_in_vain_counts_the_loss(world: World) -> None:
    world.graph.pipe(
        AIR, "air.smooth", through=[Capacitor(overflow="block", demand=DEMAND, timeout_s=2)]
    )
    pump = world.graph.pipe(lambda: iter((1.0, 2.0)), AIR)
    world.run(30)
    counters = pump.node.counters()
    assert (counters.entered, counters.out, counters.dropped, counters.errors) == (2, 1, 1, 1)


def test_stages_belong_behind_the_route_not_before_it(world: World) -> None:
    with pytest.raises(FlowError, match="without stages"):
        wire(world)(Subject(), AIR, through=[Capacitor()])
    with pytest.raises(FlowError, match="piped onto a route"):
        wire(world)(Subject(), print)
