"""An instrument at the far end of a serial line: a chip model, spoken for in real time.

The model is the one that stands on modelled buses, so what it says there and what it says here is
the same; only the wire in between is the machine's own.
"""

from __future__ import annotations

import socket
import threading
from typing import Any, Final

from leyden.hal.mock.chip import UartChip
from leyden.hal.mock.world import World
from leyden.kernel import NS, Clock, SystemClock
from leyden_hil.console import UartPeer

_IDLE_S: Final = 0.5  # how often a part that only answers is looked at


class Instrument:
    """A powered instrument on a serial line.

    Args:
        line: to the machine; closed by `close`.
        model: of a driver's folder, such as `leyden_drivers.pms5003.chip.CHIP`.
        name: of the part: its signals in `world` begin with it.
        options: of its driver.
    """

    def __init__(self, line: socket.socket, model: type[UartChip], name: str, options: Any) -> None:
        self._clock: Clock = SystemClock()
        self.world = World(self._clock)
        self.frames = 0
        self._chip = model(self.world, name, options, self._clock)
        self._chip.power_on()
        self._off = threading.Event()
        self._turn = threading.Lock()
        self._peer = UartPeer(line, self._hear)
        self._thread = threading.Thread(target=self._speak, name=f"instrument {name}", daemon=True)
        self._thread.start()

    def silence(self) -> None:
        """Switch it off; it stays plugged in."""
        self._off.set()
        self._thread.join()

    def close(self) -> None:
        """Switch it off and unplug it."""
        self.silence()
        self._peer.close()

    def _hear(self, data: bytes) -> None:
        with self._turn:
            answer = self._chip.hear(data)
        if answer:
            self._peer.say(answer)

    def _speak(self) -> None:
        due_ns = self._clock.monotonic_ns() + round(self._chip.first_s * NS)
        while not self._off.wait(self._wait_s(due_ns)):
            now = self._clock.monotonic_ns()
            if self._chip.period_s is None or now < due_ns:
                continue
            with self._turn:
                frame = self._chip.frame(now)
                due_ns = now + round((self._chip.period_s or _IDLE_S) * NS)
            self._peer.say(frame)
            self.frames += 1

    def _wait_s(self, due_ns: int) -> float:
        left = (due_ns - self._clock.monotonic_ns()) / NS
        return min(max(left, 0.0), _IDLE_S)
