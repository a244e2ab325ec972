"""Buses under guard: what drivers get, above a real or a modelled wire alike.

Each is the protocol of its kind and the kernel's `Transport` in one; `leyden.hal.transport` says
what the guard does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from leyden.hal.gpio import Bias, Edge, EdgeEvent, InputLine, OutputLine, RawGpioChip
from leyden.hal.i2c import Message, RawI2cBus, bits_of, bytes_of
from leyden.hal.lease import LeasedOutput, LeaseKeeper
from leyden.hal.spi import RawSpiBus
from leyden.hal.transport import Guard, Rung
from leyden.hal.uart import BITS_PER_BYTE, IDLE_S, RawUart
from leyden.kernel import NS, Clock


class GuardedI2c(Guard[RawI2cBus]):
    """An `I2cBus` under guard."""

    kind = "i2c"

    def transfer(
        self, address: int, messages: Sequence[Message], *, deadline: int | None = None
    ) -> list[bytes]:
        """Carry out `messages` as `I2cBus.transfer` says."""

        def call(raw: RawI2cBus) -> list[bytes]:
            answers = raw.transfer(address, messages)
            self.count(bits_of(messages), raw.speed_hz, bytes_of(messages))
            return answers

        return self.run(f"transfer to {address:#04x}", call, deadline)


class GuardedSpi(Guard[RawSpiBus]):
    """An `SpiBus` under guard."""

    kind = "spi"

    def transfer(
        self,
        chip_select: int,
        data: bytes,
        *,
        speed_hz: int,
        mode: int = 0,
        deadline: int | None = None,
    ) -> bytes:
        """Exchange `data` as `SpiBus.transfer` says."""

        def call(raw: RawSpiBus) -> bytes:
            answer = raw.transfer(chip_select, data, speed_hz=speed_hz, mode=mode)
            self.count(8 * len(data), speed_hz, len(data))
            return answer

        return self.run(f"transfer to chip select {chip_select}", call, deadline)


class GuardedUart(Guard[RawUart]):
    """A `Uart` under guard."""

    kind = "uart"

    def read(self, limit: int, *, deadline: int | None = None) -> bytes:
        """Return what has arrived, as `Uart.read` says."""
        until = self.until(deadline)
        if until is None:
            until = self._clock.monotonic_ns() + round(IDLE_S * NS)

        def call(raw: RawUart) -> bytes:
            data = raw.read(limit, deadline=until)
            self._count_bytes(raw, data)
            return data

        # What arrived just as the time was over has arrived: the next call is refused, not this.
        return self.run("read", call, deadline, late=True)

    def write(self, data: bytes, *, deadline: int | None = None) -> None:
        """Send `data`, as `Uart.write` says."""

        def call(raw: RawUart) -> None:
            raw.write(data, deadline=self.until(deadline))
            self._count_bytes(raw, data)

        self.run("write", call, deadline)

    def flush_input(self) -> None:
        """Throw away what has arrived and was not read."""
        self.run("flush", lambda raw: raw.flush_input(), None)

    def _count_bytes(self, raw: RawUart, data: bytes) -> None:
        self.count(BITS_PER_BYTE * len(data), raw.speed_bd, len(data))


class GuardedGpio(Guard[RawGpioChip]):
    """A `GpioChip` under guard, whose outputs are held on leases.

    A chip's lines cannot be taken twice, so after `abandon` the same open chip goes on.
    """

    kind = "gpio"
    reopens = False

    def __init__(
        self,
        name: str,
        open_raw: Callable[[], RawGpioChip],
        clock: Clock,
        *,
        keeper: LeaseKeeper,
        path: str = "",
    ) -> None:
        super().__init__(name, open_raw, clock, path=path)
        self._keeper = keeper
        self._outputs: set[LeasedOutput] = set()

    def input(
        self,
        line: int,
        *,
        bias: Bias = Bias.AS_IS,
        active_low: bool = False,
        edges: Edge = Edge.NONE,
        debounce_s: float = 0.0,
    ) -> InputLine:
        """Take `line` as an input, as `GpioChip.input` says."""

        def call(raw: RawGpioChip) -> InputLine:
            return raw.input(
                line, bias=bias, active_low=active_low, edges=edges, debounce_s=debounce_s
            )

        return _GuardedInput(self, self.run(f"request of line {line}", call, None))

    def output(
        self, line: int, *, safe: bool, active_low: bool = False, consumer: str = ""
    ) -> OutputLine:
        """Take `line` as an output at its safe value, as `GpioChip.output` says."""

        def call(raw: RawGpioChip) -> LeasedOutput:
            held = raw.drive(line, value=safe, active_low=active_low, consumer=consumer)
            name = f"{self.name} line {line}" + (f", {consumer}" if consumer else "")
            return LeasedOutput(name, line, held, safe=safe, keeper=self._keeper)

        leased = self.run(f"request of line {line}", call, None)
        self._outputs.add(leased)
        return _GuardedOutput(self, leased)

    def close(self) -> None:
        """Drive every output safe and give the chip back."""
        for output in sorted(self._outputs, key=lambda each: each.line):
            self.close_output(output)
        super().close()

    def close_output(self, output: LeasedOutput) -> None:
        """Drive one output safe and give its line back."""
        self._outputs.discard(output)
        output.close()


class _GuardedInput:
    """An input line whose use is counted and bounded like any transfer."""

    def __init__(self, guard: GuardedGpio, raw: InputLine) -> None:
        self.line = raw.line
        self._guard = guard
        self._raw = raw
        self._words = f"read of line {raw.line}"

    def value(self) -> bool:
        return self._guard.run(self._words, lambda _: self._raw.value(), None)

    def events(self, limit: int = 64) -> list[EdgeEvent]:
        return self._guard.run(self._words, lambda _: self._raw.events(limit), None)

    def missed(self) -> int:
        return self._raw.missed()

    def close(self) -> None:
        self._raw.close()


class _GuardedOutput:
    """An output line whose use is counted and bounded like any transfer."""

    def __init__(self, guard: GuardedGpio, leased: LeasedOutput) -> None:
        self.line = leased.line
        self._guard = guard
        self._leased = leased
        self._words = f"write to line {leased.line}"

    def hold(self, value: bool, lease_ms: int) -> None:
        self._guard.run(self._words, lambda _: self._leased.hold(value, lease_ms), None)

    def value(self) -> bool:
        return self._guard.run(self._words, lambda _: self._leased.value(), None)

    def close(self) -> None:
        # Never refused, not even after the deadline: closing is how a line is made safe.
        self._guard.close_output(self._leased)


AnyGuard: TypeAlias = GuardedI2c | GuardedSpi | GuardedUart | GuardedGpio

__all__ = [
    "AnyGuard",
    "Guard",
    "GuardedGpio",
    "GuardedI2c",
    "GuardedSpi",
    "GuardedUart",
    "Rung",
]
