"""Options of the gpio device: which lines it has and what each one is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Annotated, Final

from leyden.hal import Bias, Edge, Quantity
from leyden.kernel import ComponentError

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")


class Mode(StrEnum):
    """What a line is for."""

    INPUT = "input"  # a level, such as a door switch
    COUNTER = "counter"  # edges, such as a flow meter's pulses
    OUTPUT = "output"  # something switched, such as a relay


class Pull(StrEnum):
    """The resistor inside the chip, in the kernel's words."""

    AS_IS = "as-is"
    DISABLED = "disabled"
    UP = "pull-up"
    DOWN = "pull-down"

    @property
    def bias(self) -> Bias:
        """The same for the bus."""
        return _BIASES[self]


_BIASES: Final = {
    Pull.AS_IS: Bias.AS_IS,
    Pull.DISABLED: Bias.NONE,
    Pull.UP: Bias.UP,
    Pull.DOWN: Bias.DOWN,
}
# Which options a mode knows beside `line`, `mode`, `active_low` and `label`.
_KNOWN: Final = {
    Mode.INPUT: {"bias", "debounce", "glitches", "complement"},
    Mode.COUNTER: {"bias", "debounce", "glitches", "edge", "rate"},
    Mode.OUTPUT: {"safe", "initial"},
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its offset in the chip and what it is for."""

    line: int  # offset in the chip: on a Raspberry Pi the GPIO number, not that of the pin
    mode: Mode = Mode.INPUT
    active_low: bool = False
    label: str = ""
    bias: Pull = Pull.AS_IS
    debounce: Annotated[float, Quantity("s")] = 0.0  # a level counts once it lasted this long
    complement: int | None = None  # line of the opposite contact, where a switch has two
    edge: Edge = Edge.RISING  # which edges a counter counts
    rate: bool = False  # a counter's edges per second as a channel of its own
    glitches: bool = False  # levels that did not last as a channel of their own
    safe: bool = False  # what an output is when nobody holds it
    initial: bool | None = None  # what an output is at the start; unset: safe

    def __post_init__(self) -> None:
        object.__setattr__(self, "mode", Mode(self.mode))
        object.__setattr__(self, "bias", Pull(self.bias))
        object.__setattr__(self, "edge", Edge(self.edge))
        for name, line in (("line", self.line), ("complement", self.complement or 0)):
            if line < 0:
                raise ComponentError(f"{name}: found {line}, expected 0 or more")
        if not 0.0 <= self.debounce <= 60.0:
            raise ComponentError(f"debounce: found {self.debounce} s, expected 0 s to 60 s")
        if self.edge is Edge.NONE:
            raise ComponentError('edge: found "none", expected "rising", "falling" or "both"')
        self._refuse_strangers()

    @property
    def taken(self) -> tuple[int, ...]:
        """The offsets that it takes."""
        return (self.line,) if self.complement is None else (self.line, self.complement)

    def _refuse_strangers(self) -> None:
        known = _KNOWN[self.mode]
        for name in sorted(set().union(*_KNOWN.values()) - known):
            if getattr(self, name) != _default(name):
                raise ComponentError(
                    f"{name}: a line of mode {self.mode} has no such option; it knows "
                    + ", ".join(sorted(known))
                )


@dataclass(frozen=True, slots=True)
class GpioOptions:
    """Options of the gpio device."""

    lines: Mapping[str, Line] = field(default_factory=dict)
    lease: Annotated[float, Quantity("s")] | None = None  # unset: three periods, at least 1 s
    settle: Annotated[float, Quantity("s")] = 0.05  # an output reads back as asked within this

    def __post_init__(self) -> None:
        if not self.lines:
            raise ComponentError("lines: found none, expected at least one")
        if self.lease is not None and self.lease <= 0:
            raise ComponentError(f"lease: found {self.lease} s, expected more than 0 s")
        if self.settle < 0:
            raise ComponentError(f"settle: found {self.settle} s, expected 0 s or more")
        owners: dict[int, str] = {}
        for name, line in self.lines.items():
            if not _NAME.fullmatch(name):
                raise ComponentError(f'lines: found name "{name}", expected a-z, 0-9 and _')
            for taken in line.taken:
                if taken in owners:
                    raise ComponentError(f"lines: {owners[taken]} and {name} are both line {taken}")
                owners[taken] = name


def _default(name: str) -> object:
    return next(each.default for each in fields(Line) if each.name == name)
