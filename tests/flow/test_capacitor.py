"""A capacitor keeps what its consumer cannot take yet, and never forgets that it was asked."""

from __future__ import annotations

import pytest
from flow.parts import AIR, DEMAND, World, values

from leyden.flow import Capacitor, Counters, FullError, StageError
from leyden.kernel import BAD, NS, Event, Route, Schema


def test_demand_for_an_empty_capacitor_stands_until_a_value_comes(world: World) -> None:
    seen = world.watch("air.smooth")
    world.graph.pipe(AIR, "air.smooth", through=[Capacitor(keep=3, demand=DEMAND)])
    world.put(2, DEMAND)
    world.settle()
    for value in (1.0, 2.0, 3.0):
        world.put(value)
        world.settle()
    assert values(seen) == [1.0, 2.0]  # two were asked for, long before they came
    world.put(True, DEMAND)
    world.settle()
    assert values(seen) == [1.0, 2.0, 3.0]


def test_each_demand_releases_one_value_and_the_oldest_first(world: World) -> None:
    seen = world.watch("air.smooth")
    world.graph.pipe(AIR, "air.smooth", through=[Capacitor(keep=5, demand=DEMAND)])
    for value in (1.0, 2.0, 3.0):
        world.put(value)
    world.put(1, DEMAND)
    world.settle()
    assert values(seen) == [1.0]


def test_without_a_demand_route_the_consumer_is_the_demand(world: World) -> None:
    seen = world.watch("air.smooth")
    world.graph.pipe(AIR, "air.smooth", through=[Capacitor(keep=3)])
    world.put(1.0)
    world.put(2.0)
    world.settle()
    assert values(seen) == [1.0, 2.0]


def test_demand_of_zero_false_or_bad_asks_for_nothing(world: World) -> None:
    seen = world.watch("air.smooth")
    world.graph.pipe(AIR, "air.smooth", through=[Capacitor(keep=3, demand=DEMAND)])
    world.put(1.0)
    world.put(0, DEMAND)
    world.events.publish(DEMAND, 2, quality=BAD, reason="checksum")
    world.settle()
    assert seen == []


def test_a_negative_demand_is_told_of_and_releases_nothing(world: World) -> None:
    seen, errors = world.watch("air.smooth"), world.watch("event.stage_error")
    line = world.graph.pipe(AIR, "air.smooth", through=[Capacitor(keep=3, demand=DEMAND)])
    world.put(1.0)
    world.put(-1, DEMAND)
    world.settle()
    assert seen == []
    assert errors[0].value["node"] == line.stages[0].name
    assert line.stages[0].counters().errors == 1


def test_demand_may_be_made_by_call_alone(world: World) -> None:
    seen = world.watch("air.smooth")
    capacitor = Capacitor(keep=2, demand=True)
    world.graph.pipe(AIR, "air.smooth", through=[capacitor])
    world.put(1.0)
    world.settle()
    assert seen == []
    capacitor.demand()
    world.settle()
    assert values(seen) == [1.0]
    with pytest.raises(ValueError, match="0 values"):
        capacitor.demand(0)


@pytest.mark.parametrize(
    ("policy", "kept", "dropped", "coalesced"),
    [
        ("latest", [4.0, 5.0], 0, 3),
        ("drop_oldest", [3.0, 4.0, 5.0], 2, 0),
        ("reject", [1.0, 2.0, 3.0], 2, 0),
        ("block", [1.0, 2.0, 3.0], 2, 0),  # published past the graph: nobody to make wait
    ],
)
def test_each_policy_does_what_it_says_and_counts_it(
    world: World, policy: str, kept: list[float], dropped: int, coalesced: int
) -> None:
    seen = world.watch("air.smooth")
    capacitor = Capacitor(keep=3, overflow=policy, demand=DEMAND)
    world.graph.pipe(AIR, "air.smooth", through=[capacitor])
    for value in (1.0, 2.0, 3.0, 4.0, 5.0):
        world.put(value)
    assert capacitor.counters() == Counters(
        entered=5, dropped=dropped, coalesced=coalesced, held=len(kept)
    )
    world.put(9, DEMAND)
    world.settle()
    assert values(seen) == kept


def test_a_slow_consumer_gets_the_newest_and_the_producer_never_waits(world: World) -> None:
    handled: list[float] = []

    def slow(event: Event) -> None:
        world.executor.clock.sleep(1.0)
        handled.append(event.value)

    capacitor = Capacitor(keep=1, overflow="latest")
    world.graph.pipe(AIR, slow, through=[capacitor])
    for value in range(2000):
        world.put(float(value))
        world.run(0.0005)  # 2 kHz
    assert world.now_s() == pytest.approx(1.0)  # not a moment longer than the producer's own pace
    world.run(5)
    assert handled == [0.0, 1999.0]
    assert capacitor.counters().coalesced == 1998
    assert capacitor.oldest_ns == pytest.approx(0.0005 * NS, rel=0.01)


