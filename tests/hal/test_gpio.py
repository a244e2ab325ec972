"""GPIO: one contract, met by the modelled chip and by the Linux back end over a stand-in chip.

gpiod itself is the real one up to its `Chip`: a machine without GPIO, or without the right to make
a gpio-sim, has no device file for the library to open.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from hal.parts import Lamp, Options, Switch
from hal.seams import GpiodSeam

from leyden.hal import (
    Bias,
    BusLostError,
    BusMissingError,
    Edge,
    EdgeEvent,
    InUseError,
    MessageError,
)
from leyden.hal.gpio import RawGpioChip
from leyden.hal.linux.gpio import open_gpio
from leyden.hal.mock.chip import Contact
from leyden.hal.mock.gpio import KEPT, MockGpioChip
from leyden.hal.mock.world import World
from leyden.kernel import NS, SimulatedExecutor

MS = 1_000_000


@dataclass
class Bench:
    """A switch on line 17 and a lamp on line 27, whichever way the chip is reached."""

    chip: RawGpioChip
    world: World
    executor: SimulatedExecutor
    switch: Switch
    lamp: Lamp

    def press(self, *seconds: float) -> None:
        """Toggle the switch at each of these distances."""
        for distance in seconds:
            self.executor.run_for(distance)
            self.world.set("door.closed", not self.world.get("door.closed"))
        self.executor.run_for(0.001)


@pytest.fixture(params=["mock", "linux"])
def bench(
    request: pytest.FixtureRequest,
    executor: SimulatedExecutor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Bench:
    world = World(executor.clock, seed=1)
    wire = MockGpioChip("gpio", executor, world)
    switch = Switch(world, "door", Options(line=17), executor.clock)
    lamp = Lamp(world, "lamp", Options(line=27), executor.clock)
    wire.plug(switch)
    wire.plug(lamp)
    if request.param == "mock":
        return Bench(wire.open(), world, executor, switch, lamp)
    seam = GpiodSeam(tmp_path, monkeypatch)
    seam.add(0, "pinctrl-rp1", wire)
    return Bench(
        open_gpio("pinctrl-rp1", name="gpio", folder=tmp_path), world, executor, switch, lamp
    )


def test_an_input_follows_what_is_connected(bench: Bench) -> None:
    line = bench.chip.input(17)
    assert line.value() is False
    bench.world.set("door.closed", True)
    assert line.value() is True


def test_active_low_turns_the_level_round(bench: Bench) -> None:
    line = bench.chip.input(17, active_low=True, edges=Edge.BOTH)
    assert line.value() is True
    bench.press(0.1)
    assert line.value() is False
    assert [event.rising for event in line.events()] == [False]


@pytest.mark.parametrize(("bias", "level"), [(Bias.UP, True), (Bias.DOWN, False)])
def test_a_line_with_nothing_on_it_goes_where_its_bias_pulls(
    bench: Bench, bias: Bias, level: bool
) -> None:
    assert bench.chip.input(4, bias=bias).value() is level


def test_edges_are_timed_when_they_happened(bench: Bench) -> None:
    line = bench.chip.input(17, edges=Edge.BOTH)
    bench.press(0.25, 0.5)
    bench.executor.run_for(3.0)
    assert line.events() == [EdgeEvent(250 * MS, True), EdgeEvent(750 * MS, False)]
    assert line.events() == []


@pytest.mark.parametrize(
    ("edges", "expected"),
    [(Edge.RISING, [True, True]), (Edge.FALLING, [False]), (Edge.NONE, [])],
)
def test_only_the_wanted_edges_are_recorded(
    bench: Bench, edges: Edge, expected: list[bool]
) -> None:
    line = bench.chip.input(17, edges=edges)
    bench.press(0.1, 0.1, 0.1)
    assert [event.rising for event in line.events()] == expected


def test_no_more_edges_than_asked_for_and_the_rest_later(bench: Bench) -> None:
    line = bench.chip.input(17, edges=Edge.BOTH)
    bench.press(0.1, 0.1, 0.1)
    assert len(line.events(2)) == 2
    assert len(line.events(2)) == 1


def test_bounces_shorter_than_the_debounce_are_one_edge(bench: Bench) -> None:
    bench.switch.contact = Contact(bench.world.source("door.closed"), bounce_s=0.004)
    line = bench.chip.input(17, edges=Edge.BOTH, debounce_s=0.01)
    bench.press(0.1, 0.2)
    bench.executor.run_for(0.1)
    events = line.events()
    assert [event.rising for event in events] == [True, False]
    assert 110 * MS <= events[0].mono <= 115 * MS


def test_without_debounce_every_bounce_is_an_edge(bench: Bench) -> None:
    bench.switch.contact = Contact(bench.world.source("door.closed"), bounce_s=0.004, bounces=3)
    line = bench.chip.input(17, edges=Edge.BOTH)
    bench.press(0.1)
    bench.executor.run_for(0.1)
    assert [event.rising for event in line.events()] == [True, False] * 3 + [True]


def test_edges_nobody_fetched_are_counted(bench: Bench) -> None:
    line = bench.chip.input(17, edges=Edge.BOTH)
    for _ in range(KEPT // 32 + 1):
        bench.press(*([0.001] * 32))
        line.value()  # looks, but does not fetch
    fetched = line.events(10_000)
    assert len(fetched) == KEPT
    assert line.missed() == 32


def test_an_output_begins_at_its_value_and_is_driven(bench: Bench) -> None:
    line = bench.chip.drive(27, value=True, active_low=False, consumer="lamp")
    assert bench.lamp.levels == [True]
    line.drive(False)
    assert bench.lamp.levels == [True, False]
    assert line.value() is False


def test_an_active_low_output_is_turned_round(bench: Bench) -> None:
    line = bench.chip.drive(27, value=False, active_low=True, consumer="relay")
    assert bench.lamp.levels == [True]
    line.drive(True)
    assert (bench.lamp.levels[-1], line.value()) == (False, True)


def test_a_short_circuit_shows_in_what_is_read_back(bench: Bench) -> None:
    line = bench.chip.drive(27, value=False, active_low=False, consumer="lamp")
    bench.world.set("lamp.fault", "stuck_low")
    line.drive(True)
    assert line.value() is False


def test_a_line_is_held_once_and_its_holder_named(bench: Bench) -> None:
    held = bench.chip.drive(27, value=False, active_low=False, consumer="lamp")
    with pytest.raises(InUseError, match="line 27 of gpio is held by lamp"):
        bench.chip.input(27)
    held.close()
    bench.chip.input(27).close()


def test_a_line_the_chip_does_not_have_is_refused(bench: Bench) -> None:
    with pytest.raises(MessageError, match="found line 54 of gpio, expected 0 to 53"):
        bench.chip.input(54)


@pytest.mark.parametrize(("fault", "level"), [("stuck_high", True), ("stuck_low", False)])
def test_a_stuck_line_is_an_edge_and_then_rests(bench: Bench, fault: str, level: bool) -> None:
    line = bench.chip.input(17, edges=Edge.BOTH)
    bench.press(0.1)
    bench.executor.run_for(0.1)
    bench.world.set("door.fault", fault)
    bench.press(0.1, 0.1)
    expected = [True] if level else [True, False]
    assert [event.rising for event in line.events()] == expected
    assert line.value() is level


def test_an_unplugged_switch_leaves_the_line_to_its_bias(bench: Bench) -> None:
    line = bench.chip.input(17, bias=Bias.UP)
    assert line.value() is False
    bench.world.set("door.present", False)
    assert line.value() is True


# What is Linux's own.


@pytest.fixture
def seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GpiodSeam:
    return GpiodSeam(tmp_path, monkeypatch)


@pytest.fixture
def wire(executor: SimulatedExecutor) -> MockGpioChip:
    return MockGpioChip("gpio", executor, World(executor.clock))


def test_a_chip_is_found_by_its_label_whatever_its_number(
    seam: GpiodSeam, wire: MockGpioChip, executor: SimulatedExecutor
) -> None:
    seam.add(0, "raspberrypi-exp-gpio", MockGpioChip("exp", executor, World(executor.clock)))
    seam.add(4, "pinctrl-rp1", wire)
    assert open_gpio("header", name="gpio", folder=seam.folder).input(3).line == 3


def test_a_second_name_of_a_chip_is_the_same_chip(seam: GpiodSeam, wire: MockGpioChip) -> None:
    seam.add(0, "pinctrl-rp1", wire)
    (seam.folder / "gpiochip4").symlink_to(seam.folder / "gpiochip0")
    open_gpio("pinctrl-rp1", name="gpio", folder=seam.folder)


def test_a_label_nobody_has_names_those_there_are(seam: GpiodSeam, wire: MockGpioChip) -> None:
    seam.add(0, "pinctrl-rp1", wire)
    with pytest.raises(BusMissingError, match='labelled "pinctrl-bcm2711"; found "pinctrl-rp1"'):
        open_gpio("pinctrl-bcm2711", name="gpio", folder=seam.folder)


def test_a_machine_without_gpio_says_so(tmp_path: Path) -> None:
    with pytest.raises(BusMissingError, match="found none at all"):
        open_gpio("header", name="gpio", folder=tmp_path)


def test_two_chips_of_one_label_are_refused(seam: GpiodSeam, wire: MockGpioChip) -> None:
    seam.add(0, "sim", wire)
    seam.add(1, "sim", wire)
    with pytest.raises(BusMissingError, match='both labelled "sim"'):
        open_gpio("sim", name="gpio", folder=seam.folder)


def test_a_line_that_was_given_back_says_so(seam: GpiodSeam, wire: MockGpioChip) -> None:
    seam.add(0, "pinctrl-rp1", wire)
    chip = open_gpio("header", name="gpio", folder=seam.folder)
    line = chip.input(17, edges=Edge.BOTH)
    output = chip.drive(27, value=False, active_low=False, consumer="")
    line.close()
    output.close()
    for use in (line.value, line.events, output.value, lambda: output.drive(True)):
        with pytest.raises(BusLostError, match="was given back"):
            use()


def test_edges_are_in_monotonic_nanoseconds(
    seam: GpiodSeam, wire: MockGpioChip, executor: SimulatedExecutor
) -> None:
    world = World(executor.clock)
    wire.plug(Switch(world, "door", Options(line=5), executor.clock))
    seam.add(0, "pinctrl-rp1", wire)
    line = open_gpio("header", name="gpio", folder=seam.folder).input(5, edges=Edge.RISING)
    executor.run_for(1.5)
    world.set("door.closed", True)
    executor.run_for(1.0)
    assert line.events() == [EdgeEvent(round(1.5 * NS), True)]
