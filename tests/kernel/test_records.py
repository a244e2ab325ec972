"""Routes, events, state and clocks: the laws of the small things."""

from __future__ import annotations

import threading
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel.parts import Rig

from leyden.kernel import (
    Entry,
    Event,
    Layer,
    ManualClock,
    Plane,
    Quality,
    Route,
    RouteError,
    Schema,
    State,
    StateError,
    SystemClock,
    Variant,
    freeze,
    iso,
    parse_text,
)

names = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
routes = st.builds(
    lambda parts, plane, layer, variant, schema: Route.of(
        ".".join(parts), schema, plane=plane, layer=layer, variant=variant
    ),
    st.lists(names, min_size=2, max_size=3),
    st.sampled_from(Plane),
    st.sampled_from(Layer),
    st.sampled_from(Variant),
    st.builds(Schema, st.sampled_from(["float", "int", "my.type"]), st.integers(1, 3)),
)


@given(routes, routes)
def test_equal_texts_mean_equal_identities(one: Route, other: Route) -> None:
    assert (one.text == other.text) == (one == other)


@given(routes)
def test_a_text_says_everything_that_differs_from_the_default(route: Route) -> None:
    parts = parse_text(route.text)
    again = Route.of(
        parts["name"],
        Schema(*_schema(parts["schema"])),
        plane=Plane(parts.get("plane", "read")),
        layer=Layer(parts.get("layer", "logical")),
        variant=Variant(parts.get("variant", "payload")),
    )
    assert again == route


def _schema(text: str) -> tuple[str, int]:
    id, _, version = text.partition("@")
    return id, int(version)


def test_everyday_names_stay_short() -> None:
    assert Route.of("air.temperature").key == "air.temperature"
    assert Route.of("vent.opening", variant=Variant.DESIRED).key == "vent.opening;variant=desired"
    assert Route.of("vent.state", bool).key == "vent.state"
    assert Route.of("vent.state", bool).text == "vent.state;schema=bool@1"


@pytest.mark.parametrize(
    "name",
    ["", "air", "a.b.c.d", "air.", ".air", "Air.temp", "air.temp;x=1", "a b.c", "1a.b", "ä.b"],
)
def test_a_bad_name_is_refused_with_an_example(name: str) -> None:
    with pytest.raises(RouteError, match='such as "air.temperature"'):
        Route.of(name)


@pytest.mark.parametrize(
    "text", ["a.b;x=1", "a.b;plane", "a.b;plane=", "a.b;plane=read;plane=read"]
)
def test_a_bad_qualifier_is_refused(text: str) -> None:
    with pytest.raises(RouteError, match="expected one each of"):
        parse_text(text)


def test_a_schema_is_validated() -> None:
    with pytest.raises(RouteError):
        Schema("Float")
    with pytest.raises(RouteError):
        Schema("float", 0)
    with pytest.raises(RouteError, match="found <class 'complex'> as a schema"):
        Route.of("a.b", complex)


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(json_like)
def test_what_is_frozen_is_equal_hashable_and_encodes_the_same(value: object) -> None:
    frozen = freeze(value)
    hash(frozen)
    assert freeze(frozen) == frozen
    assert msgspec.json.encode(frozen) == msgspec.json.encode(value)


def test_a_quality_has_a_word_and_an_order() -> None:
    assert [quality.word for quality in sorted(Quality)] == ["good", "uncertain", "bad"]


def test_an_events_line_is_short_and_names_only_what_is_not_usual() -> None:
    line = msgspec.json.encode(Event(7, 123, "air.temperature", 21.4, "device.air"))
    assert line == b'{"n":7,"m":123,"r":"air.temperature","v":21.4,"s":"device.air"}'
    assert msgspec.json.decode(line, type=Event) == Event(
        7, 123, "air.temperature", 21.4, "device.air"
    )


def test_state_gives_frozen_values_with_time_source_and_version() -> None:
    clock = ManualClock()
    state = State(clock)
    clock.advance(5)
    state.set("runtime.clock.uptime", [1, 2], source="clock")
    assert state.get("runtime.clock.uptime") == (1, 2)
    assert state.get("runtime") == {"clock": {"uptime": (1, 2)}}
    entry = state.entry("runtime.clock.uptime")
    assert entry is not None
    assert (entry.mono, entry.source, entry.version) == (5_000_000_000, "clock", 1)
    state.set("runtime.clock.uptime", 3)
    assert state.entry("runtime.clock.uptime").version == 2  # type: ignore[union-attr]
    assert state.get("nothing.here", 42) == 42
    assert state.snapshot() == {"runtime": {"clock": {"uptime": 3}}}