def test_delivery_is_in_a_lane_of_its_own_not_in_the_demanders_turn(world: World) -> None:
    seen = world.watch("air.smooth")
    world.graph.pipe(AIR, "air.smooth", through=[Capacitor(demand=DEMAND)])
    world.put(1.0)
    world.put(1, DEMAND)
    assert seen == []  # publishing a demand returns before anything is released
    world.settle()
    assert values(seen) == [1.0]


def test_age_and_lateness_are_known_at_delivery(world: World) -> None:
    capacitor = Capacitor(keep=2, demand=DEMAND)
    world.graph.pipe(AIR, "air.smooth", through=[capacitor])
    world.put(1.0)
    world.run(2.0)
    world.put(2, DEMAND)
    world.settle()
    assert capacitor.age_ns == 2 * NS
    world.put(2.0)
    world.settle()
    assert (capacitor.age_ns, capacitor.oldest_ns) == (0, 2 * NS)
    assert capacitor.counters().late == 1  # the second went straight through


def test_it_explains_itself(world: World) -> None:
    capacitor = Capacitor(keep=5, demand=DEMAND)
    assert capacitor.explain() == "unattached: will keep 5"
    line = world.graph.pipe(AIR, "air.smooth", through=[capacitor])
    world.settle()
    assert capacitor.explain() == "closed: empty, and nothing asked for"
    for value in (1.0, 2.0, 3.0):
        world.put(value)
    world.run(2.1)
    assert capacitor.explain() == "closed: 3 of 5 kept, waiting for demand since 2.1 s"
    assert capacitor.info().state == "closed"
    world.put(5, DEMAND)
    world.settle()
    assert capacitor.explain() == "open: empty, 2 asked for and owed"
    line.dispose()
    assert capacitor.explain() == "disposed: holds nothing"


def test_a_busy_consumer_is_explained(world: World) -> None:
    capacitor = Capacitor(keep=5)
    world.graph.pipe(AIR, lambda _: world.executor.clock.sleep(10), through=[capacitor])
    world.settle()
    assert capacitor.explain() == "open: empty, delivers as values come"
    for value in (1.0, 2.0, 3.0):
        world.put(value)
        world.settle()
    world.run(4)
    assert capacitor.explain() == "busy: 2 of 5 kept, delivering since 4.0 s"


def test_what_it_holds_is_dropped_and_counted_when_it_is_taken_down(world: World) -> None:
    seen = world.watch("air.smooth")
    capacitor = Capacitor(keep=5, demand=DEMAND)
    world.graph.pipe(AIR, "air.smooth", through=[capacitor])
    world.put(1.0)
    world.put(2.0)
    capacitor.dispose()
    world.put(5, DEMAND)
    world.put(3.0)
    world.settle()
    assert seen == []
    assert (capacitor.counters().dropped, capacitor.counters().held) == (2, 0)
    assert world.graph.topology() == ()


# Blocking


def test_a_blocked_producer_waits_for_room_and_nothing_is_lost(world: World) -> None:
    seen, at = world.watch("air.smooth"), []
    capacitor = Capacitor(keep=2, overflow="block", demand=DEMAND, timeout_s=60)
    world.graph.pipe(AIR, "air.smooth", through=[capacitor])

    def produce() -> None:
        for value in range(4):
            world.graph.publish(AIR, float(value))
            at.append(world.now_s())

    world.executor.start_lane("producer", produce)
    world.run(10)
    assert at == [0.0, 0.0]
    world.put(2, DEMAND)
    world.run(10)
    assert at == [0.0, 0.0, 10.0, 10.0]
    world.put(2, DEMAND)
    world.settle()
    assert values(seen) == [0.0, 1.0, 2.0, 3.0]
    assert capacitor.counters().dropped == 0


def test_a_producer_that_waited_in_vain_is_told_and_nothing_was_published(world: World) -> None:
    world.graph.pipe(
        AIR, "air.smooth", through=[Capacitor(overflow="block", demand=DEMAND, timeout_s=3)]
    )
    world.graph.publish(AIR, 1.0)
    head = world.events.head
    with pytest.raises(FullError, match="no room within 3 s"):
        world.graph.publish(AIR, 2.0)
    assert world.now_s() == 3.0
    assert world.events.head == head


