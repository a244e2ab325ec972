"""Lineage leads from any derived value back to the reading it came from, through every stage."""

from __future__ import annotations

from flow.parts import AIR, DEMAND, World

from leyden.flow import Capacitor, Deadband, Graph, Resistor, Throttle, Watchdog, lineage, stage
from leyden.kernel import EventStream, MemoryStore, Route, SimulatedExecutor


def test_a_derived_value_leads_back_to_its_reading_through_every_stage(world: World) -> None:
    seen = world.watch("c.x")
    world.graph.pipe(AIR, "a.x", through=[Resistor(Deadband(0.5)), Watchdog(60)])
    world.graph.pipe("a.x", "b.x", through=[Capacitor(keep=3, demand=DEMAND)])
    world.graph.pipe("b.x", "c.x", through=[Resistor(Throttle(1, 5))])
    for value in (20.0, 20.1, 21.0):
        reading = world.put(value)
        world.put(1, DEMAND)
        world.run(1)
    world.run(60)
    found = world.graph.lineage(seen[-1])
    assert [event.route for event in found.events] == ["c.x", "b.x", "a.x", "air.temperature"]
    assert found.origin == reading
    assert found.origin.value == seen[-1].value
    assert found.missing == 0
    assert found.explain().startswith(f"air.temperature #{reading.n} → a.x #")
    assert {event.trace or event.n for event in found.events} == {reading.n}


def test_an_alarm_leads_back_to_the_last_reading_before_the_silence(world: World) -> None:
    said = world.watch("air.temperature;variant=health")
    world.graph.pipe(AIR, through=[stage("watchdog", silence="5 s")])
    reading = world.put(20.0)
    world.run(10)
    assert world.graph.lineage(said[0]).origin == reading


def test_a_reading_in_a_scan_is_found_by_its_own_number(world: World) -> None:
    seen = world.watch("a.x")
    world.graph.pipe("air.humidity", "a.x")
    scan = world.events.publish_scan(("air.temperature", "air.humidity"), (20.0, 55.0))
    origin = world.graph.lineage(seen[0]).origin
    assert (origin.n, origin.route, origin.value) == (scan.n + 1, "air.humidity", 55.0)


def test_a_reading_stands_for_itself(world: World) -> None:
    reading = world.put(20.0)
    assert world.graph.lineage(reading).events == (reading,)


def test_what_is_no_longer_kept_is_named_not_passed_over() -> None:
    executor = SimulatedExecutor()
    events = EventStream(executor, MemoryStore(capacity=3))
    Graph(events).pipe(events.declare(AIR), "a.x")
    reading = events.publish(AIR, 20.0)
    derived = events.latest("a.x")
    assert derived is not None
    other = events.declare(Route.of("x.y"))
    for _ in range(2):
        events.publish(other, 0.0)
    found = lineage(events, derived)
    assert found.events == (derived,)
    assert found.missing == reading.n
    assert found.explain() == f"#{reading.n} (no longer kept) → a.x #{derived.n}"
    executor.close()
