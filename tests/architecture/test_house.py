"""The house: what loads what, which names are public, and that every file says what it is."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import leyden

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path
    for root in ("app", "drivers", "tests", "image", "hil")
    for path in (ROOT / root).rglob("*.py")
    if "trees" not in path.parts
)


def loaded_by(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sorted(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in run.stdout.split()}


def test_the_kernel_loads_the_standard_library_and_msgspec_only() -> None:
    strangers = loaded_by("import leyden.kernel") - set(sys.stdlib_module_names)
    # msgspec itself looks whether typing_extensions is there.
    own = {"leyden", "msgspec", "typing_extensions"}
    assert {name for name in strangers if not name.startswith("_")} <= own


@pytest.mark.parametrize(
    "module",
    [
        "leyden.kernel",
        "leyden.flow",
        "leyden.eventlog.recorder",
        "leyden.link.server",
        "leyden.appliance.runtime_process",
    ],
)
def test_what_runs_in_the_runtime_loads_neither_web_nor_pydantic_nor_bus_libraries(
    module: str,
) -> None:
    heavy = {"flask", "gunicorn", "socketio", "pydantic", "smbus2", "serial", "spidev", "gpiod"}
    assert not loaded_by(f"import {module}") & heavy


def test_the_panel_loads_nothing_of_the_runtime() -> None:
    code = "import sys, leyden.panel.app; print(*sorted(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert not {name for name in loaded if name.startswith(("leyden.hal", "leyden.eventlog"))}
    assert not loaded & {"leyden.flow", "leyden_drivers", "smbus2", "gpiod", "spidev"}


def test_the_public_names_are_these() -> None:
    assert sorted(leyden.__all__) == [
        "Channel", "Clock", "Context", "Device", "Doubt", "Event", "Intent", "Interface", "Process",
        "Reading", "Route", "Runtime", "Service", "Span",
    ]  # fmt: skip
    for name in leyden.__all__:
        assert getattr(leyden, name).__doc__


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_opens_with_what_it_is(path: Path) -> None:
    text = ast.get_docstring(ast.parse(path.read_text()))
    assert text
    first = text.split("\n\n")[0].replace("\n", " ")
    assert first[-1] in ".:"


def test_only_clocks_ask_the_time_and_only_storage_writes() -> None:
    for path in (ROOT / "app").rglob("*.py"):
        tree = ast.parse(path.read_text())
        imported = {
            alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.Import)
            for alias in node.names
        } | {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        where = path.relative_to(ROOT / "app" / "leyden")
        if str(where) != "kernel/clock.py":
            assert "time" not in imported, f"{where} asks the time by itself"


@pytest.mark.parametrize("folder", ["app", "drivers", "image", "systemd", "tests", "hil"])
def test_every_top_folder_says_what_belongs_in_it(folder: str) -> None:
    assert (ROOT / folder / "README.md").read_text().startswith("# ")


def test_nothing_but_the_agreed_folders_stands_at_the_top() -> None:
    run = subprocess.run(
        ["git", "ls-tree", "--name-only", "-d", "HEAD"], cwd=ROOT, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if run.returncode:
        pytest.skip("not a git checkout: the source was unpacked from an archive")
    assert set(run.stdout.split()) <= {"app", "drivers", "image", "systemd", "tests", "hil", ".ci"}
