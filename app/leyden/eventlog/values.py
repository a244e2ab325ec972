"""How every kind of value survives JSON: what JSON lacks is written as an object with one `$` key.

| value | in a line |
|---|---|
| bytes | `{"$bytes": "<base64>"}` |
| not a number, infinite | `{"$float": "nan"}`, `"inf"`, `"-inf"` |
| text that is not Unicode (lone surrogates) | `{"$text": "<base64 of UTF-8, surrogates passed>"}` |
| a mapping with a key that begins with `$` | `{"$map": [[key, value], …]}` |

A record type (a frozen `msgspec.Struct`) is written as the object of its fields and read back as a
mapping: a log never decides what code is loaded.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from leyden.kernel import FrozenDict, Value

# Types whose values JSON carries as they are. A float is not always one, see `portable`.
PLAIN: Final = frozenset({type(None), bool, int, float, str})


def portable(value: Value) -> Any:
    """Return `value` in a form that JSON carries without loss.

    Raises:
        TypeError: something in it is neither plain data nor a frozen record.
    """
    for kind, write in _WRITERS:
        if isinstance(value, kind):
            return write(value)
    raise TypeError(f"found {type(value).__name__} in a value, expected plain data")


def restore(value: Any) -> Value:
    """Return the value that `portable` was given, frozen; what it never writes stays as it is."""
    if type(value) in PLAIN:
        return value
    if isinstance(value, dict):
        return _restore_mapping(value)
    return tuple(restore(item) for item in value)


def clean_text(text: str) -> str:
    """Return `text` with what is not Unicode replaced by question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _portable_text(text: str) -> Any:
    try:
        text.encode()
    except UnicodeEncodeError:
        return {"$text": base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()}
    return text


def _portable_mapping(value: Mapping[str, Value]) -> Any:
    if all(not key.startswith("$") and key.isprintable() for key in value):
        return {key: portable(item) for key, item in value.items()}
    return {"$map": [[_portable_text(key), portable(item)] for key, item in value.items()]}


def _portable_float(value: float) -> Any:
    return float(value) if math.isfinite(value) else {"$float": repr(float(value))}


def _portable_bytes(value: bytes) -> Any:
    return {"$bytes": base64.b64encode(value).decode()}


def _portable_items(value: Iterable[Value]) -> Any:
    return [portable(item) for item in value]


def _portable_record(value: msgspec.Struct) -> Any:
    return portable(msgspec.to_builtins(value, builtin_types=(bytes,)))


# In this order: a bool is an int, and a member of an IntEnum is written as its number.
_WRITERS: Final[tuple[tuple[type, Callable[[Any], Any]], ...]] = (
    (type(None), lambda value: value),
    (bool, lambda value: value),
    (int, int),
    (float, _portable_float),
    (str, lambda value: _portable_text(str.__str__(value))),
    (bytes, _portable_bytes),
    (Mapping, _portable_mapping),
    (tuple, _portable_items),
    (list, _portable_items),
    (msgspec.Struct, _portable_record),
)


def _restore_mapping(value: dict[str, Any]) -> Value:
    if len(value) == 1:
        (key, inner), *_ = value.items()
        if key.startswith("$"):
            try:
                return _SPECIAL[key](inner)
            except (KeyError, TypeError, ValueError, binascii.Error):
                pass  # not of our making: keep what is there
    return FrozenDict({key: restore(item) for key, item in value.items()})


def _restore_map(pairs: list[list[Any]]) -> FrozenDict:
    return FrozenDict({restore(key): restore(item) for key, item in pairs})


_SPECIAL: Final[dict[str, Callable[[Any], Value]]] = {
    "$bytes": lambda text: base64.b64decode(text, validate=True),
    "$float": lambda text: {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[text],
    "$text": lambda text: base64.b64decode(text, validate=True).decode("utf-8", "surrogatepass"),
    "$map": _restore_map,
}
