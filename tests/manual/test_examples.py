"""The examples that ship with the manual run as they stand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from leyden import manual

LIBRARY = Path(manual.__file__).parent / "examples" / "library.py"


@pytest.mark.process
def test_the_library_example_runs_and_ends_by_itself() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(LIBRARY)],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines
    assert all(line.startswith("tank.level: ") and line.endswith(" %, good") for line in lines)


def test_the_library_example_is_short_enough_for_a_readme() -> None:
    lines = [line for line in LIBRARY.read_text().splitlines() if line.strip()]
    assert len(lines) <= 30
