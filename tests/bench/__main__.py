"""`make bench`: build the environments, run the workloads, print the table, write the JSON."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .environments import Environments, prepare
from .harness import ScriptRunner, measure
from .report import Row, Verdict, judge, read_budgets, rows, table
from .subjects import leyden
from .workloads import Workload, workloads

BUDGETS = Path(__file__).parent / "budgets.toml"
BUILD = Path(__file__).parents[2] / "build"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return 0, or 1 with `--strict` when a budget is not met."""
    options = _parse(arguments)
    chosen = _chosen(options.only)
    try:
        found = _run(chosen, quick=options.quick)
    except KeyboardInterrupt:
        _say("interrupted; nothing written")
        return 130
    verdicts = _verdicts(found)
    _write(found, verdicts)
    if options.json:
        sys.stdout.write(json.dumps(_public(found), indent=1) + "\n")
    else:
        sys.stdout.write(table(found, verdicts) + "\n")
    _summarise(verdicts)
    return int(options.strict and any(verdict.met is not True for verdict in verdicts))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make bench",
        description="Leyden beside the packages it grew out of, on this machine, in one run.",
        epilog="QUICK=1 in the environment is the same as --quick.",
    )
    names = ", ".join(workload.name for workload in workloads(leyden("")))
    parser.add_argument(
        "--only",
        action="append",
        metavar="WORKLOAD",
        help=f"only this one; may be repeated: {names}",
    )
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("--strict", action="store_true", help="exit 1 unless every budget is met")
    options = parser.parse_args(arguments)
    options.quick = options.quick or os.environ.get("QUICK", "0") not in ("", "0")
    return options


def _chosen(only: Sequence[str] | None) -> tuple[Workload, ...]:
    every = workloads(leyden(importlib.metadata.version("leyden")))
    names = [workload.name for workload in every]
    unknown = [name for name in only or () if name not in names]
    if unknown:
        _say(f"make bench: found workload {unknown[0]}, expected one of {', '.join(names)}")
        sys.exit(2)
    return tuple(workload for workload in every if not only or workload.name in only)


def _run(chosen: Sequence[Workload], *, quick: bool) -> list[Row]:
    subjects = {entry.subject.id: entry.subject for each in chosen for entry in each.entries}
    environments: Environments = prepare(subjects.values(), BUILD / "bench" / "envs", _say)
    runner = ScriptRunner(environments, BUILD / "bench" / "scratch")
    found: list[Row] = []
    for workload in chosen:
        effort = workload.quick if quick else workload.full
        found.extend(rows(workload, measure(workload, effort, runner, _progress)))
    _progress("")
    return found


def _verdicts(found: Sequence[Row]) -> list[Verdict]:
    measured = {row.figure.name for row in found}
    budgets = read_budgets(BUDGETS)
    return [judge(budget, found) for budget in budgets if budget.workload in measured]


def _public(found: Sequence[Row]) -> dict[str, Any]:
    return {"rows": [row.public() for row in found]}


def _write(found: Sequence[Row], verdicts: Sequence[Verdict]) -> None:
    BUILD.mkdir(exist_ok=True)
    (BUILD / "bench.json").write_text(json.dumps(_public(found), indent=1) + "\n")
    details = {
        "machine": {
            "system": platform.platform(),
            "python": platform.python_version(),
            "processors": os.cpu_count(),
        },
        "budgets": [
            asdict(verdict.budget) | {"measured": verdict.measured, "met": verdict.met}
            for verdict in verdicts
        ],
        "rows": [
            row.public()
            | {"low": row.low, "high": row.high, "error": row.error, "detail": row.detail}
            for row in found
        ],
    }
    (BUILD / "bench" / "details.json").write_text(json.dumps(details, indent=1) + "\n")


def _summarise(verdicts: Sequence[Verdict]) -> None:
    met = sum(verdict.met is True for verdict in verdicts)
    _say(f"budgets: {met} of {len(verdicts)} met; build/bench.json, build/bench/details.json")


def _progress(words: str) -> None:
    # One line that is written over; a log file gets none of it.
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{words}")
        sys.stderr.flush()


def _say(words: str) -> None:
    _progress("")
    sys.stderr.write(words + "\n")


if __name__ == "__main__":
    sys.exit(main())
