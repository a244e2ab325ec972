"""Laws of the stages, tried on whatever Hypothesis can think of, in simulated time."""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import Any

from flow.parts import AIR, DEMAND, HUMIDITY, PUMP, World, simulated, times_s, values
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from leyden.flow import Capacitor, Deadband, Gate, Resistor, Throttle, Watchdog
from leyden.kernel import BAD, GOOD, NS, UNCERTAIN, Delivery, Event, Quality, Record

QUALITIES = st.sampled_from([GOOD, GOOD, GOOD, UNCERTAIN, BAD])
NUMBERS = st.floats(-100, 100, allow_nan=False).map(lambda value: round(value, 3))
MILLISECONDS = st.integers(0, 3000)


class CapacitorLaw(RuleBasedStateMachine):
    """A capacitor beside the simplest model of one: a deque and a number."""

    @initialize(
        keep=st.integers(1, 5),
        policy=st.sampled_from(["latest", "drop_oldest", "reject"]),
        asked=st.booleans(),
    )
    def make(self, keep: int, policy: str, asked: bool) -> None:
        self.world = World()
        self.keep, self.policy, self.asked = keep, policy, asked
        self.capacitor = Capacitor(keep, policy, DEMAND if asked else "")
        self.world.graph.pipe(AIR, "air.smooth", through=[self.capacitor])
        self.seen = self.world.watch("air.smooth")
        self.held: deque[float] = deque()
        self.credit = 0
        self.expected: list[float] = []
        self.lost = 0
        self.next = 0.0

    @rule(count=st.integers(1, 8))
    def publish(self, count: int) -> None:
        for _ in range(count):
            self.next += 1
            self.world.put(self.next)
            self._model_put(self.next)

    def _model_put(self, value: float) -> None:
        if len(self.held) == self.keep:
            if self.policy == "reject":
                self.lost += 1
                return
            given_up = len(self.held) if self.policy == "latest" else 1
            self.lost += given_up
            for _ in range(given_up):
                self.held.popleft()
        self.held.append(value)

    @rule(count=st.integers(1, 8))
    def ask(self, count: int) -> None:
        self.world.put(count, DEMAND)
        self.credit += count

    @rule()
    def settle(self) -> None:
        self.world.settle()
        while self.held and (not self.asked or self.credit):
            self.credit -= 1
            self.expected.append(self.held.popleft())

    @invariant()
    def it_never_holds_more_than_it_may(self) -> None:
        assert self.capacitor.held <= self.keep

    @invariant()
    def every_value_is_accounted_for(self) -> None:
        figures = self.capacitor.counters()
        assert figures.entered == (figures.out + figures.held + figures.dropped + figures.coalesced)
        assert figures.dropped + figures.coalesced == self.lost
        assert figures.held == len(self.held)

    @invariant()
    def demand_is_never_forgotten_and_never_exceeded(self) -> None:
        assert values(self.seen) == self.expected
        if self.asked:
            assert self.capacitor.credit == self.credit

    def teardown(self) -> None:
        self.world.close()


TestCapacitorLaw = CapacitorLaw.TestCase
TestCapacitorLaw.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


