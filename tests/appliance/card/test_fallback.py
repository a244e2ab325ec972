"""When the access point comes up and when it goes: on simulated time, whatever the radio does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from leyden.appliance.card.fallback import (
    LOOK_S,
    PATIENCE_S,
    RETRY_S,
    START_S,
    TRY_S,
    Action,
    Fallback,
    Mode,
    Phase,
    Radio,
    Sight,
)

STATION = Radio(Mode.STATION)
STEP_S = 2.0
# What the longest way round may take: a start that fails, a minute's wait, a try, and steps.
LONGEST_S = PATIENCE_S + START_S + RETRY_S + TRY_S + 10 * STEP_S


@dataclass
class Air:
    """A radio, and the network it is to join, as simple as can be."""

    network: bool = True  # there
    password: bool = True  # right
    can_serve: bool = True
    can_look: bool = True
    answers: bool = True  # looking comes to an end
    connect_s: float = 6.0
    start_s: float = 4.0
    radio: Radio = STATION
    since: float = 0.0  # when the mode began

    def pass_time(self, now: float) -> None:
        elapsed = now - self.since
        if self.radio.mode is Mode.STATION:
            linked = self.network and self.password and elapsed >= self.connect_s
            self.radio = replace(self.radio, linked=linked)
        elif self.radio.mode is Mode.ACCESS_POINT:
            self.radio = replace(self.radio, serving=self.can_serve and elapsed >= self.start_s)

    def do(self, action: Action, now: float) -> None:
        if action is Action.JOIN and self.radio.mode is not Mode.STATION:
            self.radio, self.since = Radio(Mode.STATION), now
        elif action is Action.SERVE and self.radio.mode is not Mode.ACCESS_POINT:
            self.radio, self.since = Radio(Mode.ACCESS_POINT), now
        elif action is Action.LOOK:
            seen = Sight.SEEN if self.network else Sight.UNSEEN
            sight = seen if self.can_look else Sight.UNABLE
            self.radio = replace(self.radio, sight=sight if self.answers else Sight.UNKNOWN)


@dataclass
class World:
    """A machine, its radio, and time."""

    air: Air
    fallback: Fallback
    now: float = 0.0

    @classmethod
    def new(cls, air: Air) -> World:
        return cls(air, Fallback(0.0))

    def run(self, seconds: float) -> list[tuple[float, Action]]:
        """Let time pass; return what was asked of the radio, and when."""
        asked: list[tuple[float, Action]] = []
        end = self.now + seconds
        while self.now < end:
            self.now += STEP_S
            self.air.pass_time(self.now)
            action = self.fallback.step(self.now, self.air.radio)
            self.air.do(action, self.now)
            if action is not Action.NONE:
                asked.append((self.now, action))
        return asked

    @property
    def phase(self) -> Phase:
        return self.fallback.phase


def test_a_network_that_is_there_is_joined_and_nothing_else_happens() -> None:
    world = World.new(Air())
    assert world.run(600) == []
    assert world.phase is Phase.LINKED


def test_without_a_link_for_a_minute_the_access_point_comes_up() -> None:
    world = World.new(Air(network=False))
    asked = world.run(PATIENCE_S + START_S)
    assert asked[0] == (PATIENCE_S, Action.SERVE)
    assert world.phase is Phase.SERVING


def test_a_link_that_was_lost_gets_its_minute_too() -> None:
    world = World.new(Air())
    world.run(300)
    world.air.network = False
    assert world.run(PATIENCE_S - STEP_S) == []
    world.run(START_S)
    assert world.phase is Phase.SERVING


def test_while_nobody_is_there_looking_disturbs_no_guest() -> None:
    world = World.new(Air(network=False))
    world.run(PATIENCE_S + START_S)
    asked = world.run(3600)
    assert {action for _, action in asked} == {Action.LOOK}
    assert len(asked) >= 3600 / (LOOK_S + STEP_S) - 1
    assert world.phase is Phase.SERVING


def test_a_network_that_comes_back_is_joined_within_a_minute() -> None:
    world = World.new(Air(network=False))
    world.run(1000)
    world.air.network = True
    world.run(LOOK_S + world.air.connect_s + 4 * STEP_S)
    assert world.phase is Phase.LINKED


def test_a_wrong_password_leaves_the_access_point_most_of_the_time() -> None:
    world = World.new(Air(password=False))
    world.run(PATIENCE_S + START_S)
    served = 0.0
    for _ in range(600):
        world.run(STEP_S)
        served += STEP_S * (world.air.radio.serving)
    assert served / 1200 > 0.6
    tries = [when for when, action in world.run(1200) if action is Action.JOIN]
    assert len(tries) >= 10


def test_a_radio_that_cannot_look_while_it_serves_tries_every_minute() -> None:
    world = World.new(Air(network=False, can_look=False))
    world.run(PATIENCE_S + START_S)
    tries = [when for when, action in world.run(1200) if action is Action.JOIN]
    gaps = [later - earlier for earlier, later in pairwise(tries)]
    assert tries
    assert max(gaps) <= RETRY_S + TRY_S + START_S
    world.air.network = True
    world.run(RETRY_S + START_S + TRY_S)
    assert world.phase is Phase.LINKED


def test_a_radio_that_never_says_what_it_saw_tries_too() -> None:
    world = World.new(Air(network=False, answers=False))
    world.run(PATIENCE_S + START_S)
    assert Action.JOIN in [action for _, action in world.run(RETRY_S + 2 * STEP_S)]


def test_a_radio_that_cannot_serve_keeps_trying_to_join() -> None:
    world = World.new(Air(network=False, can_serve=False))
    world.run(1000)
    world.air.network = True
    world.run(LONGEST_S)
    assert world.phase is Phase.LINKED


def test_a_radio_that_is_unplugged_is_waited_for() -> None:
    world = World.new(Air(network=False))
    world.run(200)
    world.air.radio = Radio(Mode.ABSENT)
    assert world.run(500) == []
    world.air.radio, world.air.since = Radio(Mode.STATION), world.now
    assert world.run(PATIENCE_S - STEP_S) == []
    world.run(STEP_S + START_S)
    assert world.phase is Phase.SERVING


def test_an_access_point_that_falls_is_raised_again() -> None:
    world = World.new(Air(network=False))
    world.run(200)
    world.air.radio, world.air.since = Radio(Mode.STATION), world.now
    world.run(START_S)
    assert world.phase is Phase.SERVING


RADIOS = st.builds(
    Radio,
    st.sampled_from(Mode),
    linked=st.booleans(),
    serving=st.booleans(),
    sight=st.sampled_from(Sight),
)
STEPS = st.lists(st.tuples(st.floats(0.1, 120), RADIOS), max_size=80)


@given(STEPS)
def test_whatever_it_has_seen_it_comes_to_an_access_point_when_there_is_no_link(
    steps: list[tuple[float, Radio]],
) -> None:
    fallback, now = Fallback(0.0), 0.0
    for seconds, radio in steps:
        now += seconds
        fallback.step(now, radio)
    world = World(Air(network=False, since=now), fallback, now)
    world.run(LONGEST_S)
    assert world.phase is Phase.SERVING


@given(STEPS, st.booleans(), st.booleans(), st.booleans())
def test_whatever_it_has_seen_it_comes_back_to_a_network_that_is_there(
    steps: list[tuple[float, Radio]], can_look: bool, can_serve: bool, answers: bool
) -> None:
    fallback, now = Fallback(0.0), 0.0
    for seconds, radio in steps:
        now += seconds
        fallback.step(now, radio)
    radio = steps[-1][1] if steps else Radio(Mode.STATION)
    if radio.mode is Mode.ABSENT:
        radio = Radio(Mode.STATION)
    air = Air(can_look=can_look, can_serve=can_serve, answers=answers, radio=radio, since=now)
    world = World(air, fallback, now)
    world.run(LONGEST_S)
    assert world.phase is Phase.LINKED


class Weather(RuleBasedStateMachine):
    """Networks come and go, passwords change, the daemon falls; time goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World.new(Air())
        self.unreachable_s = 0.0  # how long there was neither a link nor an access point
        self.unasked_s = 0.0  # how long nobody looked for the network or tried to join it

    @rule(seconds=st.integers(1, 200))
    def time_passes(self, seconds: int) -> None:
        end = self.world.now + seconds
        while self.world.now < end:
            asked = self.world.run(STEP_S)
            radio = self.world.air.radio
            reached = radio.linked or radio.serving
            self.unreachable_s = 0.0 if reached else self.unreachable_s + STEP_S
            wanted = radio.linked or radio.mode is not Mode.ACCESS_POINT or asked
            self.unasked_s = 0.0 if wanted else self.unasked_s + STEP_S

    @rule(there=st.booleans())
    def network(self, there: bool) -> None:
        self.world.air.network = there

    @rule(right=st.booleans())
    def password(self, right: bool) -> None:
        self.world.air.password = right

    @rule(can=st.booleans())
    def looking(self, can: bool) -> None:
        self.world.air.can_look = can

    @precondition(lambda self: self.world.air.radio.mode is not Mode.STATION)
    @rule()
    def daemon_falls(self) -> None:
        self.world.air.radio = Radio(Mode.STATION)
        self.world.air.since = self.world.now

    @invariant()
    def somebody_can_reach_it_before_long(self) -> None:
        assert self.unreachable_s <= PATIENCE_S + TRY_S + START_S + 4 * STEP_S

    @invariant()
    def it_never_stops_asking_for_its_network(self) -> None:
        assert self.unasked_s <= RETRY_S


TestWeather = Weather.TestCase
