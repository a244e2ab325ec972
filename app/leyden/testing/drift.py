"""The drift table: what came of each step on each tier, with every difference named.

A model is only worth what it has in common with the part. The same steps (`tier`) are taken in
front of a chip model, of the part that an emulator brings, and of a real one; where their facts
differ the model, the emulator or the driver is wrong, and the table says where. Differences that
are understood are listed with their reason in the driver's own `drift.toml`:

    [[known]]
    step = "forgotten"
    tier = "qemu-*"
    because = "QEMU's model has no such bit"

    python3 -m leyden.testing.drift mock.jsonl qemu.jsonl
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from leyden.appliance import drivers
from leyden.testing.kit import load_kit
from leyden.testing.tier import FAIL, PASS, SKIP, Result

_NONE: Final = "–"
_WIDEST: Final = 32  # characters of a cell


@dataclass(frozen=True, slots=True)
class Known:
    """A difference that is understood."""

    step: str  # a pattern, such as "temperature=*"
    tier: str  # likewise
    because: str


@dataclass(frozen=True, slots=True)
class Row:
    """One step of one driver on all tiers; the first that ran it is what others are held against.

    `differences` says by tier what is not as there; `because` why that is known, where it is.
    """

    driver: str
    step: str
    results: Mapping[str, Result]
    differences: Mapping[str, str]
    because: Mapping[str, str]

    @property
    def unexplained(self) -> tuple[str, ...]:
        """The differences that nobody has explained, and the steps that failed."""
        strange = [
            f"{self.driver} {self.step} on {tier}: {text}"
            for tier, text in self.differences.items()
            if tier not in self.because
        ]
        failed = [
            f"{self.driver} {self.step} on {tier}: {result.detail}"
            for tier, result in self.results.items()
            if result.outcome == FAIL and tier not in self.differences
        ]
        return (*strange, *failed)


def rows(
    runs: Mapping[str, Sequence[Result]], known: Mapping[str, Sequence[Known]] | None = None
) -> list[Row]:
    """Lay runs side by side.

    Args:
        runs: results by tier, in the order of the columns.
        known: understood differences by driver; read from the drivers' folders unless given.
    """
    cells: dict[tuple[str, str], dict[str, Result]] = {}
    for tier, results in runs.items():
        for result in results:
            cells.setdefault((result.driver, result.step), {})[tier] = result
    listed = known if known is not None else {driver: known_of(driver) for driver, _ in cells}
    return [
        _row(driver, step, results, listed.get(driver, ()))
        for (driver, step), results in sorted(cells.items(), key=lambda cell: cell[0][0])
    ]


def unexplained(
    runs: Mapping[str, Sequence[Result]], known: Mapping[str, Sequence[Known]] | None = None
) -> tuple[str, ...]:
    """Return what nobody has explained: nothing, if all is well."""
    return tuple(text for row in rows(runs, known) for text in row.unexplained)


def table(
    runs: Mapping[str, Sequence[Result]], known: Mapping[str, Sequence[Known]] | None = None
) -> str:
    """Return the drift table as text, steps down and tiers across."""
    laid = rows(runs, known)
    cells = [("driver", "step", *runs)]
    cells += [
        (row.driver, row.step, *(_cell(row.results.get(tier)) for tier in runs)) for row in laid
    ]
    widths = [max(len(line[at]) for line in cells) for at in range(len(cells[0]))]
    lines = []
    for line, row in zip(cells, [None, *laid], strict=True):
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        lines.append(text.rstrip())
        lines += [f"    {remark}" for remark in _remarks(row)] if row else []
    return "\n".join([*lines, "", *_not_run(laid), _summary(laid, runs)]) + "\n"


def known_of(driver: str) -> tuple[Known, ...]:
    """Return the differences that a driver's folder explains in its `drift.toml`."""
    path = load_kit(drivers.load(driver).package).folder / "drift.toml"
    if not path.is_file():
        return ()
    return tuple(Known(**each) for each in tomllib.loads(path.read_text("utf-8"))["known"])


