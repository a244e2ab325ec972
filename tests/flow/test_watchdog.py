"""A watchdog speaks once per silence, once per recovery, and never on a healthy route."""

from __future__ import annotations

import pytest
from flow.parts import AIR, PUMP, World, times_s, values

from leyden.flow import Capacitor, Counts, StageError, Watch, Watchdog
from leyden.kernel import BAD, GOOD, Delivery, Event, Route, Schema

HEALTH = "air.temperature;variant=health"


def test_it_speaks_once_per_silence_and_once_when_a_value_comes_back(world: World) -> None:
    said = world.watch(HEALTH)
    watchdog = Watchdog(15)
    world.graph.pipe(AIR, through=[watchdog])
    reading = world.put(20.0)
    world.run(300)
    assert values(said) == ["silent"]
    assert times_s(said) == [pytest.approx(15.0)]
    assert said[0].detail == f"nothing for more than 15 s; the last was event {reading.n}"
    assert said[0].cause == reading.n
    assert watchdog.watch is Watch.SILENT
    back = world.put(20.1)
    assert values(said) == ["silent", "recovered"]
    assert said[1].cause == back.n
    assert said[1].detail == "a value came after 5 min of silence"
    world.run(300)
    assert values(said) == ["silent", "recovered", "silent"]
    assert watchdog.silences == 2


def test_a_heartbeat_slower_than_anything_else_raises_no_alarm(world: World) -> None:
    # Every other tick of a counter that knows nothing of this route.
    said = world.watch(HEALTH)
    world.graph.pipe(AIR, through=[Watchdog(2)])
    for tick in range(200):
        world.put(tick % 2 == 0, PUMP)
        if tick % 2 == 0:
            world.put(20.0)
        world.run(1)
    assert said == []


def test_many_heartbeats_do_not_put_off_the_alarm(world: World) -> None:
    said = world.watch(HEALTH)
    world.graph.pipe(AIR, through=[Watchdog(2)])
    for _ in range(100):
        world.put(20.0)
    world.run(50)
    assert values(said) == ["silent"]


def test_a_gap_of_exactly_the_silence_is_healthy(world: World) -> None:
    said = world.watch(HEALTH)
    world.graph.pipe(AIR, through=[Watchdog(1)])
    for _ in range(50):
        world.put(20.0)
        world.run(1)
    assert said == []


def test_a_route_that_was_never_there_is_not_missed_unless_expected(world: World) -> None:
    said, expected = world.watch(HEALTH), world.watch("air.missing")
    idle = Watchdog(5)
    world.graph.pipe(AIR, through=[idle])
    world.graph.pipe(AIR, through=[Watchdog(5, "air.missing", expect_first=True)])
    world.run(4)
    assert idle.explain() == "disarmed: waits for a first value"
    world.run(60)
    assert said == []
    assert values(expected) == ["silent"]
    assert expected[0].detail == "no first value within 5 s"
    world.put(20.0)
    assert values(expected) == ["silent", "recovered"]


def test_values_pass_through_unchanged(world: World) -> None:
    seen, said = world.watch("air.smooth"), world.watch("air.smooth;variant=health")
    watchdog = Watchdog(5)
    world.graph.pipe(AIR, "air.smooth", through=[watchdog])
    world.put(20.0)
    world.put(None, quality=BAD, why="no_data")
    assert [(e.value, e.quality) for e in seen] == [(20.0, GOOD), (None, BAD)]
    assert (watchdog.counters().entered, watchdog.counters().out) == (2, 2)
    world.run(10)
    assert values(said) == ["silent"]  # on the health route of the line's end


def test_a_device_that_only_reports_failure_is_silent(world: World) -> None:
    said, counting_all = world.watch(HEALTH), world.watch("air.dead")
    world.graph.pipe(AIR, through=[Watchdog(5)])
    world.graph.pipe(AIR, through=[Watchdog(5, "air.dead", counts=Counts.ANY)])
    world.put(20.0)
    for _ in range(10):
        world.run(1)
        world.events.publish(AIR, None, quality=BAD, reason="no_data", detail="no answer from 0x76")
    assert values(said) == ["silent"]
    assert said[0].detail.endswith("the newest is bad: no answer from 0x76")
    assert counting_all == []


