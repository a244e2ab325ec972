"""Words for people, for `explain()` and errors: spans of time, units, values, near misses."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, Final

from leyden import units
from leyden.kernel import NS

_LONGEST_VALUE: Final = 80  # characters of a value that an error quotes


def span_words(ns: int) -> str:
    """Return a span given in nanoseconds as people read it: `35 ms`, `2.1 s`, `12 min`, `3.5 h`."""
    seconds = max(0, ns) / NS
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def number_words(value: float) -> str:
    """Return a number without digits that say nothing: `15`, `0.5`."""
    return f"{value:.6g}"


def symbol(code: str) -> str:
    """Return how people write a unit; its code where no symbol is known."""
    known = units.UNITS.get(code)
    return code if known is None else known.symbol


def short(value: Any) -> str:
    """Return a value's text, cut to what a sentence bears."""
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def did_you_mean(found: str, known: Iterable[str]) -> str:
    """Return `; did you mean "…"?` with the nearest known word, or nothing when none is near."""
    near = difflib.get_close_matches(found, list(known), n=1, cutoff=0.5)
    return f'; did you mean "{near[0]}"?' if near else ""
