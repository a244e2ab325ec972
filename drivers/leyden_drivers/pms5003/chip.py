"""Model of the PMS5003: a fan that takes its time, a counter of dust, frames without being asked.

Written from the PMS5003 series data manual V2.3, appendix I and II; the zeros after power-on, the
answers to commands and the version are those of captured frames. The signals of the world are
named after the channels. Those for sizes that nobody sets follow PM2.5, as they do in ordinary air.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final

from leyden.hal.mock.chip import UartChip
from leyden.hal.mock.curves import Evaluator
from leyden.hal.mock.world import Source, World
from leyden.kernel import NS, Clock
from leyden_drivers.pms5003.driver import Pms5003Options

_VERSION: Final = 0x97
_FIRST_S: Final = 1.0  # from power-on to the first frame
_SPIN_UP_S: Final = 8.0  # until it counts anything; frames of zeros before
_STEADY_S: Final = 30.0  # until what it counts is right; too little before
_CHANGE: Final = 0.1  # of the last value, beyond which it speaks faster

# Particles of each size beyond a few that are always there, for each µg/m³ of PM2.5.
_PER_MICROGRAM: Final = {
    "particles_0_3": 100.0,
    "particles_0_5": 30.0,
    "particles_1_0": 5.0,
    "particles_2_5": 1.0,
    "particles_5_0": 0.4,
    "particles_10": 0.2,
}
_ALWAYS: Final = {"particles_0_3": 30.0, "particles_0_5": 5.0}
_SHARES: Final = {"pm1_0": 0.6, "pm10": 1.3}  # of PM2.5


@dataclass(frozen=True, slots=True)
class Following:
    """The course of a signal that nobody set: a fixed share of another one."""

    kind: ClassVar[str] = "following"
    source: Source
    share: float
    offset: float
    at_ns: Callable[[float], int]  # monotonic time of so many seconds after the world began

    def begin(self, seed: int) -> Evaluator:
        """Return the share."""
        return lambda t: self.offset + self.share * self.source.number(self.at_ns(t))


class Pms5003Chip(UartChip):
    """Counts what the world has in the air, once its fan turns."""

    speed_bd = 9600
    latency_s: ClassVar[float] = 2.4  # a frame may have been sent so long before it is read

    def __init__(self, world: World, name: str, options: Pms5003Options, clock: Clock) -> None:
        super().__init__(world, name, options, clock)
        self.first_s = _FIRST_S
        self._powered_ns = 0
        self._active = True
        self._awake = True
        self._last = 0.0
        pm2_5 = world.signal(f"{name}.pm2_5", 8.0, unit="ug/m3", minimum=0.0, maximum=5000.0)
        self._masses = [
            self._share(pm2_5, "pm1_0", _SHARES["pm1_0"]),
            pm2_5,
            self._share(pm2_5, "pm10", _SHARES["pm10"]),
        ]
        self._counts = [self._count(pm2_5, key, per) for key, per in _PER_MICROGRAM.items()]

    def power_on(self) -> None:
        """Start the fan; active mode, as after every loss of power."""
        self._awake, self._active = True, True
        self._begin()

    def frame(self, at_ns: int) -> bytes:
        """Return the frame of this moment."""
        running_s = (at_ns - self._powered_ns) / NS
        if running_s < _SPIN_UP_S:
            return _sealed(bytes.fromhex("42 4d 00 1c") + bytes(26))
        share = min(1.0, running_s / _STEADY_S)
        masses = [round(share * source.number(at_ns)) for source in self._masses]
        counts = [min(0xFFFF, round(share * source.number(at_ns))) for source in self._counts]
        self._pace(float(masses[1]))
        words = [*masses, *masses, *counts]  # alike at the concentrations that were captured
        body = b"".join(word.to_bytes(2, "big") for word in words)
        return _sealed(bytes.fromhex("42 4d 00 1c") + body + bytes((_VERSION, 0)))

    def hear(self, data: bytes) -> bytes:
        """Carry out commands; answer those about the mode and sleep, not those to wake up."""
        answer = b""
        for at in range(0, len(data) - 6, 7):
            command = data[at : at + 7]
            if _sealed(command[:5]) == command and command[:2] == b"\x42\x4d":
                answer += self._obey(command[2], command[4])
        return answer

    def _obey(self, command: int, value: int) -> bytes:
        if command == 0xE4 and value:
            if not self._awake:
                self._awake = True
                self._begin()
            return b""
        if command == 0xE4:
            self._awake, self.period_s = False, None
        elif command == 0xE1:
            self._active = bool(value)
            self.period_s = 2.3 if self._active and self._awake else None
        elif command == 0xE2:
            return b"" if self._active else self.frame(self.clock.monotonic_ns())
        else:
            return b""
        return _sealed(bytes((0x42, 0x4D, 0x00, 0x04, command, value)))

    def _begin(self) -> None:
        self._powered_ns = self.clock.monotonic_ns()
        self._last = 0.0
        self.period_s = 0.8 if self._active else None

    def _pace(self, mass: float) -> None:
        changing = abs(mass - self._last) > max(1.0, _CHANGE * self._last)
        self._last = mass
        if self.period_s is not None:
            self.period_s = 0.8 if changing else 2.3

    def _share(self, source: Source, key: str, share: float) -> Source:
        curve = Following(source, share, 0.0, self.world.mono)
        return self.world.signal(
            f"{self.name}.{key}", curve, unit="ug/m3", minimum=0.0, maximum=5000.0
        )

    def _count(self, source: Source, key: str, per_microgram: float) -> Source:
        curve = Following(source, per_microgram, _ALWAYS.get(key, 0.0), self.world.mono)
        return self.world.signal(
            f"{self.name}.{key}", curve, unit="{count}/dL", minimum=0.0, maximum=65535.0
        )


def _sealed(data: bytes) -> bytes:
    return data + (sum(data) & 0xFFFF).to_bytes(2, "big")


CHIP = Pms5003Chip

__all__ = ["CHIP", "Following", "Pms5003Chip"]
