"""gpiozero's own devices on Leyden's lines: lit, pressed, dimmed, and safe when left alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import gpiozero
import pytest
from gpiozero.exc import (
    GPIOPinInUse,
    PinFixedPull,
    PinInvalidFunction,
    PinInvalidPull,
    PinPWMUnsupported,
    PinSetInput,
    PinSPIUnsupported,
)
from hal.parts import Lamp, Options, Switch
from hal.seams import GpiodSeam

from leyden.hal.guard import GuardedGpio
from leyden.hal.linux.gpio import open_gpio
from leyden.hal.linux.gpiozero_factory import LEASE_MS, LeydenFactory
from leyden.hal.mock.gpio import MockGpioChip
from leyden.hal.mock.rig import Rig
from leyden.kernel import NS, SimulatedExecutor


class Bench:
    """A switch on GPIO17 and a lamp on GPIO27, with gpiozero above."""

    def __init__(self, rig: Rig, chip: GuardedGpio, executor: SimulatedExecutor) -> None:
        self.world = rig.world
        self.chip = chip
        self.executor = executor
        self.switch = rig.plug("gpio", Switch, "door", Options(line=17))
        self.lamp = rig.plug("gpio", Lamp, "lamp", Options(line=27))
        self.factory = LeydenFactory(chip, executor)

    def lit(self) -> bool | None:
        return self.lamp.levels[-1]

    def on_share(self, seconds: float) -> float:
        """How much of the next seconds the lamp is on."""
        begin = self.executor.clock.monotonic_ns()
        level = self.lit()
        before = len(self.lamp.seen)
        self.executor.run_for(seconds)
        end = self.executor.clock.monotonic_ns()
        lit = at = 0
        last = begin
        for at, new in [*self.lamp.seen[before:], (end, None)]:
            lit += (at - last) if level else 0
            last, level = at, new
        return lit / (end - begin)


@pytest.fixture(params=["mock", "linux"])
def bench(
    request: pytest.FixtureRequest,
    rig: Rig,
    executor: SimulatedExecutor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Bench]:
    chip = rig.gpio("gpio")
    if request.param == "linux":
        seam = GpiodSeam(tmp_path, monkeypatch)
        wire = rig.wires["gpio"]
        assert isinstance(wire, MockGpioChip)
        seam.add(0, "pinctrl-rp1", wire)
        chip = GuardedGpio(
            "gpio",
            lambda: open_gpio("header", name="gpio", folder=tmp_path),
            executor.clock,
            keeper=rig.keeper,
        )
    made = Bench(rig, chip, executor)
    yield made
    made.factory.close()


def test_an_led_is_lit_and_stays_lit(bench: Bench) -> None:
    led = gpiozero.LED(27, pin_factory=bench.factory)
    assert bench.lit() is False
    led.on()
    assert (bench.lit(), led.is_lit) == (True, True)
    bench.executor.run_for(10 * LEASE_MS / 1000)
    assert bench.lit() is True
    led.off()
    assert bench.lit() is False


def test_toggling_works(bench: Bench) -> None:
    led = gpiozero.LED(27, initial_value=True, pin_factory=bench.factory)
    assert bench.lit() is True
    led.toggle()
    assert bench.lit() is False


def test_a_closed_led_is_dark_and_its_line_free(bench: Bench) -> None:
    led = gpiozero.LED(27, pin_factory=bench.factory)
    led.on()
    led.close()
    assert bench.lamp.levels[-2:] == [False, None]
    again = gpiozero.LED(27, pin_factory=bench.factory)
    again.on()
    assert bench.lit() is True


def test_closing_the_factory_makes_every_line_safe(bench: Bench) -> None:
    led = gpiozero.LED(27, pin_factory=bench.factory)
    led.on()
    bench.factory.close()
    assert bench.lamp.levels[-2:] == [False, None]


def test_a_factory_that_no_longer_runs_lets_the_lease_end(
    rig: Rig, executor: SimulatedExecutor, bench: Bench
) -> None:
    led = gpiozero.LED(27, pin_factory=bench.factory)
    led.on()
    bench.factory.look = lambda: None  # type: ignore[method-assign]  # the lane hears nothing more
    for pin in bench.factory.pins.values():
        pin.attend = lambda _: None
    executor.run_for(LEASE_MS / 1000 + 0.01)
    assert bench.lit() is False


def test_a_relay_that_is_on_when_low_is_safe_when_high(
    rig: Rig, executor: SimulatedExecutor
) -> None:
    chip = rig.gpio("gpio")
    lamp = rig.plug("gpio", Lamp, "relay", Options(line=22))
    factory = LeydenFactory(chip, executor, safe={22: True})
    relay = gpiozero.OutputDevice(22, active_high=False, pin_factory=factory)
    assert set(lamp.levels) == {True}
    relay.on()
    assert lamp.levels[-1] is False
    factory.close()
    assert lamp.levels[-2:] == [True, None]


def test_a_button_follows_the_switch(bench: Bench) -> None:
    button = gpiozero.Button(17, pull_up=False, hold_time=0.001, pin_factory=bench.factory)
    assert button.is_pressed is False
    bench.world.set("door.closed", True)
    assert button.is_pressed is True


def test_a_button_calls_back_on_each_press_and_release(bench: Bench) -> None:
    calls: list[str] = []
    button = gpiozero.Button(17, pull_up=False, hold_time=0.001, pin_factory=bench.factory)
    button.when_pressed = lambda: calls.append("pressed")
    button.when_released = lambda: calls.append("released")
    for closed in (True, False, True):
        bench.world.set("door.closed", closed)
        bench.executor.run_for(0.1)
    assert calls == ["pressed", "released", "pressed"]


def test_a_callback_that_raises_is_shown_and_the_rest_goes_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[type[BaseException]] = []
    monkeypatch.setattr("threading.excepthook", lambda args: shown.append(args.exc_type))

    def broken() -> None:
        raise RuntimeError("user code")

    led = gpiozero.LED(27, pin_factory=bench.factory)
    led.on()
    button = gpiozero.Button(17, pull_up=False, hold_time=0.001, pin_factory=bench.factory)
    button.when_pressed = broken
    bench.world.set("door.closed", True)
    bench.executor.run_for(10.0)
    assert (shown, bench.factory.callback_errors) == ([RuntimeError], 1)
    assert bench.lit() is True


def test_a_closed_button_calls_nobody(bench: Bench) -> None:
    calls: list[str] = []
    button = gpiozero.Button(17, pull_up=False, hold_time=0.001, pin_factory=bench.factory)
    button.when_pressed = lambda: calls.append("pressed")
    button.close()
    bench.world.set("door.closed", True)
    bench.executor.run_for(1.0)
    assert calls == []


def test_a_bouncing_button_is_pressed_once(bench: Bench) -> None:
    calls: list[str] = []
    button = gpiozero.Button(
        17, pull_up=False, bounce_time=0.02, hold_time=0.001, pin_factory=bench.factory
    )
    button.when_pressed = lambda: calls.append("pressed")
    for distance in (0.0, 0.004, 0.004):
        bench.executor.run_for(distance)
        bench.world.set("door.closed", not bench.world.get("door.closed"))
    bench.executor.run_for(0.1)
    assert calls == ["pressed"]


def test_an_led_is_dimmed(bench: Bench) -> None:
    led = gpiozero.PWMLED(27, frequency=100, pin_factory=bench.factory)
    for value in (0.25, 0.8):
        led.value = value
        bench.executor.run_for(0.05)
        assert bench.on_share(2.0) == pytest.approx(value, abs=0.02)
    led.value = 1
    bench.executor.run_for(0.05)
    assert bench.on_share(1.0) == 1.0
    led.value = 0
    assert bench.lit() is False


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (lambda pin: setattr(pin, "state", 1), PinSetInput),
        (lambda pin: setattr(pin, "frequency", 100), PinSetInput),
        (lambda pin: setattr(pin, "function", "alt0"), PinInvalidFunction),
        (lambda pin: setattr(pin, "pull", "sideways"), PinInvalidPull),
    ],
)
def test_what_a_pin_cannot_do_it_says(
    bench: Bench, act: Callable[[object], None], error: type[Exception]
) -> None:
    with pytest.raises(error):
        act(bench.factory.pin(17))


def test_an_output_has_no_pull_and_no_fast_pwm(bench: Bench) -> None:
    pin = bench.factory.pin(27)
    pin.function = "output"
    assert pin.function == "output"
    with pytest.raises(PinFixedPull):
        pin.pull = "up"
    with pytest.raises(PinPWMUnsupported, match="expected 200"):
        pin.frequency = 1000
    pin.function = "input"
    assert (pin.function, pin.state) == ("input", 0)
    assert bench.lamp.levels[-1] is None


def test_a_pin_with_a_resistor_on_the_board_keeps_it(bench: Bench) -> None:
    with pytest.raises(PinFixedPull, match="physical pull-up"):
        bench.factory.pin("GPIO2").pull = "down"


def test_a_pin_is_used_once_and_found_by_any_of_its_names(bench: Bench) -> None:
    led = gpiozero.LED("J8:13", pin_factory=bench.factory)
    with pytest.raises(GPIOPinInUse, match="GPIO27"):
        gpiozero.LED("GPIO27", pin_factory=bench.factory)
    led.close()


def test_spi_is_somebody_elses(bench: Bench) -> None:
    with pytest.raises(PinSPIUnsupported, match="use an SpiBus"):
        bench.factory.spi()


def test_ticks_are_monotonic_seconds(bench: Bench) -> None:
    bench.executor.run_for(1.5)
    assert bench.factory.ticks() == bench.executor.clock.monotonic_ns() / NS
    assert bench.factory.ticks_diff(3.0, 1.0) == 2.0


def test_a_pin_says_how_it_is_set_up(bench: Bench) -> None:
    button = gpiozero.Button(
        17, pull_up=True, bounce_time=0.02, hold_time=0.001, pin_factory=bench.factory
    )
    pin = button.pin
    assert (pin.function, pin.pull, pin.bounce, pin.edges) == ("input", "up", 0.02, "both")
    pin.edges = "rising"
    assert pin.edges == "rising"
    led = gpiozero.PWMLED(27, pin_factory=bench.factory)
    assert (led.pin.frequency, led.pin.state) == (100, 0)
    button.close()
    led.close()
