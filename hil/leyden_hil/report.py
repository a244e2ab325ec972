"""The report of a run: a table of tests and measurements, for a terminal and as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from leyden_hil.results import FILE, Attempt, Class, Measurement, by_test, last_run, read, verdict

_MARKS: Final[dict[Class, str]] = {"pass": "pass", "fail": "FAIL", "infra": "INFRA", "skip": "skip"}
_WIDEST: Final = 160  # of the words of a failure in a table
_LONGEST: Final = 25  # lines of them below it


@dataclass(frozen=True, slots=True)
class Flakes:
    """How often one and the same image was judged differently, and how often the rig failed."""

    compared: int  # tests of one image that were tried more than once
    flaky: int  # of these, passed and failed
    attempts: int
    infra: int

    def line(self) -> str:
        """Return it in words."""
        rate = 100 * self.flaky / self.compared if self.compared else 0.0
        return (
            f"flake rate {rate:.1f} % ({self.flaky} of {self.compared} tests tried more than once "
            f"on one image); rig failures {self.infra} of {self.attempts} attempts"
        )


def flakes(history: Sequence[Attempt]) -> Flakes:
    """Return how reliable the tests were over all runs that are on file."""
    groups: dict[tuple[str, str], list[Class]] = {}
    for row in history:
        if row.outcome in ("pass", "fail"):
            groups.setdefault((row.card, row.test), []).append(row.outcome)
    again = [set(group) for group in groups.values() if len(group) > 1]
    infra = sum(row.outcome == "infra" for row in history)
    return Flakes(len(again), sum(len(group) > 1 for group in again), len(history), infra)


def folders(root: Path) -> list[Path]:
    """Return the folders with results below `build/hil`, by name of their target."""
    return sorted(path.parent for path in root.glob(f"*/{FILE}"))


def markdown(root: Path) -> str:
    """Return the report of the newest run of every target."""
    parts = ["# What the rig measured", ""]
    for folder in folders(root):
        parts += _target(folder, read(folder / FILE))
    return "\n".join(parts) + "\n"


def failed(attempts: Sequence[Attempt]) -> list[str]:
    """Return the tests that did not pass and were not skipped."""
    tests = by_test(attempts)
    return [name for name, rows in tests.items() if verdict(rows) in ("fail", "infra")]


def _target(folder: Path, history: list[Attempt]) -> list[str]:
    rows = last_run(history)
    tests = by_test(rows)
    counts = Counter(verdict(group) for group in tests.values())
    spent = sum(row.seconds for row in rows)
    return [
        f"## {folder.name}",
        "",
        f"Run {rows[0].run if rows else '-'}, image {rows[0].card if rows else '-'}: "
        + ", ".join(f"{counts[kind]} {kind}" for kind in _MARKS)
        + f"; {spent / 60:.1f} min, {sum(row.waited_s for row in rows) / 60:.1f} min of waiting "
        "for other runs not counted.",
        "",
        f"Over all runs on file: {flakes(history).line()}.",
        "",
        "| test | row | attempts | s | measured |",
        "|---|---|---|---|---|",
        *(_row(name, group) for name, group in tests.items()),
        "",
        *_complaints(tests),
    ]


def _row(name: str, group: list[Attempt]) -> str:
    last = group[-1]
    marks = ", ".join(_MARKS[row.outcome] for row in group)
    seconds = sum(row.seconds for row in group)
    numbers = "; ".join(_number(row) for row in last.measurements) or _words(last)
    short = name.removeprefix("hil/tests/").replace("|", "\\|")
    return f"| {short} | {last.row} | {marks} | {seconds:.0f} | {numbers} |"


def _number(item: Measurement) -> str:
    limit = f" ({item.limit}{'' if item.ok else ', MISSED'})" if item.limit else ""
    return f"{item.name} {item.value:g} {item.unit}{limit}"


def _words(row: Attempt) -> str:
    first = row.words.strip().splitlines()[0] if row.words.strip() else ""
    return first[:_WIDEST].replace("|", "\\|")


def _start(words: str) -> str:
    lines = words.strip().splitlines()
    more = [f"… {len(lines) - _LONGEST} more lines in {FILE}"] if len(lines) > _LONGEST else []
    return "\n".join(lines[:_LONGEST] + more)


def _complaints(tests: dict[str, list[Attempt]]) -> list[str]:
    parts: list[str] = []
    for name, group in tests.items():
        for row in group:
            if row.outcome in ("fail", "infra"):
                head = f"**{name}**, attempt {row.attempt}, {row.outcome}:"
                parts += [head, "", "```text", _start(row.words), "```", ""]
                parts += [f"- {path}" for path in row.artefacts] + [""]
    return parts