def test_it_can_be_told_to_rest_and_to_watch(world: World) -> None:
    said = world.watch(HEALTH)
    watchdog = Watchdog(5)
    world.graph.pipe(AIR, through=[watchdog])
    world.put(20.0)
    watchdog.disarm()
    world.put(20.0)
    world.run(60)
    assert said == []
    assert watchdog.explain() == "disarmed: told to rest"
    watchdog.arm()
    world.run(4)
    assert said == []
    world.run(60)
    assert values(said) == ["silent"]


def test_wall_clock_steps_raise_no_alarm(world: World) -> None:
    said = world.watch(HEALTH)
    world.graph.pipe(AIR, through=[Watchdog(5)])
    world.put(20.0)
    world.executor.manual_clock.set_wall(10**20)
    world.run(4)
    world.executor.manual_clock.set_wall(0)
    world.put(20.0)
    world.run(4)
    assert said == []


def test_it_explains_itself(world: World) -> None:
    watchdog = Watchdog(15)
    world.graph.pipe(AIR, through=[watchdog])
    world.put(20.0)
    world.run(2)
    assert watchdog.explain() == "armed: the last value 2.0 s ago, speaks after 15 s"
    world.run(20)
    assert watchdog.explain() == "silent: nothing for 22.0 s, speaks after 15 s"
    watchdog.dispose()
    world.put(20.0)
    world.run(60)


def test_armed_without_a_value_is_explained(world: World) -> None:
    watchdog = Watchdog(15, expect_first=True)
    world.graph.pipe(AIR, through=[watchdog])
    world.run(3)
    assert watchdog.explain() == "armed: no value yet in 3.0 s, speaks after 15 s"


def test_a_disposed_watchdog_says_nothing(world: World) -> None:
    said = world.watch(HEALTH)
    watchdog = Watchdog(5)
    with world.graph.pipe(AIR, through=[watchdog]):
        world.put(20.0)
    world.run(60)
    watchdog.arm()
    world.run(60)
    assert said == []


def test_behind_a_capacitor_it_watches_what_arrives_there(world: World) -> None:
    said = world.watch("air.smooth;variant=health")
    capacitor = Capacitor(keep=100, demand=True)
    world.graph.pipe(AIR, "air.smooth", through=[capacitor, Watchdog(5)])
    world.put(20.0)
    capacitor.demand()
    for _ in range(10):
        world.run(1)
        world.put(20.0)
    assert values(said) == ["silent"]


def test_behind_a_capacitor_a_healthy_flow_raises_no_alarm(world: World) -> None:
    said = world.watch("air.smooth;variant=health")
    world.graph.pipe(AIR, "air.smooth", through=[Capacitor(keep=10), Watchdog(5)])
    for _ in range(20):
        world.put(20.0)
        world.run(4)
    assert said == []


def test_a_value_that_is_published_but_not_delivered_yet_came_in_time(world: World) -> None:
    said = world.watch(HEALTH)
    watchdog = Watchdog(5)
    world.graph.pipe(AIR, through=[watchdog])
    world.put(20.0)

    def hold_up(event: Event) -> None:
        # Whoever delivers is busy here; meanwhile the next value is published and time passes.
        world.put(21.0, AIR)
        world.executor.clock.sleep(3.0)

    world.events.subscribe(hold_up, name="slow", prefix="pump", delivery=Delivery.INLINE)
    world.run(4)
    world.put(True, PUMP)
    world.run(0)
    assert world.now_s() == 7.0
    assert said == []


def test_it_may_speak_on_a_text_route_only(world: World) -> None:
    world.events.declare(Route.of("air.flag", Schema("bool")))
    world.events.declare(Route.of("air.word", Schema("text")))
    with pytest.raises(
        StageError, match=r'watchdog\.raise: cannot speak on "air\.flag": found text'
    ):
        world.graph.pipe(AIR, through=[Watchdog(5, "air.flag")])
    with pytest.raises(StageError, match=r"cannot speak on .*it is an input route"):
        world.graph.pipe(AIR, through=[Watchdog(5, "air.word")])
    assert world.graph.topology() == ()


def test_it_may_speak_on_a_face_of_another_route(world: World) -> None:
    said = world.watch("vent.opening;variant=health")
    world.graph.pipe(AIR, through=[Watchdog(5, "vent.opening;variant=health")])
    world.put(20.0)
    world.run(10)
    assert values(said) == ["silent"]


def test_a_silence_that_is_not_positive_is_refused() -> None:
    with pytest.raises(StageError, match=r"watchdog\.silence: found 0 s"):
        Watchdog(0)
