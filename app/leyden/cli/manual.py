"""`leyden manual`: the pages that ship with the package, so that no network is needed to read."""

from __future__ import annotations

import difflib
import pydoc
import sys
from argparse import Namespace
from typing import Final

from leyden import manual
from leyden.cli.command import UsageError
from leyden.cli.parsing import Parser
from leyden.cli.terminal import Paint, columns

SUMMARY: Final = "read the manual"


def parser() -> Parser:
    """Return the command's arguments."""
    found = Parser(
        "leyden manual",
        SUMMARY,
        details="Without a page it lists all pages and examples. On a terminal it pages.",
        examples=(
            "leyden manual",
            "leyden manual start",
            "leyden manual greenhouse.toml > greenhouse.toml",
        ),
    )
    found.add_argument("page", metavar="PAGE", nargs="?", help="a page or an example")
    return found


def run(args: Namespace) -> int:
    """List the pages, or show one.

    Raises:
        UsageError: there is no such page.
    """
    if args.page is None:
        print(_listing())
        return 0
    text = _text(args.page.removesuffix(".md"))
    if sys.stdout.isatty() and sys.stdin.isatty():
        pydoc.pager(text)
    else:
        print(text, end="")
    return 0


def _text(name: str) -> str:
    if name in manual.pages():
        return manual.page(name)
    if name in manual.examples():
        return manual.example(name)
    known = [*manual.pages(), *manual.examples()]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f'; did you mean "{near[0]}"?' if near else ""
    raise UsageError(f'no page "{name}", expected one of {", ".join(known)}{hint}')


def _listing() -> str:
    bold = Paint(sys.stdout)
    pages = columns((name, summary) for name, summary in manual.pages().items())
    examples = columns((name, summary) for name, summary in manual.examples().items())
    return f"{bold('bold', 'pages')}\n{pages}\n\n{bold('bold', 'examples')}\n{examples}"