def _row(driver: str, step: str, results: Mapping[str, Result], known: Sequence[Known]) -> Row:
    ran = {tier: result for tier, result in results.items() if result.outcome != SKIP}
    first = next(iter(ran.values()), None)
    differences = {}
    for tier, result in ran.items():
        if first is not None and (text := "; ".join(_differences(first, result))):
            differences[tier] = text
    because = {
        tier: each.because
        for tier in differences
        for each in known
        if fnmatchcase(step, each.step) and fnmatchcase(tier, each.tier)
    }
    return Row(driver, step, results, differences, because)


def _differences(first: Result, other: Result) -> Iterator[str]:
    if first.outcome != other.outcome:
        yield f"{other.outcome}, not {first.outcome}: {other.detail or first.detail}"
        return
    close = max(first.close, other.close)
    yield from _apart("", dict(first.seen), dict(other.seen), close)


def _apart(path: str, one: Any, other: Any, close: float) -> Iterator[str]:
    """Yield each place at which two facts differ by more than `close`."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in sorted({*one, *other}):
            place = f"{path}.{key}" if path else key
            yield from _apart(place, one.get(key, _NONE), other.get(key, _NONE), close)
    elif not _alike(one, other, close):
        yield f"{path} {other}, not {one}"


def _alike(one: Any, other: Any, close: float) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= close + 1e-9
    return bool(one == other)


def _cell(result: Result | None) -> str:
    if result is None:
        return _NONE
    if result.outcome != PASS:
        return result.outcome.upper() if result.outcome == FAIL else result.outcome
    short = [str(value) for value in result.seen.values() if isinstance(value, (str, int, float))]
    text = " ".join([result.outcome, *short])
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"


def _remarks(row: Row) -> Iterator[str]:
    for tier, result in row.results.items():
        if tier in row.because:
            yield f"{tier}: known, {row.because[tier]} ({row.differences[tier]})"
        elif tier in row.differences:
            yield f"{tier}: DRIFT, {row.differences[tier]}"
        elif result.outcome == FAIL:
            yield f"{tier}: {result.detail}"
        elif result.outcome == PASS and (one_code := _one_code(row, tier)):
            yield f"{tier}: {one_code}"


def _not_run(laid: Sequence[Row]) -> Iterator[str]:
    """Yield why steps were skipped, once for each reason."""
    reasons: dict[tuple[str, str, str], int] = {}
    for row in laid:
        for tier, result in row.results.items():
            if result.outcome == SKIP:
                key = (tier, row.driver, result.detail)
                reasons[key] = reasons.get(key, 0) + 1
    for (tier, driver, reason), count in reasons.items():
        steps = "a step" if count == 1 else f"{count} steps"
        yield f"{tier}: {steps} of {driver} not run: {reason}"


def _one_code(row: Row, tier: str) -> str:
    first = next(iter(row.results.values()))
    apart = list(_apart("", dict(first.seen), dict(row.results[tier].seen), 0.0))
    return f"within one code: {'; '.join(apart)}" if apart and first.outcome == PASS else ""


def _summary(laid: Sequence[Row], runs: Mapping[str, Sequence[Result]]) -> str:
    counts = []
    for tier, results in runs.items():
        outcomes = [result.outcome for result in results]
        counts.append(
            f"{tier}: {outcomes.count(PASS)} passed, {outcomes.count(FAIL)} failed, "
            f"{outcomes.count(SKIP)} not run"
        )
    known = sum(len(row.because) for row in laid)
    strange = sum(len(row.differences) - len(row.because) for row in laid)
    return f"{'; '.join(counts)}. Differences: {known} known, {strange} unexplained."


def read(paths: Sequence[Path]) -> dict[str, list[Result]]:
    """Return the runs in files of JSON lines, by tier."""
    runs: dict[str, list[Result]] = {}
    for path in paths:
        for line in path.read_text("utf-8").splitlines():
            if line.strip():
                result = Result.from_line(line)
                runs.setdefault(result.tier, []).append(result)
    return runs


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the drift table of runs in files; return 0 if every difference is explained."""
    runs = read([Path(each) for each in (sys.argv[1:] if arguments is None else arguments)])
    sys.stdout.write(table(runs))
    return 1 if unexplained(runs) else 0


if __name__ == "__main__":
    sys.exit(main())
