"""Reads the curves of a modelled world from plain tables, as a configuration file holds them.

    "air.temperature" = { sine = { mean = "21 °C", amplitude = 3, period = "10 min" }, noise = 0.1 }
    "door.closed"     = { step = { points = [["0 s", true], ["4 s", false]], repeat = "6 s" } }

Several curves in one table are added up. A number is in the signal's own unit, text carries one.
"""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from leyden.hal.errors import WorldError
from leyden.hal.mock.curves import (
    Constant,
    Curve,
    Noise,
    Ramp,
    RandomWalk,
    Recorded,
    Scalar,
    Sine,
    Step,
    Sum,
)
from leyden.units import UnitError, parse, parse_difference


def courses() -> tuple[str, ...]:
    """Return the words that a course can have, such as "sine"."""
    return tuple(sorted(_READERS))


def is_curve(table: Mapping[str, Any]) -> bool:
    """Whether a table describes a course, rather than holding further names."""
    return bool(table) and all(key in _READERS for key in table)


def read_curve(place: str, script: Any, kind: str, unit: str, folder: Path) -> Curve:
    """Return the curve that a value or table of a configuration describes.

    Args:
        place: the key, for messages: "world.air.temperature".
        script: a plain value, or a table of curves.
        kind: "number", "bool" or "text".
        unit: UCUM code of the signal.
        folder: where relative CSV paths begin.

    Raises:
        WorldError: names the key, what was found and what was expected.
    """
    if not isinstance(script, Mapping):
        return Constant(_Table(place, {"value": script}, kind, unit, folder).scalar("value"))
    parts: list[Curve] = []
    for word, fields in script.items():
        here = f"{place}.{word}"
        table = fields if isinstance(fields, Mapping) else {_SHORT.get(word, "value"): fields}
        parts.append(_read_part(word, _Table(here, table, kind, unit, folder), len(script) > 1))
    return parts[0] if len(parts) == 1 else Sum(tuple(parts))


def _read_part(word: str, table: _Table, one_of_many: bool) -> Curve:
    reader, numbers_only = _READERS[word]
    if (numbers_only or one_of_many) and table.kind != "number":
        raise WorldError(
            f"{table.place}: this signal is a {table.kind}, expected a value or a step"
        )
    curve = reader(table)
    table.close()
    return curve


class _Table:
    """One curve's fields, taken out by name and type; what is left over is a mistake."""

    def __init__(
        self, place: str, fields: Mapping[str, Any], kind: str, unit: str, folder: Path
    ) -> None:
        self.place = place
        self.kind = kind
        self.unit = unit
        self.folder = folder
        self._fields = dict(fields)
        self._asked: list[str] = []

    def take(self, name: str, default: Any = None) -> Any:
        """Return a field as it stands; without a default it has to be there."""
        self._asked.append(name)
        value = self._fields.pop(name, default)
        if value is None:
            raise WorldError(f'{self.place}: found no "{name}", expected one')
        return value

    def scalar(self, name: str) -> Scalar:
        """Return a value of the signal's type."""
        return self.convert(name, self.take(name))

    def number(self, name: str, default: float | None = None) -> float:
        """Return a number in the signal's unit."""
        return self._quantity(name, self.take(name, default), self.unit)

    def difference(self, name: str, default: float | None = None) -> float:
        """Return a distance between two values: 3 K are 3 °C of difference, not -270 °C."""
        return self._quantity(name, self.take(name, default), self.unit, parse_difference)

    def seconds(self, name: str, default: float | None = None) -> float:
        """Return a time of more than nothing, in seconds."""
        value = self._quantity(name, self.take(name, default), "s")
        if value <= 0:
            raise WorldError(f"{self.place}.{name}: found {value:g} s, expected more than 0 s")
        return value

    def flag(self, name: str) -> bool:
        """Return a bool that is false where it is not given."""
        value = self.take(name, False)
        if not isinstance(value, bool):
            raise WorldError(f"{self.place}.{name}: found {value!r}, expected true or false")
        return value

    def points(self) -> tuple[tuple[float, Scalar], ...]:
        """Return `points`, each [time, value], in rising order."""
        rows = self.take("points")
        if not isinstance(rows, (list, tuple)) or not rows or not all(map(_is_pair, rows)):
            raise WorldError(f"{self.place}.points: found {rows!r}, expected [[time, value], …]")
        times = [self._quantity("points", time, "s") for time, _ in rows]
        values = [self.convert("points", value) for _, value in rows]
        return _rising(f"{self.place}.points", tuple(zip(times, values, strict=True)))

    def has(self, name: str) -> bool:
        """Whether a field is given."""
        return name in self._fields

    def close(self) -> None:
        """Refuse fields that nobody asked for."""
        if self._fields:
            raise WorldError(
                f"{self.place}: found {', '.join(map(repr, self._fields))}, "
                f"expected {', '.join(self._asked)}"
            )

    def convert(self, name: str, value: Any) -> Scalar:
        """Return any value as the signal's type."""
        if self.kind == "number":
            return self._quantity(name, value, self.unit)
        wanted: type = bool if self.kind == "bool" else str
        if not isinstance(value, wanted):
            raise WorldError(f"{self.place}: found {value!r}, expected a {self.kind}")
        return bool(value) if self.kind == "bool" else str(value)

    def _quantity(
        self, name: str, value: Any, unit: str, read: Callable[[str, str], float] = parse
    ) -> float:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if math.isfinite(value):
                return float(value)
        elif isinstance(value, str):
            return self._parse(name, value, unit, read)
        raise WorldError(f"{self.place}: found {value!r} as {name}, expected a quantity")

    def _parse(self, name: str, value: str, unit: str, read: Callable[[str, str], float]) -> float:
        try:
            return read(value, unit)
        except UnitError as error:
            raise WorldError(f"{self.place}: {name}: {error}") from None


