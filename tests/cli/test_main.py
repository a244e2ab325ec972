"""The command line as a whole: help, version, wrong words, and how it ends."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys

import pytest
from cli.conftest import Call

from leyden.cli import main as main_module
from leyden.cli.main import COMMANDS, main


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )


def test_help_lists_every_command(leyden: Call) -> None:
    result = leyden("--help")
    assert result.code == 0
    for name, (_, summary) in COMMANDS.items():
        assert f"  {name}" in result.out
        assert summary in result.out


@pytest.mark.parametrize("word", ["-h", "--help", "help"])
def test_help_has_three_spellings(word: str, leyden: Call) -> None:
    assert leyden(word).out == leyden("--help").out


@pytest.mark.parametrize("word", ["--version", "-V"])
def test_version_is_one_line(word: str, leyden: Call) -> None:
    (line,) = leyden(word).lines
    assert line.startswith("leyden 0.")


def test_without_a_command_help_goes_to_standard_error(leyden: Call) -> None:
    result = leyden()
    assert (result.code, result.out) == (2, "")
    assert "usage: leyden COMMAND" in result.err


def test_an_unknown_command_is_refused_with_the_nearest(leyden: Call) -> None:
    result = leyden("chek", "leyden.toml")
    assert (result.code, result.out) == (2, "")
    assert result.err.count("\n") == 1
    assert 'no command "chek"' in result.err
    assert 'did you mean "check"?' in result.err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples_of_itself(name: str, leyden: Call) -> None:
    result = leyden(name, "--help")
    assert (result.code, result.err) == (0, "")
    assert f"usage: leyden {name}" in result.out
    assert "examples:\n  " in result.out
    examples = result.out.partition("examples:\n")[2]
    assert f"leyden {name}" in examples


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_the_same_of_itself_as_the_list(name: str) -> None:
    module, summary = COMMANDS[name]
    assert summary == importlib.import_module(module).SUMMARY


@pytest.mark.parametrize("name", COMMANDS)
def test_a_wrong_option_is_one_line_that_says_where_help_is(name: str, leyden: Call) -> None:
    result = leyden(name, "--wrogn")
    assert (result.code, result.out) == (2, "")
    assert result.err.count("\n") == 1
    assert f"leyden {name}" in result.err
    assert "--help" in result.err


def test_a_misspelt_option_is_met_with_the_nearest(leyden: Call) -> None:
    assert 'did you mean "--mock"?' in leyden("check", "x.toml", "--mok").err


def test_help_loads_neither_configuration_nor_panel_nor_buses() -> None:
    code = (
        "import sys, json; from leyden.cli.main import main; main(['--help']);"
        "print('|' + json.dumps(sorted(sys.modules)))"
    )
    loaded = set(json.loads(run_python(code).stdout.rpartition("|")[2]))
    heavy = ("pydantic", "flask", "gunicorn", "argparse", "leyden.hal", "leyden.appliance")
    assert not {name for name in loaded if name.startswith(heavy)}


def test_a_command_loads_only_what_it_needs() -> None:
    code = (
        "import sys, json; from leyden.cli.main import main; main(['token', 'list']);"
        "print('|' + json.dumps(sorted(sys.modules)))"
    )
    loaded = set(json.loads(run_python(code).stdout.rpartition("|")[2]))
    assert not {name for name in loaded if name.startswith(("pydantic", "flask", "leyden.hal"))}


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    code = (
        "import sys; from leyden.cli.main import main;"
        "code = main(['manual', 'glossary']); print(code, file=sys.stderr)"
    )
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            timeout=30,
            check=False,
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, "0\n")


def test_ctrl_c_ends_quietly_with_130(monkeypatch: pytest.MonkeyPatch, leyden: Call) -> None:
    def interrupted(words: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(main_module, "_main", interrupted)
    result = leyden("manual")
    assert (result.code, result.out, result.err) == (130, "", "")


def test_a_terminal_without_a_degree_sign_gets_a_question_mark() -> None:
    code = "from leyden.cli.main import main; main(['manual', 'values-and-quality'])"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        timeout=30,
        check=False,
        env=environment,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"?C" in done.stdout


def test_the_installed_script_and_the_module_are_one(leyden: Call) -> None:
    code = "import runpy, sys; sys.argv = ['leyden', '--version']; "
    done = run_python(code + "runpy.run_module('leyden.cli.main', run_name='__main__')")
    assert (done.returncode, done.stdout) == (0, leyden("--version").out)
    assert main(["--version"]) == 0
