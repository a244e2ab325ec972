"""A resistor limits what passes, and never hides that a value has become worse."""

from __future__ import annotations

import pytest
from flow.parts import AIR, PUMP, World, times_s, values

from leyden.flow import Counters, Deadband, Gate, Resistor, StageError, Throttle, When
from leyden.kernel import BAD, GOOD, UNCERTAIN, Quality, Route, Schema


def through(world: World, law: object) -> Resistor:
    resistor = Resistor(law)  # type: ignore[arg-type]  # each test hands in a law
    world.graph.pipe(AIR, "air.smooth", through=[resistor])
    return resistor


def test_without_a_law_everything_passes_with_its_quality(world: World) -> None:
    seen = world.watch("air.smooth")
    resistor = Resistor()
    world.graph.pipe(AIR, "air.smooth", through=[resistor])
    world.put(1.0)
    world.put(2.0, quality=UNCERTAIN, why="stale")
    world.put(None, quality=BAD, why="no_data")
    assert [(e.value, e.quality, e.reason) for e in seen] == [
        (1.0, GOOD, ""),
        (2.0, UNCERTAIN, "stale"),
        (None, BAD, "no_data"),
    ]
    assert resistor.counters() == Counters(entered=3, out=3)


# When


def test_a_predicate_filters_values(world: World) -> None:
    seen = world.watch("air.smooth")
    resistor = through(world, When(lambda value: value > 20))
    for value in (19.0, 21.0, 18.0):
        world.put(value)
    assert values(seen) == [21.0]
    assert resistor.counters() == Counters(entered=3, out=1, dropped=2)
    assert resistor.explain().startswith("closed: <lambda> refused a value 0 ms ago")


def test_a_bad_value_passes_a_predicate_since_nobody_can_judge_it(world: World) -> None:
    seen = world.watch("air.smooth")
    through(world, When(lambda value: value > 20))
    world.put(None, quality=BAD, why="no_data")
    assert seen[0].quality is BAD


def test_a_raising_predicate_harms_nobody_and_is_told_of(world: World) -> None:
    seen, others = world.watch("air.smooth"), world.watch(AIR.key)
    errors = world.watch("event.stage_error")

    def strict(value: float) -> bool:
        if value == 13.0:
            raise ValueError("not thirteen")
        return True

    resistor = through(world, When(strict))
    reading = None
    for value in (12.0, 13.0, 14.0):
        event = world.put(value)  # raises nothing here
        reading = event if value == 13.0 else reading
    assert values(seen) == [12.0, 14.0]
    assert values(others) == [12.0, 13.0, 14.0]
    assert reading is not None
    assert errors[0].cause == reading.n
    assert errors[0].value == {
        "node": "air.smooth/resistor",
        "route": "air.temperature",
        "n": reading.n,
        "value": "13.0",
        "error": "ValueError: not thirteen",
        "errors": 1,
    }
    assert resistor.counters() == Counters(entered=3, out=2, dropped=1, errors=1)
    assert "1 error, the last: ValueError: not thirteen" in resistor.explain()


def test_a_predicate_that_always_raises_is_told_of_now_and_then_only(world: World) -> None:
    errors = world.watch("event.stage_error")
    resistor = through(world, When(lambda value: value["no"]))
    for _ in range(300):
        world.put(1.0)
        world.run(0.1)  # half a minute in all
    assert resistor.counters().errors == 300
    assert len(errors) == 3
    assert errors[-1].value["errors"] == 201


# Gate


def test_a_gate_is_closed_until_its_control_has_spoken(world: World) -> None:
    seen = world.watch("air.smooth")
    resistor = through(world, Gate(PUMP))
    world.put(1.0)
    assert resistor.explain() == "closed: pump.running has not spoken yet"
    world.put(True, PUMP)
    world.put(2.0)
    world.put(False, PUMP)
    world.put(3.0)
    world.run(12)
    assert values(seen) == [2.0]
    assert resistor.explain() == "closed: pump.running is false"  # at time 0 there is no since
    world.put(True, PUMP)
    world.run(3)
    assert resistor.explain() == "open: pump.running is true since 3.0 s"