def _is_pair(row: object) -> bool:
    return isinstance(row, (list, tuple)) and len(row) == 2


def _constant(table: _Table) -> Curve:
    return Constant(table.scalar("value"))


def _ramp(table: _Table) -> Curve:
    return Ramp(
        table.number("from"), table.number("to"), table.seconds("over"), table.flag("repeat")
    )


def _sine(table: _Table) -> Curve:
    delay = table.seconds("delay") if table.has("delay") else 0.0
    return Sine(table.number("mean"), table.difference("amplitude"), table.seconds("period"), delay)


def _noise(table: _Table) -> Curve:
    # Without a mean it is the noise on top of the other curves in the table.
    return Noise(table.number("mean", 0.0), table.difference("spread"), table.seconds("every", 1.0))


def _walk(table: _Table) -> Curve:
    pull = table.take("pull", 0.01)
    if not isinstance(pull, (int, float)) or not 0 <= pull <= 1:
        raise WorldError(f"{table.place}.pull: found {pull!r}, expected 0 to 1")
    every = table.seconds("every", 1.0)
    return RandomWalk(table.number("start"), table.difference("step"), every, float(pull))


def _step(table: _Table) -> Curve:
    points = table.points()
    return Step(points, table.seconds("repeat") if table.has("repeat") else None)


def _csv(table: _Table) -> Curve:
    path = table.folder / str(table.take("path"))
    points = _read_csv(table.place, path)
    return Recorded(points, table.flag("repeat"))


def _read_csv(place: str, path: Path) -> tuple[tuple[float, float], ...]:
    """Return the rows of a file whose first two columns are seconds and value, head optional."""
    if path.exists() and not path.is_file():  # a device may never end, a pipe may never begin
        raise WorldError(f"{place}.path: {path} is no ordinary file")
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError) as error:
        raise WorldError(f"{place}.path: cannot read {path}: {error}") from None
    points: list[tuple[float, float]] = []
    for number, row in enumerate(rows, start=1):
        try:
            points.append(_finite(row))
        except (ValueError, IndexError):
            if number > 1:
                raise WorldError(
                    f"{place}.path: {path} row {number}: found {row}, expected seconds and a value"
                ) from None
    if not points:
        raise WorldError(f"{place}.path: {path} holds no rows, expected seconds and a value")
    _rising(f"{place}.path: {path}", tuple(points))
    return tuple(points)


def _finite(row: list[str]) -> tuple[float, float]:
    seconds, value = float(row[0]), float(row[1])
    if not math.isfinite(seconds + value):
        raise ValueError(f"found {row}, expected numbers that end")
    return seconds, value


def _rising(
    place: str, points: tuple[tuple[float, Scalar], ...]
) -> tuple[tuple[float, Scalar], ...]:
    if any(a[0] >= b[0] for a, b in itertools.pairwise(points)):
        raise WorldError(f"{place}: found times out of order, expected each later than the last")
    return points


_READERS: Final[Mapping[str, tuple[Callable[[_Table], Curve], bool]]] = {
    # word: (reader, whether it makes sense of numbers only)
    "constant": (_constant, False),
    "step": (_step, False),
    "ramp": (_ramp, True),
    "sine": (_sine, True),
    "noise": (_noise, True),
    "random_walk": (_walk, True),
    "csv": (_csv, True),
}
_SHORT: Final = {"noise": "spread", "csv": "path", "step": "points"}  # field of a bare value
