"""The graph joins routes: values with their events, observers apart, figures that are true."""

from __future__ import annotations

import math

import pytest
from flow.parts import AIR, DEMAND, HUMIDITY, PUMP, World, values

from leyden.flow import (
    Capacitor,
    Counters,
    Deadband,
    FlowError,
    Gate,
    Handle,
    Resistor,
    SchemaError,
    Stage,
    StageError,
    Throttle,
    Watchdog,
)
from leyden.kernel import (
    BAD,
    GOOD,
    Delivery,
    Event,
    Origin,
    Quality,
    Route,
    RouteInfo,
    Schema,
    Variant,
)

# Publish and latest


def test_a_value_and_its_event_are_one(world: World) -> None:
    event = world.graph.publish(AIR, 20.5, source="test")
    assert world.graph.latest(AIR) is event
    assert (event.value, event.quality, event.source) == (20.5, GOOD, "test")
    assert world.graph.latest("air.humidity") is None


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("float", "20"),
        ("float", True),
        ("float", None),
        ("int", 1.0),
        ("bool", 1),
        ("text", b"x"),
        ("bytes", 3),
    ],
)
def test_a_value_of_another_type_is_refused(world: World, kind: str, value: object) -> None:
    world.events.declare(Route.of("x.y", Schema(kind)))
    with pytest.raises(SchemaError, match=rf"x\.y: found .*, expected {kind}"):
        world.graph.publish("x.y", value)
    assert world.graph.latest("x.y") is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -41.0, 86, 10**400])
def test_an_impossible_number_is_bad_not_good(world: World, value: float) -> None:
    world.events.declare(Route.of("x.y", Schema("float", 1, "Cel", -40, 85)))
    event = world.graph.publish("x.y", value)
    assert (event.value, event.quality, event.reason) == (None, BAD, "out_of_range")
    assert "is not between -40 and 85 °C" in event.detail


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_bad_on_any_route(world: World, value: float) -> None:
    event = world.graph.publish(AIR, value)
    assert (event.value, event.reason) == (None, "out_of_range")
    assert event.detail.endswith("is not a finite number")


def test_whole_numbers_go_on_float_routes_as_floats(world: World) -> None:
    assert type(world.graph.publish(AIR, 20).value) is float


def test_a_bad_value_is_none(world: World) -> None:
    event = world.graph.publish(AIR, 99.0, quality=BAD, reason="checksum")
    assert (event.value, event.quality, event.reason) == (None, BAD, "checksum")


@pytest.mark.parametrize(
    "ask",
    [
        lambda w: w.graph.publish("air.temprature", 1.0),
        lambda w: w.graph.latest("air.temprature"),
        lambda w: w.graph.observe("air.temprature", print),
        lambda w: w.graph.pipe("air.temprature", "air.smooth"),
        lambda w: w.graph.flow_snapshot("air.temprature"),
        lambda w: w.graph.explain("air.temprature"),
        lambda w: w.graph.pipe(AIR, "x.y", through=[Capacitor(demand="air.temprature")]),
    ],
)
def test_a_misspelt_route_is_refused_with_the_nearest(world: World, ask: object) -> None:
    with pytest.raises(FlowError, match=r'"air\.temprature"; did you mean "air\.temperature"\?'):
        ask(world)  # type: ignore[operator]  # each row is a function


# Observe


def test_observers_see_every_event_with_its_own_value_also_when_one_publishes(
    world: World,
) -> None:
    echo = world.events.declare(Route.of("x.echo"))
    seen: list[tuple[int, float]] = []

    def publishes(event: Event) -> None:
        world.graph.publish(echo, event.value)
        if event.value < 3:
            world.graph.publish(AIR, event.value + 1)

    world.graph.observe(AIR, publishes, delivery=Delivery.INLINE)
    world.graph.observe(
        AIR, lambda event: seen.append((event.n, event.value)), delivery=Delivery.INLINE
    )
    world.graph.publish(AIR, 0.0)
    assert [value for _, value in seen] == [0.0, 1.0, 2.0, 3.0]
    assert [n for n, _ in seen] == sorted(n for n, _ in seen)


