"""What the flow tests share: a graph in simulated time, and lists of what came out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from leyden.flow import Graph
from leyden.kernel import (
    BAD,
    GOOD,
    NS,
    Delivery,
    Event,
    EventStream,
    Origin,
    Quality,
    Route,
    Schema,
    SimulatedExecutor,
)

AIR = Route.of("air.temperature", unit="Cel")
SMOOTH = Route.of("air.smooth", unit="Cel", origin=Origin.DERIVED)
HUMIDITY = Route.of("air.humidity", unit="%")
DEMAND = Route.of("panel.demand", Schema("int"))
PUMP = Route.of("pump.running", Schema("bool"))


class World:
    """A stream and a graph in simulated time, with the usual routes declared."""

    def __init__(self) -> None:
        self.executor = SimulatedExecutor()
        self.events = EventStream(self.executor)
        self.graph = Graph(self.events, self.executor)
        for route in (AIR, HUMIDITY, DEMAND, PUMP):
            self.events.declare(route)

    def put(self, value: Any, route: Route = AIR, quality: Quality = GOOD, why: str = "") -> Event:
        """Publish as a device does, past the graph."""
        return self.events.publish(
            route, None if quality is BAD else value, quality=quality, reason=why
        )

    def settle(self) -> None:
        """Let every lane do what is due now."""
        self.executor.run_for(0)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.executor.run_for(seconds)

    def now_s(self) -> float:
        """Seconds since the beginning."""
        return self.executor.clock.monotonic_ns() / NS

    def watch(self, key: str) -> list[Event]:
        """Return a list that fills with the events of one route as they are delivered."""
        seen: list[Event] = []

        def note(event: Event) -> None:
            if event.route == key:
                seen.append(event)

        self.events.subscribe(note, name=f"test.{key}", prefix=key, delivery=Delivery.INLINE)
        return seen

    def close(self) -> None:
        """End every lane."""
        self.graph.close()
        self.executor.close()


@contextlib.contextmanager
def simulated() -> Iterator[World]:
    """A world for one example of a property."""
    world = World()
    try:
        yield world
    finally:
        world.close()


def values(events: list[Event]) -> list[Any]:
    """Return the values of events."""
    return [event.value for event in events]


def times_s(events: list[Event]) -> list[float]:
    """Return when events were published, in seconds."""
    return [event.mono / NS for event in events]