def test_a_gate_knows_the_state_its_control_had_before(world: World) -> None:
    seen = world.watch("air.smooth")
    world.put(True, PUMP)
    through(world, Gate("pump.running"))
    world.put(1.0)
    assert values(seen) == [1.0]


def test_a_gate_listens_to_its_control_and_no_longer_name(world: World) -> None:
    seen = world.watch("air.smooth")
    longer = world.events.declare(Route.of("pump.running_2", Schema("bool")))
    through(world, Gate(PUMP))
    world.put(True, longer)
    world.put(1.0)
    assert seen == []


def test_a_gate_whose_control_is_bad_closes(world: World) -> None:
    seen = world.watch("air.smooth")
    resistor = through(world, Gate(PUMP))
    world.put(True, PUMP)
    world.run(1)
    world.events.publish(PUMP, True, quality=BAD, reason="no_data")
    world.put(1.0)
    assert seen == []
    assert resistor.explain() == "closed: pump.running is bad (no_data) since 0 ms"


# Throttle


def test_the_newest_value_of_a_burst_leaves_when_the_span_allows(world: World) -> None:
    seen = world.watch("air.smooth")
    resistor = through(world, Throttle(1, 5))
    for value in range(30):
        world.put(float(value))
        world.run(0.1)
    assert values(seen) == [0.0]
    assert "closed: the limit of 1 per 5 s is reached, passes again in 2.0 s" in resistor.explain()
    assert "the newest value is held" in resistor.explain()
    world.run(10)
    assert values(seen) == [0.0, 29.0]
    assert times_s(seen) == [0.0, 5.0]
    assert resistor.counters() == Counters(entered=30, out=2, coalesced=28, late=1)


def test_a_held_value_is_sent_once_not_on_every_pulse(world: World) -> None:
    seen = world.watch("air.smooth")
    through(world, Throttle(1, 1))
    world.put(1.0)
    world.put(2.0)
    world.run(60)
    assert values(seen) == [1.0, 2.0]


def test_several_may_pass_in_a_span(world: World) -> None:
    seen = world.watch("air.smooth")
    resistor = through(world, Throttle(3, 10))
    for value in range(5):
        world.put(float(value))
        world.run(1)
    assert resistor.words().startswith("closed: the limit of 3 per 10 s is reached")
    world.run(20)
    assert list(zip(values(seen), times_s(seen), strict=True)) == [
        (0.0, 0.0), (1.0, 1.0), (2.0, 2.0), (4.0, 10.0),
    ]  # fmt: skip
    assert resistor.words() == "open: 0 of 3 per 10 s used"


