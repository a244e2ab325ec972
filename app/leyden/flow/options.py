"""Options: what a stage takes, read from the plain values that a configuration file holds.

Each option of a stage is a field of a frozen dataclass, annotated with an `Option` that names the
reader for its value. A reader returns the value or raises `ValueError` with what was found and what
was expected.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeVar, get_type_hints

from leyden import units
from leyden.flow.errors import StageError
from leyden.flow.words import did_you_mean, short
from leyden.kernel import RouteError, parse_text

Reader = Callable[[Any], Any]
T = TypeVar("T")
W = TypeVar("W", bound=StrEnum)

_RATE: Final = re.compile(r"\s*(\d+)\s+per\s+(.+)")


@dataclass(frozen=True, slots=True)
class Option:
    """How one field of an options class is written: its reader, and its name where it differs."""

    reader: Reader
    key: str = ""


def read(kind: type[T], stage: str, given: Mapping[str, Any]) -> T:
    """Return the options of a stage out of what was written.

    Raises:
        StageError: an unknown option, one that is missing, or a value that cannot be.
    """
    known = _options_of(kind)
    for key in given:
        if key not in known:
            raise StageError(
                f"{stage}.{key}",
                f"unknown option, expected one of {', '.join(known)}{did_you_mean(key, known)}",
            )
    values: dict[str, Any] = {}
    for key, (name, option, required) in known.items():
        if key in given:
            values[name] = _read_one(f"{stage}.{key}", option.reader, given[key])
        elif required:
            raise StageError(f"{stage}.{key}", "missing; this stage cannot do without it")
    return kind(**values)


def _options_of(kind: type) -> dict[str, tuple[str, Option, bool]]:
    # By the name in the file: the field's name, how it is read, and whether it must be there.
    hints = get_type_hints(kind, include_extras=True)
    found = {}
    for field in dataclasses.fields(kind):
        option: Option = hints[field.name].__metadata__[0]
        required = field.default is dataclasses.MISSING
        found[option.key or field.name] = (field.name, option, required)
    return found


def _read_one(path: str, reader: Reader, written: Any) -> Any:
    try:
        return reader(written)
    except ValueError as error:
        raise StageError(path, str(error)) from None


def count(minimum: int = 1) -> Reader:
    """A whole number, `minimum` or more."""

    def reader(written: Any) -> int:
        if not isinstance(written, int) or isinstance(written, bool) or written < minimum:
            raise ValueError(f"found {short(written)}, expected a whole number from {minimum}")
        return written

    return reader


def quantity(code: str, example: str) -> Reader:
    """A quantity above zero, written with its unit, in the unit `code`."""

    def reader(written: Any) -> float:
        if not isinstance(written, str):
            raise ValueError(
                f'found {short(written)}, expected text with a unit such as "{example}"'
            )
        value = units.parse(written, code)
        if not value > 0:
            raise ValueError(f'found "{written}", expected more than zero')
        return value

    return reader


def word(kind: type[W]) -> Callable[[Any], W]:
    """One word out of a few."""

    def reader(written: Any) -> W:
        known = [each.value for each in kind]
        if written not in known:
            guess = did_you_mean(str(written), known)
            raise ValueError(f"found {short(written)}, expected one of {', '.join(known)}{guess}")
        return kind(written)

    return reader


def flag(written: Any) -> bool:
    """True or false."""
    if not isinstance(written, bool):
        raise ValueError(f"found {short(written)}, expected true or false")
    return written


def route_key(written: Any) -> str:
    """A route's key."""
    if not isinstance(written, str):
        raise ValueError(f'found {short(written)}, expected a route such as "pump.running"')
    try:
        parse_text(written)
    except RouteError as error:
        raise ValueError(str(error)) from None
    return written


def distance(written: Any) -> float | str:
    """A distance between values: a plain number, or text with a unit."""
    if isinstance(written, str):
        return written  # its unit is compared with the route's when the stage is put in a line
    if isinstance(written, bool) or not isinstance(written, (int, float)) or not written >= 0:
        raise ValueError(f'found {short(written)}, expected a distance such as "0.5 K"')
    return float(written)


def percentage(written: Any) -> float:
    """A number of percent above zero, with or without the sign."""
    if isinstance(written, str):
        written = units.parse(written, "%")
    if isinstance(written, bool) or not isinstance(written, (int, float)) or not written > 0:
        raise ValueError(f'found {short(written)}, expected more than zero, such as "2 %"')
    return float(written)


def rate(written: Any) -> tuple[int, float]:
    """A rate such as `"1 per 5 s"`: how many, and in how many seconds."""
    match = _RATE.fullmatch(written) if isinstance(written, str) else None
    if match is None:
        raise ValueError(f'found {short(written)}, expected a rate such as "1 per 5 s"')
    many, span = match.groups()
    if re.fullmatch(r"[a-zA-Z]+", span):
        span = f"1 {span}"  # "10 per min"
    try:
        seconds = units.parse(span, "s")
    except units.UnitError as error:
        words = str(error)
        found = "" if words.startswith("found") else f"found {short(written)}, "
        raise ValueError(f"{found}{words}") from None
    if int(many) < 1 or not seconds > 0:
        raise ValueError(f'found "{written}", expected 1 or more per more than zero seconds')
    return int(many), seconds
