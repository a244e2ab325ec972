"""Variables of layers: a description, a default, and what may be set."""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from leyden_image.errors import ImageError

Value = int | str

_RANGE: Final = re.compile(r"^(\d+)\.\.(\d+)$")


class Variable(Struct, frozen=True, forbid_unknown_fields=True):
    """What an image may set in a layer.

    Attributes:
        description: one line for people.
        default: the value where an image says nothing.
        valid: `1..22` for whole numbers between two bounds, `a | b` for a choice of words.
    """

    description: str
    default: Value
    valid: str


def check_value(where: str, variable: Variable, value: Value) -> None:
    """Raise `ImageError` unless the value is one that the variable allows."""
    if found := _RANGE.match(variable.valid):
        low, high = int(found[1]), int(found[2])
        if isinstance(value, int) and low <= value <= high:
            return
        raise ImageError(f"{where} is {value!r}; a whole number from {low} to {high} is expected")
    choices = [word.strip() for word in variable.valid.split("|")]
    if value not in choices:
        raise ImageError(f"{where} is {value!r}; one of {', '.join(choices)} is expected")
