"""Driver options: reads a TOML table into a driver's OPTIONS, naming what does not fit."""

from __future__ import annotations

import dataclasses
import difflib
import types
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from leyden.hal import Quantity
from leyden.units import UnitError, parse


class OptionError(ValueError):
    """One option that does not fit: the path to it and what to do."""

    def __init__(self, path: tuple[str, ...], text: str) -> None:
        super().__init__(text)
        self.path = path
        self.text = text


def read_options(options: type, table: Mapping[str, Any]) -> Any:
    """Return an instance of `options` made from a TOML table.

    Quantities are text with a unit; unknown keys are refused with the nearest known one.

    Raises:
        OptionError: the first thing that does not fit.
    """
    prepared = _prepare(options, table, ())
    try:
        return TypeAdapter(options).validate_python(prepared)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = tuple(str(part) for part in first["loc"])
        raise OptionError(path, sentence(first)) from error


def sentence(error: Any) -> str:
    """Return what pydantic found wrong as "found …, expected …"."""
    if error["type"] in ("value_error", "assertion_error"):
        return str(error["ctx"]["error"])
    if error["type"] == "missing":
        return "missing; add it"
    words = error["msg"].removeprefix("Input should be ")
    return f"found {shown(error['input'])}, expected {words}"


def shown(value: Any) -> str:
    """Return a value as a short piece of a message."""
    text = f'"{value}"' if isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def unknown_key(key: str, known: Iterable[str]) -> str:
    """Return the sentence for a key that nothing knows."""
    known = list(known)
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f'; did you mean "{near[0]}"?' if near else ""
    return f'unknown key "{key}", expected one of {", ".join(known)}{hint}'


def _prepare(hint: Any, value: Any, path: tuple[str, ...]) -> Any:
    # Turns text with a unit into numbers wherever the dataclass marks a Quantity, and refuses keys
    # it does not have; everything else is left for pydantic to judge.
    quantity = _quantity(hint)
    if quantity is not None:
        return _number(quantity, value, path)
    inner = _inner(hint)
    if dataclasses.is_dataclass(inner) and isinstance(value, Mapping):
        return _table(inner, value, path)
    if get_origin(inner) in _MAPPINGS and isinstance(value, Mapping):
        kind = get_args(inner)[1]
        return {key: _prepare(kind, item, (*path, str(key))) for key, item in value.items()}
    return value


_MAPPINGS = (dict, Mapping)


def _table(kind: Any, value: Mapping[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    known = [field.name for field in dataclasses.fields(kind)]
    for key in value:
        if key not in known:
            raise OptionError((*path, key), unknown_key(key, known))
    return {key: _prepare(hints[key], item, (*path, key)) for key, item in value.items()}


def _quantity(hint: Any) -> Quantity | None:
    # The mark may stand on the type itself or on one arm of `… | None`.
    for arm in (hint, *_arms(hint)):
        if get_origin(arm) is Annotated:
            found = next((each for each in get_args(arm)[1:] if isinstance(each, Quantity)), None)
            if found is not None:
                return found
    return None


def _arms(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else ()


def _inner(hint: Any) -> Any:
    bare = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    arms = [arm for arm in _arms(bare) if arm is not type(None)]
    return arms[0] if len(arms) == 1 else bare


def _number(quantity: Quantity, value: Any, path: tuple[str, ...]) -> Any:
    if not isinstance(value, str):
        return value if value is None else _refuse_bare(quantity, value, path)
    try:
        return parse(value, quantity.code)
    except UnitError as error:
        raise OptionError(path, str(error)) from error


def _refuse_bare(quantity: Quantity, value: Any, path: tuple[str, ...]) -> Any:
    if quantity.code == "1" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    raise OptionError(
        path, f'found {shown(value)}, expected text with a unit such as "10 {quantity.code}"'
    )
