"""The manual, shipped with the package: an appliance without a network can explain itself.

`pages()` names the pages with their titles, `page(name)` returns one as Markdown; `examples()` and
`example(name)` do the same for the files that pages speak of, ready to be copied.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).parent
_EXAMPLES: Final = ("greenhouse.toml", "examples/library.py")

# In the order in which a newcomer reads them.
_PAGES: Final = (
    "start",
    "card",
    "configuration",
    "devices",
    "values-and-quality",
    "panel",
    "log",
    "command-line",
    "worlds-and-faults",
    "library",
    "http-api",
    "processes",
    "rig",
    "troubleshooting",
    "glossary",
)


def pages() -> Mapping[str, str]:
    """Return the title of each page, by name, in reading order."""
    return {name: _first_line(_FOLDER / f"{name}.md").lstrip("# ") for name in _PAGES}


def page(name: str) -> str:
    """Return a page as Markdown.

    Raises:
        KeyError: there is no such page.
    """
    if name not in _PAGES:
        raise KeyError(name)
    return (_FOLDER / f"{name}.md").read_text("utf-8")


def examples() -> Mapping[str, str]:
    """Return what each example is, by file name."""
    return {Path(path).name: _first_line(_FOLDER / path).strip('#" ') for path in _EXAMPLES}


def example(name: str) -> str:
    """Return an example's text.

    Raises:
        KeyError: there is no such example.
    """
    for path in _EXAMPLES:
        if Path(path).name == name:
            return (_FOLDER / path).read_text("utf-8")
    raise KeyError(name)


def _first_line(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        return file.readline().strip()
