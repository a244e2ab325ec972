"""What a run measured: one line of JSON for each attempt of each test, never rewritten.

An attempt is of one of four classes. `pass` and `fail` speak of the appliance, `infra` of the rig,
`skip` of neither. Only `infra` may be repeated; every attempt stays in the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Literal

import msgspec

from leyden_hil.errors import RigError

Class = Literal["pass", "fail", "infra", "skip"]
FILE: Final = "results.jsonl"
_LIMIT: Final = re.compile(r"(<=|>=|<|>|==|=)\s*(-?\d+(?:\.\d+)?)$")


class Measurement(msgspec.Struct, frozen=True):
    """One number that was measured, with what it was allowed to be."""

    name: str
    value: float
    unit: str
    limit: str = ""  # "<= 1.5", ">= 3", "== 0"; "": measured for the record
    ok: bool = True


class Attempt(msgspec.Struct, frozen=True, rename={"outcome": "class"}):
    """One attempt of one test."""

    run: str  # of which run: when it began, "20260309T120001Z"
    target: str
    card: str  # digest of the image, so that runs of one image can be compared
    test: str  # "test_boot.py::test_no_unit_failed"
    row: str  # "ci" or "full"
    attempt: int  # from 1
    outcome: Class
    seconds: float  # without waiting for other runs
    waited_s: float
    words: str = ""  # why it failed, was skipped, or could not be tried
    measurements: tuple[Measurement, ...] = ()
    artefacts: tuple[str, ...] = ()  # relative to the folder of the results


def measured(name: str, value: float, unit: str, limit: str = "") -> Measurement:
    """Return a measurement, judged by its limit.

    Raises:
        RigError: the limit is none.
    """
    return Measurement(name, round(float(value), 4), unit, limit, _is_within(float(value), limit))


def _is_within(value: float, limit: str) -> bool:
    if not limit:
        return True
    found = _LIMIT.match(limit.strip())
    if found is None:
        raise RigError(f'limit: found {limit!r}, expected such as "<= 1.5"')
    bound = float(found[2])
    return {
        "<=": value <= bound,
        ">=": value >= bound,
        "<": value < bound,
        ">": value > bound,
        "=": value == bound,
        "==": value == bound,
    }[found[1]]


def append(path: Path, attempt: Attempt) -> None:
    """Add one line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(msgspec.json.encode(attempt) + b"\n")


def read(path: Path) -> list[Attempt]:
    """Return all attempts; a last line that was torn by a crash is left out.

    Raises:
        RigError: another line cannot be read.
    """
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")
    attempts = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            attempts.append(msgspec.json.decode(line, type=Attempt))
        except msgspec.MsgspecError as error:
            if number < len(lines):
                raise RigError(f"{path}:{number}: {error}") from None
    return attempts


def last_run(attempts: Iterable[Attempt]) -> list[Attempt]:
    """Return the attempts of the newest run."""
    rows = list(attempts)
    newest = max((row.run for row in rows), default="")
    return [row for row in rows if row.run == newest]


def by_test(attempts: Iterable[Attempt]) -> dict[str, list[Attempt]]:
    """Return the attempts of each test, oldest first, in the order the tests were first tried."""
    tests: dict[str, list[Attempt]] = {}
    for row in attempts:
        tests.setdefault(row.test, []).append(row)
    return tests


def verdict(attempts: Iterable[Attempt]) -> Class:
    """Return what a test's attempts come to: the last one that says something of the appliance.

    A test that was never anything but `infra` is `infra`.
    """
    rows = list(attempts)
    told = [row.outcome for row in rows if row.outcome != "infra"]
    return told[-1] if told else "infra"
