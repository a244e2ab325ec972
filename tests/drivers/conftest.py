"""Prints the table of drivers and faults at the end of a session, and keeps it in build/."""

from __future__ import annotations

from pathlib import Path

import pytest

from leyden.testing.conformance import HEAD, TABLE

BUILD = Path(__file__).parents[2] / "build"


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    rows = config.stash.get(TABLE, [])
    if not rows:
        return
    lines = [HEAD, *rows]
    terminalreporter.section("readings by driver and fault; WRONG has to be 0 everywhere")
    for line in lines:
        terminalreporter.line(line)
    BUILD.mkdir(exist_ok=True)
    (BUILD / "conformance.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