def test_a_worse_value_does_not_wait_but_uses_up_the_next_place(world: World) -> None:
    seen = world.watch("air.smooth")
    through(world, Throttle(1, 10))
    world.put(1.0)
    world.run(1)
    world.put(None, quality=BAD, why="no_data")
    world.run(1)
    world.put(2.0)
    world.run(60)
    assert [(e.value, e.mono // 10**9) for e in seen] == [(1.0, 0), (None, 1), (2.0, 20)]


def test_only_one_place_can_be_borrowed(world: World) -> None:
    seen = world.watch("air.smooth")
    through(world, Throttle(1, 10))
    for second in range(40):  # a loose contact
        if second % 2:
            world.put(None, quality=BAD, why="no_data")
        else:
            world.put(float(second))
        world.run(1)
    assert len(seen) <= 5  # 4 regular places and one borrowed, not 40
    assert [e.quality for e in seen][:2] == [GOOD, BAD]


def test_a_strict_throttle_lends_nothing(world: World) -> None:
    seen = world.watch("air.smooth")
    through(world, Throttle(1, 10, strict=True))
    world.put(1.0)
    world.run(1)
    world.put(None, quality=BAD, why="no_data")
    world.run(60)
    assert times_s(seen) == [0.0, 10.0]


def test_a_held_value_is_dropped_when_the_line_goes(world: World) -> None:
    seen = world.watch("air.smooth")
    resistor = through(world, Throttle(1, 5))
    world.put(1.0)
    world.put(2.0)
    resistor.dispose()
    world.run(20)
    assert values(seen) == [1.0]
    assert resistor.counters() == Counters(entered=2, out=1, dropped=1)


def test_a_step_of_the_wall_clock_changes_nothing(world: World) -> None:
    seen = world.watch("air.smooth")
    through(world, Throttle(1, 5))
    world.put(1.0)
    world.put(2.0)
    world.executor.manual_clock.set_wall(0)
    world.run(4)
    world.executor.manual_clock.set_wall(10**20)
    assert len(seen) == 1
    world.run(1)
    assert len(seen) == 2


# Deadband


def test_small_differences_from_the_last_passed_value_are_held_back(world: World) -> None:
    seen = world.watch("air.smooth")
    resistor = through(world, Deadband(0.5))
    for value in (20.0, 20.3, 20.4, 20.5, 20.9, 19.9, 20.0):
        world.put(value)
    assert values(seen) == [20.0, 20.5, 19.9]
    assert resistor.explain() == "closed: 1 within 0.5 °C around 19.9 °C held back"


def test_a_slow_drift_is_not_lost(world: World) -> None:
    seen = world.watch("air.smooth")
    through(world, Deadband(0.5))
    for i in range(101):
        world.put(i / 10)
    assert values(seen) == [i * 0.5 for i in range(21)]


def test_a_percentage_is_of_the_last_passed_value(world: World) -> None:
    seen = world.watch("air.smooth")
    resistor = through(world, Deadband(percent=10))
    for value in (100.0, 109.0, 110.0, 120.0, 121.0, 0.0, 0.001):
        world.put(value)
    assert values(seen) == [100.0, 110.0, 121.0, 0.0, 0.001]
    assert resistor.explain() == "open: passes what leaves 10 % of 0.001 °C"


@pytest.mark.parametrize("quality", [UNCERTAIN, BAD])
def test_a_change_of_quality_always_passes_both_ways(world: World, quality: Quality) -> None:
    seen = world.watch("air.smooth")
    resistor = through(world, Deadband(5.0))
    world.put(20.0)
    world.put(20.1, quality=quality, why="first")
    world.put(20.1, quality=quality, why="first")
    world.put(20.1, quality=quality, why="second")
    if quality is BAD:
        assert resistor.explain() == "open: the last was bad (second), the next good value passes"
    world.put(20.2)
    assert [(e.quality, e.reason) for e in seen] == [
        (GOOD, ""), (quality, "first"), (quality, "second"), (GOOD, ""),
    ]  # fmt: skip


def test_bool_and_text_pass_on_change(world: World) -> None:
    for route, given, wanted in (
        (PUMP, [True, True, False, False, True], [True, False, True]),
        (Route.of("vent.mode", Schema("text")), ["a", "a", "b"], ["a", "b"]),
    ):
        world.events.declare(route)
        seen = world.watch(f"{route.owner}.changed")
        world.graph.pipe(route, f"{route.owner}.changed", through=[Resistor(Deadband())])
        for value in given:
            world.put(value, route)
        assert values(seen) == wanted


def test_a_width_is_read_in_the_routes_unit(world: World) -> None:
    for text, width in (("0.5 K", 0.5), ("0.9 °F", 0.5)):
        law = Deadband(text)
        law.shape(AIR.schema)
        assert law._width == pytest.approx(width)


@pytest.mark.parametrize(
    ("law", "route", "words"),
    [
        (Deadband("2 %"), AIR, r'through\[0\]\.resistor\.deadband: found ratio \("%"\), expected'),
        (Deadband("-1 K"), AIR, 'found "-1 K", expected 0 or more'),
        (Deadband(1.0), PUMP, "found a width for bool values, which have no distance"),
    ],
)
def test_a_band_that_does_not_fit_its_route_is_refused(
    world: World, law: Deadband, route: Route, words: str
) -> None:
    with pytest.raises(StageError, match=words):
        world.graph.pipe(route, "out.x", through=[Resistor(law)])
    assert world.events.route("out.x") is None


@pytest.mark.parametrize(
    "make",
    [
        lambda: Throttle(0, 1),
        lambda: Throttle(1, 0),
        lambda: Deadband(-1),
        lambda: Deadband(1, percent=1),
        lambda: Deadband(percent=-1),
    ],
)
def test_a_law_that_cannot_be_is_refused(make: object) -> None:
    with pytest.raises(StageError, match=r"^resistor\."):
        make()  # type: ignore[operator]  # each row is a function
