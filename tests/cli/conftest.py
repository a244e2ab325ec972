"""A command line that is called in this process, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from leyden.cli.main import main

GREENHOUSE = Path(__file__).parents[2] / "app" / "leyden" / "manual" / "greenhouse.toml"


@dataclass(frozen=True)
class Result:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed for programs."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        """What it printed for people."""
        return self.out.splitlines()


Call = Callable[..., Result]


@pytest.fixture(autouse=True)
def _no_settings_of_this_shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("LEYDEN_DATA", "LEYDEN_PORT", "LEYDEN_HOST", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def leyden(capsys: pytest.CaptureFixture[str]) -> Call:
    """Call a command with words as they are typed."""

    def call(*words: object) -> Result:
        capsys.readouterr()
        try:
            code = main([str(word) for word in words])
        except SystemExit as ending:  # argparse ends so
            code = ending.code if isinstance(ending.code, int) else 1
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return call


@pytest.fixture
def greenhouse() -> Path:
    return GREENHOUSE
