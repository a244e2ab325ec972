"""Statements: a TOML file piece by piece, so that one wrong line costs only itself.

A TOML reader refuses a file as a whole and names no line for a value. Here the file is cut into
statements, each a `[table]` or a `key = value`, with the lines it stands on. A file that is TOML
means exactly what `tomllib` says. Of one that is not, the statements that make sense are taken, and
the others are named.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, TypeAlias

from leyden.appliance.card.text_file import lines_of

Path: TypeAlias = tuple[str, ...]

_TRIES: Final = 2000  # prefixes of long values that are tried in one file
_DEEPEST: Final = 12  # tables in tables; no file for people has more
_POSITION: Final = re.compile(r" \(at (?:line \d+, column \d+|end of document)\)$")
_NEXT: Final = re.compile(r"""\s*(?:\[|[A-Za-z0-9_."'-]+\s*=)""")
_ASSIGNED: Final = re.compile(r"""\s*([A-Za-z0-9_."'-]+)\s*=\s*(.*)""", re.DOTALL)
_OPENERS: Final = ('"""', "'''", "[", "{")
_CLOSERS: Final = ('"""', "'''", "]", "}")
_MEANINGS: Final = (  # of what tomllib says
    ("illegal character '\\n'", "has no closing quote"),
    ("unterminated string", "has no closing quote"),
    ('expected "\'"', "has no closing quote"),
    ("illegal character", "has a control character; letters, digits and signs only"),
    ("unescaped '\\'", "has a backslash; write it twice, or use single quotes: key = '…'"),
    ("cannot overwrite a value", "is set a second time; the first one counts"),
)
_CURLY: Final = ("\u201c", "\u201d", "\u201e", "\u2018", "\u2019", "\u00ab", "\u00bb")


class Kind(Enum):
    """What a statement is."""

    BLANK = "blank"  # empty, or a comment
    TABLE = "table"
    VALUE = "value"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement and where it stands."""

    kind: Kind
    first: int  # line, from 1
    last: int
    table: Path  # the table it opens or stands in
    paths: tuple[Path, ...] = ()  # of the values it sets, from the top
    problem: str = ""  # why it is broken


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says."""

    table: dict[str, Any]
    statements: tuple[Statement, ...]
    whole: bool  # whether it is TOML from end to end

    @property
    def broken(self) -> tuple[Statement, ...]:
        """The statements that were left out; none where the file is TOML."""
        if self.whole:
            return ()
        return tuple(each for each in self.statements if each.kind is Kind.BROKEN)

    def line(self, path: Sequence[str]) -> int | None:
        """Return the line on which a value, or else the nearest table around it, begins."""
        wanted = tuple(path)
        while wanted:
            for each in self.statements:
                opened = each.kind is Kind.TABLE and each.table == wanted
                if opened or any(one[: len(wanted)] == wanted for one in each.paths):
                    return each.first
            wanted = wanted[:-1]
        return None


def read(text: str) -> Document:
    """Return what a text says, and which of its lines make no sense."""
    reader = _Reader(lines_of(text))
    statements = tuple(reader.statements())
    try:
        return Document(tomllib.loads(_plain(text)), statements, whole=True)
    except (ValueError, RecursionError):
        return Document(reader.table, statements, whole=False)


def key_of(line: str) -> str:
    """Return the key that a line seems to set, whether it makes sense or not; "" if none."""
    assigned = _ASSIGNED.match(line)
    return assigned[1].rpartition(".")[2].strip("\"'") if assigned else ""


class _Reader:
    """Cuts lines into statements and puts together what makes sense of them."""

    def __init__(self, lines: list[str]) -> None:
        self.table: dict[str, Any] = {}
        self._lines = [_plain(line) for line in lines]
        self._tries = _TRIES
        self._here: Path | None = ()  # None: under a table whose head is broken
        self._current = self.table

    def statements(self) -> Iterator[Statement]:
        index = 0
        while index < len(self._lines):
            statement = self._at(index)
            yield statement
            index = statement.last

    def _at(self, index: int) -> Statement:
        line = self._lines[index].strip()
        if not line or line.startswith("#"):
            return Statement(Kind.BLANK, index + 1, index + 1, self._here or ())
        if line.startswith("["):
            return self._head(index)
        return self._value(index)

    def _head(self, index: int) -> Statement:
        line = self._lines[index]
        try:
            path, many = _opened(tomllib.loads(line)), line.strip().startswith("[[")
            self._current = _descend(self.table, path, many=many)
        except (ValueError, RecursionError) as error:
            self._here = None
            words = f"{_reason(error)}; what follows up to the next [table] is left out too"
            return Statement(Kind.BROKEN, index + 1, index + 1, (), problem=words)
        self._here = path
        return Statement(Kind.TABLE, index + 1, index + 1, path)

    def _value(self, index: int) -> Statement:
        found, last, problem = self._longest(index)
        here = self._here
        if here is None:
            return Statement(Kind.BROKEN, index + 1, last, ())
        if problem:
            return Statement(Kind.BROKEN, index + 1, last, here, problem=problem)
        paths = tuple((*here, *path) for path in _leaves(found))
        try:
            _merge(self._current, found)
        except ValueError as error:
            return Statement(Kind.BROKEN, index + 1, last, here, paths, str(error))
        return Statement(Kind.VALUE, index + 1, last, here, paths)

    def _longest(self, index: int) -> tuple[dict[str, Any], int, str]:
        """Return what a statement says, its last line, and what is wrong with it."""
        try:
            return tomllib.loads(self._lines[index]), index + 1, ""
        except (ValueError, RecursionError) as error:
            problem = _hint(self._lines[index]) or _reason(error)
        assigned = _ASSIGNED.fullmatch(self._lines[index])
        if assigned is None or not assigned[2].startswith(_OPENERS):
            return {}, index + 1, problem
        for last in range(index + 1, len(self._lines)):
            if not any(mark in self._lines[last] for mark in _CLOSERS):
                continue
            if self._tries == 0:
                break
            self._tries -= 1
            try:
                return tomllib.loads("".join(self._lines[index : last + 1])), last + 1, ""
            except (ValueError, RecursionError):
                continue  # not its end yet
        opener = next(mark for mark in _OPENERS if assigned[2].startswith(mark))
        words = f"begins with {opener} and has no matching end, or something in between is wrong"
        return {}, self._up_to_next(index), words

    def _up_to_next(self, index: int) -> int:
        following = range(index + 1, len(self._lines))
        return next((i for i in following if _NEXT.match(self._lines[i])), len(self._lines))


def _plain(text: str) -> str:
    # Line ends as TOML wants them; old DOS editors end a file with Ctrl-Z.
    return text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\x1a")


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    words = _POSITION.sub("", str(error)).lower()
    for begins, meaning in _MEANINGS:
        if words.startswith(begins):
            return meaning
    # What follows a colon may be a character of a password.
    return f"is no TOML: {words.partition(':')[0].rstrip('.')}"


def _hint(line: str) -> str:
    """Return words for the mistakes that people make, without quoting what may be secret."""
    if any("\udc80" <= char <= "\udcff" for char in line):
        return "has letters that are not UTF-8; save the file as UTF-8"
    if "\0" in line:
        return "holds zero bytes, as after a power cut while the file was saved; write it again"
    if any(mark in line.partition("#")[0] for mark in _CURLY):
        return "has typographic quotes; use the straight ones, \" or '"
    assigned = _ASSIGNED.match(line)
    if assigned is None:
        return 'is no TOML; expected a line such as: hostname = "greenhouse"'
    return _hint_about(assigned[1], assigned[2].strip())


def _hint_about(key: str, value: str) -> str:
    if not value:
        return f'has no value; expected {key} = "…"'
    if value[0].isalpha() or value[0] == "$":
        return f'is no TOML; text needs quotes: {key} = "…"'
    return ""


def _opened(parsed: dict[str, Any]) -> Path:
    """Return the path of the only table in what a head alone says."""
    path: list[str] = []
    here: Any = parsed
    while isinstance(here, dict) and here:
        if len(path) == _DEEPEST:
            raise ValueError("too many tables in tables")
        ((key, here),) = here.items()
        path.append(key)
    return tuple(path)


def _descend(table: dict[str, Any], path: Path, *, many: bool) -> dict[str, Any]:
    """Return the table at a path, made where it is missing; `many`: the newest of a list."""
    here: Any = table
    for depth, key in enumerate(path):
        last = depth == len(path) - 1
        below = here.setdefault(key, [] if many and last else {})
        if isinstance(below, list):
            if many and last:
                below.append({})
            below = below[-1] if below else None
        if not isinstance(below, dict):
            raise ValueError(f"{'.'.join(path)} is a value already")
        here = below
    found: dict[str, Any] = here
    return found


def _leaves(table: dict[str, Any]) -> Iterator[Path]:
    """Yield the paths of the values in a table, those that lie too deep as their tables."""
    waiting: list[tuple[Path, Any]] = [((), table)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict) and value and len(path) < _DEEPEST:
            waiting += [((*path, key), inner) for key, inner in reversed(value.items())]
        elif path:
            yield path


def _merge(table: dict[str, Any], new: dict[str, Any]) -> None:
    for key, value in new.items():
        if key not in table:
            table[key] = value
        elif isinstance(table[key], dict) and isinstance(value, dict):
            _merge(table[key], value)
        else:
            raise ValueError(f"{key} is set a second time; the first one counts")
