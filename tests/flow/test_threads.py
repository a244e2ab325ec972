"""With real threads: each value delivered once, with its own event, in one order, and on time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from flow.parts import AIR, DEMAND, PUMP

from leyden.flow import Capacitor, FullError, Graph, Resistor, Throttle, Watchdog
from leyden.kernel import (
    NS,
    Delivery,
    Event,
    EventStream,
    MemoryStore,
    Origin,
    Route,
    SystemExecutor,
)

THREADS = 8
EACH = 1000
PATIENCE_S = 30  # only a failing test waits as long


@pytest.fixture
def graph() -> Iterator[Graph]:
    events = EventStream(SystemExecutor(), MemoryStore(capacity=100_000))
    for route in (AIR, DEMAND, PUMP):
        events.declare(route)
    made = Graph(events)
    yield made
    made.close()


class Tally:
    """Collects events and says when there are enough."""

    def __init__(self, enough: int) -> None:
        self.events: list[Event] = []
        self._enough = enough
        self._reached = threading.Event()

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        if len(self.events) >= self._enough:
            self._reached.set()

    def wait(self) -> list[Event]:
        assert self._reached.wait(PATIENCE_S), f"{len(self.events)} of {self._enough} came"
        return self.events


def in_threads(count: int, body: Callable[[int], None]) -> None:
    """Run `body` in threads that begin together, and wait for all of them."""
    barrier = threading.Barrier(count)

    def start(i: int) -> None:
        barrier.wait(PATIENCE_S)
        body(i)

    threads = [threading.Thread(target=start, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def test_eight_threads_on_one_route_are_each_delivered_once_in_one_order(graph: Graph) -> None:
    total = THREADS * EACH
    observers = [Tally(total) for _ in range(3)]
    deliveries = (Delivery.INLINE, Delivery.QUEUE, Delivery.QUEUE)
    for tally, delivery in zip(observers, deliveries, strict=True):
        graph.observe(AIR, tally, delivery=delivery, capacity=total)
    end = Tally(total)
    graph.pipe(AIR, "a.x", through=[Resistor()])
    graph.observe("a.x", end, capacity=total)
    published: list[list[Event]] = [[] for _ in range(THREADS)]

    def publish(who: int) -> None:
        for i in range(EACH):
            published[who].append(graph.publish(AIR, float(who * EACH + i)))

    in_threads(THREADS, publish)
    sent = sorted((event for part in published for event in part), key=lambda event: event.n)
    assert observers[0].wait() == sent  # each once, value and event as they were published
    assert observers[1].wait() == sent
    assert observers[2].wait() == sent
    assert [event.cause for event in end.wait()] == [event.n for event in sent]
    assert [event.value for event in end.events] == [event.value for event in sent]


def test_a_raising_observer_among_threads_harms_nobody(graph: Graph) -> None:
    total = THREADS * EACH
    graph.observe(AIR, lambda event: 1 / 0, delivery=Delivery.INLINE)
    graph.observe(AIR, lambda event: 1 / 0)
    tally = Tally(total)
    graph.observe(AIR, tally, capacity=total)

    def publish(who: int) -> None:
        for i in range(EACH):
            graph.publish(AIR, float(i))

    in_threads(THREADS, publish)
    assert len(tally.wait()) == total


def test_a_capacitor_among_threads_loses_nothing_it_does_not_count(graph: Graph) -> None:
    capacitor = Capacitor(keep=10)
    came = Tally(1)
    last = threading.Event()

    def consume(event: Event) -> None:
        came(event)
        if event.value == -1.0:
            last.set()

    graph.pipe(AIR, consume, through=[capacitor])

    def publish(who: int) -> None:
        for i in range(EACH):
            graph.publish(AIR, float(i))

    in_threads(THREADS, publish)
    graph.publish(AIR, -1.0)
    assert last.wait(PATIENCE_S)
    figures = capacitor.counters()
    assert figures.entered == THREADS * EACH + 1
    assert figures.out + figures.dropped == figures.entered
    assert len(came.events) == figures.out
    numbers = [event.n for event in came.events]
    assert numbers == sorted(set(numbers))


def test_demand_from_many_threads_is_all_met_and_no_more(graph: Graph) -> None:
    capacitor = Capacitor(keep=THREADS * EACH, demand=True)
    tally = Tally(THREADS * EACH // 2)
    graph.pipe(AIR, tally, through=[capacitor])

    def work(who: int) -> None:
        for i in range(EACH):
            graph.publish(AIR, float(i))
            if i % 2:
                capacitor.demand()

    in_threads(THREADS, work)
    tally.wait()
    assert capacitor.credit == 0
    assert capacitor.held == THREADS * EACH // 2


def test_producers_that_may_be_made_to_wait_lose_nothing(graph: Graph) -> None:
    total = THREADS * 200
    most = 0
    capacitor = Capacitor(keep=3, overflow="block", timeout_s=PATIENCE_S)
    tally = Tally(total)

    def consume(event: Event) -> None:
        nonlocal most
        most = max(most, capacitor.held)
        tally(event)

    graph.pipe(AIR, consume, through=[capacitor])

    def publish(who: int) -> None:
        for i in range(200):
            graph.publish(AIR, float(i))

    in_threads(THREADS, publish)
    assert len(tally.wait()) == total
    assert most <= 3
    assert capacitor.counters().dropped == 0


def test_a_producer_that_times_out_among_others_is_told(graph: Graph) -> None:
    capacitor = Capacitor(keep=1, overflow="block", demand=True, timeout_s=0.01)
    graph.pipe(AIR, "a.x", through=[capacitor])
    outcomes: list[str] = []

    def publish(who: int) -> None:
        try:
            graph.publish(AIR, float(who))
        except FullError:
            outcomes.append("full")
        else:
            outcomes.append("held")

    in_threads(THREADS, publish)
    assert sorted(outcomes) == ["full"] * (THREADS - 1) + ["held"]


def test_a_consumer_that_hangs_costs_the_producer_nothing(graph: Graph) -> None:
    release, started = threading.Event(), threading.Event()

    def hang(event: Event) -> None:
        started.set()
        release.wait(PATIENCE_S)

    capacitor = Capacitor(keep=1, overflow="latest")
    graph.pipe(AIR, hang, through=[capacitor])
    graph.publish(AIR, 0.0)
    assert started.wait(PATIENCE_S)
    for i in range(10_000):
        graph.publish(AIR, float(i))  # would never return if it waited for the consumer
    assert capacitor.counters().coalesced == 9_999
    release.set()


def test_a_throttle_keeps_its_distance_by_the_clock_of_the_events(graph: Graph) -> None:
    tally = Tally(10)
    graph.pipe(AIR, "a.x", through=[Resistor(Throttle(2, 0.02))])
    graph.observe("a.x", tally)
    stop = threading.Event()

    def publish() -> None:
        while not stop.is_set():
            graph.publish(AIR, 1.0)

    producer = threading.Thread(target=publish)
    producer.start()
    events = tally.wait()[:10]
    stop.set()
    producer.join(PATIENCE_S)
    for i in range(2, 10):
        assert events[i].mono - events[i - 2].mono >= 0.02 * NS


def test_a_watchdog_in_real_time_speaks_after_its_silence_and_recovers(graph: Graph) -> None:
    said = Tally(2)
    graph.pipe(AIR, through=[Watchdog(0.02, "air.stale")])
    silent = threading.Event()
    graph.observe("air.stale", lambda event: silent.set())
    graph.observe("air.stale", said)
    reading = graph.publish(AIR, 20.0)
    assert silent.wait(PATIENCE_S)
    graph.publish(AIR, 20.0)
    first, second = said.wait()[:2]
    assert (first.value, second.value) == ("silent", "recovered")
    assert first.mono - reading.mono > 0.02 * NS


def test_lines_can_be_put_up_and_taken_down_while_values_flow(graph: Graph) -> None:
    stop = threading.Event()
    published = 0

    def publish() -> None:
        nonlocal published
        while not stop.is_set():
            graph.publish(AIR, 1.0)
            graph.publish(PUMP, True)
            graph.publish(DEMAND, 1)
            published += 1

    producer = threading.Thread(target=publish)
    producer.start()

    def wire(who: int) -> None:
        for i in range(20):
            stages = [Capacitor(keep=2, demand=DEMAND), Resistor(Throttle(100, 0.01)), Watchdog(5)]
            with graph.pipe(AIR, f"x_{who}.line_{i}", through=stages):
                assert graph.flow_snapshot().edges

    in_threads(4, wire)
    stop.set()
    producer.join(PATIENCE_S)
    assert graph.handles() == ()
    assert published > 0
    errors = graph.events.latest("event.stage_error") or graph.events.latest(
        "event.subscriber_error"
    )
    assert errors is None


def test_crossing_lines_with_feedback_do_not_lock_each_other(graph: Graph) -> None:
    """Two throttles feed each other from lanes and timers; the hop limit ends every chain."""
    done = Tally(THREADS * 50)
    for key in ("a.x", "b.x"):
        graph.events.declare(Route.of(key, unit="Cel", origin=Origin.DERIVED))
    graph.pipe(AIR, "a.x", through=[Capacitor(keep=100), Resistor(Throttle(100, 0.001))])
    graph.pipe("a.x", "b.x", through=[Resistor(Throttle(100, 0.001)), Capacitor(keep=100)])
    graph.pipe("b.x", "a.x", through=[Resistor(Throttle(100, 0.001))])
    graph.observe(AIR, done, capacity=10_000)

    def publish(who: int) -> None:
        for i in range(50):
            graph.publish(AIR, float(i))

    in_threads(THREADS, publish)
    assert len(done.wait()) == THREADS * 50


def test_the_producer_of_a_slow_consumer_keeps_its_speed(graph: Graph) -> None:
    """A floor far below what is reached, so that only waiting for the consumer can miss it."""
    graph.pipe(AIR, lambda event: time.sleep(0.001), through=[Capacitor(keep=1, overflow="latest")])
    publish = graph.events.publisher(AIR)
    begun = time.monotonic_ns()
    for i in range(20_000):  # 20 s of work for the consumer
        publish(float(i))
    assert time.monotonic_ns() - begun < 2 * NS
