"""A gpiozero pin factory on Leyden's GPIO lines, so that `LED`, `Button` and friends work on them.

    factory = LeydenFactory(rig.gpio("gpio"), executor)
    led = LED(17, pin_factory=factory)      # or once for all: gpiozero.Device.pin_factory = factory

The lines may be real or modelled. Outputs are held on leases like any other: while the factory
lives it renews them, and when it is closed, or its lane ends, every line goes to its safe value.
gpiozero itself runs in real time, in threads of its own.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from typing import Any, Final

from leyden.hal.gpio import Bias, Edge, GpioChip, InputLine, OutputLine
from leyden.hal.lease import MS
from leyden.hal.linux.system import library
from leyden.kernel import NS, Executor, Lane

library("gpiozero", "linux")  # says which extra to install where it is missing

from gpiozero.exc import (  # noqa: E402 - after the check above
    PinFixedPull,
    PinInvalidFunction,
    PinInvalidPull,
    PinPWMUnsupported,
    PinSetInput,
    PinSPIUnsupported,
    PinUnknownPi,
)
from gpiozero.pins.local import get_pi_revision  # noqa: E402 - after the check above
from gpiozero.pins.pi import PiFactory, PiPin  # noqa: E402 - after the check above

POLL_NS: Final = 10 * MS  # between looks for edges while somebody waits for them
LEASE_MS: Final = 2000
FASTEST_PWM_HZ: Final = 200.0  # by software; steady enough for light, not for much else
PI_4B: Final = 0xC03112  # whose header is taken where this machine is no Pi

_BIAS: Final = {"floating": Bias.NONE, "up": Bias.UP, "down": Bias.DOWN}


class LeydenFactory(PiFactory):  # type: ignore[misc]  # gpiozero has no types
    """Makes gpiozero pins out of the lines of one chip.

    Args:
        chip: a chip that nobody else uses; line offsets are the numbers after "GPIO".
        executor: runs the lane that renews leases and calls back on edges, "gpiozero".
        safe: the safe level (true is high) of lines, by offset; low for those not named. An
            active-low relay wants true here.
        lease_ms: of every output.
    """

    def __init__(
        self,
        chip: GpioChip,
        executor: Executor,
        *,
        safe: Mapping[int, bool] | None = None,
        lease_ms: int = LEASE_MS,
    ) -> None:
        super().__init__()
        self.pin_class = LeydenPin
        self.chip = chip
        self.lease_ms = lease_ms
        self.callback_errors = 0
        # gpiozero calls from any thread, a chip takes one at a time; short system calls only.
        self.turn = threading.RLock()
        self._safe = dict(safe or {})
        self._clock = executor.clock
        self._wake = executor.signal()
        self._closing = False
        self._lane: Lane = executor.start_lane("gpiozero", self._run)

    def close(self) -> None:
        """Drive every output safe, give all lines back and end the lane."""
        self._closing = True
        self._wake.set()
        super().close()

    def spi(self, **_: Any) -> Any:
        """Refuse: SPI belongs to an `SpiBus`."""
        raise PinSPIUnsupported("this factory has GPIO lines only; use an SpiBus for SPI")

    def ticks(self) -> float:
        """Return monotonic seconds."""
        return self.now_ns() / NS

    def now_ns(self) -> int:
        """Return monotonic ns."""
        return self._clock.monotonic_ns()

    def ticks_diff(self, later: float, earlier: float) -> float:
        """Return the seconds between two ticks."""
        return later - earlier

    def safe_level(self, line: int) -> bool:
        """Return the safe level of a line."""
        return self._safe.get(line, False)

    def look(self) -> None:
        """Let the lane look again: something has changed that it should know."""
        self._wake.set()

    def _get_revision(self) -> int:
        try:
            return int(get_pi_revision())
        except PinUnknownPi:
            return PI_4B

    def _run(self) -> None:
        while not self._closing:
            self._wake.clear()
            now_ns = self.now_ns()
            waits = [pin.attend(now_ns) for pin in tuple(self.pins.values())]
            wait = min((wait for wait in waits if wait is not None), default=None)
            self._wake.wait(None if wait is None else wait / NS)

    def call_back(self, pin: LeydenPin, ticks: float, state: bool) -> None:
        """Tell a pin's device of an edge; what it raises is shown and counted, and ends there."""
        try:
            pin.tell(ticks, state)
        except Exception:  # noqa: BLE001 - a user's callback must not end the lane that renews leases
            self.callback_errors += 1
            threading.excepthook(
                threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread()))
            )


