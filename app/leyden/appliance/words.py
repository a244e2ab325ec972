"""Words about configurations: what was found, what was expected, did you mean."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from typing import Any, Final

from leyden.kernel import LeydenError

_LONGEST: Final = 60  # characters of a value that a message quotes
_MOST: Final = 16  # known words that a message lists

# What pydantic calls a type, in the words of TOML.
_KINDS: Final = {
    "string_type": "text in quotes",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "model_type": "a table",
    "dataclass_type": "a table",
    "dict_type": "a table",
    "list_type": "a list",
    "tuple_type": "a list",
    "finite_number": "a number that ends",
}
_UNQUOTED: Final = {"int_type", "float_type", "bool_type"}


def shown(value: Any) -> str:
    """Return a value as a short piece of a message, nearly as TOML writes it."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return "a list of tables"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def near(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean "…"?` with the nearest known word, or nothing when none is near."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f'; did you mean "{found[0]}"?' if found else ""


def one_of(known: Iterable[str]) -> str:
    """Return a list of what is possible, cut short where it is long."""
    words = list(known)
    if len(words) == 1:
        return words[0]
    more = f" … ({len(words)} in all)" if len(words) > _MOST else ""
    return f"one of {', '.join(words[:_MOST])}{more}" if words else "none at all"


def unknown_key(key: str, known: Iterable[str]) -> str:
    """Return the sentence for a key that nothing knows."""
    known = list(known)
    return f'unknown key "{key}", expected {one_of(known)}{near(key, known)}'


def sentence(error: Any) -> str:
    """Return one of pydantic's errors as "found …, expected …"."""
    kind = error["type"]
    if kind in ("value_error", "assertion_error"):
        return str(error["ctx"]["error"])
    if kind == "missing":
        return "missing; add it"
    found = shown(error["input"])
    if kind in ("literal_error", "enum"):
        words = re.findall(r"'([^']*)'", error["ctx"]["expected"])
        return f"found {found}, expected {one_of(words)}{near(str(error['input']), words)}"
    if kind == "string_pattern_mismatch":
        return f"found {found}, expected a name of a-z 0-9 _ that begins with a letter"
    expected = _KINDS.get(kind) or error["msg"].removeprefix("Input should be ")
    bare = ", without quotes" if kind in _UNQUOTED and isinstance(error["input"], str) else ""
    return f"found {found}, expected {expected}{bare}"


def circle_words(circle: list[str], one: str, many: str) -> str:
    """Return a way that ends where it began: "a → b → a need each other"."""
    if len(circle) == 2:
        return f"{circle[0]} {one} itself; remove that"
    return f"{' → '.join(circle)} {many} each other in a circle; break it somewhere"


class ConfigError(LeydenError):
    """A configuration that cannot run; `problems` has one line for each thing wrong with it."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class Complaints:
    """Collects what is wrong with one file, each line with its place."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._lines: dict[str, None] = {}  # in order, each once

    def add(self, place: Iterable[str], text: str) -> None:
        """Note what is wrong at a key path; an empty one means the file as a whole."""
        path = ".".join(place)
        self._lines[f"{self._file}: {path}: {text}" if path else f"{self._file}: {text}"] = None

    @property
    def lines(self) -> tuple[str, ...]:
        """All of it, in order."""
        return tuple(self._lines)
