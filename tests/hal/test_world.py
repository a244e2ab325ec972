"""The modelled world: alike in every run, settable by people, strict about what it is told."""

from __future__ import annotations

import itertools
import math
import statistics
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leyden.hal.errors import WorldError
from leyden.hal.mock.curves import (
    Constant,
    Curve,
    Noise,
    Ramp,
    RandomWalk,
    Recorded,
    Sine,
    Step,
    Sum,
    gauss,
    uniform,
)
from leyden.hal.mock.world import Source, World
from leyden.kernel import NS, ManualClock

HERE = Path()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(start_ns=5 * NS)


@pytest.fixture
def world(clock: ManualClock) -> World:
    return World(clock, seed=7)


def temperature(world: World, default: Any = 21.0) -> Source:
    return world.signal("air.temperature", default, unit="Cel", minimum=-40, maximum=85)


def course(world: World, clock: ManualClock, steps: int = 50) -> list[float]:
    source = temperature(world)
    values = []
    for _ in range(steps):
        values.append(source.number())
        clock.advance(0.7)
    return values


def loaded(table: dict[str, Any], seed: int = 7) -> tuple[World, ManualClock]:
    clock = ManualClock()
    world = World(clock, seed)
    world.load(table, HERE)
    return world, clock


# Curves


def test_a_ramp_rises_and_stays(world: World, clock: ManualClock) -> None:
    source = temperature(world, Ramp(10.0, 20.0, over_s=10.0))
    clock.advance(5.0)
    assert source.number() == pytest.approx(15.0)
    clock.advance(50.0)
    assert source.number() == 20.0


def test_a_repeating_ramp_falls_back(world: World, clock: ManualClock) -> None:
    source = temperature(world, Ramp(0.0, 10.0, over_s=10.0, repeat=True))
    clock.advance(12.5)
    assert source.number() == pytest.approx(2.5)


def test_a_sine_passes_its_mean_and_its_peak(world: World, clock: ManualClock) -> None:
    source = temperature(world, Sine(20.0, 3.0, period_s=40.0))
    assert source.number() == pytest.approx(20.0)
    clock.advance(10.0)
    assert source.number() == pytest.approx(23.0)


def test_noise_has_the_spread_it_claims(world: World, clock: ManualClock) -> None:
    evaluate = Noise(5.0, 2.0).begin(3)
    values = [float(evaluate(second)) for second in range(4000)]
    assert statistics.fmean(values) == pytest.approx(5.0, abs=0.15)
    assert statistics.stdev(values) == pytest.approx(2.0, abs=0.1)


def test_a_walk_moves_by_its_steps_and_comes_back_to_its_start() -> None:
    evaluate = RandomWalk(20.0, 0.1, pull=0.05).begin(3)
    values = [float(evaluate(second)) for second in range(5000)]
    assert max(abs(b - a) for a, b in itertools.pairwise(values)) < 1.0
    assert abs(statistics.fmean(values) - 20.0) < 0.5
    assert len(set(values)) > 4900


def test_a_walk_asked_backwards_gives_the_same_values() -> None:
    evaluate = RandomWalk(20.0, 0.1).begin(3)
    forward = [evaluate(second) for second in range(100)]
    assert [evaluate(second) for second in reversed(range(100))] == forward[::-1]


def test_a_recorded_course_is_straight_between_its_points() -> None:
    evaluate = Recorded(((1.0, 10.0), (3.0, 20.0))).begin(0)
    assert [evaluate(t) for t in (0.0, 1.0, 2.0, 3.0, 9.0)] == [10.0, 10.0, 15.0, 20.0, 20.0]


def test_a_recorded_course_may_begin_again() -> None:
    evaluate = Recorded(((0.0, 10.0), (4.0, 20.0)), repeat=True).begin(0)
    assert evaluate(5.0) == pytest.approx(12.5)


def test_steps_repeat() -> None:
    step = Step(((0.0, False), (1.0, True)), repeat_s=3.0)
    evaluate = step.begin(0)
    assert [evaluate(t) for t in (0.5, 1.5, 2.9, 3.5, 4.5)] == [False, True, True, False, True]
    assert step.times(0.0, 7.5) == [1.0, 3.0, 4.0, 6.0, 7.0]


