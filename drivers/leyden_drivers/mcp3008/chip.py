"""Model of the MCP3008, clock by clock: it samples a voltage and shifts the code out both ways.

Written from the MCP3004/3008 data sheet DS21295D, section 5.0, as the state machine it describes.
Inputs that nothing is wired to float where their neighbours leave them; the model gives each a
fixed voltage of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum, auto

from leyden.hal.mock.chip import SpiChip
from leyden.hal.mock.world import Source, World
from leyden.kernel import Clock
from leyden_drivers.mcp3008.driver import Input, Mcp3008Options


class _Phase(Enum):
    """Where one exchange stands."""

    WAITING = auto()  # for the start bit
    CHOOSING = auto()  # SGL/DIFF, D2, D1, D0
    SAMPLING = auto()  # one more clock
    ANSWERING = auto()


class Mcp3008Chip(SpiChip):
    """Converts what the world puts on its inputs; each configured input is a signal."""

    modes = (0, 3)  # SPI modes 0,0 and 1,1
    max_speed_hz = 1_350_000

    def __init__(self, world: World, name: str, options: Mcp3008Options, clock: Clock) -> None:
        super().__init__(world, name, options, clock)
        self._vref = options.vref
        self._inputs = {
            item.pin: (item, _signal(world, f"{name}.{key}", item, options.vref))
            for key, item in options.inputs.items()
        }

    @property
    def lsb(self) -> Mapping[str, float]:
        """What one code is worth in each channel's unit: no reading can be closer than this."""
        code = self._vref / 1024
        return {key: code / abs(_per_unit(item)) for key, item in self.options.inputs.items()}

    def volts(self, pin: int) -> float:
        """Return the voltage on an input, 0 V … VREF."""
        if pin in self._inputs:
            item, source = self._inputs[pin]
            volts = _volts(item, source.number())
        else:
            volts = self._vref * (pin + 3) / 16  # floating
        return min(max(volts, 0.0), self._vref)

    def exchange(self, data: bytes) -> bytes:
        """Return DOUT for DIN; where DOUT is not driven a pull-up makes it high."""
        phase = _Phase.WAITING
        chosen: list[int] = []
        answer: Iterator[int] = iter(())
        out: list[int] = []
        for bit in _bits(data):
            # DOUT changes on the falling edge before the clock at which the host samples it.
            out.append(next(answer, 0) if phase is _Phase.ANSWERING else 1)
            if phase is _Phase.WAITING and bit:
                phase = _Phase.CHOOSING
            elif phase is _Phase.CHOOSING:
                chosen.append(bit)
                if len(chosen) == 4:
                    phase = _Phase.SAMPLING
            elif phase is _Phase.SAMPLING:
                answer = iter(_shifted_out(self._convert(chosen)))
                phase = _Phase.ANSWERING
        return _packed(out)

    def _convert(self, chosen: list[int]) -> int:
        single, *address = chosen
        pin = address[0] * 4 + address[1] * 2 + address[2]
        volts = self.volts(pin)
        if not single:  # pseudo-differential: even minus odd, or odd minus even (table 5-2)
            volts -= self.volts(pin ^ 1)
        code = int(volts * 1024 / self._vref)
        return min(max(code, 0), 1023)


def _shifted_out(code: int) -> list[int]:
    msb_first = [code >> place & 1 for place in range(9, -1, -1)]
    return [0, *msb_first, *msb_first[-2::-1]]


def _signal(world: World, name: str, item: Input, vref: float) -> Source:
    if item.low is None or item.high is None:
        return world.signal(name, vref / 2, unit="V", minimum=0.0, maximum=vref)
    middle = (item.minimum + item.maximum) / 2
    return world.signal(name, middle, unit=item.unit, minimum=item.minimum, maximum=item.maximum)


def _per_unit(item: Input) -> float:
    """Return how many volts one unit of an input is."""
    if item.low is None or item.high is None:
        return 1.0
    return (item.high - item.low) / (item.maximum - item.minimum)


def _volts(item: Input, value: float) -> float:
    """Return the voltage that stands for a value: the line through the two given points."""
    if item.low is None or item.high is None:
        return value
    share = (value - item.minimum) / (item.maximum - item.minimum)
    return item.low * (1 - share) + item.high * share


def _bits(data: bytes) -> list[int]:
    return [byte >> place & 1 for byte in data for place in range(7, -1, -1)]


def _packed(bits: list[int]) -> bytes:
    text = "".join(map(str, bits))
    return int(text, 2).to_bytes(len(bits) // 8, "big")


CHIP = Mcp3008Chip

__all__ = ["CHIP", "Mcp3008Chip"]
