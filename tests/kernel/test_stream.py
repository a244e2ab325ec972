"""The stream's promises: one order, isolation, cause before effect, loops that end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel.parts import Listener, Rig, Ticker

from leyden.kernel import (
    BAD,
    Context,
    Delivery,
    DuplicateError,
    Event,
    EventStream,
    FrozenDict,
    MemoryStore,
    Overflow,
    Route,
    RouteError,
    Scan,
    Schema,
)

AIR = Route.of("air.temperature", unit="Cel")


@pytest.fixture
def stream() -> EventStream:
    made = EventStream()
    made.declare(AIR)
    return made


def collect(stream: EventStream, name: str = "all", **options: object) -> list[Event]:
    heard: list[Event] = []
    stream.subscribe(heard.append, name=name, delivery=Delivery.INLINE, **options)  # type: ignore[arg-type]
    return heard


def answer_on(stream: EventStream, route: str) -> Callable[[Event], object]:
    return lambda event: stream.publish(route, 1.0)


def keep_value(values: list[float], event: Event) -> None:
    values.append(event.value)


def test_an_event_carries_number_time_source_and_boot(stream: EventStream) -> None:
    event = stream.publish(AIR, 21.4, source="device.air")
    assert (event.n, event.route, event.value, event.source, event.boot) == (
        1, "air.temperature", 21.4, "device.air", 1,
    )  # fmt: skip
    assert stream.latest("air.temperature") is event
    assert stream.head == 1


def test_an_undeclared_route_is_refused_with_the_remedy(stream: EventStream) -> None:
    with pytest.raises(RouteError, match=r'call events.declare\(Route.of\("air.pressure"'):
        stream.publish("air.pressure", 1.0)
    with pytest.raises(RouteError, match="not declared"):
        stream.publisher("air.pressure")
    with pytest.raises(RouteError, match="not declared"):
        stream.publish_scan(("air.pressure",), (1.0,))


def test_two_schemas_at_one_address_are_refused(stream: EventStream) -> None:
    assert stream.declare(AIR) == AIR
    with pytest.raises(DuplicateError, match="schema=float@1.*second declaration.*schema=bool@1"):
        stream.declare(Route.of("air.temperature", bool))


def test_a_payload_cannot_be_changed_by_anyone(stream: EventStream) -> None:
    stream.declare(Route.of("air.note", dict))
    mine = {"list": [1, 2], "set": {3}, "deep": {"a": []}}
    event = stream.publish("air.note", mine)
    mine["list"].append(3)  # type: ignore[attr-defined]
    assert event.value == {"list": (1, 2), "set": (3,), "deep": {"a": ()}}
    assert isinstance(event.value, FrozenDict)
    for change in ("clear", "popitem"):
        with pytest.raises(TypeError, match="cannot be changed"):
            getattr(event.value, change)()
    with pytest.raises(TypeError):
        event.value["list"] = ()
    with pytest.raises(TypeError):
        event.value |= {"x": 1}  # type: ignore[misc]  # the point
    with pytest.raises(AttributeError):
        event.value = 3  # type: ignore[misc]  # the point
    with pytest.raises(TypeError, match="found object in a payload"):
        stream.publish("air.note", object())


def test_everyone_sees_cause_before_effect_also_when_a_handler_publishes(
    stream: EventStream,
) -> None:
    stream.declare(Route.of("fan.on", bool))
    first = collect(stream, "first")

    def react(event: Event) -> None:
        if event.route == "air.temperature":
            stream.publish("fan.on", True)

    stream.subscribe(react, name="react", delivery=Delivery.INLINE)
    last = collect(stream, "last")
    stream.publish(AIR, 30.0)
    stream.publish(AIR, 31.0)
    routes = ["air.temperature", "fan.on"] * 2
    assert [e.route for e in first] == [e.route for e in last] == routes
    assert [e.n for e in last] == [1, 2, 3, 4]


def test_what_a_handler_publishes_knows_its_cause_and_trace(stream: EventStream) -> None:
    stream.declare(Route.of("a.b"))
    stream.declare(Route.of("a.c"))
    for source, target in (("air.temperature", "a.b"), ("a.b", "a.c")):
        stream.subscribe(
            answer_on(stream, target),
            name=target,
            prefix=source,
            delivery=Delivery.INLINE,
        )
    root = stream.publish(AIR, 20.0)
    b, c = stream.latest("a.b"), stream.latest("a.c")
    assert b is not None
    assert c is not None
    assert (b.cause, b.trace, b.hops) == (root.n, root.n, 1)
    assert (c.cause, c.trace, c.hops) == (b.n, root.n, 2)
    unrelated = stream.publish("a.c", 2.0)
    assert (unrelated.cause, unrelated.trace) == (0, 0)


def test_a_queued_handler_also_passes_its_cause_on(rig: Rig) -> None:
    events = rig.runtime.events
    events.declare(AIR)
    events.declare(Route.of("fan.on", bool))
    events.subscribe(lambda event: events.publish("fan.on", True), name="fan", prefix="air.")
    root = events.publish(AIR, 30.0)
    rig.run_for(0.1)
    fan = events.latest("fan.on")
    assert fan is not None
    assert fan.cause == root.n


@pytest.mark.parametrize("delivery", [Delivery.INLINE, Delivery.QUEUE])
def test_a_feedback_loop_ends_with_one_clear_event(rig: Rig, delivery: Delivery) -> None:
    events = rig.runtime.events
    for name in ("loop.a", "loop.b"):
        events.declare(Route.of(name))
    for source, target in (("loop.a", "loop.b"), ("loop.b", "loop.a")):
        events.subscribe(
            answer_on(events, target),
            name=f"to_{target[-1]}",
            prefix=source,
            delivery=delivery,
        )
    events.publish("loop.a", 0.0)
    rig.run_for(1)
    assert len(rig.routes("loop.")) == 33  # the first and 32 hops
    reports = rig.of("event.feedback_loop")
    assert len(reports) == 1
    assert "follows from itself in 32 hops" in reports[0].detail
    assert reports[0].value["trace"] == 1
    assert rig.routes("event.") == ["event.feedback_loop"]


def test_a_subscriber_to_everything_that_answers_everything_ends_too(rig: Rig) -> None:
    events = rig.runtime.events
    events.declare(AIR)
    events.declare(Route.of("echo.all"))
    events.subscribe(lambda e: events.publish("echo.all", 1.0), name="echo")
    events.publish(AIR, 1.0)
    rig.run_for(1)
    assert len(rig.events) < 200
    assert rig.of("event.feedback_loop")


def test_a_raising_subscriber_harms_nobody_and_is_reported_once(rig: Rig) -> None:
    events = rig.runtime.events
    events.declare(AIR)

    def fail(event: Event) -> None:
        raise RuntimeError("broken")

    subscription = events.subscribe(fail, name="bad", delivery=Delivery.INLINE)
    after: list[Event] = []
    events.subscribe(after.append, name="after", prefix="air.", delivery=Delivery.INLINE)
    for value in range(15):
        events.publish(AIR, float(value))
    assert len(after) == 15
    reports = rig.of("event.subscriber_error")
    assert len(reports) == 1
    assert reports[0].value["subscriber"] == "bad"
    assert "RuntimeError: broken" in reports[0].value["error"]
    assert subscription.counters()["errors"] == 15  # its own error report was not given back to it


@pytest.mark.parametrize("delivery", list(Delivery))
def test_a_subscriber_that_only_fails_is_quarantined_and_that_is_an_event(
    rig: Rig, delivery: Delivery
) -> None:
    events = rig.runtime.events
    events.declare(AIR)
    calls: list[int] = []

    def fail(event: Event) -> None:
        calls.append(event.n)
        raise RuntimeError("broken")

    subscription = events.subscribe(fail, name="bad", prefix="air.", delivery=delivery)
    for value in range(100):
        events.publish(AIR, float(value))
        rig.run_for(0.01)
    assert len(calls) == 20
    assert subscription.counters()["quarantined"] is True
    assert [e.value["quarantined"] for e in rig.of("event.subscriber_error")] == [False, True]


def test_a_slow_subscriber_costs_the_producer_nothing(rig: Rig) -> None:
    events = rig.runtime.events
    events.declare(AIR)
    slow: list[float] = []

    def handle(event: Event) -> None:
        rig.executor.clock.sleep(0.2)
        slow.append(event.value)

    ticker = Ticker(period_s=0.01)
    ticker.on_tick = lambda ctx: events.publish(AIR, float(len(ticker.ticks)))
    subscription = events.subscribe(handle, name="slow", prefix="air.", capacity=10)
    rig.runtime.add_service(ticker)
    rig.runtime.boot()
    rig.run_for(2.005)
    assert len(ticker.ticks) == 201
    assert rig.runtime.services()[0].timing.overruns == 0
    figures = subscription.counters()
    assert figures["served"] == 10
    assert figures["waiting"] == 9  # it has just taken one
    assert figures["late_ms"] == 85  # as old as the oldest of the nine
    assert figures["dropped"] == 201 - 10 - 9 - 1  # one is in the handler
    assert slow == sorted(slow)


def test_overflow_keeps_the_newest_or_the_oldest_as_asked(rig: Rig) -> None:
    events = rig.runtime.events
    events.declare(AIR)
    kept: dict[Overflow, list[float]] = {Overflow.DROP_OLDEST: [], Overflow.DROP_NEWEST: []}
    for overflow, values in kept.items():
        events.subscribe(
            partial(keep_value, values),
            name=overflow,
            prefix="air.",
            capacity=3,
            overflow=overflow,
        )
    for value in range(10):
        events.publish(AIR, float(value))
    rig.run_for(0.1)
    assert kept == {Overflow.DROP_OLDEST: [7, 8, 9], Overflow.DROP_NEWEST: [0, 1, 2]}


def test_latest_only_coalesces_per_route(rig: Rig) -> None:
    events = rig.runtime.events
    events.declare(AIR)
    events.declare(Route.of("air.pressure", unit="Pa"))
    heard: list[float] = []
    subscription = events.subscribe(
        lambda event: heard.append(event.value), name="l", prefix="air.", delivery=Delivery.LATEST
    )
    for value in range(5):
        events.publish(AIR, float(value))
    events.publish("air.pressure", 100.0)
    rig.run_for(0.1)
    assert heard == [4.0, 100.0]
    assert subscription.counters()["coalesced"] == 4


def test_a_handler_cancelled_during_a_dispatch_is_not_called_in_it(stream: EventStream) -> None:
    heard: list[Event] = []
    second: list[object] = []
    stream.subscribe(
        lambda event: second[0].cancel(),  # type: ignore[attr-defined]
        name="first",
        delivery=Delivery.INLINE,
    )
    second.append(stream.subscribe(heard.append, name="second", delivery=Delivery.INLINE))
    stream.publish(AIR, 1.0)
    second[0].cancel()  # type: ignore[attr-defined]  # twice is harmless
    assert heard == []


def test_a_late_subscriber_receives_the_current_state_first_and_nothing_twice(rig: Rig) -> None:
    events = rig.runtime.events
    for name in ("air.temperature", "air.humidity"):
        events.declare(Route.of(name))
    for value in (1.0, 2.0):
        events.publish("air.temperature", value)
        events.publish("air.humidity", value)
    heard: list[Event] = []
    events.subscribe(
        heard.append, name="late", prefix="air.", delivery=Delivery.INLINE, replay_latest=True
    )
    events.publish("air.temperature", 3.0)
    assert [event.n for event in heard] == [3, 4, 5]


def test_a_process_hears_the_lifecycle_it_was_too_late_for(rig: Rig) -> None:
    from kernel.parts import Thermometer

    listener = Listener()
    rig.runtime.add_process(listener)
    rig.runtime.add_device(Thermometer(), "air")
    rig.runtime.boot()
    rig.run_for(0.1)
    for route in ("runtime.booting", "device.air.attached", "runtime.booted"):
        assert listener.routes().count(route) == 1


def test_a_process_is_never_given_its_own_error(rig: Rig) -> None:
    class Fails(Listener):
        def handle(self, ctx: Context, event: Event) -> None:
            self.heard.append(event)
            raise RuntimeError("always")

    bad, good = Fails("bad"), Listener("good", "process.")
    rig.runtime.add_process(bad)
    rig.runtime.add_process(good)
    rig.runtime.boot()
    rig.run_for(1)
    assert good.routes().count("process.bad.error") == 1
    assert not [e for e in bad.heard if e.route == "process.bad.error"]
    assert rig.routes("event.") == []  # the process's own event says it all


def test_each_of_eight_threads_events_is_delivered_once_to_all_in_one_order() -> None:
    stream = EventStream(store=MemoryStore(100_000))
    route = stream.declare(Route.of("load.test", int))
    first, second = collect(stream, "1"), collect(stream, "2")
    stream.subscribe(
        lambda event: event.value % 100 == 0 and stream.publish("echo.test", event.value),
        name="echo",
        prefix="load.",
        delivery=Delivery.INLINE,
    )
    stream.declare(Route.of("echo.test", int))

    def produce(base: int) -> None:
        for i in range(500):
            stream.publish(route, base + i)

    threads = [threading.Thread(target=produce, args=(k * 1000,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert first == second
    assert [event.n for event in first] == list(range(1, len(first) + 1))
    assert sorted(e.value for e in first if e.route == "load.test") == sorted(
        k * 1000 + i for k in range(8) for i in range(500)
    )
    assert sum(e.route == "echo.test" for e in first) == 40


def test_a_scan_is_one_record_and_an_event_for_each_channel(stream: EventStream) -> None:
    stream.declare(Route.of("air.humidity", unit="%"))
    heard = collect(stream)
    table = ("air.temperature", "air.humidity")
    scan = stream.publish_scan(table, (21.4, 45.0), source="device.air")
    after = stream.publish(AIR, 21.5)
    assert isinstance(scan, Scan)
    assert [event.n for event in heard] == [scan.n, scan.n + 1, scan.n + 2]
    assert after.n == scan.n + 2
    assert stream.read(0).records == (scan, after)
    with pytest.raises(ValueError, match="found 1 values, expected 2"):
        stream.publish_scan(table, (1.0,))


def test_the_last_good_value_is_kept_through_bad_ones(stream: EventStream) -> None:
    assert stream.last_good("air.temperature") is None
    good = stream.publish(AIR, 21.4)
    stream.publish(AIR, None, quality=BAD, reason="no_data")
    stream.publish(AIR, None, quality=BAD, reason="no_data")
    assert stream.last_good("air.temperature") is good
    assert stream.last_good("nowhere.known") is None


def test_what_left_memory_is_a_gap_not_a_silence() -> None:
    stream = EventStream(store=MemoryStore(10))
    stream.declare(AIR)
    for value in range(30):
        stream.publish(AIR, float(value))
    page = stream.read(5, 4)
    assert [record.n for record in page.records] == [21, 22, 23, 24]
    assert [(gap.first, gap.last) for gap in page.gaps] == [(6, 20)]
    assert page.next == 24
    assert stream.read(30).records == ()


def test_a_keyboard_interrupt_in_a_handler_does_not_leave_the_stream_dead(
    stream: EventStream,
) -> None:
    raising = [True]

    def interrupt(event: Event) -> None:
        if raising:
            raising.pop()
            raise KeyboardInterrupt

    stream.subscribe(interrupt, name="ctrl-c", delivery=Delivery.INLINE)
    heard = collect(stream)
    with pytest.raises(KeyboardInterrupt):
        stream.publish(AIR, 1.0)
    stream.publish(AIR, 2.0)
    assert [event.value for event in heard] == [1.0, 2.0]  # also what the interrupt came between


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("publish"), st.integers(0, 3)),
            st.tuples(st.just("scan"), st.integers(1, 4)),
        ),
        max_size=40,
    )
)
def test_numbers_rise_without_a_hole_whatever_is_published(work: list[tuple[str, int]]) -> None:
    stream = EventStream()
    routes = [stream.declare(Route.of(f"r.x{i}", Schema("int"))).key for i in range(4)]
    heard = collect(stream)
    for kind, k in work:
        if kind == "publish":
            stream.publish(routes[k], k)
        else:
            stream.publish_scan(tuple(routes[:k]), tuple(range(k)))
    assert [event.n for event in heard] == list(range(1, stream.head + 1))


def test_failures_with_successes_between_them_are_no_reason_for_quarantine(rig: Rig) -> None:
    events = rig.runtime.events
    events.declare(AIR)

    def fail_on_even(event: Event) -> None:
        if event.value % 2 == 0:
            raise RuntimeError("even")

    kinds = list(Delivery)
    served = [
        events.subscribe(fail_on_even, name=kind, prefix="air.", delivery=kind) for kind in kinds
    ]
    for value in range(100):
        events.publish(AIR, float(value))
        rig.run_for(0.01)
    assert [each.counters()["quarantined"] for each in served] == [False] * 3
    assert [each.counters()["errors"] for each in served] == [50] * 3


def test_a_scan_of_uneven_columns_is_refused_before_it_is_stored(stream: EventStream) -> None:
    stream.declare(Route.of("air.humidity"))
    keys = (AIR.key, "air.humidity")
    with pytest.raises(ValueError, match="found 1 values, expected 2"):
        stream.publish_scan(keys, (1.0,))
    with pytest.raises(ValueError, match="found 1 values, expected 2"):
        stream.publish_scan(keys, (1.0, 2.0), qualities=(BAD,))
    assert stream.read(0).records == ()


def test_a_handler_that_answers_a_scan_with_a_scan_ends_like_any_feedback_loop(
    stream: EventStream,
) -> None:
    calls: list[int] = []

    def answer(event: Event) -> None:
        calls.append(event.hops)
        if len(calls) < 1000:
            stream.publish_scan((AIR.key,), (event.value,), source="loop")

    stream.subscribe(answer, name="loop", prefix="air.", delivery=Delivery.INLINE)
    stream.publish_scan((AIR.key,), (1.0,))
    assert calls == list(range(33))
    assert stream.latest("event.feedback_loop") is not None


def test_a_record_is_immutable_all_the_way_down(stream: EventStream) -> None:
    class Table(msgspec.Struct, frozen=True):
        rows: list[list[int]]
        names: dict[str, int]

    table = Table([[1], [2]], {"a": 1})
    stream.declare(Route.of("air.table", dict))
    event = stream.publish("air.table", table)
    table.rows[0].append(9)
    table.names["b"] = 2
    assert event.value == Table(((1,), (2,)), FrozenDict(a=1))  # type: ignore[arg-type]


class _Hurried(EventStream):
    """A stream whose deliverer lays its duty down at the worst moment of a subscription."""

    looks = 0
    _flag = False

    @property
    def _busy(self) -> bool:
        self.looks += 1
        was, self._flag = self._flag, self._flag and self.looks != 2
        return was

    @_busy.setter
    def _busy(self, value: bool) -> None:
        self._flag = value


def test_a_deliverer_that_leaves_while_somebody_subscribes_leaves_no_dead_stream() -> None:
    stream = _Hurried()
    stream.declare(AIR)
    stream.publish(AIR, 1.0)
    stream._flag, stream.looks = True, 0
    heard: list[Event] = []
    stream.subscribe(
        heard.append, name="late", prefix="air.", delivery=Delivery.INLINE, replay_latest=True
    )
    stream.publish(AIR, 2.0)  # or the deliverer itself, which looks once more
    assert [event.value for event in heard] == [1.0, 2.0]


def test_a_failure_on_a_failure_report_does_not_vanish_and_is_not_told_for_ever(
    rig: Rig,
) -> None:
    events = rig.runtime.events
    events.declare(AIR)

    def fail(event: Event) -> None:
        raise RuntimeError("broken")

    events.subscribe(fail, name="first", prefix="air.")
    watcher = events.subscribe(fail, name="watcher", prefix="event.subscriber_error")
    other = events.subscribe(fail, name="other", prefix="event.subscriber_error")
    events.publish(AIR, 1.0)
    rig.run_for(1)
    told = {report.value["subscriber"] for report in rig.of("event.subscriber_error")}
    assert told == {"first", "watcher", "other"}
    assert watcher.counters()["errors"] == other.counters()["errors"] == 2
    assert len(rig.of("event.subscriber_error")) == 3


@pytest.mark.parametrize("delivery", list(Delivery))
@pytest.mark.parametrize("width", [2, 5])
def test_a_loop_that_answers_one_event_with_several_ends_too(
    rig: Rig, delivery: Delivery, width: int
) -> None:
    events = rig.runtime.events
    events.declare(AIR)

    def multiply(event: Event) -> None:
        for _ in range(width):
            events.publish(AIR, event.value, source="rule")

    rule = events.subscribe(multiply, name="rule", prefix="air.", delivery=delivery)
    events.publish(AIR, 1.0)
    rig.run_for(1)
    assert events.head < 2000
    told = rig.of("event.feedback_loop")
    assert len(told) == 1
    assert told[0].value["source"] == "rule"
    if rule.counters()["quarantined"]:
        assert rig.of("event.subscriber_error")[-1].value["quarantined"] is True


def test_a_thousand_calm_chains_are_no_loop(rig: Rig) -> None:
    events = rig.runtime.events
    chain = [events.declare(Route.of(f"step{i}.level")) for i in range(10)]

    def pass_on(event: Event) -> None:
        at = int(event.route[4])
        if at < 9:
            events.publish(chain[at + 1], event.value)

    events.subscribe(pass_on, name="chain", prefix="step", delivery=Delivery.INLINE)
    for value in range(1000):
        events.publish(chain[0], float(value))
    assert events.latest("step9.level").value == 999  # type: ignore[union-attr]  # it is there
    assert not rig.of("event.feedback_loop")