@given(t=st.floats(0, 1e6), seed=st.integers(0, 2**64 - 1))
def test_a_sum_is_the_sum_of_its_parts(t: float, seed: int) -> None:
    parts: tuple[Curve, ...] = (Sine(20.0, 3.0, 60.0), Noise(0.0, 0.5), RandomWalk(1.0, 0.0))
    whole = float(Sum(parts).begin(seed)(min(t, 1000.0)))
    alone = sum(float(p.begin(seed + i)(min(t, 1000.0))) for i, p in enumerate(parts))
    assert whole == pytest.approx(alone)


@given(seed=st.integers(0, 2**64 - 1), index=st.integers(0, 2**40))
def test_numbers_of_a_seed_are_in_their_range(seed: int, index: int) -> None:
    assert 0.0 <= uniform(seed, index) < 1.0
    assert math.isfinite(gauss(seed, index))


def test_numbers_of_a_seed_are_spread_evenly() -> None:
    counts = [0] * 10
    for index in range(10_000):
        counts[int(uniform(42, index) * 10)] += 1
    assert max(counts) - min(counts) < 200


# Determinism


def test_two_worlds_of_one_seed_take_the_same_course() -> None:
    table = {"air.temperature": {"sine": {"mean": 21, "amplitude": 2, "period": 60}, "noise": 0.3}}
    first, second = (course(*loaded(table)) for _ in range(2))
    assert first == second


def test_another_seed_is_another_course() -> None:
    table = {"air.temperature": {"random_walk": {"start": 21, "step": 0.2}}}
    assert course(*loaded(table, seed=1)) != course(*loaded(table, seed=2))


def test_the_seed_of_the_configuration_counts() -> None:
    table = {"seed": 2, "air.temperature": {"noise": {"mean": 21, "spread": 1}}}
    plain = {"air.temperature": {"noise": {"mean": 21, "spread": 1}}}
    assert course(*loaded(table, seed=1)) == course(*loaded(plain, seed=2))


def test_two_signals_of_one_world_do_not_move_together(world: World, clock: ManualClock) -> None:
    a = world.signal("a.x", Noise(0.0, 1.0))
    b = world.signal("b.x", Noise(0.0, 1.0))
    assert a.number() != b.number()


def test_asking_more_often_changes_nothing() -> None:
    table = {"air.temperature": {"random_walk": {"start": 21, "step": 0.2}}}
    world, clock = loaded(table)
    source = temperature(world)
    for _ in range(1000):
        clock.advance(0.035)
        source.number()
    other, later = loaded(table)
    unasked = temperature(other)
    later.advance(35.0)
    assert source.number() == unasked.number()


# Setting


@pytest.mark.parametrize(
    ("value", "expected"),
    [(25, 25.0), ("25", 25.0), ("25 °C", 25.0), ("77 °F", 25.0), ("298.15 K", 25.0)],
)
def test_a_number_is_set_as_people_write_it(world: World, value: Any, expected: float) -> None:
    temperature(world)
    assert world.set("air.temperature", value) == pytest.approx(expected)


@pytest.mark.parametrize("word", ["false", "no", "off", "0", False, " False "])
def test_a_bool_is_set_as_people_write_it(world: World, word: Any) -> None:
    world.signal("air.present", True)
    assert world.set("air.present", word) is False


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (90, "found 90, expected -40 to 85 Cel"),
        ("warm", "expected a number and a unit"),
        ("3 V", "found voltage"),
        (True, "expected a number"),
        (float("nan"), "found nan"),
        ("inf", "found inf"),
    ],
)
def test_a_value_that_cannot_be_is_refused_and_nothing_changes(
    world: World, value: Any, words: str
) -> None:
    temperature(world)
    with pytest.raises(WorldError, match=words):
        world.set("air.temperature", value)
    assert world.get("air.temperature") == 21.0