def test_waiting_producers_are_served_in_the_order_they_came(world: World) -> None:
    seen = world.watch("air.smooth")
    world.graph.pipe(
        AIR, "air.smooth", through=[Capacitor(overflow="block", demand=DEMAND, timeout_s=60)]
    )
    world.graph.publish(AIR, 0.0)

    def produce() -> None:
        world.graph.publish(AIR, world.now_s() + 1)

    for name in ("c", "b", "a"):  # not the order of their names
        world.executor.start_lane(f"producer.{name}", produce)
        world.run(1)
    world.put(4, DEMAND)
    world.settle()
    assert values(seen) == [0.0, 1.0, 2.0, 3.0]


def test_taking_a_capacitor_down_lets_its_producers_go(world: World) -> None:
    capacitor = Capacitor(overflow="block", demand=DEMAND, timeout_s=60)
    world.graph.pipe(AIR, "air.smooth", through=[capacitor])
    world.graph.publish(AIR, 1.0)
    at: list[float] = []

    def produce() -> None:
        world.graph.publish(AIR, 2.0)
        at.append(world.now_s())

    world.executor.start_lane("producer", produce)
    world.run(5)
    capacitor.dispose()
    world.settle()
    assert at == [5.0]


def test_a_lane_waits_at_a_blocking_capacitor_behind_it(world: World) -> None:
    seen = world.watch("air.smooth")
    first = Capacitor(keep=10, overflow="reject")
    second = Capacitor(keep=1, overflow="block", demand=DEMAND, timeout_s=60)
    world.graph.pipe(AIR, "air.smooth", through=[first, second])
    for value in range(4):
        world.put(float(value))
    world.run(1)
    # one in the second, one in the first's hand, two left in the first
    assert (first.held, second.held) == (2, 1)
    world.put(4, DEMAND)
    world.settle()
    assert values(seen) == [0.0, 1.0, 2.0, 3.0]
    assert second.counters().dropped == 0


def test_a_lane_that_waited_in_vain_drops_its_value_and_goes_on(world: World) -> None:
    seen = world.watch("air.smooth")
    second = Capacitor(keep=1, overflow="block", demand=DEMAND, timeout_s=2)
    world.graph.pipe(AIR, "air.smooth", through=[Capacitor(keep=10), second])
    for value in range(3):
        world.put(float(value))
    world.run(3)
    world.put(3, DEMAND)
    world.settle()
    assert values(seen) == [0.0, 2.0]
    assert (second.counters().dropped, second.counters().entered) == (1, 3)


def test_a_line_whose_end_leads_into_a_blocking_capacitor_waits_there(world: World) -> None:
    seen = world.watch("air.slow")
    world.graph.pipe(AIR, "air.smooth", through=[Capacitor(keep=10)])
    world.graph.pipe(
        "air.smooth",
        "air.slow",
        through=[Capacitor(overflow="block", demand=DEMAND, timeout_s=60)],
    )
    for value in range(3):
        world.put(float(value))
    world.run(1)
    world.put(3, DEMAND)
    world.settle()
    assert values(seen) == [0.0, 1.0, 2.0]


def test_a_failed_publication_gives_its_place_back(world: World) -> None:
    capacitor = Capacitor(overflow="block", demand=DEMAND, timeout_s=1)
    world.graph.pipe(AIR, "air.smooth", through=[capacitor])
    looped = Event(1, 0, "air.temperature", 0.0, hops=99)
    with pytest.raises(Exception, match="follows from itself"):
        world.graph.publish(AIR, 1.0, cause=looped)
    world.graph.publish(AIR, 2.0)  # would wait in vain if the place were lost
    assert capacitor.held == 1


# Refused


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Capacitor(keep=0), "capacitor.keep: found 0"),
        (lambda: Capacitor(overflow="nonsense"), 'found "nonsense", expected one of latest'),
        (lambda: Capacitor(timeout_s=0), "capacitor.timeout: found 0 s"),
    ],
)
def test_what_cannot_be_is_refused(make: object, words: str) -> None:
    with pytest.raises(StageError, match=words):
        make()  # type: ignore[operator]  # each row is a function


def test_a_demand_route_that_cannot_count_is_refused(world: World) -> None:
    text = world.events.declare(Route.of("panel.word", Schema("text")))
    with pytest.raises(
        ValueError, match=r"through\[0\]\.capacitor\.demand: found text values on panel\.word"
    ):
        world.graph.pipe(AIR, "air.smooth", through=[Capacitor(demand=text)])
    assert world.graph.topology() == ()
