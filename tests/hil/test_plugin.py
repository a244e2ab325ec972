"""What becomes of an attempt: passed, failed, skipped, or not tried at all."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from leyden_hil.results import FILE, Attempt, read

pytest_plugins = ["pytester"]

TESTS = """
import pytest
from leyden_hil.errors import InfraError, TargetError

def test_passes(measure):
    measure("panel", 12.25, "s", "<= 20")

def test_is_beyond_its_limit(measure):
    measure("panel", 21, "s", "<= 20")
    measure("sample", 3, "s")

def test_fails():
    assert 1 == 2

def test_could_not_be_tried():
    raise InfraError("the emulator did not call")

def test_could_not_be_tried_for_a_reason_below():
    try:
        raise InfraError("the host is full")
    except InfraError as error:
        raise RuntimeError("strategy is broken") from error

@pytest.fixture
def machine():
    raise InfraError("no machine")

def test_has_no_machine(machine):
    pass

def test_is_skipped():
    pytest.skip("there is nobody to ask")

@pytest.fixture
def untidy():
    yield
    raise TargetError("does not go off")

def test_leaves_a_mess(untidy):
    pass

@pytest.mark.full
def test_takes_long():
    pass

@pytest.mark.lg_feature("teleport")
def test_needs_what_is_not_there():
    pass

@pytest.mark.lg_feature(["emulated"])
def test_leaves_something_behind(artefacts):
    (artefacts / "note.txt").write_text("x")
"""


Run = Callable[..., dict[str, Attempt]]


@pytest.fixture(autouse=True)
def labgrid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for labgrid, which has an environment of its own."""
    hooks = types.ModuleType("labgrid.pytestplugin.hooks")
    hooks.LABGRID_ENV_KEY = pytest.StashKey[object]()  # type: ignore[attr-defined]
    for name in ("labgrid", "labgrid.pytestplugin"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, hooks.__name__, hooks)


@pytest.fixture
def run(pytester: pytest.Pytester, tmp_path: Path) -> Run:
    pytester.makeini("[pytest]\nmarkers =\n full: long\n lg_feature: needs\n")
    pytester.makepyfile(TESTS)
    pytester.makeconftest(
        "import pytest\n"
        "from labgrid.pytestplugin.hooks import LABGRID_ENV_KEY\n"
        "class Environment:\n"
        "    get_features = staticmethod(set)\n"
        "    get_target_features = staticmethod(lambda: {'emulated'})\n"
        "@pytest.hookimpl(tryfirst=True)\n"
        "def pytest_configure(config):\n"
        "    config.stash[LABGRID_ENV_KEY] = Environment()\n"
    )

    def go(*words: str) -> dict[str, Attempt]:
        pytester.runpytest_inprocess(
            "-p", "leyden_hil.plugin", "-p", "no:randomly", "--results",
            str(tmp_path / "qemu-virt"), "--run", "now", *words,
        )  # fmt: skip
        rows = read(tmp_path / "qemu-virt" / FILE)
        return {row.test.partition("::")[2]: row for row in rows}

    return go


def test_every_attempt_is_of_the_class_it_should_be(run: Run) -> None:
    rows = run()
    assert {name: row.outcome for name, row in rows.items()} == {
        "test_passes": "pass",
        "test_is_beyond_its_limit": "fail",
        "test_fails": "fail",
        "test_could_not_be_tried": "infra",
        "test_could_not_be_tried_for_a_reason_below": "infra",
        "test_has_no_machine": "infra",
        "test_is_skipped": "skip",
        "test_leaves_a_mess": "fail",
        "test_leaves_something_behind": "pass",
    }
    assert rows["test_passes"].measurements[0].value == 12.25
    assert [row.name for row in rows["test_is_beyond_its_limit"].measurements] == [
        "panel",
        "sample",
    ]
    assert "panel is 21 s, <= 20" in rows["test_is_beyond_its_limit"].words
    assert "there is nobody to ask" in rows["test_is_skipped"].words
    assert "does not go off" in rows["test_leaves_a_mess"].words
    assert rows["test_leaves_something_behind"].artefacts == ("now/test-leaves-something-behind-1",)


def test_the_long_rows_are_those_that_are_asked_for(run: Run) -> None:
    rows = run("--full", "--attempt", "2")
    assert rows["test_takes_long"].row == "full"
    assert rows["test_passes"].row == "ci"
    assert "test_needs_what_is_not_there" not in rows
    assert {row.attempt for row in rows.values()} == {2}
