"""The modelled world: named quantities over time, that chip models sense and people may set."""

from __future__ import annotations

import difflib
import math
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from leyden.hal.errors import WorldError
from leyden.hal.mock.curves import Constant, Curve, Evaluator, Scalar, Step, seed_of
from leyden.hal.mock.script import is_curve, read_curve
from leyden.kernel import NS, Clock
from leyden.units import UnitError, parse

Check: TypeAlias = Callable[[Scalar], None]  # raises WorldError unless the value may be set

_REMEMBERED: Final = 64  # changes kept of each signal, for those who ask about the recent past


@dataclass(frozen=True, slots=True)
class SignalState:
    """One line of `World.list`."""

    name: str
    value: Scalar
    unit: str  # UCUM
    kind: str  # "number", "bool" or "text"
    curve: str  # "constant", "sine", …
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, slots=True)
class _Era:
    """A stretch of time in which one curve holds."""

    since_ns: int
    curve: Curve
    evaluate: Evaluator


class Source:
    """One named quantity of the world."""

    def __init__(
        self,
        world: World,
        name: str,
        kind: str,
        unit: str,
        *,
        minimum: float | None = None,
        maximum: float | None = None,
        check: Check | None = None,
    ) -> None:
        self.name = name
        self.unit = unit
        self.minimum = minimum
        self.maximum = maximum
        self.kind = kind
        self.version = 0  # how often it was given another course
        self.check = check
        self._world = world
        self._eras: deque[_Era] = deque(maxlen=_REMEMBERED)

    def value(self, at_ns: int | None = None) -> Scalar:
        """Return the value now, or at a monotonic time (ns) in the recent past."""
        now = self._world.now_ns() if at_ns is None else at_ns
        with self._world.lock:
            era = self._era(now)
            value = era.evaluate(self._world.seconds(now))
        return self._clamped(value)

    def number(self, at_ns: int | None = None) -> float:
        """Return the value as a number, in `unit`."""
        return float(self.value(at_ns))

    def flag(self, at_ns: int | None = None) -> bool:
        """Return the value as a bool."""
        return bool(self.value(at_ns))

    def text(self) -> str:
        """Return the value as text."""
        return str(self.value())

    def changes(self, after_ns: int, until_ns: int) -> list[tuple[int, Scalar]]:
        """Return each change in (after, until] as (monotonic ns, new value), oldest first.

        Changes are known of constants and steps; other curves move all the time and have none.
        """
        times = sorted(self._turning_points(after_ns, until_ns))
        found: list[tuple[int, Scalar]] = []
        last = self.value(after_ns)
        for at in times:
            value = self.value(at)
            if value != last:
                found.append((at, value))
                last = value
        return found

    @property
    def curve(self) -> Curve:
        """The course it is on now."""
        return self._eras[-1].curve

    def follow(self, curve: Curve) -> None:
        """Begin another course now."""
        now = self._world.now_ns()
        with self._world.lock:
            seed = seed_of(self._world.seed, self.name)
            self._eras.append(_Era(now, curve, curve.begin(seed)))
            self.version += 1

    def _era(self, at_ns: int) -> _Era:
        for era in reversed(self._eras):
            if era.since_ns <= at_ns:
                return era
        return self._eras[0]

    def _turning_points(self, after_ns: int, until_ns: int) -> set[int]:
        with self._world.lock:
            eras = list(self._eras)
        points = {era.since_ns for era in eras if after_ns < era.since_ns <= until_ns}
        for era, after in zip(eras, [*(e.since_ns for e in eras[1:]), until_ns], strict=True):
            begin, end = max(after_ns, era.since_ns), min(until_ns, after)
            if isinstance(era.curve, Step) and begin < end:
                times = era.curve.times(self._world.seconds(begin), self._world.seconds(end))
                points |= {self._world.mono(t) for t in times}
        return points

    def _clamped(self, value: Scalar) -> Scalar:
        if self.kind != "number":
            return value
        number = float(value)
        if self.minimum is not None:
            number = max(self.minimum, number)
        return number if self.maximum is None else min(self.maximum, number)


