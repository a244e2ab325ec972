"""Terminals: colours, columns and progress, only where a person looks."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TextIO

_CODES: Final = {"bold": "1", "soft": "2", "good": "32", "uncertain": "33", "bad": "31"}
_ESCAPES: Final = re.compile("\033\\[[0-9]*m")


class Paint:
    """Colours text for one stream, and leaves it alone where colour is not wanted.

    Args:
        stream: where the text goes; only a terminal gets colours.
        environ: `NO_COLOR` set to anything, or `TERM=dumb`, means none.
    """

    def __init__(self, stream: TextIO, environ: Mapping[str, str] = os.environ) -> None:
        wanted = not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
        self.on = wanted and stream.isatty()

    def __call__(self, style: str, text: str) -> str:
        """Return `text` in a style: bold, soft, good, uncertain or bad; "" leaves it."""
        code = _CODES.get(style)
        return f"\033[{code}m{text}\033[0m" if self.on and code and text else text


def columns(rows: Iterable[Sequence[str]], indent: str = "  ") -> str:
    """Return rows as aligned columns; the last one is not padded, colours take no room."""
    table = list(rows)
    widths = [max(map(_width, column)) for column in zip(*table, strict=True)]
    lines = ("  ".join(map(_padded, row, widths)) for row in table)
    return "\n".join((indent + line).rstrip() for line in lines)


def _padded(cell: str, width: int) -> str:
    return cell + " " * (width - _width(cell))


def _width(text: str) -> int:
    return len(_ESCAPES.sub("", text))


class Progress:
    """One line on a terminal that says what is under way, and is gone when it is over."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._on = self._stream.isatty()

    def say(self, text: str) -> None:
        """Replace the line."""
        if self._on:
            self._stream.write(f"\r\033[K{text}")
            self._stream.flush()

    def clear(self) -> None:
        """Take the line away."""
        self.say("")
