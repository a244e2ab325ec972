"""Turns samples into rows, compares them with the budgets, and prints the table."""

from __future__ import annotations

import textwrap
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from .harness import Sample
from .subjects import Role, Subject
from .workloads import Better, Figure, Workload

BEST_SEED = "best seed"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of one subject: the median of its rounds."""

    figure: Figure
    subject: Subject
    value: float | None
    low: float | None = None
    high: float | None = None
    ratio_to_best_seed: float | None = None  # value divided by the best seed's, whichever is better
    error: str = ""
    detail: dict[str, Any] = field(default_factory=dict)

    def public(self) -> dict[str, Any]:
        """The row as `build/bench.json` has it."""
        return {
            "workload": self.figure.name,
            "subject": self.subject.name,
            "version": self.subject.version,
            "value": self.value,
            "unit": self.figure.unit,
            "ratio_to_best_seed": self.ratio_to_best_seed,
        }


@dataclass(frozen=True, slots=True)
class Budget:
    """A bound on one of Leyden's figures."""

    workload: str
    why: str
    than: str = ""
    at_least: float | None = None
    at_most: float | None = None

    def __post_init__(self) -> None:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError(f"budget {self.workload}: expected at_least or at_most, and not both")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a budget is met; `met` is None where one side was not measured."""

    budget: Budget
    measured: float | None
    met: bool | None

    @property
    def words(self) -> str:
        """The verdict as the table prints it."""
        bound = self.budget.at_least if self.budget.at_least is not None else self.budget.at_most
        sign = "≥" if self.budget.at_least is not None else "≤"
        state = {True: "met", False: "MISSED", None: "not measured"}[self.met]
        factor = f" × {self.budget.than}" if self.budget.than else ""
        found = "" if self.measured is None else f", is {self.measured:.3g}"
        return f"{state}: {sign} {bound:g}{factor}{found}"


def rows(workload: Workload, samples: Iterable[Sample]) -> list[Row]:
    """Return a row for each figure and subject, in the order of the workload's entries."""
    by_subject: dict[str, list[Sample]] = {}
    for sample in samples:
        by_subject.setdefault(sample.subject, []).append(sample)
    return [
        row
        for figure in workload.figures
        for row in _with_ratios(
            figure,
            [_row(figure, e.subject, by_subject.get(e.subject.id, [])) for e in workload.entries],
        )
    ]


def _row(figure: Figure, subject: Subject, samples: Sequence[Sample]) -> Row:
    error = next((sample.error for sample in samples if sample.error), "")
    values = [sample.figures[figure.name] for sample in samples if figure.name in sample.figures]
    if error or not values:
        return Row(figure, subject, None, error=error or "not measured")
    return Row(
        figure, subject, median(values), min(values), max(values), detail=_details(samples, figure)
    )


def _details(samples: Sequence[Sample], figure: Figure) -> dict[str, Any]:
    # Words as the last round said them, numbers as the median of all. They are of the whole script,
    # so they stand beside its first figure only.
    if figure.name != next(iter(samples[-1].figures)):
        return {}
    return {
        key: median([sample.detail[key] for sample in samples]) if _is_number(said) else said
        for key, said in samples[-1].detail.items()
    }


def _is_number(said: object) -> bool:
    return isinstance(said, (int, float)) and not isinstance(said, bool)


def _with_ratios(figure: Figure, found: list[Row]) -> list[Row]:
    best = best_seed(figure, found)
    if not best:
        return found
    return [
        Row(
            row.figure, row.subject, row.value, row.low, row.high,
            None if row.value is None else row.value / best, row.error, row.detail,
        )
        for row in found
    ]  # fmt: skip


def best_seed(figure: Figure, found: Iterable[Row]) -> float | None:
    """Return the best value any seed reached, or None where no seed was measured."""
    values = [row.value for row in found if row.value is not None and row.subject.role is Role.SEED]
    if not values:
        return None
    return max(values) if figure.better is Better.HIGHER else min(values)


def read_budgets(path: Path) -> tuple[Budget, ...]:
    """Read `budgets.toml`."""
    with path.open("rb") as file:
        return tuple(Budget(**entry) for entry in tomllib.load(file)["budget"])


def judge(budget: Budget, found: Iterable[Row]) -> Verdict:
    """Hold one budget against the rows."""
    mine = [row for row in found if row.figure.name == budget.workload]
    ours = next((row for row in mine if row.subject.role is Role.LEYDEN), None)
    measured = None if ours is None else _measured(budget, ours, mine)
    if measured is None:
        return Verdict(budget, None, None)
    enough = budget.at_least is None or measured >= budget.at_least
    little = budget.at_most is None or measured <= budget.at_most
    return Verdict(budget, measured, enough and little)


def _measured(budget: Budget, ours: Row, rows_of_figure: list[Row]) -> float | None:
    if not budget.than or ours.value is None:
        return ours.value
    if budget.than == BEST_SEED:
        return ours.ratio_to_best_seed
    theirs = next((row.value for row in rows_of_figure if row.subject.id == budget.than), None)
    return ours.value / theirs if theirs else None


def table(found: Sequence[Row], verdicts: Sequence[Verdict]) -> str:
    """Return the figures as text, verdicts and what the script noted below Leyden's rows."""
    lines: list[str] = []
    for figure in dict.fromkeys(row.figure for row in found):
        lines.append(f"\n{figure.name}: {figure.title}, {figure.unit}, {figure.better} is better")
        mine = [verdict for verdict in verdicts if verdict.budget.workload == figure.name]
        for row in (row for row in found if row.figure == figure):
            lines.append(f"  {_cells(row)}".rstrip())
            if row.subject.role is Role.LEYDEN:
                lines.extend(f"      {words}" for words in _notes(row, mine))
    return "\n".join(lines)


def _notes(row: Row, verdicts: Sequence[Verdict]) -> list[str]:
    numbers = [f"{key} {number(said)}" for key, said in row.detail.items() if _is_number(said)]
    return [verdict.words for verdict in verdicts] + ([", ".join(numbers)] if numbers else [])


def _cells(row: Row) -> str:
    name = f"{row.subject.name} {row.subject.version}"
    if row.value is None or row.low is None or row.high is None:
        return f"{name:<26} {'-':>11}  {textwrap.shorten(row.error, 120)}"
    ratio = "" if row.ratio_to_best_seed is None else f"{row.ratio_to_best_seed:.2f} ×"
    spread = f"{number(row.low)} … {number(row.high)}"
    note = "" if row.subject.role is not Role.BASELINE else "baseline, not a seed"
    return f"{name:<26} {number(row.value):>11}  {ratio:>9}  {spread:<25} {note}"


def number(value: float) -> str:
    """Three significant digits, thousands apart, no exponent."""
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