class LeydenPin(PiPin):  # type: ignore[misc]  # gpiozero has no types
    """One line, as an input or an output. States are physical: 1 is high."""

    def __init__(self, factory: LeydenFactory, info: Any) -> None:
        super().__init__(factory, info)
        self._ours = factory
        self._input: InputLine | None = None
        self._output: OutputLine | None = None
        self._pull: str = info.pull or "floating"
        self._bounce: float | None = None
        self._edges = "both"
        self._watching = False
        self._level = False  # what an output is held at
        self._renew_ns = 0
        self._frequency: float | None = None
        self._duty = 0.0
        self._pwm_began_ns = 0
        self._take_input()

    def close(self) -> None:
        """Give the line back; an output goes to its safe value first."""
        self._frequency = None
        self._watching = False
        with self._ours.turn:
            self._give_back()

    def output_with_state(self, state: float) -> None:
        """Make the line an output at `state`."""
        self._take_output()
        self._hold(bool(state))

    def input_with_pull(self, pull: str) -> None:
        """Make the line an input with this bias."""
        self._check_pull(pull)
        self._pull = pull
        self._take_input()

    # What the factory's lane asks.

    def attend(self, now_ns: int) -> int | None:
        """Renew the lease, turn the PWM, look for edges; return ns to the next time."""
        with self._ours.turn:
            if self._output is not None:
                return self._attend_output(now_ns)
            events = self._input.events() if self._input and self._watching else []
        for event in events:
            self._ours.call_back(self, event.mono / NS, event.rising)
        return POLL_NS if self._watching else None

    def tell(self, ticks: float, state: bool) -> None:
        """Call back on an edge, unless nobody listens any more."""
        if self._when_changed is not None:
            self._call_when_changed(ticks, int(state))

    def _attend_output(self, now_ns: int) -> int:
        wait = self._turn_pwm(now_ns)
        if now_ns >= self._renew_ns:
            self._hold(self._level)
        renewal = self._renew_ns - now_ns
        return renewal if wait is None else min(wait, renewal)

    def _turn_pwm(self, now_ns: int) -> int | None:
        """Set the level that the duty cycle wants; return ns to the next change."""
        if self._frequency is None or self._duty in (0.0, 1.0):
            return None
        period = round(NS / self._frequency)  # whole ns, so that the next change is never now
        lit = round(self._duty * period)
        phase = (now_ns - self._pwm_began_ns) % period
        on = phase < lit
        if on != self._level:
            self._hold(on)
        return (lit if on else period) - phase

    # What gpiozero asks of a pin.

    def _get_function(self) -> str:
        return "input" if self._output is None else "output"

    def _set_function(self, value: str) -> None:
        if value not in ("input", "output"):
            raise PinInvalidFunction(f'invalid function "{value}" for pin {self!r}')
        if value == "output":
            self._take_output()
        elif self._input is None:
            self._take_input()

    def _get_state(self) -> float:
        if self._frequency is not None:
            return self._duty
        with self._ours.turn:
            line = self._output or self._input
            return int(line.value()) if line is not None else 0

    def _set_state(self, value: float) -> None:
        if self._output is None:
            raise PinSetInput(f"cannot set state of pin {self!r}")
        if self._frequency is None:
            self._hold(bool(value))
            return
        self._duty = float(value)
        if self._duty in (0.0, 1.0):
            self._hold(bool(self._duty))
        self._ours.look()

    def _get_pull(self) -> str:
        return self._pull

    def _set_pull(self, value: str) -> None:
        if self._output is not None:
            raise PinFixedPull(f"cannot set pull on non-input pin {self!r}")
        self.input_with_pull(value)

    def _get_bounce(self) -> float | None:
        return self._bounce

    def _set_bounce(self, value: float | None) -> None:
        self._bounce = value
        if self._input is not None:
            self._take_input()

    def _get_edges(self) -> str:
        return self._edges

    def _set_edges(self, value: str) -> None:
        self._edges = Edge(value).value
        if self._input is not None:
            self._take_input()

    def _get_frequency(self) -> float | None:
        return self._frequency

    def _set_frequency(self, value: float | None) -> None:
        if value and self._output is None:
            raise PinSetInput(f"cannot start PWM on pin {self!r}, which is an input")
        if value and value > FASTEST_PWM_HZ:
            raise PinPWMUnsupported(f"{value} Hz by software, expected {FASTEST_PWM_HZ} Hz or less")
        self._frequency = value or None
        self._pwm_began_ns = self._ours.now_ns()
        self._ours.look()

    def _enable_event_detect(self) -> None:
        self._watching = True
        self._take_input()
        self._ours.look()

    def _disable_event_detect(self) -> None:
        self._watching = False
        if self._input is not None:
            self._take_input()

    # Taking the line.

    def _check_pull(self, pull: str) -> None:
        if pull not in _BIAS:
            raise PinInvalidPull(f'invalid pull "{pull}" for pin {self!r}')
        if self.info.pull not in (pull, ""):
            raise PinFixedPull(f"{self!r} has a physical pull-{self.info.pull} resistor")

    def _take_input(self) -> None:
        with self._ours.turn:
            self._give_back()
            self._input = self._ours.chip.input(
                self._number,
                bias=_BIAS[self._pull],
                edges=Edge(self._edges) if self._watching else Edge.NONE,
                debounce_s=self._bounce or 0.0,
            )

    def _take_output(self) -> None:
        with self._ours.turn:
            if self._output is None:
                self._give_back()
                safe = self._ours.safe_level(self._number)
                self._output = self._ours.chip.output(self._number, safe=safe, consumer="gpiozero")
                self._level = safe
        self._hold(self._level)
        self._ours.look()

    def _give_back(self) -> None:
        line = self._output or self._input
        self._output = self._input = None
        if line is not None:
            line.close()

    def _hold(self, level: bool) -> None:
        with self._ours.turn:
            if self._output is not None:
                self._output.hold(level, self._ours.lease_ms)
                self._level = level
                self._renew_ns = self._ours.now_ns() + self._ours.lease_ms * MS // 3
