"""Every code block of the manual is run or read."""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from manual.blocks import Block, as_toml, blocks, commands, merged, shows, write

from leyden import manual
from leyden.appliance.config import ConfigError
from leyden.cli.check import checked
from leyden.cli.main import COMMANDS, main

LANGUAGES = {"toml", "python", "console", "json", "text"}
NOT_OURS = {"make", "curl", "TOKEN=$(leyden"}  # need a source tree, or a panel that serves


def test_every_block_is_in_a_language_that_is_tested() -> None:
    assert {block.language for block in blocks()} == LANGUAGES


def base() -> dict[str, object]:
    table = tomllib.loads(manual.example("greenhouse.toml"))
    return {key: value for key, value in table.items() if key not in ("route", "world")}


def complete(block: Block) -> str:
    """A block as a whole file: as it stands, or over the greenhouse."""
    table = tomllib.loads(block.text)
    return block.text if "appliance" in table else as_toml(merged(base(), table))


@pytest.mark.parametrize("block", [b for b in blocks("toml") if b.info == "toml"], ids=str)
def test_toml_is_a_configuration_that_runs(block: Block, tmp_path: Path) -> None:
    plan = checked(write(tmp_path / "leyden.toml", complete(block)), mock=True)
    assert plan.devices


@pytest.mark.parametrize("block", [b for b in blocks("toml") if b.info == "toml fails"], ids=str)
def test_toml_that_fails_does_so_with_the_words_below_it(block: Block, tmp_path: Path) -> None:
    path = write(tmp_path / "leyden.toml", complete(block))
    with pytest.raises(ConfigError) as caught:
        checked(path, mock=True)
    shown = next(b for b in blocks("text") if b.page == block.page and b.line > block.line)
    found = "\n".join(line.removeprefix(f"{tmp_path}/") for line in caught.value.problems)
    assert len(caught.value.problems) == shown.text.count("\n")
    assert shows(found, tuple(shown.text.splitlines()))


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_python_runs(block: Block, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if block.info != "python":  # a file that ships: run in a process of its own, see below
        assert block.text == manual.example(block.info.partition(" ")[2])
        return
    # A module of its own, as dataclasses and annotations look names up there.
    path = write(place / f"block_{block.line}.py", block.text)
    done = subprocess.run(
        [sys.executable, "-W", "error", path.name],
        cwd=place, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    if "print(" in block.text:
        assert done.stdout


@pytest.mark.parametrize("block", blocks("json"), ids=str)
def test_json_is_json(block: Block) -> None:
    assert json.loads(block.text)


@pytest.mark.parametrize("block", blocks("console"), ids=str)
def test_a_console_shows_what_is_there(
    block: Block, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = commands(block)
    assert found
    for command in found:
        program, *words = command.words
        if program == "leyden":
            output = run_leyden(words, capsys)
        elif program in NOT_OURS:
            continue
        else:
            output = run_other(program, words, place)
        if command.target:
            write(place / command.target, output)
        assert shows(output, command.shown) or words[0] == "run", output


def run_leyden(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    if words[0] == "run":  # it would not end; its arguments and its file have to be right
        args = importlib.import_module(COMMANDS["run"][0]).parser().parse_args(words[1:])
        assert checked(Path(args.config), mock=args.mock)
        return ""
    capsys.readouterr()
    assert main(words) == 0
    return capsys.readouterr().out


def run_other(program: str, words: list[str], place: Path) -> str:
    if program == "python":
        program = sys.executable
    elif shutil.which(program) is None:
        pytest.skip(f"{program} is not installed here")
    expanded = [
        str(p) for word in words for p in (sorted(place.glob(word)) if "*" in word else [word])
    ]
    done = subprocess.run(
        [program, *expanded], cwd=place, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