def test_a_raising_observer_harms_nobody(world: World) -> None:
    seen: list[float] = []
    bad = world.graph.observe(AIR, lambda event: 1 / 0, name="breaks")
    world.graph.observe(AIR, lambda event: seen.append(event.value))
    for value in (1.0, 2.0, 3.0):
        world.graph.publish(AIR, value)
        world.settle()
    assert seen == [1.0, 2.0, 3.0]
    assert bad.nodes()[0].counters().errors == 3
    assert "3 failed" in bad.explain()


def test_an_observer_that_never_works_is_put_in_quarantine(world: World) -> None:
    bad = world.graph.observe(AIR, lambda event: 1 / 0)
    for value in range(50):
        world.graph.publish(AIR, float(value))
        world.settle()
    assert "quarantined: failed too often in a row, the last: ZeroDivisionError" in bad.explain()


def test_an_inline_observer_that_fails_now_and_then_is_not_put_in_quarantine(
    world: World,
) -> None:
    def picky(event: Event) -> None:
        if event.value % 10 == 0:
            raise ValueError("ten")

    observation = world.graph.observe(AIR, picky, delivery=Delivery.INLINE)
    for value in range(1000):
        world.put(float(value))
    assert observation.nodes()[0].counters() == Counters(entered=1000, out=900, errors=100)


def test_an_inline_observer_that_never_works_is_put_in_quarantine(world: World) -> None:
    observation = world.graph.observe(AIR, lambda event: 1 / 0, delivery=Delivery.INLINE)
    for value in range(50):
        world.put(float(value))
    assert "quarantined" in observation.explain()
    assert observation.nodes()[0].counters().errors == 20


def test_the_latest_comes_first_for_a_late_observer_who_wants_it(world: World) -> None:
    world.graph.publish(AIR, 1.0)
    world.graph.publish(AIR, 2.0)
    late: list[float] = []
    later: list[float] = []
    world.graph.observe(AIR, lambda event: late.append(event.value), replay_latest=True)
    world.graph.observe(AIR, lambda event: later.append(event.value))
    world.graph.publish(AIR, 3.0)
    world.settle()
    assert (late, later) == ([2.0, 3.0], [3.0])


def test_an_observer_sees_its_route_and_no_longer_name(world: World) -> None:
    longer = world.events.declare(Route.of("air.temperature_2"))
    health = world.events.declare(
        Route.of("air.temperature", Schema("text"), variant=Variant.HEALTH)
    )
    seen: list[str] = []
    line_seen = world.watch("air.smooth")
    world.graph.observe(AIR, lambda event: seen.append(event.route))
    world.graph.pipe(AIR, "air.smooth")
    world.put(1.0, longer)
    world.put("silent", health)
    world.put(2.0)
    world.settle()
    assert seen == ["air.temperature"]
    assert values(line_seen) == [2.0]


def test_a_disposed_observer_is_not_called_again_even_during_a_dispatch(world: World) -> None:
    seen: list[float] = []
    others: list[Handle] = []
    world.graph.observe(AIR, lambda event: others[0].dispose(), delivery=Delivery.INLINE)
    second = world.graph.observe(
        AIR, lambda event: seen.append(event.value), delivery=Delivery.INLINE
    )
    others.append(second)
    world.graph.publish(AIR, 1.0)
    assert seen == []
    assert second.explain().endswith("disposed: is not called any more")
    second.dispose()  # once more does no harm


def test_the_figures_of_an_observer_are_true(world: World) -> None:
    observation = world.graph.observe(AIR, lambda event: None, capacity=2)
    for value in range(5):
        world.graph.publish(AIR, float(value))
    assert observation.nodes()[0].counters() == Counters(entered=5, dropped=3, held=2)
    assert "0 handled, 2 wait" in observation.explain()
    world.settle()
    assert observation.nodes()[0].counters() == Counters(entered=5, out=2, dropped=3)
    assert observation.nodes()[0].keep == 2


# Pipe