def test_neither_yes_nor_no_is_refused(world: World) -> None:
    world.signal("air.present", True)
    with pytest.raises(WorldError, match='found "perhaps", expected true or false'):
        world.set("air.present", "perhaps")


def test_setting_ends_the_course_it_was_on(world: World, clock: ManualClock) -> None:
    temperature(world, Ramp(0.0, 80.0, 10.0))
    world.set("air.temperature", 5.0)
    clock.advance(3.0)
    assert world.get("air.temperature") == 5.0


def test_a_curve_can_be_set_too(world: World, clock: ManualClock) -> None:
    temperature(world)
    world.set("air.temperature", Ramp(0.0, 10.0, 10.0))
    clock.advance(5.0)
    assert world.get("air.temperature") == pytest.approx(5.0)


def test_an_unknown_name_offers_the_nearest(world: World) -> None:
    temperature(world)
    with pytest.raises(WorldError, match=r'no signal "air.temprature".*"air.temperature"'):
        world.get("air.temprature")


def test_values_stay_within_the_range_of_the_signal(world: World, clock: ManualClock) -> None:
    source = temperature(world, Ramp(0.0, 500.0, 10.0))
    clock.advance(10.0)
    assert source.number() == 85.0


def test_the_list_says_what_there_is(world: World) -> None:
    temperature(world, Sine(20.0, 1.0, 60.0))
    world.signal("air.present", True)
    rows = {row.name: row for row in world.list()}
    assert list(rows) == ["air.present", "air.temperature"]
    assert (rows["air.temperature"].unit, rows["air.temperature"].curve) == ("Cel", "sine")
    assert (rows["air.present"].kind, rows["air.present"].value) == ("bool", True)


def test_a_second_declaration_is_the_same_signal(world: World) -> None:
    first = temperature(world)
    assert temperature(world) is first
    with pytest.raises(WorldError, match="declared twice"):
        world.signal("air.temperature", 21.0, unit="K")


def test_watchers_hear_of_each_set(world: World) -> None:
    heard: list[float] = []
    source = temperature(world)
    world.watch("air.temperature", lambda: heard.append(source.number()))
    world.set("air.temperature", 1)
    world.set("air.temperature", 2)
    assert heard == [1.0, 2.0]


def test_a_switch_set_to_where_it_stands_has_not_moved(world: World) -> None:
    source = world.signal("air.present", True)
    world.set("air.present", True)
    assert source.version == 0
    world.set("air.present", False)
    assert source.version == 1


def test_the_past_is_remembered_for_a_while(world: World, clock: ManualClock) -> None:
    source = temperature(world)
    before = clock.monotonic_ns()
    clock.advance(1.0)
    world.set("air.temperature", 30)
    assert source.number(before) == 21.0
    assert source.changes(before, clock.monotonic_ns()) == [(clock.monotonic_ns(), 30.0)]


# Reading a configuration


def test_names_may_be_dotted_or_nested(world: World) -> None:
    world.load({"air": {"temperature": 5, "humidity": "40 %"}, "soil.moisture": 2}, HERE)
    assert temperature(world).number() == 5.0
    assert world.signal("air.humidity", 50.0, unit="%").number() == 40.0
    assert world.unclaimed() == ("soil.moisture",)


def test_a_distance_is_not_a_temperature() -> None:
    table = {"sine": {"mean": "70 °F", "amplitude": "9 °F", "period": "40 s"}}
    world, clock = loaded({"air.temperature": table})
    source = temperature(world)
    assert source.number() == pytest.approx(21.111, abs=1e-3)
    clock.advance(10.0)
    assert source.number() == pytest.approx(26.111, abs=1e-3)


