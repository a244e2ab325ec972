"""The code blocks of the manual's pages, and a place in which they can be run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leyden import manual

_FENCE = re.compile(r"^```(?P<info>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    page: str
    line: int
    info: str  # "toml", "toml fails", "python library.py", "console"
    text: str

    @property
    def language(self) -> str:
        return self.info.partition(" ")[0]

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(language: str = "") -> list[Block]:
    """Every block of a language, page by page; of all languages without one."""
    found = [block for page in manual.pages() for block in _in(page)]
    return [block for block in found if language in ("", block.language)]


def _in(page: str) -> Iterator[Block]:
    text = manual.page(page)
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        yield Block(page, line, match["info"], match["text"])


@dataclass(frozen=True)
class Command:
    """One command of a console block, and the lines shown below it."""

    words: tuple[str, ...]
    target: str  # file that its output goes to, or nothing
    shown: tuple[str, ...]


def commands(block: Block) -> list[Command]:
    """The commands of a console block, in order."""
    found: list[Command] = []
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        typed, *shown = part.replace("\\\n", " ").splitlines()
        typed, _, target = typed.partition(" > ")
        found.append(Command(tuple(shlex.split(typed)), target.strip(), tuple(shown)))
    return found


def shows(found: str, shown: tuple[str, ...]) -> bool:
    """Whether the shown lines, with … for anything, occur in this order in what was found."""
    lines = iter(line.rstrip() for line in found.splitlines())
    return all(any(_matches(line, wanted) for line in lines) for wanted in shown if wanted != "…")


def _matches(line: str, wanted: str) -> bool:
    # Spaces for alignment may differ in number, as long as there are some.
    pattern = ".*".join(re.escape(part.strip()) for part in wanted.split("…"))
    return re.search(re.sub(r"(\\ )+", r"\\s+", pattern), line) is not None


def merged(base: Mapping[str, Any], table: Mapping[str, Any]) -> dict[str, Any]:
    """A table over another one, key by key."""
    result = dict(base)
    for key, value in table.items():
        old = result.get(key)
        alone = isinstance(value, Mapping) and "driver" in value  # a device written out
        if isinstance(old, Mapping) and isinstance(value, Mapping) and not alone:
            result[key] = merged(old, value)
        else:
            result[key] = value
    return result


def as_toml(table: Mapping[str, Any]) -> str:
    """A table as TOML, each top-level key on a line."""
    return "".join(f"{_toml(key)} = {_toml(value)}\n" for key, value in table.items())


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_toml(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return repr(value)


def section(page: str, heading: str) -> str:
    """The text below a heading of a page, up to the next heading of its rank or above."""
    rank = heading.partition(" ")[0]
    text = f"\n{manual.page(page)}"
    start = text.index(f"\n{heading}")
    rest = text[start + 1 :].partition("\n")[2]
    end = re.search(rf"^#{{1,{len(rank)}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def first_cells(text: str) -> list[str]:
    """The code in the first cell of each row of the tables in a text."""
    return re.findall(r"^\| `([^`]+)`", text, re.MULTILINE)


def write(path: Path, text: str) -> Path:
    """Write a file and return its path."""
    path.write_text(text, encoding="utf-8")
    return path