def test_values_go_as_many_hops_as_there_are(world: World) -> None:
    seen = world.watch("c.x")
    world.graph.pipe(AIR, "a.x")
    world.graph.pipe("a.x", "b.x")
    world.graph.pipe("b.x", "c.x")
    world.put(20.0)
    assert values(seen) == [20.0]


def test_a_second_line_between_two_routes_is_refused(world: World) -> None:
    world.graph.pipe(AIR, "a.x")
    with pytest.raises(FlowError, match=r"flows into a\.x already, by line a\.x"):
        world.graph.pipe(AIR, "a.x", through=[Resistor()])
    with pytest.raises(FlowError, match="piped onto itself"):
        world.graph.pipe("a.x", "a.x")


def test_the_end_of_a_line_is_declared_as_what_it_is(world: World) -> None:
    line = world.graph.pipe(AIR, "air.smooth;variant=reported", through=[one_per_5_s()])
    info = world.events.route("air.smooth;variant=reported")
    assert info is not None
    assert info.route is line.to
    assert info.route.schema.unit == "Cel"
    assert info.route.origin is Origin.DERIVED


def test_the_rhythm_of_a_derived_route_is_what_its_stages_make_of_it(world: World) -> None:
    world.events.declare(Route.of("a.fast"), RouteInfo(Route.of("a.fast"), period_s=1.0))
    cases: dict[str, list[Stage]] = {
        "b.passed": [Resistor()],
        "b.slower": [one_per_5_s()],
        "b.banded": [Resistor(Deadband(1))],
        "b.asked": [Capacitor(demand=DEMAND)],
        "b.kept": [Capacitor(keep=10)],
    }
    for key, stages in cases.items():
        world.graph.pipe("a.fast", key, through=stages)
    periods = [info.period_s for key in cases if (info := world.events.route(key))]
    assert periods == [1.0, 5.0, None, None, 1.0]


def test_types_and_units_must_fit_where_routes_meet(world: World) -> None:
    world.events.declare(Route.of("x.pressure", unit="Pa", origin=Origin.DERIVED))
    with pytest.raises(FlowError, match=r"x\.pressure cannot take this: found °C, expected Pa"):
        world.graph.pipe(AIR, "x.pressure")
    with pytest.raises(FlowError, match=r"x\.flag cannot take this: found float, expected bool"):
        world.graph.pipe(AIR, Route.of("x.flag", Schema("bool")))
    assert world.graph.handles() == ()


def test_an_input_route_keeps_its_one_publisher(world: World) -> None:
    with pytest.raises(FlowError, match=r"air\.humidity is an input route"):
        world.graph.pipe(Route.of("x.y", unit="%"), "air.humidity")


def test_a_line_that_leads_nowhere_is_refused(world: World) -> None:
    with pytest.raises(FlowError, match="leads nowhere"):
        world.graph.pipe(AIR, through=[Resistor()])
    world.graph.pipe(AIR, through=[Watchdog(5)])  # this one speaks


def test_a_handler_at_the_end_is_served_by_a_lane(world: World) -> None:
    seen: list[float] = []
    line = world.graph.pipe(AIR, lambda event: seen.append(event.value), name="reader")
    assert [node.kind for node in line.nodes()] == ["capacitor", "observer"]
    world.put(1.0)
    assert seen == []
    world.settle()
    assert seen == [1.0]


def test_a_handler_that_fails_is_counted_and_the_line_goes_on(world: World) -> None:
    errors = world.watch("event.subscriber_error")
    seen: list[float] = []

    def picky(event: Event) -> None:
        if event.value == 2.0:
            raise ValueError("not two")
        seen.append(event.value)

    line = world.graph.pipe(AIR, picky)
    for value in (1.0, 2.0, 3.0):
        world.put(value)
    world.settle()
    assert seen == [1.0, 3.0]
    assert line.nodes()[-1].counters() == Counters(entered=3, out=2, errors=1)
    assert errors[0].value["error"] == "ValueError: not two"