@given(
    count=st.integers(1, 4),
    per_ms=st.integers(1, 5000),
    strict=st.booleans(),
    arrivals=st.lists(st.tuples(MILLISECONDS, QUALITIES), min_size=1, max_size=60),
)
@settings(deadline=None)
def test_a_throttle_never_exceeds_its_rate_and_the_last_word_arrives(
    count: int, per_ms: int, strict: bool, arrivals: list[tuple[int, Quality]]
) -> None:
    with simulated() as world:
        seen = world.watch("air.smooth")
        law = Throttle(count, per_ms / 1000, strict=strict)
        resistor = Resistor(law)
        world.graph.pipe(AIR, "air.smooth", through=[resistor])
        for number, (wait_ms, quality) in enumerate(arrivals):
            world.run(wait_ms / 1000)
            world.put(float(number), quality=quality)
        last = world.events.latest(AIR.key)
        world.run(3 * per_ms / 1000)
        span = per_ms * 1_000_000
        assert _most_in_any_span(seen, span) <= count + (not strict)
        elapsed = seen[-1].mono - seen[0].mono
        assert len(seen) <= count * (elapsed // span + 1) + 1  # the rate of the long run
        for i in range(count, len(seen)):
            if seen[i].mono - seen[i - count].mono < span:
                assert _worsens(seen[i - count : i + 1]), "too many, and none for a failure"
        assert last is not None
        assert seen[-1].cause == last.n
        figures = resistor.counters()
        assert figures.entered == figures.out + figures.coalesced
        assert figures.held == 0


def _most_in_any_span(events: list[Event], span: int) -> int:
    return max(
        sum(first.mono <= event.mono < first.mono + span for event in events) for first in events
    )


def _worsens(events: list[Event]) -> bool:
    return any(after.quality > before.quality for before, after in pairwise(events))


@given(
    width=st.floats(0, 10).map(lambda value: round(value, 3)),
    arrivals=st.lists(st.tuples(NUMBERS, QUALITIES, st.sampled_from(["", "a"])), max_size=60),
)
@settings(deadline=None)
def test_a_deadband_hides_no_more_than_its_width_and_no_change_of_quality(
    width: float, arrivals: list[tuple[float, Quality, str]]
) -> None:
    with simulated() as world:
        world.graph.pipe(AIR, "air.smooth", through=[Resistor(Deadband(width))])
        shown: Event | None = None
        for value, quality, reason in arrivals:
            event = world.put(value, quality=quality, why=reason)
            passed = world.events.latest("air.smooth")
            assert passed is not None
            assert (passed.quality, passed.reason) == (event.quality, event.reason)
            if event.quality is not BAD:
                assert passed.value == value or abs(passed.value - value) < width
            if shown is not None and passed is not shown and quality is not BAD:
                same = (shown.quality, shown.reason) == (passed.quality, passed.reason)
                assert not same or passed.value != shown.value
                assert not same or abs(passed.value - shown.value) >= width
            shown = passed


@given(steps=st.lists(st.one_of(st.booleans(), st.none(), NUMBERS), max_size=60))
@settings(deadline=None)
def test_a_gate_passes_exactly_what_comes_while_it_is_open(steps: list[Any]) -> None:
    with simulated() as world:
        seen = world.watch("air.smooth")
        world.graph.pipe(AIR, "air.smooth", through=[Resistor(Gate(PUMP))])
        is_open, expected = False, []
        for step in steps:
            if step is None:
                world.put(None, PUMP, BAD)
                is_open = False
            elif isinstance(step, bool):
                world.put(step, PUMP)
                is_open = step
            else:
                world.put(step)
                expected += [step] if is_open else []
        assert values(seen) == expected


@given(
    silence_ms=st.integers(1, 2000),
    gaps_ms=st.lists(st.integers(0, 4000), min_size=1, max_size=40),
    others_ms=st.integers(20, 500),
)
@settings(deadline=None, max_examples=60)
def test_a_watchdog_speaks_once_per_silence_and_never_on_a_healthy_route(
    silence_ms: int, gaps_ms: list[int], others_ms: int
) -> None:
    with simulated() as world:
        said = world.watch("air.temperature;variant=health")
        world.graph.pipe(AIR, through=[Watchdog(silence_ms / 1000)])

        def others() -> None:
            # Another route at a rate of its own, which has nothing to say about this one.
            while world.now_s() < 160:
                world.put(50.0, HUMIDITY)
                world.executor.clock.sleep(others_ms / 1000)

        world.executor.start_lane("others", others)
        readings = [world.put(20.0)]
        for gap_ms in gaps_ms:
            world.run(gap_ms / 1000)
            readings.append(world.put(20.0))
        long_gaps = sum(gap_ms > silence_ms for gap_ms in gaps_ms)
        assert values(said) == ["silent", "recovered"] * long_gaps
        for event in said[::2]:
            (reading,) = (each for each in readings if each.n == event.cause)
            assert event.mono - reading.mono == silence_ms * 1_000_000 + 1


@given(st.lists(st.tuples(st.sampled_from("ab"), NUMBERS), max_size=40), st.integers(0, 3))
@settings(deadline=None, max_examples=60)
def test_every_observer_of_a_route_sees_the_same_order_whatever_the_delivery(
    puts: list[tuple[str, float]], echoes: int
) -> None:
    with simulated() as world:
        seen: list[list[int]] = [[], [], []]

        def note_in(numbers: list[int], delivery: Delivery) -> None:
            world.graph.observe(AIR, lambda event: numbers.append(event.n), delivery=delivery)

        note_in(seen[0], Delivery.INLINE)
        note_in(seen[1], Delivery.QUEUE)
        note_in(seen[2], Delivery.INLINE)

        def echo(event: Event) -> None:
            if event.hops < echoes:
                world.events.publish(AIR, event.value)

        world.graph.observe(AIR, echo, delivery=Delivery.INLINE)
        for who, value in puts:
            world.put(value, AIR if who == "a" else HUMIDITY)
        world.settle()
        assert seen[0] == seen[1] == seen[2] == sorted(seen[0])
        assert len(seen[0]) == sum(who == "a" for who, _ in puts) * (1 + echoes)


STAGES = st.sampled_from(
    [
        lambda: Capacitor(keep=3),
        lambda: Capacitor(keep=1, overflow="latest"),
        lambda: Resistor(Throttle(2, 1.0)),
        lambda: Resistor(Deadband(1.0)),
        Resistor,
        lambda: Watchdog(0.5),
    ]
)


@given(
    lines=st.lists(st.lists(STAGES, max_size=3), min_size=1, max_size=4),
    arrivals=st.lists(st.tuples(MILLISECONDS, NUMBERS), min_size=1, max_size=30),
)
@settings(deadline=None, max_examples=60)
def test_any_derived_value_leads_back_to_the_reading_whose_value_it_is(
    lines: list[list[Any]], arrivals: list[tuple[int, float]]
) -> None:
    with simulated() as world:
        source = AIR.key
        for i, stages in enumerate(lines):
            world.graph.pipe(source, f"out.x_{i}", through=[make() for make in stages])
            source = f"out.x_{i}"
        seen = world.watch(source)
        readings = []
        for wait_ms, value in arrivals:
            world.run(wait_ms / 1000)
            readings.append(world.put(value))
        world.run(20)
        assert seen, "the first value always arrives"
        for event in seen:
            found = world.graph.lineage(event)
            assert found.missing == 0
            assert found.origin in readings
            assert found.origin.value == event.value
            assert len(found.events) == len(lines) + 1


def test_the_same_course_gives_the_same_events_whenever_it_is_run() -> None:
    def run() -> list[Record]:
        with simulated() as world:
            world.graph.pipe(AIR, "a.x", through=[Capacitor(keep=2), Resistor(Throttle(1, 0.7))])
            world.graph.pipe("a.x", "b.x", through=[Watchdog(2), Capacitor(demand=DEMAND)])
            for i in range(200):
                world.put(i / 10)
                world.run(0.05 * (i % 7))
                if i % 3 == 0:
                    world.put(1, DEMAND)
            return list(world.events.read(0, 10_000).records)

    first, second = run(), run()
    assert first == second
    assert len(first) > 300


def test_time_is_kept_in_nanoseconds_without_drift() -> None:
    with simulated() as world:
        seen = world.watch("a.x")
        world.graph.pipe(AIR, "a.x", through=[Resistor(Throttle(1, 0.1))])
        for _ in range(1000):
            world.put(1.0)
            world.run(0.03)
        world.run(1)
        distances = {b.mono - a.mono for a, b in pairwise(seen)}
        assert distances == {NS // 10}
        assert times_s(seen)[100] == 10.0
