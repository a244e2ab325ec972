"""Faults on the wire between a bus and a chip, where no code of anybody is wrong.

Each device on a modelled bus has two signals in the world: `<id>.present` (bool) and `<id>.fault`
(text). A fault is written as its name, with an optional limit:

    "nack"          every transfer            "nack once"   the next one
    "nack 3"        the next three            "nack 30 %"   that share of them, seeded
    "slow 300 ms"   that much later           "none"        all is well
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from leyden.hal.errors import WorldError
from leyden.hal.mock.chip import Chip
from leyden.hal.mock.curves import Scalar, seed_of, uniform
from leyden.hal.mock.world import World, suggestion
from leyden.kernel import Clock, Executor, Signal
from leyden.units import UnitError, parse


class FaultKind(StrEnum):
    """What is wrong."""

    NONE = "none"
    NACK = "nack"  # the chip does not acknowledge
    STUCK_HIGH = "stuck_high"  # the data line reads high: bytes are 0xFF, an idle serial line
    STUCK_LOW = "stuck_low"  # the data line reads low: bytes are 0x00, one break on a serial line
    CRC_ERROR = "crc_error"  # one bit of what arrives is flipped
    BROWN_OUT = "brown_out"  # power dips: the chip is back at its reset values, and goes on
    UNPLUG = "unplug"  # nothing there; coming back means power-on
    SLOW = "slow"  # the chip takes its time
    HANG = "hang"  # the call does not return until the fault is taken away
    UART_DISCONNECT = "uart_disconnect"  # the USB adapter is pulled out
    PARTIAL_LINE = "partial_line"  # what a serial chip sends breaks off in the middle


_COMMON: Final = frozenset({FaultKind.NONE, FaultKind.UNPLUG, FaultKind.SLOW, FaultKind.HANG})
_DATA: Final = frozenset(
    {FaultKind.STUCK_HIGH, FaultKind.STUCK_LOW, FaultKind.CRC_ERROR, FaultKind.BROWN_OUT}
)
APPLICABLE: Final[Mapping[str, frozenset[FaultKind]]] = {
    "i2c": _COMMON | _DATA | {FaultKind.NACK},
    "spi": _COMMON | _DATA,  # SPI has no acknowledge
    "uart": _COMMON | _DATA | {FaultKind.UART_DISCONNECT, FaultKind.PARTIAL_LINE},
    "gpio": _COMMON | {FaultKind.STUCK_HIGH, FaultKind.STUCK_LOW, FaultKind.BROWN_OUT},
}

DEFAULT_DELAY_S: Final = 0.05  # "slow" without a time: longer than a read, shorter than a time-out


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault as set, with its limits."""

    kind: FaultKind = FaultKind.NONE
    times: int | None = None  # None: no limit
    share: float = 1.0  # of transfers
    seconds: float = DEFAULT_DELAY_S  # of "slow"


NO_FAULT: Final = Fault()
_TEXT: Final = re.compile(r"(?P<kind>\S+)(?:\s+(?:(?P<once>once)|(?P<times>\d+)|(?P<rest>.+)))?")


def parse_fault(text: str, allowed: frozenset[FaultKind]) -> Fault:
    """Return the fault that `text` describes.

    Raises:
        WorldError: no such fault, or not one that this kind of bus can have.
    """
    match = _TEXT.fullmatch(text.strip())
    word = match["kind"] if match else ""
    names = sorted(kind.value for kind in allowed)
    if match is None or word not in names:
        raise WorldError(
            f'found fault "{text}", expected one of {", ".join(names)}{suggestion(word, names)}'
        )
    kind = FaultKind(word)
    if match["once"] or match["times"]:
        if (times := int(match["times"] or 1)) < 1:
            raise WorldError(f'fault "{text.strip()}": found 0 times, expected 1 or more')
        return Fault(kind, times=times)
    return _limited(kind, match["rest"]) if match["rest"] else Fault(kind)


def _limited(kind: FaultKind, limit: str) -> Fault:
    slow = kind is FaultKind.SLOW
    try:
        value = parse(limit, "s" if slow else "1")
    except UnitError as error:
        raise WorldError(f'fault "{kind} {limit}": {error}') from None
    if slow and value > 0.0:
        return Fault(kind, seconds=value)
    if not slow and 0.0 < value <= 1.0:
        return Fault(kind, share=value)
    found = f"{value:g} s" if slow else f"{value * 100:g} %"
    expected = "more than 0 s" if slow else "more than 0 % and at most 100 % of the transfers"
    raise WorldError(f'fault "{kind} {limit}": found {found}, expected {expected}')


