"""The pytest plugin of the rig: what tests are for this target, and what became of each.

Every attempt becomes one line of `results.jsonl`. An exception of class `InfraError`, anywhere in
the chain of causes, makes the attempt `infra`; so does an emulator that ended by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from leyden_hil import emulator
from leyden_hil.errors import InfraError
from leyden_hil.lock import waited_s
from leyden_hil.results import FILE, Attempt, Class, Measurement, append, measured

FULL: Final = "full"
FEATURE: Final = "lg_feature"
UNPROVEN: Final = "unproven"  # a target on which no row has been seen to pass: all are long ones


@dataclass(slots=True)
class Notes:
    """What a test writes down while it runs."""

    began: float = field(default_factory=time.monotonic)
    waited_before_s: float = field(default_factory=waited_s)  # for other runs
    measurements: list[Measurement] = field(default_factory=list)
    artefacts: list[Path] = field(default_factory=list)
    outcome: Class = "pass"
    words: str = ""


NOTES: Final = pytest.StashKey[Notes]()
Measure = Callable[..., float]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of a run; `python -m leyden_hil run` fills them in."""
    group = parser.getgroup("leyden")
    group.addoption("--image", type=Path, help="the image of the card")
    group.addoption("--build", type=Path, help="where the image's builder left its other files")
    group.addoption("--results", type=Path, help="folder of this target's results")
    group.addoption("--run", default="by-hand", help="name of this run")
    group.addoption("--attempt", type=int, default=1, help="which attempt this is")
    group.addoption("--card-digest", default="", help="digest of the image")
    group.addoption("--full", action="store_true", help="every row, not those of CI only")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what this target cannot do, and the long rows unless they are asked for."""
    features = _features(config)
    out = [item for item in items if _left_out(config, item, features)]
    config.hook.pytest_deselected(items=out)
    items[:] = [item for item in items if item not in out]


def _features(config: pytest.Config) -> set[str]:
    from labgrid.pytestplugin.hooks import LABGRID_ENV_KEY  # noqa: PLC0415  # only in rig runs

    environment = config.stash.get(LABGRID_ENV_KEY, None)
    if environment is None:
        raise pytest.UsageError("no target; try `python -m leyden_hil run qemu-virt`")
    return set(environment.get_features()) | set(environment.get_target_features())


def _left_out(config: pytest.Config, item: pytest.Item, features: set[str]) -> bool:
    wanted: set[str] = set()
    for mark in item.iter_markers(FEATURE):
        named = mark.args[0]
        wanted |= {named} if isinstance(named, str) else set(named)
    long = item.get_closest_marker(FULL) is not None or UNPROVEN in features
    return not wanted <= features or (long and not config.getoption("full"))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Open the notes of an attempt."""
    item.stash[NOTES] = Notes()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Fail a test whose measurement is beyond its limit, after all were made."""
    yield
    missed = [row for row in item.stash[NOTES].measurements if not row.ok]
    if missed:
        words = "; ".join(f"{row.name} is {row.value:g} {row.unit}, {row.limit}" for row in missed)
        pytest.fail(f"beyond the limit: {words}", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Judge each phase, and write the attempt down after the last."""
    report = yield
    notes = item.stash.get(NOTES, None) or Notes()
    if call.excinfo is not None and notes.outcome in ("pass", "skip"):
        notes.outcome = _class_of(call.excinfo)
        notes.words = _words_of(call.excinfo, report)
    if report.when == "teardown":
        _write(item, notes)
    return report


def _class_of(error: pytest.ExceptionInfo[BaseException]) -> Class:
    if error.errisinstance(pytest.skip.Exception):
        return "skip"
    if any(isinstance(cause, InfraError) for cause in causes(error.value)):
        return "infra"
    if emulator.broken() is not None:
        return "infra"
    return "fail"


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and all that led to it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _words_of(error: pytest.ExceptionInfo[BaseException], report: pytest.TestReport) -> str:
    first = error.exconly(tryshort=True)
    return first if report.longrepr is None else f"{first}\n{report.longreprtext}"[:8000]


def _write(item: pytest.Item, notes: Notes) -> None:
    options = item.config.option
    if options.results is None:
        return
    row = "full" if item.get_closest_marker(FULL) else "ci"
    waited = waited_s() - notes.waited_before_s
    attempt = Attempt(
        run=options.run,
        target=options.results.name,
        card=options.card_digest,
        test=item.nodeid,
        row=row,
        attempt=options.attempt,
        outcome=notes.outcome,
        seconds=round(time.monotonic() - notes.began - waited, 1),
        waited_s=round(waited, 1),
        words=notes.words,
        measurements=tuple(notes.measurements),
        artefacts=tuple(_relative(path, options.results) for path in notes.artefacts),
    )
    append(options.results / FILE, attempt)


def _relative(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)


# What a test is given


def results_folder(config: pytest.Config) -> Path:
    """Return the folder of this run's artefacts."""
    base = config.option.results or Path("build/hil/by-hand")
    return Path(base) / str(config.option.run)


def file_name(name: str) -> str:
    """Return a test's name as the name of a file."""
    return "".join(c if c.isalnum() else "-" for c in name).strip("-")


@pytest.fixture
def notes(request: pytest.FixtureRequest) -> Notes:
    """What this attempt writes down."""
    found: Notes = request.node.stash[NOTES]
    return found


@pytest.fixture
def measure(notes: Notes) -> Measure:
    """Write a number down: `measure("panel", 12.3, "s", "<= 20")`; returns the number."""

    def take(name: str, value: float, unit: str, limit: str = "") -> float:
        notes.measurements.append(measured(name, value, unit, limit))
        return value

    return take


@pytest.fixture
def artefacts(request: pytest.FixtureRequest, notes: Notes) -> Path:
    """A folder for what this test leaves behind, listed with its result."""
    folder = results_folder(request.config) / file_name(request.node.name)
    folder = folder.with_name(f"{folder.name}-{request.config.option.attempt}")
    folder.mkdir(parents=True, exist_ok=True)
    notes.artefacts.append(folder)
    return folder


__all__ = ["NOTES", "Measure", "Notes", "artefacts", "causes", "measure", "notes"]