class World:
    """All quantities of a modelled world, alike in every run of one seed.

    Args:
        clock: the time by which curves move.
        seed: what noise and walks begin from.
    """

    def __init__(self, clock: Clock, seed: int = 0) -> None:
        self.clock = clock
        self.seed = seed
        self.lock = threading.RLock()  # held for one evaluation, never while waiting
        self._began_ns = clock.monotonic_ns()
        self._sources: dict[str, Source] = {}
        self._scripts: dict[str, tuple[Any, Path]] = {}
        self._watchers: dict[str, list[Callable[[], None]]] = {}

    def signal(
        self,
        name: str,
        default: Scalar | Curve,
        *,
        unit: str = "1",
        minimum: float | None = None,
        maximum: float | None = None,
        check: Check | None = None,
    ) -> Source:
        """Declare a quantity, or return the one already declared under this name.

        What `load` brought for this name is used instead of `default`. `check` raises `WorldError`
        for a value that may not be set.

        Raises:
            WorldError: declared before with another type or unit, or a script that does not fit.
        """
        curve = default if not isinstance(default, (bool, int, float, str)) else Constant(default)
        example = curve.begin(0)(0.0)
        known = self._sources.get(name)
        if known is not None:
            return _same(known, _kind(example), unit)
        source = Source(
            self, name, _kind(example), unit, minimum=minimum, maximum=maximum, check=check
        )
        script = self._scripts.pop(name, None)
        if script is not None:
            curve = read_curve(f"world.{name}", script[0], source.kind, unit, script[1])
            if isinstance(curve, Constant):
                curve = Constant(_permitted(source, curve.value))
        source.follow(curve)
        source.version = 0
        self._sources[name] = source
        return source

    def get(self, name: str) -> Scalar:
        """Return the value of a quantity now.

        Raises:
            WorldError: there is none of this name; the text offers the nearest.
        """
        return self.source(name).value()

    def set(self, name: str, value: Scalar | Curve) -> Scalar:
        """Hold a quantity at `value` from now on, whatever course it was on; return the value.

        Text is read as what the quantity is: "false", "21.5", "21.5 °C".

        Raises:
            WorldError: no such quantity, or a value it cannot have.
        """
        source = self.source(name)
        if not isinstance(value, (bool, int, float, str)):
            source.follow(value)
        else:
            permitted = _permitted(source, _converted(source, value))
            if source.kind == "bool" and source.curve == Constant(permitted):
                return permitted  # a switch set to where it stands has not moved
            source.follow(Constant(permitted))
        for wake in tuple(self._watchers.get(name, ())):
            wake()
        return source.value()

    def list(self) -> tuple[SignalState, ...]:
        """Return every quantity, by name."""
        return tuple(
            SignalState(
                name, source.value(), source.unit, source.kind, source.curve.kind,
                source.minimum, source.maximum,
            )
            for name, source in sorted(self._sources.items())
        )  # fmt: skip

    def source(self, name: str) -> Source:
        """Return a quantity by name.

        Raises:
            WorldError: there is none; the text offers the nearest.
        """
        found = self._sources.get(name)
        if found is None:
            raise WorldError(f'no signal "{name}" in this world{suggestion(name, self._sources)}')
        return found

    def watch(self, name: str, wake: Callable[[], None]) -> None:
        """Call `wake` after each `set` of a quantity, in the lane that set it."""
        self._watchers.setdefault(name, []).append(wake)

    def load(self, table: Mapping[str, Any], folder: Path) -> None:
        """Take the courses of a configuration's `[world]` table; signals take them when declared.

        Args:
            table: names, dotted or nested, to a value or a table of curves; `seed` is the world's.
            folder: where relative CSV paths begin.

        Raises:
            WorldError: names the key, what was found and what was expected.
        """
        seed = table.get("seed", self.seed)
        if not isinstance(seed, int) or isinstance(seed, bool):
            raise WorldError(f"world.seed: found {seed!r}, expected a whole number")
        self.seed = seed
        for name, script in _flat("", {k: v for k, v in table.items() if k != "seed"}):
            self._scripts[name] = (script, folder)

    def unclaimed(self) -> tuple[str, ...]:
        """Return the loaded names that no chip has declared: most likely misspelt."""
        return tuple(sorted(self._scripts))

    def names(self) -> tuple[str, ...]:
        """Return the names of all declared quantities."""
        return tuple(sorted(self._sources))

    # What sources ask.

    def now_ns(self) -> int:
        """Monotonic time in ns."""
        return self.clock.monotonic_ns()

    def seconds(self, at_ns: int) -> float:
        """Seconds from the beginning of the world to a monotonic time."""
        return (at_ns - self._began_ns) / NS

    def mono(self, seconds: float) -> int:
        """Monotonic time of so many seconds after the beginning."""
        return self._began_ns + round(seconds * NS)


def suggestion(name: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    """Return `; did you mean "…"?` with the nearest known name, or nothing."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f'; did you mean "{near[0]}"?' if near else ""


def _kind(value: Scalar) -> str:
    if isinstance(value, bool):
        return "bool"
    return "text" if isinstance(value, str) else "number"


def _same(known: Source, kind: str, unit: str) -> Source:
    if (known.kind, known.unit) != (kind, unit):
        raise WorldError(
            f"signal {known.name} is declared twice: as {known.kind} in {known.unit} "
            f"and as {kind} in {unit}"
        )
    return known


def _flat(prefix: str, table: Mapping[str, Any]) -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for key, value in table.items():
        name = f"{prefix}.{key}" if prefix else key
        if isinstance(value, Mapping) and not is_curve(value):
            rows += _flat(name, value)
        else:
            rows.append((name, value))
    return rows


_WORDS: Final = {
    "true": True, "yes": True, "on": True, "1": True,
    "false": False, "no": False, "off": False, "0": False,
}  # fmt: skip


def _converted(source: Source, value: Scalar) -> Scalar:
    """Return `value` as the type of `source`; people and links send text."""
    if source.kind == "text":
        return str(value)
    if source.kind == "bool":
        word = _WORDS.get(str(value).strip().lower())
        if word is None:
            raise WorldError(f'{source.name}: found "{value}", expected true or false')
        return word
    if isinstance(value, bool):
        raise WorldError(f"{source.name}: found {value}, expected a number of {source.unit}")
    return float(value) if not isinstance(value, str) else _number(source, value)


def _number(source: Source, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return parse(text, source.unit)
    except UnitError as error:
        raise WorldError(f"{source.name}: {error}") from None


def _permitted(source: Source, value: Scalar) -> Scalar:
    """Return `value` unless it is outside of what `source` can be."""
    if source.check is not None:
        try:
            source.check(value)
        except WorldError as error:
            raise WorldError(f"{source.name}: {error}") from None
    if source.kind == "number":
        low, high, number = source.minimum, source.maximum, float(value)
        below = low is not None and number < low
        above = high is not None and number > high
        if below or above or not math.isfinite(number):
            raise WorldError(
                f"{source.name}: found {number:g}, expected {low} to {high} {source.unit}"
            )
    return value
