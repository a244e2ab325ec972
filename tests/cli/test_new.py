"""`leyden new`: an application that passes its own test, runs, and can be configured."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli.conftest import Call

FILES = {".gitignore", "README.md", "cellar.py", "leyden.toml", "pyproject.toml", "test_cellar.py"}


def python(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        env={**os.environ, "PYTHONPATH": str(folder)},
    )


@pytest.fixture
def cellar(leyden: Call, tmp_path: Path) -> Path:
    folder = tmp_path / "cellar"
    assert leyden("new", folder).code == 0
    return folder


def test_it_says_what_to_do_next(leyden: Call, tmp_path: Path) -> None:
    result = leyden("new", tmp_path / "cellar")
    assert (result.code, result.err) == (0, "")
    assert [line.strip() for line in result.lines[1:]] == [
        f"cd {tmp_path / 'cellar'}", "python cellar.py", "pytest", "leyden run leyden.toml",
    ]  # fmt: skip


def test_its_files_bear_its_name_and_no_other(cellar: Path) -> None:
    assert {path.name for path in cellar.iterdir()} == FILES
    for path in cellar.iterdir():
        assert "myapp" not in path.read_text()


@pytest.mark.process
def test_its_own_test_passes(cellar: Path) -> None:
    done = python(cellar, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout


@pytest.mark.process
def test_it_runs_by_itself_until_ctrl_c(cellar: Path) -> None:
    code = (
        "import cellar, os, signal, threading\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell may ignore it
        "threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "raise SystemExit(cellar.main())"
    )
    done = python(cellar, "-c", code)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("tank.level: ")
    assert "(good)" in done.stdout


def test_its_configuration_is_sound(cellar: Path, leyden: Call) -> None:
    assert leyden("check", cellar / "leyden.toml").code == 0


@pytest.mark.process
def test_its_device_can_be_configured_once_it_is_installed(cellar: Path) -> None:
    # What `pip install -e .` leaves behind: the folder on the path, and its entry points.
    info = cellar / "cellar-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: cellar\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[leyden.drivers]\ncellar = cellar\n")
    config = cellar / "leyden.toml"
    lines = config.read_text().split("# [device.tank]")
    uncommented = "[device.tank]" + lines[1].replace("\n# ", "\n")
    config.write_text(lines[0] + uncommented)
    done = python(cellar, "-m", "leyden.cli.main", "check", "leyden.toml", "--mock")
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 devices" in done.stdout


def test_its_python_is_typed_and_documented(cellar: Path) -> None:
    tree = ast.parse((cellar / "cellar.py").read_text())
    named = [node for node in ast.walk(tree) if isinstance(node, (ast.ClassDef, ast.FunctionDef))]
    for node in named:
        if node.name.startswith("__"):
            continue
        assert ast.get_docstring(node), node.name
    for node in named:
        if isinstance(node, ast.FunctionDef):
            assert node.returns is not None, node.name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("event", "a word of the system"),
        ("class", "a word of Python"),
        ("json", "a module that is installed"),
        ("leyden", "a module that is installed"),
        ("gpio", "a driver"),
        ("Cellar", "expected a-z 0-9 _"),
        ("9cellar", "expected a-z 0-9 _"),
        ("", "expected a-z 0-9 _"),
    ],
)
def test_a_name_that_would_make_trouble_is_refused(
    name: str, words: str, leyden: Call, tmp_path: Path
) -> None:
    result = leyden("new", tmp_path / "x", "--name", name)
    assert result.code == 2
    assert words in result.err
    assert not (tmp_path / "x").exists()


def test_the_folders_name_becomes_a_modules(leyden: Call, tmp_path: Path) -> None:
    leyden("new", tmp_path / "Rain-Gauge 2")
    assert (tmp_path / "Rain-Gauge 2" / "rain_gauge_2.py").exists()


def test_a_folder_with_something_in_it_is_left_alone(leyden: Call, tmp_path: Path) -> None:
    (tmp_path / "cellar").mkdir()
    (tmp_path / "cellar" / "notes.txt").write_text("mine")
    result = leyden("new", tmp_path / "cellar")
    assert result.code == 1
    assert "is not empty, it holds notes.txt" in result.err
    assert [path.name for path in (tmp_path / "cellar").iterdir()] == ["notes.txt"]


def test_a_place_that_cannot_be_written_is_an_error_in_words(leyden: Call, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = leyden("new", tmp_path / "file" / "cellar")
    assert result.code == 1
    assert result.err.endswith("Not a directory\n")
