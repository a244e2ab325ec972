"""A modelled serial line: bytes arrive when their last bit has, whether anybody reads or not."""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from leyden.hal.errors import BusLostError, BusMissingError, WorldError
from leyden.hal.mock.chip import UartChip
from leyden.hal.mock.faults import Fault, FaultKind, Wire
from leyden.hal.mock.world import World
from leyden.hal.uart import BITS_PER_BYTE, IDLE_S
from leyden.kernel import NS, Executor

FIFO: Final = 16  # bytes the receiver gathers before it reports them (PL011 r1p5, half of 32)
BUFFER: Final = 4096  # bytes the kernel keeps for a reader who does not come (N_TTY_BUF_SIZE)


class MockUart:
    """A serial line with one chip model at its far end.

    Args:
        name: "uart0".
        executor: whose clock the line lives by, and what a waiting read waits with.
        world: where the faults of the chip are set.
        speed_bd: the speed this end was opened with.
    """

    def __init__(
        self, name: str, executor: Executor, world: World, *, speed_bd: int = 9600
    ) -> None:
        self.name = name
        self.speed_bd = speed_bd
        self.lost = 0  # bytes that found the kernel's buffer full
        self._executor = executor
        self._clock = executor.clock
        self._world = world
        self._chip: UartChip | None = None
        self._wire: Wire | None = None
        self._due_ns: int | None = None  # when the chip begins its next frame by itself
        self._was_there = False
        self._broken = False  # a line held low has given its one break
        self._arriving: deque[tuple[int, bytes]] = deque()  # (monotonic ns, bytes readable then)
        self._unread = bytearray()

    def plug(self, chip: UartChip) -> None:
        """Connect the chip.

        Raises:
            WorldError: there is one already; a serial line has two ends.
        """
        if self._chip is not None:
            raise WorldError(f"{chip.name} and {self._chip.name} are both on {self.name}")
        self._chip = chip
        self._wire = Wire(chip, self._world, self._executor)
        self._live(self._clock.monotonic_ns())

    def open(self) -> MockUart:
        """Return the line, as opening its device file would.

        Raises:
            BusMissingError: the adapter is pulled out.
        """
        if self._fault().kind is FaultKind.UART_DISCONNECT:
            raise BusMissingError(f"{self.name} is not there; is its adapter plugged in?")
        return self

    def close(self) -> None:
        """Give nothing back: the wiring stays."""

    def read(self, limit: int, *, deadline: int | None = None) -> bytes:
        """Return what has arrived, as `Uart.read` says."""
        now = self._clock.monotonic_ns()
        until = now + round(IDLE_S * NS) if deadline is None else deadline
        while True:
            self._meet_line_fault()
            now = self._clock.monotonic_ns()
            self._live(now)
            if self._unread or now >= until:
                return self._take(limit)
            self._wait(min(until, self._next_ns()) - now)

    def write(self, data: bytes, *, deadline: int | None = None) -> None:
        """Send `data` to the chip; its answer begins when the last bit has left."""
        self._meet_line_fault()
        now = self._clock.monotonic_ns()
        self._live(now)
        if self._chip is None or self._wire is None or not self._reaches_chip():
            return
        heard = data if self._chip.speed_bd == self.speed_bd else self._garbled(data)
        answer = self._chip.hear(heard)
        if answer:
            self._send(now + self._byte_ns() * len(data), answer, self._fault())

    def flush_input(self) -> None:
        """Throw away what has arrived and was not read."""
        self._meet_line_fault()
        self._live(self._clock.monotonic_ns())
        self._unread.clear()

    def _fault(self) -> Fault:
        return self._wire.faults.current() if self._wire else Fault()

    def _meet_line_fault(self) -> None:
        """Hang or break off where the line is at fault, whatever the chip does."""
        if self._wire is not None:
            self._wire.wait_out_hang()
        if self._fault().kind is FaultKind.UART_DISCONNECT:
            self._arriving.clear()
            self._unread.clear()
            raise BusLostError(f"{self.name} went away; its adapter was pulled out")

    def _reaches_chip(self) -> bool:
        return self._was_there and self._fault().kind not in (
            FaultKind.STUCK_HIGH,
            FaultKind.STUCK_LOW,
        )

    def _live(self, now_ns: int) -> None:
        """Let the chip do what it has done by now, and the bytes arrive that have arrived."""
        if self._chip is not None and self._wire is not None:
            self._follow_power(self._chip, self._wire, now_ns)
            while self._due_ns is not None and self._due_ns <= now_ns:
                self._speak(self._chip, self._wire, self._due_ns)
        while self._arriving and self._arriving[0][0] <= now_ns:
            self._keep(self._arriving.popleft()[1])

    def _follow_power(self, chip: UartChip, wire: Wire, now_ns: int) -> None:
        before = wire.power_ons
        there = wire.settle()
        if not there:
            self._due_ns = None
            self._arriving.clear()
        elif chip.period_s is None:
            self._due_ns = None
        elif not self._was_there or wire.power_ons != before or self._due_ns is None:
            begun = wire.power_ons != before or not self._was_there
            wait_s = chip.first_s if begun else chip.period_s
            self._due_ns = now_ns + round(wait_s * NS)
        self._was_there = there

    def _speak(self, chip: UartChip, wire: Wire, at_ns: int) -> None:
        frame = chip.frame(at_ns)
        self._due_ns = at_ns + round(chip.period_s * NS) if chip.period_s else None
        fault = wire.faults.strike()
        self._send(at_ns, frame, fault)

    def _send(self, at_ns: int, data: bytes, fault: Fault) -> None:
        """Put bytes of the chip on the line, beginning at `at_ns`."""
        if fault.kind is FaultKind.SLOW:
            at_ns += round(fault.seconds * NS)
        data = self._through(fault, data)
        byte_ns = self._byte_ns()
        for begin in range(0, len(data), FIFO):
            chunk = data[begin : begin + FIFO]
            self._arriving.append((at_ns + byte_ns * (begin + len(chunk)), chunk))

    def _through(self, fault: Fault, data: bytes) -> bytes:
        """Return what arrives of `data`."""
        broken, self._broken = self._broken, fault.kind is FaultKind.STUCK_LOW
        if fault.kind is FaultKind.STUCK_HIGH:
            return b""  # the idle level: silence
        if fault.kind is FaultKind.STUCK_LOW:
            return b"" if broken else b"\x00"  # one break, then silence
        if fault.kind is FaultKind.PARTIAL_LINE and self._wire:
            return data[: math.ceil(self._wire.faults.draw() * (len(data) - 1))]
        if self._chip and self._chip.speed_bd != self.speed_bd:
            return self._garbled(data)
        return self._wire.spoil(fault, data) if self._wire else data

    def _garbled(self, data: bytes) -> bytes:
        """Return what another speed makes of `data`: as good as any bytes."""
        draw = self._wire.faults.draw if self._wire else lambda: 0.0
        return bytes(int(draw() * 256) for _ in data)

    def _keep(self, data: bytes) -> None:
        room = BUFFER - len(self._unread)
        self._unread += data[:room]
        self.lost += max(0, len(data) - room)

    def _take(self, limit: int) -> bytes:
        taken = bytes(self._unread[:limit])
        del self._unread[:limit]
        return taken

    def _next_ns(self) -> int:
        """When something happens next, as far as is known now."""
        times = [self._arriving[0][0]] if self._arriving else []
        if self._due_ns is not None:
            times.append(self._due_ns)
        return min(times, default=self._clock.monotonic_ns() + round(IDLE_S * NS))

    def _wait(self, duration_ns: int) -> None:
        seconds = max(0, duration_ns) / NS
        if self._wire is None:
            self._clock.sleep(seconds)
        else:  # somebody may plug the chip in, or out, meanwhile
            self._wire.wait_while(lambda: True, seconds)

    def _byte_ns(self) -> int:
        speed = self._chip.speed_bd if self._chip else self.speed_bd
        return BITS_PER_BYTE * NS // speed