def test_a_switch_follows_its_script() -> None:
    points = [["0 s", True], ["4 s", False]]
    world, clock = loaded({"door.closed": {"step": {"points": points, "repeat": "6 s"}}})
    source = world.signal("door.closed", False)
    begin = clock.monotonic_ns()
    clock.advance(13.0)
    found = [(at // NS, level) for at, level in source.changes(begin, clock.monotonic_ns())]
    assert found == [(4, False), (6, True), (10, False), (12, True)]


def test_a_csv_file_is_a_course(tmp_path: Path) -> None:
    (tmp_path / "day.csv").write_text("seconds,value\n0,10\n10,20\n")
    clock = ManualClock()
    world = World(clock)
    world.load({"air.temperature": {"csv": "day.csv"}}, tmp_path)
    source = temperature(world)
    clock.advance(2.5)
    assert source.number() == pytest.approx(12.5)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("warm", "world.air.temperature: value: found"),
        (True, "found True as value, expected a quantity"),
        ({"sine": {"mean": 20, "amplitude": 1}}, 'sine: found no "period"'),
        ({"sine": {"mean": 20, "amplitude": 1, "period": "3 V"}}, "period: found voltage"),
        ({"sine": {"mean": 20, "amplitude": 1, "period": 0}}, "period: found 0 s, expected more"),
        ({"sine": {"mean": 20, "amplitude": 1, "period": 1, "phase": 3}}, "found 'phase', exp"),
        ({"ramp": {"from": 0, "to": 1, "over": "1 s", "repeat": 3}}, "repeat: found 3, expected"),
        ({"step": {"points": []}}, r"points: found \[\], expected"),
        ({"step": {"points": [[1, 2], [1, 3]]}}, "times out of order"),
        ({"random_walk": {"start": 1, "step": 1, "pull": 2}}, "pull: found 2, expected 0 to 1"),
        ({"csv": "nowhere.csv"}, "cannot read nowhere.csv"),
        ({"csv": "/dev/zero"}, "/dev/zero is no ordinary file"),
        (90, "found 90, expected -40 to 85 Cel"),
        (math.inf, "found inf as value, expected a quantity"),
    ],
)
def test_a_script_that_cannot_be_names_its_place(world: World, script: Any, words: str) -> None:
    world.load({"air.temperature": script}, HERE)
    with pytest.raises(WorldError, match=words):
        temperature(world)


def test_a_csv_row_that_is_no_number_is_named(tmp_path: Path) -> None:
    (tmp_path / "day.csv").write_text("seconds,value\n0,10\nnoon,20\n")
    world = World(ManualClock())
    world.load({"air.temperature": {"csv": {"path": "day.csv"}}}, tmp_path)
    with pytest.raises(WorldError, match="row 3: found"):
        temperature(world)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("seconds,value\n", "holds no rows"),
        ("0,1\n1,inf\n", "row 2: found"),
        ("1,1\n0,2\n", "order"),
    ],
)
def test_a_csv_that_is_no_course_is_refused(tmp_path: Path, rows: str, words: str) -> None:
    (tmp_path / "day.csv").write_text(rows)
    world = World(ManualClock())
    world.load({"air.temperature": {"csv": "day.csv"}}, tmp_path)
    with pytest.raises(WorldError, match=words):
        temperature(world)


def test_a_constant_may_be_written_out(world: World) -> None:
    world.load({"air.temperature": {"constant": "3 °C"}, "air.present": {"constant": False}}, HERE)
    assert temperature(world).number() == 3.0
    assert world.signal("air.present", True).flag() is False
    assert world.names() == ("air.present", "air.temperature")


def test_a_switch_is_not_set_by_a_number_in_a_script(world: World) -> None:
    world.load({"door.closed": {"step": {"points": [[0, 1]]}}}, HERE)
    with pytest.raises(WorldError, match="found 1, expected a bool"):
        world.signal("door.closed", False)


def test_a_wave_makes_no_sense_of_a_switch(world: World) -> None:
    world.load({"door.closed": {"sine": {"mean": 0, "amplitude": 1, "period": 1}}}, HERE)
    with pytest.raises(WorldError, match="this signal is a bool, expected a value or a step"):
        world.signal("door.closed", False)


def test_a_seed_is_a_whole_number(world: World) -> None:
    with pytest.raises(WorldError, match="world.seed: found 'x'"):
        world.load({"seed": "x"}, HERE)


def test_a_constant_is_a_constant(world: World) -> None:
    assert temperature(world, Constant(3.0)).number() == 3.0
