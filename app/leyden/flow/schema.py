"""Schemas at work: whether a value is what its route carries, and whether two routes fit."""

from __future__ import annotations

import math
from typing import Any

from leyden.flow.errors import SchemaError
from leyden.flow.words import number_words, short, symbol
from leyden.kernel import Doubt, Layer, Origin, Plane, Route, Schema, Variant, parse_text

_TYPES: dict[str, tuple[type, ...]] = {
    "float": (float, int),
    "int": (int,),
    "bool": (bool,),
    "text": (str,),
    "bytes": (bytes,),
}


def conform(schema: Schema, value: Any) -> tuple[Any, Doubt | None]:
    """Return the value as the route carries it, and why it is bad if it is.

    A number outside the schema's range, or one that is not finite, is no measurement: it comes back
    as None with reason `out_of_range`.

    Raises:
        SchemaError: the value is of another type.
    """
    wanted = _TYPES.get(schema.id)
    if wanted is None:
        return value, None  # json and record types carry what the stream can freeze
    kind = type(value)
    if not issubclass(kind, wanted) or (kind is bool and schema.id != "bool"):
        raise SchemaError(f"found {short(value)}, expected {schema.id}")
    return _conform_number(schema, value) if schema.id in ("float", "int") else (value, None)


def derived_route(key: str, schema: Schema) -> Route:
    """Return the route that a key names, as one that the graph publishes on.

    Raises:
        RouteError: the key is malformed.
    """
    parts = parse_text(key)
    return Route.of(
        parts["name"],
        schema,
        origin=Origin.DERIVED,
        plane=Plane(parts.get("plane", Plane.READ)),
        layer=Layer(parts.get("layer", Layer.LOGICAL)),
        variant=Variant(parts.get("variant", Variant.PAYLOAD)),
    )


def misfit(given: Schema, taken: Schema) -> str:
    """Return why values of one schema cannot go where another is expected; empty if they can."""
    if (given.id, given.version) != (taken.id, taken.version):
        return f"found {_kind(given)}, expected {_kind(taken)}"
    if given.unit != taken.unit:
        return f"found {_unit(given)}, expected {_unit(taken)}"
    return ""


def _conform_number(schema: Schema, value: float) -> tuple[Any, Doubt | None]:
    try:
        number = float(value)
    except OverflowError:  # a whole number beyond what a measurement can be
        number = math.inf
    if not _in_range(schema, number):
        return None, Doubt.bad("out_of_range", f"{number_words(number)} is not {_range(schema)}")
    return (number if schema.id == "float" else value), None


def _in_range(schema: Schema, value: float) -> bool:
    if not math.isfinite(value):
        return False
    low = -math.inf if schema.minimum is None else schema.minimum
    high = math.inf if schema.maximum is None else schema.maximum
    return low <= value <= high


def _range(schema: Schema) -> str:
    ends = [None if end is None else number_words(end) for end in (schema.minimum, schema.maximum)]
    if ends == [None, None]:
        return "a finite number"
    return f"between {ends[0] or 'any'} and {ends[1] or 'any'} {symbol(schema.unit)}".strip()


def _kind(schema: Schema) -> str:
    return schema.id if schema.version == 1 else f"{schema.id}@{schema.version}"


def _unit(schema: Schema) -> str:
    return symbol(schema.unit) or "plain numbers"
