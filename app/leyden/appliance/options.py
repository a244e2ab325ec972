"""Driver options: reads a TOML table into a driver's OPTIONS, naming what does not fit."""

from __future__ import annotations

import dataclasses
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, TypeAlias, Union, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from leyden.appliance.words import sentence, shown, unknown_key
from leyden.hal import Quantity
from leyden.units import UNITS, UnitError, parse

Problem: TypeAlias = tuple[tuple[str, ...], str]  # the path to it below the table, and words

# "inputs.m.pin: found 9, expected 0 to 7": how an OPTIONS class says where it was.
_PLACED: Final = re.compile(r"([a-z][a-z0-9_]*(?:\.[^\s:.]+)*): (.+)", re.DOTALL)


class OptionError(ValueError):
    """Options that do not fit; `problems` holds each with the path to it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(f"{'.'.join(path)}: {text}" for path, text in problems))
        self.problems = tuple(problems)


def read_options(options: type, table: Mapping[str, Any], *, placement: Sequence[str] = ()) -> Any:
    """Return an instance of `options` made from a TOML table.

    Quantities are text with a unit. Types are those of TOML: the text "118" is no number.

    Args:
        options: a driver's OPTIONS, a dataclass.
        table: the driver's own keys.
        placement: keys of the same table that are not the driver's, for messages.

    Raises:
        OptionError: everything that does not fit.
    """
    reader = _Reader(placement)
    prepared = reader.prepare(options, table, ())
    if reader.problems:
        raise OptionError(reader.problems)
    try:
        # By way of JSON, because there a strict reader still takes a table for a dataclass.
        return TypeAdapter(options).validate_json(to_json(prepared), strict=True)
    except ValidationError as error:
        known = set(_names(options))
        raise OptionError([_placed(each, known) for each in error.errors(include_url=False)]) from (
            error
        )


def option_names(options: type) -> list[str]:
    """Return the keys of a driver's options."""
    return [field.name for field in dataclasses.fields(options)]


class _Reader:
    """Turns quantities into numbers and finds unknown keys; pydantic judges the rest."""

    def __init__(self, placement: Sequence[str]) -> None:
        self.problems: list[Problem] = []
        self._placement = placement

    def prepare(self, hint: Any, value: Any, path: tuple[str, ...]) -> Any:
        """Return `value` with every quantity in it as a number of the unit the driver wants."""
        quantity = _quantity(hint)
        if quantity is not None:
            return self._number(quantity, value, path)
        inner = _inner(hint)
        if dataclasses.is_dataclass(inner) and isinstance(value, Mapping):
            return self._table(inner, value, path)
        if isinstance(value, Mapping) and _is(inner, Mapping):
            kind = get_args(inner)[1]
            return {key: self.prepare(kind, item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list) and _is(inner, Sequence):
            kind = get_args(inner)[0]
            return [self.prepare(kind, item, (*path, str(i))) for i, item in enumerate(value)]
        return value

    def _table(self, kind: Any, value: Mapping[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
        hints = get_type_hints(kind, include_extras=True)
        known = option_names(kind)
        shared = [] if path else self._placement
        for key in [each for each in value if each not in known]:
            self.problems.append(((*path, key), unknown_key(key, [*shared, *known])))
        return {
            key: self.prepare(hints[key], item, (*path, key))
            for key, item in value.items()
            if key in known
        }

    def _number(self, quantity: Quantity, value: Any, path: tuple[str, ...]) -> Any:
        plain = isinstance(value, (int, float)) and not isinstance(value, bool)
        if plain and quantity.code == "1":
            return float(value)
        if not isinstance(value, str):
            self.problems.append((path, f"found {shown(value)}, expected {_example(quantity)}"))
            return value
        try:
            return parse(value, quantity.code)
        except UnitError as error:
            self.problems.append((path, str(error)))
            return value


def _placed(error: Any, known: set[str]) -> Problem:
    """Return one of pydantic's errors with the path that its own words may continue."""
    path = tuple(str(part) for part in error["loc"])
    text = sentence(error)
    match = _PLACED.fullmatch(text)
    if match is not None and match[1].partition(".")[0] in known:
        return (*path, *match[1].split(".")), match[2]
    return path, text


def _names(options: Any) -> Iterator[str]:
    """Yield the names of all fields of a dataclass and of those inside it."""
    for name, hint in get_type_hints(options, include_extras=True).items():
        yield name
        for inner in (_inner(hint), *get_args(_inner(hint))):
            if dataclasses.is_dataclass(inner):
                yield from _names(inner)


def _quantity(hint: Any) -> Quantity | None:
    # The mark may stand on the type itself or on one arm of `… | None`.
    for arm in (hint, *_arms(hint)):
        if get_origin(arm) is Annotated:
            found = next((each for each in get_args(arm)[1:] if isinstance(each, Quantity)), None)
            if found is not None:
                return found
    return None


def _example(quantity: Quantity) -> str:
    if quantity.code == "1":
        return 'a number such as 0.5, or text such as "50 %"'
    unit = UNITS[quantity.code].symbol or quantity.code
    return f'text with a unit such as "10 {unit}"'


def _arms(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else ()


def _inner(hint: Any) -> Any:
    bare = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    arms = [arm for arm in _arms(bare) if arm is not type(None)]
    return arms[0] if len(arms) == 1 else bare


def _is(hint: Any, kind: type) -> bool:
    origin = get_origin(hint)
    return isinstance(origin, type) and issubclass(origin, kind) and bool(get_args(hint))
