"""Driver for the MCP3008, an eight-input 10-bit analogue-to-digital converter on SPI (Microchip).

Source: MCP3004/3008 data sheet DS21295D (2008); sections are cited where used.

The chip has no identity and no checksum, but after its result it shifts the same bits out once
more in reverse. Every exchange fetches both and believes them only when they agree, with the null
bit before and the zeros after them in place. What could still go wrong is the request on its way
to the chip, which would convert another input; so each input is asked three times, and the middle
answer counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final

from leyden.hal.options import Quantity
from leyden.hal.spi import SpiBus
from leyden.kernel import (
    Channel,
    ChecksumError,
    ComponentError,
    Device,
    Doubt,
    NoDataError,
    StuckDataError,
    TableReading,
    WrongDeviceError,
)
from leyden.units import UnitError, unit
from leyden_drivers.mcp3008.registers import (
    AFTERWARDS,
    CHANNEL_SHIFT,
    CHANNELS,
    EXCHANGE_BYTES,
    FULL_SCALE,
    LSB_FIRST_SHIFT,
    MAX_SPEED_HZ,
    MIN_SPEED_HZ,
    MSB_FIRST_SHIFT,
    NULL_BIT,
    SINGLE_ENDED,
    START,
    TOP_CODE,
)

_LOOKS: Final = 3  # exchanges for one value; one damaged request among them is outvoted
_STEADY: Final = 32  # codes between them, 3 % of the range, beyond which no value can be named
_MARGIN: Final = 0.1  # of the span: so far beyond its two points an input may be, clamped


@dataclass(frozen=True, slots=True)
class Input:
    """One analogue input.

    Without `low` and `high` its value is the voltage. With them, `low` is the voltage that stands
    for `minimum` and `high` the one that stands for `maximum`, on a straight line; `low` may be
    the higher voltage, as with soil probes.
    """

    pin: int  # 0 to 7: CH0 to CH7
    label: str = ""
    unit: str = "V"
    low: Annotated[float, Quantity("V")] | None = None
    high: Annotated[float, Quantity("V")] | None = None
    minimum: float = 0.0  # in `unit`
    maximum: float = 100.0  # in `unit`


@dataclass(frozen=True, slots=True)
class Mcp3008Options:
    """Options of one MCP3008 in the configuration.

    Raises:
        ComponentError: inputs that contradict each other or the chip.
    """

    inputs: Mapping[str, Input] = field(default_factory=dict)
    chip_select: int = 0
    vref: Annotated[float, Quantity("V")] = 3.3  # the voltage at the VREF pin
    speed: Annotated[float, Quantity("Hz")] = 1_000_000.0

    def __post_init__(self) -> None:
        if not self.inputs:
            raise ComponentError("inputs: found none, expected at least one { pin = 0 }")
        if not 0.25 <= self.vref <= 5.5:  # section 1.0: VREF 0.25 V to VDD, VDD at most 5.5 V
            raise ComponentError(f"vref: found {self.vref:g} V, expected 0.25 V to 5.5 V")
        if not MIN_SPEED_HZ <= self.speed <= MAX_SPEED_HZ:
            raise ComponentError(
                f"speed: found {self.speed:g} Hz, expected {MIN_SPEED_HZ} to {MAX_SPEED_HZ} Hz"
            )
        taken: dict[int, str] = {}
        for name, item in self.inputs.items():
            _refuse_flaw(f"inputs.{name}", item, self.vref)
            if (other := taken.setdefault(item.pin, name)) != name:
                raise ComponentError(f"inputs.{name}.pin: found {item.pin}, which {other} has")


def _refuse_flaw(place: str, item: Input, vref: float) -> None:
    if not 0 <= item.pin < CHANNELS:
        raise ComponentError(f"{place}.pin: found {item.pin}, expected 0 to {CHANNELS - 1}")
    try:
        unit(item.unit)
    except UnitError as error:
        raise ComponentError(f"{place}.unit: {error}") from None
    if item.low is None and item.high is None:
        if item.unit != "V":
            raise ComponentError(
                f'{place}: found unit "{item.unit}" alone, expected low and high as voltages too'
            )
        return
    if item.low is None or item.high is None or item.low == item.high:
        raise ComponentError(f"{place}: expected two different voltages, low and high")
    if not (0 <= item.low <= vref and 0 <= item.high <= vref):
        raise ComponentError(f"{place}: low and high have to lie between 0 V and {vref:g} V (vref)")
    if item.minimum >= item.maximum:
        raise ComponentError(f"{place}: minimum has to be less than maximum")


class MCP3008(Device[TableReading]):
    """Returns the configured inputs, converted one after another when it is read."""

    bus_kind = "spi"
    compatible = "microchip,mcp3008"
    witness = "null bit, result shifted out both ways and compared, zeros after it"

    def __init__(self, bus: SpiBus, options: Mcp3008Options) -> None:
        self._bus = bus
        self._options = options

    def channels(self) -> tuple[Channel, ...]:
        """One channel for each configured input, in the order of the configuration."""
        inputs = self._options.inputs.items()
        return tuple(_channel(name, item, self._options.vref) for name, item in inputs)

    def probe(self) -> None:
        """Raise unless something answers the way an MCP3008 does, on all eight inputs.

        Raises:
            NoDataError: all inputs read exactly 0 V, which a missing chip does as well.
            WrongDeviceError: a 12-bit relative answers.
            ChecksumError: an answer is malformed.
        """
        words = [self._exchange(pin) for pin in range(CHANNELS)]
        if any(words) and all(map(_is_twelve_bit, words)):
            raise WrongDeviceError("the answers have 12 bits, as an MCP3208's; expected an MCP3008")
        codes = [_code(pin, word) for pin, word in enumerate(words)]
        if not any(codes):
            raise self._nothing()

    def read(self) -> TableReading:
        """Return one value for each configured input.

        Raises:
            ChecksumError: the two copies of a result differ.
            StuckDataError: every bit is 1.
            NoDataError: nothing but zeros, on the other inputs too.
        """
        items = self._options.inputs
        codes = {
            name: sorted(self._look(item.pin) for _ in range(_LOOKS))
            for name, item in items.items()
        }
        if not any(map(any, codes.values())) and not any(map(self._look, range(CHANNELS))):
            raise self._nothing()
        found = ((name, self._doubt(items[name], row)) for name, row in codes.items())
        return TableReading(
            table={name: self._value(items[name], row[_LOOKS // 2]) for name, row in codes.items()},
            doubts={name: doubt for name, doubt in found if doubt},
        )

    def check(self) -> None:
        """See that the first configured input answers well formed."""
        self._look(next(iter(self._options.inputs.values())).pin)

    def _nothing(self) -> NoDataError:
        return NoDataError(
            "all eight inputs read exactly 0 V, as without a chip; check CS, CLK, DIN and the "
            "supply, or tie an unused input to VREF to show that the chip is there"
        )

    def _look(self, pin: int) -> int:
        """Return the code of one exchange whose two copies agree."""
        return _code(pin, self._exchange(pin))

    def _exchange(self, pin: int) -> int:
        request = START | SINGLE_ENDED | pin << CHANNEL_SHIFT
        answer = self._bus.transfer(
            self._options.chip_select,
            request.to_bytes(EXCHANGE_BYTES, "big"),
            speed_hz=int(self._options.speed),
        )
        if answer == b"\xff" * EXCHANGE_BYTES:
            raise StuckDataError(f"input {pin}: every bit is 1; is DOUT connected, has it power?")
        return int.from_bytes(answer, "big")

    def _volts(self, code: int) -> float:
        return code * self._options.vref / FULL_SCALE

    def _value(self, item: Input, code: int) -> float:
        volts = self._volts(code)
        if item.low is None or item.high is None:
            return volts
        share = min(max((volts - item.low) / (item.high - item.low), 0.0), 1.0)
        return item.minimum + share * (item.maximum - item.minimum)

    def _doubt(self, item: Input, codes: list[int]) -> Doubt | None:
        if codes[-1] - codes[0] > _STEADY:
            low, high = self._volts(codes[0]), self._volts(codes[-1])
            return Doubt.uncertain(
                "implausible", f"moves between {low:.2f} V and {high:.2f} V; is the input open?"
            )
        if codes[0] == 0:
            return Doubt.uncertain("saturated", "0 V, the end of the range; or shorted to ground")
        if codes[-1] == TOP_CODE:
            return Doubt.uncertain("saturated", "at VREF, the end of the range; or shorted to it")
        return self._beyond(item, self._volts(codes[_LOOKS // 2]))

    def _beyond(self, item: Input, volts: float) -> Doubt | None:
        """Doubt a voltage outside of the two points that the value is scaled by."""
        if item.low is None or item.high is None:
            return None
        share = (volts - item.low) / (item.high - item.low)
        # One code of play: the ends themselves are inside.
        play = self._volts(1) / abs(item.high - item.low)
        where = f"{volts:.2f} V is outside of {item.low:g} V to {item.high:g} V"
        if not -_MARGIN <= share <= 1 + _MARGIN:
            return Doubt.bad("out_of_range", f"{where}; is the probe connected?")
        if not -play <= share <= 1 + play:
            return Doubt.uncertain("saturated", f"{where}; shown as the nearer end")
        return None


def _code(pin: int, word: int) -> int:
    """Return the result in an answer.

    Raises:
        ChecksumError: a fixed bit is wrong, or the two copies differ.
    """
    if not _is_well_formed(word):
        raise ChecksumError(
            f"input {pin}: {word:#010x} is malformed: null bit, zeros or the two copies are wrong"
        )
    return word >> MSB_FIRST_SHIFT & TOP_CODE


def _is_well_formed(word: int) -> bool:
    forward = f"{word >> MSB_FIRST_SHIFT & TOP_CODE:010b}"
    reverse = f"{word >> LSB_FIRST_SHIFT & TOP_CODE:010b}"
    return not word & (NULL_BIT | AFTERWARDS) and forward == reverse[::-1]


def _is_twelve_bit(word: int) -> bool:
    """Whether an answer is an MCP3208's (DS21298E, figure 5-2) and not an MCP3008's.

    Its bit 0 comes two clocks later, and the reverse copy is cut off after bit 10.
    """
    forward, reverse = f"{word >> 11 & 0x3FF:010b}", f"{word & 0x3FF:010b}"
    return not word & NULL_BIT and forward == reverse[::-1] and not _is_well_formed(word)


def _channel(name: str, item: Input, vref: float) -> Channel:
    volts = vref / FULL_SCALE  # of one code
    if item.low is None or item.high is None:
        return Channel(name, float, "V", 0.0, vref, _step(volts), item.label)
    step = _step(volts / abs(item.high - item.low) * (item.maximum - item.minimum))
    code = unit(item.unit).code
    return Channel(name, float, code, item.minimum, item.maximum, step, item.label)


def _step(code: float) -> float:
    """Return the power of ten just below what one code is worth: a digit less would lose codes."""
    return float(10.0 ** math.floor(math.log10(code)))