def test_a_handler_that_never_works_is_put_in_quarantine(world: World) -> None:
    line = world.graph.pipe(AIR, lambda event: 1 / 0)
    for value in range(30):
        world.put(float(value))
        world.settle()
    end = line.nodes()[-1]
    assert end.explain().startswith("quarantined: the handler failed too often in a row")
    assert end.counters() == Counters(entered=30, dropped=10, errors=20)


def test_what_a_handler_publishes_follows_from_the_event_it_was_given(world: World) -> None:
    echo = world.events.declare(Route.of("x.echo"))
    seen = world.watch("x.echo")
    world.graph.pipe(AIR, lambda event: world.events.publish(echo, event.value))
    reading = world.put(1.0)
    world.settle()
    assert seen[0].cause == reading.n


def test_a_line_may_begin_with_the_latest_value(world: World) -> None:
    world.put(1.0)
    seen, other = world.watch("a.x"), world.watch("b.x")
    world.graph.pipe(AIR, "a.x", replay_latest=True)
    world.graph.pipe(AIR, "b.x")
    assert (values(seen), values(other)) == ([1.0], [])


def test_a_block_stands_where_somebody_may_be_made_to_wait(world: World) -> None:
    with pytest.raises(StageError, match=r"through\[1\]\.capacitor\.overflow: .*nobody may be"):
        world.graph.pipe(AIR, "a.x", through=[Resistor(Deadband(1)), Capacitor(overflow="block")])
    with pytest.raises(StageError, match=r"through\[2\]\.capacitor\.overflow"):
        world.graph.pipe(
            AIR,
            "a.x",
            through=[Capacitor(), one_per_5_s(), Capacitor(overflow="block")],
        )
    assert world.graph.handles() == ()
    world.graph.pipe(AIR, "a.x", through=[Capacitor(), Resistor(), Capacitor(overflow="block")])


def test_a_stage_stands_in_one_line_only(world: World) -> None:
    seen = world.watch("a.x")
    stage = Capacitor()
    world.graph.pipe(AIR, "a.x", through=[stage])
    with pytest.raises(StageError, match="stands in the graph already, as a.x/capacitor"):
        world.graph.pipe(AIR, "b.x", through=[stage])
    world.put(1.0)
    world.settle()
    assert values(seen) == [1.0]  # the first line goes on


def test_a_feedback_loop_ends_with_one_clear_event(world: World) -> None:
    loops, seen = world.watch("event.feedback_loop"), world.watch("a.x")
    world.graph.pipe("air.temperature", "a.x")
    world.graph.pipe("a.x", "b.x")
    world.graph.pipe("b.x", "a.x")
    world.put(1.0)
    world.settle()
    assert len(loops) == 1
    assert 1 < len(seen) < 40
    end = next(node for node in world.graph.nodes() if node.counters.errors)
    assert "FeedbackLoopError" in end.explain


def test_a_feedback_loop_through_lanes_ends_too(world: World) -> None:
    loops = world.watch("event.feedback_loop")
    world.graph.pipe(AIR, "a.x", through=[Capacitor(keep=10)])
    world.graph.pipe("a.x", "b.x", through=[Capacitor(keep=10)])
    world.graph.pipe("b.x", "a.x", through=[Resistor(Throttle(10, 1))])
    world.put(1.0)
    world.run(60)
    assert len(loops) == 1


# Taking down


def test_everything_can_be_taken_down(world: World) -> None:
    before = len(world.events.subscriptions())
    seen = world.watch("a.x")
    handles = [
        world.graph.pipe(AIR, "a.x", through=[Resistor(Gate(PUMP)), Capacitor(demand=DEMAND)]),
        world.graph.pipe(AIR, "b.x", through=[one_per_5_s(), Watchdog(5)]),
        world.graph.observe(AIR, print),
        world.graph.pipe(lambda: iter(()), HUMIDITY),
    ]
    for handle in handles:
        handle.dispose()
    world.put(1.0)
    world.run(60)
    assert seen == []
    assert len(world.events.subscriptions()) == before + 1
    assert world.graph.handles() == ()
    assert world.graph.flow_snapshot().nodes == ()


