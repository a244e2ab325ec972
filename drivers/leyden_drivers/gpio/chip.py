"""Model of what hangs on GPIO lines: contacts that bounce, pulse sources, loads that are switched.

Each line of the configuration is a part of its own, moved by the world:

| mode | signals of device `x`, line `y` | what they are |
|---|---|---|
| input | `x.y` | whether the contact is made, as the driver reports it |
| | `x.y_bounce` | seconds that it bounces after each change; its opposite contact too |
| counter | `x.y` | level by hand, for scripts of single edges |
| | `x.y_frequency` | pulses a second, such as a flow meter gives |
| output | `x.y_short` | `none`, or `low` or `high`: shorted to that side whatever drives it |

A script of edges is a `step` curve of the first: `[world."door.closed"] step = { points = [["0 s",
false], ["4 s", true]] }`.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from typing import Final, Protocol

from leyden.hal.errors import WorldError
from leyden.hal.mock.chip import Change, Contact, LineChip
from leyden.hal.mock.curves import Scalar
from leyden.hal.mock.world import Source, World
from leyden.kernel import NS, Clock
from leyden_drivers.gpio.options import GpioOptions, Line, Mode

BOUNCE_S: Final = 0.002  # of a small switch; most data sheets allow 5 ms to 10 ms
SLOT_NS: Final = 100_000_000  # a pulse source takes its frequency from the world this often
REMEMBERED: Final = 50_000  # edges of a pulse source that can still be asked for
SHORTS: Final = {"none": None, "low": False, "high": True}


class Part(Protocol):
    """What is on one line; levels are physical: true is high."""

    def level(self, at_ns: int) -> bool | None:
        """Return the level it drives the line to; None where it leaves the line alone."""
        ...

    def changes(self, after_ns: int, until_ns: int) -> list[Change]:
        """Return each change of that level in (after, until], oldest first."""
        ...


class GpioParts(LineChip):
    """All parts on the lines of one gpio device; `driven_levels` is what the host drives."""

    def __init__(self, world: World, name: str, options: GpioOptions, clock: Clock) -> None:
        super().__init__(world, name, options, clock)
        self.driven_levels: dict[int, bool | None] = {}
        self._parts: dict[int, Part] = {}
        for key, line in options.lines.items():
            self._parts[line.line] = _part(world, f"{name}.{key}", line, clock)
            if line.complement is not None:
                self._parts[line.complement] = Switch(
                    world, f"{name}.{key}", closes_to=not line.active_low, opposite=True
                )
        self.lines = tuple(self._parts)

    def level(self, line: int, at_ns: int) -> bool | None:
        """Return the level that the part on a line drives it to."""
        part = self._parts.get(line)
        return part.level(at_ns) if part is not None else None

    def changes(self, line: int, after_ns: int, until_ns: int) -> Sequence[Change]:
        """Return each change of that level in (after, until], oldest first."""
        part = self._parts.get(line)
        return part.changes(after_ns, until_ns) if part is not None else ()

    def driven(self, line: int, level: bool | None) -> None:
        """Notice that the host drives a line; None when it lets go."""
        self.driven_levels[line] = level


def _part(world: World, name: str, line: Line, clock: Clock) -> Part:
    if line.mode is Mode.OUTPUT:
        return Load(world, name)
    if line.mode is Mode.INPUT:
        return Switch(world, name, closes_to=not line.active_low)
    return PulseSource(world, name, rests=line.active_low, began_ns=clock.monotonic_ns())


class Switch:
    """A contact that pulls the line to one side when made and leaves it to the resistor when not.

    The resistor pulls to the other side, so that the line is never undefined. The `opposite`
    contact of a changeover switch is made when the switch is not.
    """

    def __init__(self, world: World, name: str, *, closes_to: bool, opposite: bool = False) -> None:
        self._made = world.signal(name, False)
        self._bounce = world.signal(f"{name}_bounce", BOUNCE_S, unit="s", minimum=0.0, maximum=1.0)
        self._high_when_made = closes_to != opposite

    def level(self, at_ns: int) -> bool:
        """Return the level, bounces included."""
        return self._contact().level(at_ns) == self._high_when_made

    def changes(self, after_ns: int, until_ns: int) -> list[Change]:
        """Return each change of the level, bounces included."""
        made = self._contact().changes(after_ns, until_ns)
        return [(at, level == self._high_when_made) for at, level in made]

    def _contact(self) -> Contact:
        return Contact(self._made, self._bounce.number())


class PulseSource:
    """A clean pulse output: by hand, or as many pulses a second as the world says.

    Args:
        world: where its frequency comes from.
        name: "meter.flow".
        rests: the level between two pulses.
        began_ns: since when it gives pulses.
    """

    def __init__(self, world: World, name: str, *, rests: bool, began_ns: int) -> None:
        self._by_hand = Contact(world.signal(name, False))
        self._pulses = PulseTrain(
            world.signal(f"{name}_frequency", 0.0, unit="Hz", minimum=0.0, maximum=20_000.0),
            began_ns,
        )
        self._rests = rests

    def level(self, at_ns: int) -> bool:
        """Return the level."""
        return self._active(at_ns) != self._rests

    def changes(self, after_ns: int, until_ns: int) -> list[Change]:
        """Return each change of the level."""
        pulses = self._pulses.changes(after_ns, until_ns)
        by_hand = self._by_hand.changes(after_ns, until_ns)
        if by_hand or self._by_hand.level(until_ns):
            pulses = self._merged([at for at, _ in pulses + by_hand], after_ns)
        return [(at, active != self._rests) for at, active in pulses]

    def _active(self, at_ns: int) -> bool:
        return self._by_hand.level(at_ns) or self._pulses.level(at_ns)

    def _merged(self, times: list[int], after_ns: int) -> list[Change]:
        changes: list[Change] = []
        last = self._active(after_ns)
        for at in sorted(set(times)):
            if (active := self._active(at)) != last:
                changes.append((at, active))
                last = active
        return changes


class PulseTrain:
    """A square wave whose frequency follows the world, counted forward in slots of 100 ms."""

    def __init__(self, frequency: Source, began_ns: int) -> None:
        self._frequency = frequency
        self._slot_ns = began_ns  # beginning of the next slot to be counted
        self._half_turns = 0.0  # done by then; whole numbers are edges, even ones fall
        self._times: list[int] = []
        self._levels: list[bool] = []

    def level(self, at_ns: int) -> bool:
        """Return whether a pulse is on; low before the first and where it is forgotten."""
        self._count_to(at_ns)
        index = bisect.bisect_right(self._times, at_ns) - 1
        return self._levels[index] if index >= 0 else False

    def changes(self, after_ns: int, until_ns: int) -> list[Change]:
        """Return each edge in (after, until], oldest first, as far back as it remembers."""
        self._count_to(until_ns)
        first = bisect.bisect_right(self._times, after_ns)
        last = bisect.bisect_right(self._times, until_ns)
        return list(zip(self._times[first:last], self._levels[first:last], strict=True))

    def _count_to(self, at_ns: int) -> None:
        while self._slot_ns <= at_ns:
            self._count_slot()
        if len(self._times) > 2 * REMEMBERED:
            del self._times[:-REMEMBERED], self._levels[:-REMEMBERED]

    def _count_slot(self) -> None:
        rate = 2.0 * self._frequency.number(self._slot_ns)  # half turns a second
        before, begin = self._half_turns, self._slot_ns
        self._half_turns += rate * SLOT_NS / NS
        self._slot_ns += SLOT_NS
        for edge in range(math.floor(before) + 1, math.floor(self._half_turns) + 1):
            self._times.append(begin + min(SLOT_NS - 1, int((edge - before) / rate * NS)))
            self._levels.append(edge % 2 == 1)


class Load:
    """Something switched, such as a relay: it drives nothing, unless its line is shorted."""

    def __init__(self, world: World, name: str) -> None:
        self._short = world.signal(f"{name}_short", "none", check=_check_short)

    def level(self, at_ns: int) -> bool | None:
        """Return the side it is shorted to; None where it is well."""
        return SHORTS[str(self._short.value(at_ns))]

    def changes(self, after_ns: int, until_ns: int) -> list[Change]:
        """Return nothing: nobody waits for edges on an output."""
        return []


def _check_short(value: Scalar) -> None:
    if value not in SHORTS:
        raise WorldError(f'found "{value}", expected {", ".join(SHORTS)}')


CHIP = GpioParts
