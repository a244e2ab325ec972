"""Tests of the gpio device: levels, counters and outputs, over modelled lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leyden.hal import Bias, BusLostError, Edge, EdgeEvent, InUseError, NoAnswerError
from leyden.hal.mock.curves import Step
from leyden.hal.mock.rig import Rig
from leyden.hal.mock.world import World
from leyden.kernel import (
    BAD,
    GOOD,
    NS,
    UNCERTAIN,
    ComponentError,
    Device,
    DeviceError,
    Direction,
    Intent,
    ManualClock,
    NoDataError,
    Outcome,
    Role,
    Runtime,
    SimulatedExecutor,
    TableReading,
    WrongDeviceError,
)
from leyden_drivers.gpio import DEVICE, OPTIONS
from leyden_drivers.gpio.chip import CHIP, GpioParts, PulseTrain
from leyden_drivers.gpio.debounce import Change, Debouncer
from leyden_drivers.gpio.driver import Gpio
from leyden_drivers.gpio.lines import MOST_EDGES
from leyden_drivers.gpio.options import GpioOptions, Line, Mode, Pull
from leyden_drivers.gpio.rate import RateMeter

MS = NS // 1000

DOOR = Line(17, bias=Pull.UP, active_low=True, debounce=0.02, glitches=True)
METER = Line(27, mode=Mode.COUNTER, rate=True)
VENT = Line(22, mode=Mode.OUTPUT)
SWITCH = Line(17, complement=18, bias=Pull.UP, active_low=True, debounce=0.02)


class Bench:
    """One gpio device on modelled lines in simulated time."""

    def __init__(self, lines: Mapping[str, Line], **options: Any) -> None:
        self.executor = SimulatedExecutor()
        self.rig = Rig(self.executor)
        self.bus = self.rig.gpio("gpio")
        self.options = GpioOptions(lines, **options)
        self.parts: GpioParts = self.rig.plug("gpio", CHIP, "x", self.options)
        self.device = Gpio(self.bus, self.options)
        self.device.clock = self.executor.clock

    def set(self, name: str, value: Any) -> None:
        """Move the world, in the very instant somebody may have looked."""
        self.rig.world.set(name, value)

    def start(self) -> None:
        self.device.probe()
        self.device.start()

    def read(self, after_s: float = 0.0) -> TableReading:
        self.executor.run_for(after_s)
        return self.device.read()

    def driven(self, line: Line) -> bool | None:
        return self.parts.driven_levels.get(line.line)


@pytest.fixture
def bench() -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(**given: Any) -> Bench:
        lines = {name: given.pop(name) for name in list(given) if isinstance(given[name], Line)}
        made.append(Bench(lines, **given))
        return made[-1]

    yield make
    for each in made:
        each.rig.close()
        each.executor.close()


def script(*points: tuple[float, bool]) -> Step:
    """A level over time: seconds and the level from then on."""
    return Step(tuple(points))


# What the appliance sees.


def test_the_folder_exports_what_the_appliance_looks_for() -> None:
    assert issubclass(DEVICE, Device)
    assert OPTIONS is GpioOptions
    assert CHIP.kind == DEVICE.bus_kind == "gpio"


def test_channels_follow_from_the_lines(bench: Callable[..., Bench]) -> None:
    channels = bench(door=DOOR, flow=METER, state=VENT).device.channels()

    assert [(channel.name, channel.kind, channel.unit) for channel in channels] == [
        ("door", bool, "1"),
        ("door_glitches", int, "{count}"),
        ("flow", int, "{count}"),
        ("flow_rate", float, "Hz"),
        ("state", bool, "1"),
    ]
    assert [each.name for each in channels if each.direction is Direction.OUT] == ["state"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: GpioOptions({}), "lines: found none"),
        (lambda: GpioOptions({"a": Line(1), "b": Line(1)}), "a and b are both line 1"),
        (lambda: GpioOptions({"Door": Line(1)}), 'found name "Door"'),
        (lambda: GpioOptions({"a": Line(1)}, lease=0.0), "lease: found 0.0 s"),
        (lambda: GpioOptions({"a": Line(1)}, settle=-1.0), "settle: found -1.0 s"),
        (lambda: GpioOptions({"a": SWITCH, "b": Line(18)}), "a and b are both line 18"),
        (lambda: GpioOptions({"a": Line(1, complement=1)}), "a and a are both line 1"),
        (lambda: Line(1, complement=-2), "complement: found -2"),
        (lambda: Line(1, mode=Mode.COUNTER, complement=2), "complement: a line of mode counter"),
        (lambda: Line(-1), "line: found -1"),
        (lambda: Line(1, debounce=-0.1), "debounce: found -0.1 s"),
        (lambda: Line(1, mode=Mode.COUNTER, edge=Edge.NONE), 'edge: found "none"'),
        (lambda: Line(1, safe=True), "safe: a line of mode input has no such option"),
        (lambda: Line(1, rate=True), "rate: a line of mode input has no such option"),
        (lambda: Line(1, mode=Mode.OUTPUT, debounce=0.1), "debounce: a line of mode output"),
        (lambda: Line(1, mode=Mode.OUTPUT, bias=Pull.UP), "bias: a line of mode output"),
    ],
)
def test_options_that_cannot_be_are_refused_in_words(
    make: Callable[[], object], words: str
) -> None:
    with pytest.raises(ComponentError, match=words):
        make()


def test_options_take_the_words_of_a_configuration_file() -> None:
    line = Line(17, mode="counter", bias="pull-up", edge="both")  # type: ignore[arg-type]  # as TOML has them

    assert (line.mode, line.bias.bias, line.edge) == (Mode.COUNTER, Bias.UP, Edge.BOTH)


def test_two_lines_whose_channels_have_one_name_are_refused() -> None:
    options = GpioOptions({"flow": METER, "flow_rate": Line(4)})

    with pytest.raises(ComponentError, match="two channels are called flow_rate"):
        Gpio(Rig(SimulatedExecutor()).gpio("gpio"), options)


def test_a_line_that_is_not_there_is_a_wrong_device(bench: Callable[..., Bench]) -> None:
    with pytest.raises(WrongDeviceError, match=r"door: found line 99 of gpio, expected 0 to 53"):
        bench(door=Line(99)).start()


def test_a_line_held_by_somebody_else_gives_the_others_back(bench: Callable[..., Bench]) -> None:
    a = bench(door=DOOR, state=VENT)
    taken = a.bus.input(VENT.line)

    with pytest.raises(InUseError):
        a.start()
    taken.close()
    a.start()  # the door's line is free again
    assert a.read().doubts == {}


# Levels.


def test_a_contact_reads_as_made_whatever_its_electrical_sense(bench: Callable[..., Bench]) -> None:
    a = bench(low=DOOR, high=Line(4, bias=Pull.DOWN, debounce=0.02))
    a.start()
    assert (a.read().table["low"], a.read().table["high"]) == (False, False)

    a.set("x.low", True)
    a.set("x.high", True)
    table = a.read(after_s=1.0).table
    assert (table["low"], table["high"]) == (True, True)


def test_bounces_are_counted_and_not_believed(bench: Callable[..., Bench]) -> None:
    a = bench(door=DOOR)
    a.set("x.door_bounce", 0.01)
    a.start()
    a.set("x.door", script((0.0, False), (1.0, True)))
    levels = [a.read(after_s=0.005).table["door"] for _ in range(300)]

    # Chatter ends by 1.010 s, so the level counts from there on plus 20 ms at the latest.
    assert levels.count(False) in range(203, 208)
    assert levels == sorted(levels)
    assert 0 < a.read().table["door_glitches"] <= 8


def test_the_verdict_does_not_depend_on_when_edges_are_fetched(bench: Callable[..., Bench]) -> None:
    def glitches(every_s: float) -> int:
        a = bench(door=DOOR)
        a.set("x.door", Step(((0.0, False), (0.3, True)), repeat_s=0.6))
        a.start()
        for _ in range(round(6.0 / every_s)):
            reading = a.read(after_s=every_s)
        count = reading.table["door_glitches"]
        assert isinstance(count, int)
        return count

    assert glitches(0.003) == glitches(0.05) == glitches(2.0) > 0


def test_a_level_that_lasts_less_than_the_debounce_time_is_a_glitch(
    bench: Callable[..., Bench],
) -> None:
    a = bench(door=DOOR)
    a.set("x.door_bounce", 0.0)
    a.set("x.door", script((0.0, False), (1.0, True), (1.015, False), (2.0, True)))
    a.start()

    reading = a.read(after_s=1.5)
    assert (reading.table["door"], reading.table["door_glitches"]) == (False, 1)
    reading = a.read(after_s=1.0)
    assert (reading.table["door"], reading.table["door_glitches"]) == (True, 1)


def test_a_level_without_debouncing_is_the_level_now(bench: Callable[..., Bench]) -> None:
    a = bench(door=Line(4))
    a.set("x.door_bounce", 0.0)
    a.start()
    a.set("x.door", True)

    assert a.read(after_s=0.001).table["door"] is True


def test_a_cut_wire_reads_as_the_resistor_pulls(bench: Callable[..., Bench]) -> None:
    """A line has no way to tell a cut wire from an open contact; the README says what to do."""
    a = bench(door=DOOR)
    a.set("x.door", True)
    a.start()
    assert a.read(after_s=1.0).table["door"] is True

    a.set("x.present", False)
    assert a.read(after_s=1.0).table["door"] is False


# Changeover switches.


def test_a_changeover_switch_reads_as_a_contact_does(bench: Callable[..., Bench]) -> None:
    a = bench(door=SWITCH)
    a.set("x.door", Step(((0.0, False), (2.0, True)), repeat_s=4.0))
    a.start()
    readings = [a.read(after_s=1.0) for _ in range(40)]

    assert [reading.table["door"] for reading in readings] == [False, False, True, True] * 10
    assert all(reading.doubts == {} for reading in readings)


@pytest.mark.parametrize("was", [False, True])
@pytest.mark.parametrize(
    ("signal", "value", "words"),
    [
        ("x.present", False, "neither contact reads made: is a wire cut, or the switch gone?"),
        ("x.fault", "stuck_high", "neither contact reads made"),
        ("x.fault", "stuck_low", "both contacts read made: is there a short circuit?"),
    ],
)
def test_a_switch_whose_contacts_say_the_same_is_bad(
    bench: Callable[..., Bench], was: bool, signal: str, value: object, words: str
) -> None:
    a = bench(door=SWITCH)
    a.set("x.door", was)
    a.start()
    assert a.read(after_s=1.0).table["door"] is was

    a.set(signal, value)
    first, then = a.read(after_s=0.5), a.read(after_s=0.5)
    assert (first.table["door"], first.doubts["door"].quality) == (was, UNCERTAIN)
    assert (then.doubts["door"].quality, then.doubts["door"].reason) == (BAD, "discrepancy")
    assert words in then.doubts["door"].detail

    a.set(signal, True if signal == "x.present" else "none")
    again = a.read(after_s=0.5)
    assert (again.table["door"], again.doubts) == (was, {})


def test_a_switch_that_is_broken_from_the_start_has_no_value(bench: Callable[..., Bench]) -> None:
    a = bench(door=SWITCH)
    a.set("x.present", False)
    a.start()
    reading = a.read()

    assert reading.table["door"] is None
    assert reading.doubts["door"].quality is BAD


def test_a_switch_between_its_contacts_keeps_its_value_with_a_doubt() -> None:
    device, chip, clock = faked({"door": SWITCH})
    chip.inputs[18].level = True  # made is false: the other contact is closed
    for _ in range(3):
        clock.advance(1.0)
        device.read()
    assert device.read().doubts == {}

    left = clock.monotonic_ns() + NS
    chip.inputs[18].level = False
    chip.inputs[18].queue = [EdgeEvent(left, False)]
    clock.advance(1.03)
    reading = device.read()
    assert (reading.table["door"], reading.doubts["door"].quality) == (False, UNCERTAIN)

    chip.inputs[17].level = True
    chip.inputs[17].queue = [EdgeEvent(left + 8 * MS, True)]
    clock.advance(0.02)
    reading = device.read()
    assert (reading.table["door"], reading.doubts) == (True, {})


def test_both_contacts_are_given_back(bench: Callable[..., Bench]) -> None:
    a = bench(door=SWITCH)
    a.start()
    a.device.check()
    a.device.stop()

    for line in SWITCH.taken:
        a.bus.input(line).close()


# Counters.


def test_a_flow_meter_is_counted_and_its_rate_told(bench: Callable[..., Bench]) -> None:
    a = bench(flow=METER)
    a.set("x.flow_frequency", 12.5)
    a.start()
    readings = [a.read(after_s=1.0) for _ in range(60)]

    assert readings[-1].table["flow"] == pytest.approx(750, abs=1)
    assert all(reading.doubts == {} for reading in readings)
    assert [reading.table["flow_rate"] for reading in readings] == pytest.approx([12.5] * 60)


@pytest.mark.parametrize(("edge", "count"), [(Edge.RISING, 3), (Edge.FALLING, 3), (Edge.BOTH, 6)])
def test_a_counter_counts_the_edges_it_was_told_to(
    bench: Callable[..., Bench], edge: Edge, count: int
) -> None:
    pulses = [(at + offset, not offset) for at in (1.0, 2.0, 3.0) for offset in (0.0, 0.1)]
    for debounce in (0.0, 0.05):
        a = bench(flow=Line(27, mode=Mode.COUNTER, edge=edge, debounce=debounce))
        a.set("x.flow", script((0.0, False), *pulses))
        a.start()
        assert a.read(after_s=5.0).table["flow"] == count


def test_chatter_on_a_counter_is_not_counted(bench: Callable[..., Bench]) -> None:
    chatter = [
        (1.0, True),
        (1.001, False),
        (1.002, True),
        (2.0, False),
        (2.003, True),
        (2.004, False),
    ]
    a = bench(rain=Line(27, mode=Mode.COUNTER, debounce=0.05, glitches=True))
    a.set("x.rain", script((0.0, False), *chatter))
    a.start()
    table = a.read(after_s=3.0).table

    assert (table["rain"], table["rain_glitches"]) == (1, 2)


def test_edges_nobody_could_keep_make_the_count_a_lower_bound(bench: Callable[..., Bench]) -> None:
    a = bench(flow=METER)
    a.start()
    a.read()
    a.set("x.flow_frequency", 5000.0)
    reading = a.read(after_s=1.0)

    assert reading.doubts["flow"].quality is UNCERTAIN
    assert reading.doubts["flow"].reason == "missed_edges"
    assert "edges were lost; the true count may be higher" in reading.doubts["flow"].detail
    assert reading.doubts["flow_rate"].reason == "missed_edges"

    a.set("x.flow_frequency", 10.0)
    a.read(after_s=0.2)
    reading = a.read(after_s=1.0)
    assert reading.doubts["flow"].reason == "missed_edges", "the count stays a lower bound"
    assert "flow_rate" not in reading.doubts, "the rate is whole again"


def test_a_count_goes_on_after_an_interruption_as_a_lower_bound(
    bench: Callable[..., Bench],
) -> None:
    a = bench(flow=METER)
    a.set("x.flow_frequency", 10.0)
    a.start()
    before = a.read(after_s=5.0).table["flow"]
    a.device.stop()
    a.executor.run_for(5.0)
    a.start()
    reading = a.read(after_s=1.0)

    assert before == pytest.approx(50, abs=1)
    assert reading.table["flow"] - before == pytest.approx(10, abs=1)
    assert "was not watched for a while" in reading.doubts["flow"].detail


def test_a_slow_rate_is_measured_between_edges(bench: Callable[..., Bench]) -> None:
    a = bench(flow=METER)
    a.set("x.flow_frequency", 0.3)
    a.start()
    readings = [a.read(after_s=1.0) for _ in range(30)]
    rates = [r.table["flow_rate"] for r in readings if "flow_rate" not in r.doubts]

    assert rates[-1] == pytest.approx(0.3, abs=0.01)
    assert max(rates) <= 0.31


def test_a_rate_falls_with_the_silence_and_is_zero_after_ten_seconds(
    bench: Callable[..., Bench],
) -> None:
    a = bench(flow=METER)
    a.set("x.flow_frequency", 20.0)
    a.start()
    assert a.read(after_s=5.0).table["flow_rate"] == pytest.approx(20.0)

    a.set("x.flow_frequency", 0.0)
    rates = [a.read(after_s=1.0).table["flow_rate"] for _ in range(12)]
    assert rates[1:9] == sorted(rates[1:9], reverse=True)
    assert rates[4] == pytest.approx(1 / 5, rel=0.05)
    assert rates[-1] == 0.0


def test_one_edge_is_no_rate_yet() -> None:
    meter = RateMeter()
    assert meter.sample(0) == (0.0, None)

    meter.edge(NS)
    rate, doubt = meter.sample(2 * NS)
    assert rate is None
    assert doubt is not None
    assert (doubt.quality, doubt.reason) == (BAD, "not_ready")
    assert meter.sample(12 * NS) == (0.0, None)


def test_edges_at_one_moment_are_no_rate() -> None:
    meter = RateMeter()
    for _ in range(3):
        meter.edge(NS)
    rate, doubt = meter.sample(NS)

    assert rate is None
    assert doubt is not None
    assert doubt.reason == "out_of_range"


@given(
    gaps=st.lists(st.integers(1, 400), min_size=1, max_size=60),
    reads=st.lists(st.integers(1, 700), min_size=1, max_size=30),
    hold=st.integers(0, 100),
)
def test_a_debouncer_says_the_same_however_its_edges_are_fetched(
    gaps: list[int], reads: list[int], hold: int
) -> None:
    """The reference knows all edges beforehand; the debouncer gets them as they are fetched."""
    times = [sum(gaps[: i + 1]) for i in range(len(gaps))]
    end = times[-1] + 1000
    bounce = Debouncer(False, 0, hold)
    found: list[Change] = []
    due, now = list(enumerate(times)), 0
    for step in [*reads, end]:
        now = min(end, now + step)
        while due and due[0][1] <= now:
            index, at = due.pop(0)
            found += bounce.edge(at, index % 2 == 0)
        found += bounce.settle(now)

    assert found == reference(times, hold, end)
    assert bounce.lost == 0
    assert bounce.level == (found[-1].level if found else False)


def reference(times: list[int], hold: int, end: int) -> list[Change]:
    """Every level that lasts for `hold` and is another than the stable level before it."""
    found: list[Change] = []
    stable = False
    for index, (begin, until) in enumerate(zip(times, [*times[1:], end], strict=True)):
        level = index % 2 == 0
        if level != stable and until - begin >= hold:
            found.append(Change(begin, level))
            stable = level
    return found


def test_two_edges_of_one_direction_tell_of_one_that_was_lost() -> None:
    bounce = Debouncer(False, 0, 10)
    changes = [*bounce.edge(100, True), *bounce.edge(200, True), *bounce.settle(300)]

    assert bounce.lost == 1
    assert changes == [Change(100, True)]


def test_an_edge_from_before_the_beginning_is_part_of_the_level_then() -> None:
    bounce = Debouncer(True, 100, 10)

    assert bounce.edge(99, True) == ()
    assert (bounce.lost, bounce.raw) == (0, True)


@given(
    rates=st.lists(st.floats(0, 300), min_size=1, max_size=10),
    cuts=st.lists(st.integers(1, 900), min_size=1, max_size=20),
)
def test_a_pulse_train_gives_the_same_edges_however_it_is_asked(
    rates: list[float], cuts: list[int]
) -> None:
    def train() -> PulseTrain:
        clock = ManualClock()
        points = tuple((float(i), rate) for i, rate in enumerate(rates))
        return PulseTrain(World(clock).signal("f", Step(points), unit="Hz"), 0)

    end = sum(cuts) * 10 * MS
    piecewise, at, one = [], 0, train()
    for cut in cuts:
        piecewise += one.changes(at, at + cut * 10 * MS)
        at += cut * 10 * MS
    whole = train().changes(0, end)

    assert piecewise == whole
    assert [level for _, level in whole] == [i % 2 == 0 for i in range(len(whole))]
    assert whole == sorted(whole)


# Lines that misbehave: a chip of our own making.


class FakeInput:
    """An input line whose every answer is set by the test."""

    def __init__(self, line: int) -> None:
        self.line = line
        self.level = False
        self.queue: list[EdgeEvent] = []
        self.lost = 0
        self.error: DeviceError | None = None
        self.closed = False

    def value(self) -> bool:
        if self.error is not None:
            raise self.error
        return self.level

    def events(self, limit: int = 64) -> list[EdgeEvent]:
        if self.error is not None:
            raise self.error
        taken, self.queue = self.queue[:limit], self.queue[limit:]
        return taken

    def missed(self) -> int:
        return self.lost

    def close(self) -> None:
        self.closed = True


class FakeOutput:
    """An output line that remembers how it was held."""

    def __init__(self, line: int, safe: bool) -> None:
        self.line = line
        self.level = self.safe = safe
        self.holds: list[tuple[bool, int]] = []
        self.error: DeviceError | None = None
        self.closed = False

    def hold(self, value: bool, lease_ms: int) -> None:
        if self.error is not None:
            raise self.error
        self.level = value
        self.holds.append((value, lease_ms))

    def value(self) -> bool:
        return self.level

    def close(self) -> None:
        self.closed, self.level = True, self.safe
        if self.error is not None:
            raise self.error


class FakeChip:
    """A chip that hands out fake lines."""

    name = "fake"

    def __init__(self) -> None:
        self.inputs: dict[int, FakeInput] = {}
        self.outputs: dict[int, FakeOutput] = {}
        self.asked: dict[int, dict[str, Any]] = {}

    def input(self, line: int, **asked: Any) -> FakeInput:
        self.asked[line] = asked
        return self.inputs.setdefault(line, FakeInput(line))

    def output(self, line: int, *, safe: bool, **asked: Any) -> FakeOutput:
        self.asked[line] = {"safe": safe, **asked}
        return self.outputs.setdefault(line, FakeOutput(line, safe))


def faked(lines: Mapping[str, Line], **options: Any) -> tuple[Gpio, FakeChip, ManualClock]:
    chip, clock = FakeChip(), ManualClock(start_ns=100 * NS)
    device = Gpio(chip, GpioOptions(lines, **options))
    device.clock = clock
    device.start()
    return device, chip, clock


def test_a_level_that_its_edges_do_not_explain_is_doubted_then_believed() -> None:
    device, chip, clock = faked({"door": DOOR})
    chip.inputs[17].level = True  # and no edge ever came
    doubt = device.read().doubts["door"]
    assert (doubt.quality, doubt.reason) == (UNCERTAIN, "missed_edges")

    clock.advance(1.0)
    device.read()
    clock.advance(1.0)
    reading = device.read()
    assert (reading.table["door"], reading.doubts) == (True, {})


def test_an_edge_that_arrives_late_is_no_lost_edge() -> None:
    device, chip, clock = faked({"rain": Line(27, mode=Mode.COUNTER, debounce=0.01)})
    chip.inputs[27].level = True
    device.read()
    chip.inputs[27].queue = [EdgeEvent(100 * NS, True)]
    clock.advance(1.0)
    reading = device.read()

    assert (reading.table["rain"], reading.doubts) == (1, {})


def test_a_line_that_never_rests_does_not_hold_the_lane() -> None:
    device, chip, _ = faked({"flow": METER, "door": DOOR})
    chip.inputs[27].queue = [EdgeEvent(100 * NS + i * 10_000, True) for i in range(10_000)]
    chip.inputs[17].queue = [EdgeEvent(100 * NS + i * 10_000, i % 2 == 0) for i in range(10_000)]
    reading = device.read()

    assert reading.table["flow"] == MOST_EDGES
    assert reading.doubts["flow"].reason == reading.doubts["door"].reason == "saturated"
    assert reading.doubts["flow_rate"].reason == "missed_edges"


def test_only_the_counted_edges_are_asked_for_where_nothing_is_debounced() -> None:
    _, chip, _ = faked({"flow": METER, "rain": Line(4, mode=Mode.COUNTER, debounce=0.1)})

    assert chip.asked[27]["edges"] is Edge.RISING
    assert chip.asked[4]["edges"] is Edge.BOTH


def test_a_line_that_fails_spoils_no_other() -> None:
    device, chip, _ = faked({"door": DOOR, "flow": METER, "state": VENT})
    chip.inputs[17].error = NoAnswerError("the door's line is silent")
    reading = device.read()

    assert set(reading.doubts) == {"door", "door_glitches"}
    assert reading.doubts["door"].detail == "the door's line is silent"
    assert reading.table["door"] is None
    assert reading.table["state"] is False
    device.check()


def test_a_chip_that_is_gone_is_a_failed_read() -> None:
    device, chip, _ = faked({"door": DOOR, "state": VENT})
    lines: list[FakeInput | FakeOutput] = [*chip.inputs.values(), *chip.outputs.values()]
    for line in lines:
        line.error = BusLostError("the chip is gone")

    with pytest.raises(BusLostError):
        device.read()


def test_the_witness_speaks_when_no_line_answers() -> None:
    device, chip, _ = faked({"door": DOOR})
    device.check()
    chip.inputs[17].error = BusLostError("the chip is gone")

    with pytest.raises(BusLostError):
        device.check()


def test_one_output_that_cannot_be_closed_keeps_no_other_from_its_safe_value() -> None:
    device, chip, _ = faked({"a": VENT, "b": Line(23, mode=Mode.OUTPUT, safe=True)})
    device.write("a", True)
    device.write("b", False)
    chip.outputs[22].error = BusLostError("stuck")

    with pytest.raises(BusLostError):
        device.stop()
    assert chip.outputs[23].closed
    assert chip.outputs[23].level is True


def test_what_is_not_started_says_so() -> None:
    device = Gpio(FakeChip(), GpioOptions({"door": DOOR, "state": VENT}))

    with pytest.raises(NoDataError, match="the device is not started"):
        device.read()


# Outputs.


def test_an_output_is_safe_until_it_is_written(bench: Callable[..., Bench]) -> None:
    a = bench(state=VENT, alarm=Line(23, mode=Mode.OUTPUT, safe=True))
    a.start()
    table = a.read().table

    assert (table["state"], table["alarm"]) == (False, True)
    assert (a.driven(VENT), a.parts.driven_levels[23]) == (False, True)


def test_an_output_begins_as_its_initial_value_says(bench: Callable[..., Bench]) -> None:
    a = bench(state=Line(22, mode=Mode.OUTPUT, initial=True, active_low=True))
    a.start()

    assert a.read().table["state"] is True
    assert a.driven(VENT) is False, "active is low"


def test_a_written_output_is_held_as_long_as_it_is_read(bench: Callable[..., Bench]) -> None:
    a = bench(state=VENT)
    a.start()
    a.device.write("state", True)
    readings = [a.read(after_s=1.0) for _ in range(20)]

    assert all(reading.table["state"] is True for reading in readings)
    assert all(reading.doubts == {} for reading in readings)
    assert a.driven(VENT) is True


def test_nobody_reading_lets_the_output_fall_safe_and_it_stays_there(
    bench: Callable[..., Bench],
) -> None:
    a = bench(state=VENT)
    a.start()
    a.device.write("state", True)
    a.executor.run_for(3.5)
    assert a.driven(VENT) is False, "the lease of three periods is over"

    for _ in range(3):
        reading = a.read(after_s=1.0)
        assert reading.table["state"] is False
        assert reading.doubts["state"].quality is UNCERTAIN
        assert reading.doubts["state"].reason == "lease_expired"
    assert "safe until it is written again" in reading.doubts["state"].detail

    a.device.write("state", True)
    reading = a.read(after_s=1.0)
    assert (reading.table["state"], reading.doubts) == (True, {})


@pytest.mark.parametrize(
    ("period_s", "lease_s", "lease_ms"),
    [(1.0, None, 3000), (0.1, None, 1000), (10.0, None, 30_000), (1.0, 0.5, 500)],
)
def test_a_lease_is_three_periods_and_at_least_a_second_unless_told(
    period_s: float, lease_s: float | None, lease_ms: int
) -> None:
    chip = FakeChip()
    device = Gpio(chip, GpioOptions({"state": VENT}, lease=lease_s))
    device.clock = ManualClock()
    device.period_s = period_s
    device.start()
    device.write("state", True)

    assert chip.outputs[22].holds == [(False, lease_ms), (True, lease_ms)]


def test_a_short_circuit_is_shown_as_what_the_line_is_with_a_doubt(
    bench: Callable[..., Bench],
) -> None:
    a = bench(state=VENT)
    a.start()
    a.device.write("state", True)
    a.set("x.state_short", "low")
    assert a.read().doubts == {}, "not before it has had time to settle"

    reading = a.read(after_s=1.0)
    assert reading.table["state"] is False
    assert reading.doubts["state"].quality is UNCERTAIN
    assert reading.doubts["state"].reason == "discrepancy"
    assert "asked for on, the line reads off" in reading.doubts["state"].detail

    a.set("x.state_short", "none")
    assert a.read(after_s=1.0).doubts == {}


def test_stopping_leaves_an_output_safe_and_given_back(bench: Callable[..., Bench]) -> None:
    a = bench(state=VENT)
    a.start()
    a.device.write("state", True)
    a.device.stop()

    assert a.driven(VENT) is None
    a.start()
    assert a.read().table["state"] is False, "what was asked before the stop is forgotten"


@pytest.mark.parametrize(
    ("channel", "value", "words"),
    [
        ("door", True, "door is no output; this device has state"),
        ("nowhere", True, "nowhere is no output"),
        ("state", 1, "found 1 for state, expected true or false"),
        ("state", None, "found None for state"),
    ],
)
def test_a_write_that_cannot_be_is_refused(
    bench: Callable[..., Bench], channel: str, value: object, words: str
) -> None:
    a = bench(door=DOOR, state=VENT)
    a.start()

    with pytest.raises(ComponentError, match=words):
        a.device.write(channel, value)


# In an appliance.


def test_in_a_runtime_a_door_is_seen_and_a_vent_is_driven_by_intent(
    bench: Callable[..., Bench],
) -> None:
    a = bench(door=DOOR, state=VENT)
    runtime = Runtime(executor=a.executor)
    runtime.add_device(a.device, "panel", transport=a.bus, every_s=0.5)
    runtime.boot()
    a.set("x.door", True)
    a.executor.run_for(2.0)
    seen = runtime.events.latest("panel.door")
    answer = runtime.submit(
        Intent("device.write", {"route": "panel.state", "value": True}, role=Role.OPERATOR)
    )
    a.executor.run_for(10.0)
    held = (a.driven(VENT), runtime.events.latest("panel.state"))
    runtime.shutdown("test")

    assert seen is not None
    assert (seen.value, seen.quality) == (True, GOOD)
    assert answer.outcome is Outcome.DONE
    assert held[0] is True
    assert held[1] is not None
    assert (held[1].value, held[1].quality) == (True, GOOD)
    assert a.driven(VENT) is None, "shutdown gave the line back, safe"