def test_a_line_is_taken_down_at_the_end_of_a_with_block(world: World) -> None:
    seen = world.watch("a.x")
    with world.graph.pipe(AIR, "a.x"):
        world.put(1.0)
    world.put(2.0)
    with world.graph.pipe(AIR, "a.x", through=[stage := Resistor()]), stage:
        world.put(3.0)
    world.put(4.0)
    assert values(seen) == [1.0, 3.0]


def test_a_closed_graph_leaves_no_lane_behind(world: World) -> None:
    world.graph.pipe(AIR, "a.x", through=[Capacitor(), one_per_5_s()])
    world.graph.observe(AIR, print)
    world.put(1.0)
    world.put(2.0)
    world.settle()
    world.graph.close()
    world.settle()
    assert world.executor._lanes == []


# Looking at it


def test_the_drawing_has_the_real_edges(world: World) -> None:
    world.graph.pipe(
        AIR,
        "air.smooth",
        through=[Resistor(Gate(PUMP)), Resistor(), Capacitor(demand=DEMAND), Watchdog(5)],
    )
    world.graph.observe("air.smooth", print, name="printer")
    edges = [(edge.source, edge.target, edge.port) for edge in world.graph.topology()]
    assert edges == [
        ("air.temperature", "air.smooth/resistor", ""),
        ("air.smooth/resistor", "air.smooth/resistor_2", ""),
        ("air.smooth/resistor_2", "air.smooth/capacitor", ""),
        ("air.smooth/capacitor", "air.smooth/watchdog", ""),
        ("air.smooth/watchdog", "air.smooth/pipe", ""),
        ("air.smooth/pipe", "air.smooth", ""),
        ("pump.running", "air.smooth/resistor", "gate"),
        ("panel.demand", "air.smooth/capacitor", "demand"),
        ("air.smooth/watchdog", "air.smooth;variant=health", "speaks"),
        ("air.smooth", "printer", ""),
    ]
    drawn = {node.name: node.kind for node in world.graph.nodes()}
    assert set(drawn) == {name for a, b, _ in edges for name in (a, b)}
    assert drawn["pump.running"] == "route"
    assert drawn["air.smooth/capacitor"] == "capacitor"


def test_a_snapshot_of_one_route_has_its_neighbours_and_true_figures(world: World) -> None:
    world.graph.pipe(AIR, "a.x", through=[Capacitor(keep=2, demand=DEMAND)])
    world.graph.pipe(HUMIDITY, "b.x")
    for value in range(5):
        world.put(float(value))
    snapshot = world.graph.flow_snapshot("air.temperature")
    assert [node.name for node in snapshot.nodes] == ["air.temperature", "a.x/capacitor"]
    assert snapshot.nodes[1].counters == Counters(entered=5, dropped=3, held=2)
    assert snapshot.nodes[1].keep == 2
    assert snapshot.edges[0].target == "a.x/capacitor"
    assert world.graph.flow_snapshot(HUMIDITY).nodes[0].name == "air.humidity"


def test_a_route_outside_the_graph_has_no_edges(world: World) -> None:
    assert world.graph.flow_snapshot(AIR).edges == ()


@pytest.mark.parametrize(
    ("quality", "words"),
    [
        (GOOD, "good: 20.5 °C, 3.0 s ago"),
        (BAD, "bad: no_data, 3.0 s ago"),
    ],
)
def test_a_route_is_explained_by_its_latest_event(
    world: World, quality: Quality, words: str
) -> None:
    assert world.graph.explain("air.temperature") == "empty: nothing yet"
    world.put(20.5, quality=quality, why="no_data" if quality is BAD else "")
    world.run(3)
    assert world.graph.explain("air.temperature") == words


def test_a_node_is_explained_by_name(world: World) -> None:
    world.graph.pipe(AIR, "a.x")
    assert world.graph.explain("a.x/pipe") == "open: publishes on a.x"


def test_names_are_unique_by_themselves(world: World) -> None:
    names = [world.graph.observe(AIR, print, name="me").name for _ in range(3)]
    assert names == ["me", "me_2", "me_3"]


def one_per_5_s() -> Resistor:
    return Resistor(Throttle(1, 5))