class FaultLine:
    """The faults that one name in the world has, counted off transfer by transfer."""

    def __init__(self, world: World, name: str, allowed: frozenset[FaultKind]) -> None:
        self.seed = seed_of(world.seed, f"{name}.fault")
        self._allowed = allowed
        self._source = world.signal(f"{name}.fault", "none", check=self._check)
        self._seen = -1  # version of the signal that `_fault` was parsed from
        self._fault = NO_FAULT
        self._left: int | None = None
        self._index = 0

    def current(self) -> Fault:
        """Return the fault as it is set, without counting anything."""
        if self._source.version != self._seen:
            self._seen = self._source.version
            self._fault = parse_fault(self._source.text(), self._allowed)
            self._left = self._fault.times
        return NO_FAULT if self._left == 0 else self._fault

    def strike(self) -> Fault:
        """Return the fault that this transfer meets, and count it."""
        fault = self.current()
        if fault.kind is FaultKind.NONE:
            return NO_FAULT
        if fault.share < 1.0 and self.draw() >= fault.share:
            return NO_FAULT
        if self._left is not None:
            self._left -= 1
        return fault

    def draw(self) -> float:
        """Return the next of this line's seeded numbers in [0, 1)."""
        self._index += 1
        return uniform(self.seed, self._index)

    @property
    def version(self) -> int:
        """Changes each time somebody sets the fault."""
        return self._source.version

    def _check(self, value: Scalar) -> None:
        parse_fault(str(value), self._allowed)


class Wire:
    """The stretch between a bus and one chip: power, presence and faults live here."""

    def __init__(self, chip: Chip, world: World, executor: Executor) -> None:
        self.chip = chip
        self.name = chip.name
        self.faults = FaultLine(world, chip.name, APPLICABLE[chip.kind])
        self._present = world.signal(f"{chip.name}.present", True)
        self._clock: Clock = executor.clock
        self._changed: Signal = executor.signal()
        world.watch(f"{chip.name}.fault", self._changed.set)
        world.watch(f"{chip.name}.present", self._changed.set)
        self._powered = False
        self._power_version = -1
        self._brown_outs = -1  # version of the fault signal that was carried out last
        self.power_ons = 0  # after the first
        chip.power_on()

    def touch(self, longest_s: float = math.inf) -> Fault:
        """Begin a transfer: let power and time act on the chip, wait where a fault says so.

        Args:
            longest_s: where the controller gives up waiting for a slow chip.

        Returns:
            What this transfer meets; `UNPLUG` also when the chip is not present.
        """
        self.wait_out_hang()
        fault = self.faults.strike()
        if fault.kind is FaultKind.SLOW:
            self._clock.sleep(min(fault.seconds, longest_s))
        if not self.settle():
            return Fault(FaultKind.UNPLUG)
        return fault

    def settle(self) -> bool:
        """Let power and time act on the chip; return whether it is there and powered."""
        powered = self.present() and self.faults.current().kind is not FaultKind.UNPLUG
        if powered and self._lost_power():
            self.chip.power_on()
            self.power_ons += 1
        self._powered = powered
        self._power_version = self._present.version
        if powered:
            self.chip.catch_up()
        return powered

    def present(self) -> bool:
        """Whether the chip is on the wire."""
        return self._present.flag()

    def wait_while(self, condition: Callable[[], bool], timeout: float | None = None) -> None:
        """Wait until somebody sets the fault or the presence, or `timeout` seconds are over.

        The condition is asked once, after listening has begun, so no change is slept through.
        """
        self._changed.clear()
        if condition():
            self._changed.wait(timeout)

    def wait_out_hang(self) -> None:
        """Wait as long as the fault is a hang."""
        while self._hanging():
            self.wait_while(self._hanging)

    def spoil(self, fault: Fault, data: bytes) -> bytes:
        """Return what arrives of `data` through this fault."""
        if fault.kind is FaultKind.STUCK_HIGH:
            return b"\xff" * len(data)
        if fault.kind is FaultKind.STUCK_LOW:
            return bytes(len(data))
        if fault.kind is FaultKind.CRC_ERROR:
            return self.flip_bit(data)
        return data

    def flip_bit(self, data: bytes) -> bytes:
        """Return `data` with one bit inverted, at a seeded place."""
        if not data:
            return data
        place = int(self.faults.draw() * len(data) * 8)
        spoilt = bytearray(data)
        spoilt[place // 8] ^= 1 << place % 8
        return bytes(spoilt)

    def _hanging(self) -> bool:
        return self.faults.current().kind is FaultKind.HANG and self.present()

    def _lost_power(self) -> bool:
        dipped = (
            self.faults.current().kind is FaultKind.BROWN_OUT
            and self.faults.version != self._brown_outs
        )
        if dipped:
            self._brown_outs = self.faults.version
        # Present now, and set since last time: it was away in between, whoever looked or not.
        replugged = self._power_version not in (-1, self._present.version)
        away = not self._powered and self._power_version != -1
        return dipped or replugged or away


def deaf(fault: Fault) -> bool:
    """Whether nothing that is sent reaches the chip whole through this fault."""
    return fault.kind in (FaultKind.UNPLUG, FaultKind.STUCK_HIGH, FaultKind.STUCK_LOW)