def test_state_refuses_an_empty_path_and_a_value_that_would_be_a_level() -> None:
    state = State(ManualClock())
    for path in ("", ".", "a.", ()):
        with pytest.raises(StateError, match="expected names joined by dots"):
            state.set(path, 1)
    state.set("a.b", 1)
    with pytest.raises(StateError, match='found a value at "a.b"'):
        state.set("a.b.c", 2)
    with pytest.raises(StateError, match='found a value at "a.b"'):
        state.set("a", 2)


def test_a_part_with_a_dot_is_one_part_when_written_as_a_tuple() -> None:
    state = State(ManualClock())
    state.set(("hosts", "10.0.0.1"), "up")
    assert state.paths() == (("hosts", "10.0.0.1"),)
    assert state.get(("hosts", "10.0.0.1")) == "up"


def test_state_can_be_watched_listed_and_deleted() -> None:
    state = State(ManualClock())
    seen: list[tuple[tuple[str, ...], object]] = []
    cancel = state.subscribe("a", lambda path, entry: seen.append((path, entry and entry.value)))
    state.set("a.b", 1)
    state.set("c", 1)
    assert state.delete("a")
    assert not state.delete("a")
    cancel()
    state.set("a.b", 2)
    assert seen == [(("a", "b"), 1), (("a", "b"), None)]
    assert state.paths("a") == (("a", "b"),)


def test_an_update_is_atomic_across_threads() -> None:
    state = State(SystemClock())

    def add() -> None:
        for _ in range(500):
            state.update("count", lambda value: (value or 0) + 1)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert state.get("count") == 2000


def test_clocks_agree_on_their_protocol() -> None:
    for clock in (SystemClock(), ManualClock()):
        before = clock.monotonic_ns()
        assert clock.uptime() >= 0
        assert clock.monotonic_ns() >= before
        assert clock.time_ns() > 1_600_000_000 * 10**9
        assert clock.synchronised() in (True, False)
    SystemClock().sleep(-1)


def test_a_manual_clock_sleeps_until_it_is_moved_and_wall_time_steps_apart() -> None:
    clock = ManualClock(wall_ns=0)
    woke = threading.Event()

    def nap() -> None:
        clock.sleep(10)
        woke.set()

    sleeper = threading.Thread(target=nap)
    sleeper.start()
    for _ in range(1000):  # it may begin to sleep at any of these moments
        clock.advance(5)
        if woke.wait(0.01):
            break
    sleeper.join(10)
    assert woke.is_set()
    assert clock.monotonic_ns() >= 10 * 10**9
    clock.advance_to(10_000 * 10**9)
    clock.set_wall(10**18, synchronised=False)
    assert (clock.time_ns(), clock.monotonic_ns(), clock.synchronised()) == (10**18, 10**13, False)
    clock.advance_to(0)
    assert clock.monotonic_ns() == 10**13  # never back


def test_wall_time_is_written_in_utc() -> None:
    assert iso(0) == "1970-01-01T00:00:00.000Z"
    assert iso(1_772_000_000_123_456_789) == "2026-02-25T06:13:20.123Z"


def test_a_watcher_that_fails_is_reported_and_costs_neither_setter_nor_others(rig: Rig) -> None:
    state, heard = rig.runtime.state, list[tuple[str, ...]]()

    def fail(path: tuple[str, ...], entry: Entry | None) -> None:
        raise RuntimeError("cannot draw")

    state.subscribe("net", fail)
    state.subscribe("net", lambda path, entry: heard.append(path))
    state.set("net.wlan0", "up")
    assert heard == [("net", "wlan0")]
    report = rig.of("event.subscriber_error")[0]
    assert report.detail == "a watcher failed on state net.wlan0: RuntimeError: cannot draw"


def test_watchers_hear_cause_before_effect_and_every_change_in_its_order() -> None:
    state, heard = State(SystemClock()), list[tuple[str, int]]()

    def follow(path: tuple[str, ...], entry: Entry | None) -> None:
        if path == ("cause",):
            state.set("effect", 1)

    state.subscribe((), follow)
    state.subscribe((), lambda path, entry: heard.append((path[0], entry.version if entry else 0)))
    state.set("cause", 1)
    assert heard == [("cause", 1), ("effect", 1)]
    heard.clear()

    def count() -> None:
        for _ in range(500):
            state.update("count", lambda value: (value or 0) + 1)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(10)
    assert heard == [("count", version) for version in range(1, 2001)]


@pytest.mark.parametrize("path", ["", "a..b", (), ("a", ""), ("a", 5)])
def test_a_path_of_the_wrong_shape_is_refused(path: Any) -> None:
    with pytest.raises(StateError, match="expected names joined by dots"):
        State(SystemClock()).set(path, 1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"minimum": 5.0, "maximum": 1.0},
        {"minimum": float("nan"), "maximum": 1.0},
        {"step": -1.0},
        {"step": float("nan")},
        {"step": float("inf")},
    ],
)
def test_a_range_or_step_that_is_none_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(RouteError, match="expected"):
        Schema("float", **wrong)  # type: ignore[arg-type]  # which of them is the point
