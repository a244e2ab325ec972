"""Configurations that `leyden check` refuses, and what it says of each.

A case is a folder in `tests/scenarios/config` with `leyden.toml` and `expected.err`; a new case
needs no code. `LEYDEN_GOLDEN=1` writes the expected texts anew, for review.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cli.conftest import Call

CASES = Path(__file__).parents[1] / "scenarios" / "config"
GOLDEN = os.environ.get("LEYDEN_GOLDEN") == "1"


@pytest.mark.parametrize("case", sorted(path.name for path in CASES.iterdir()))
def test_a_wrong_configuration_is_refused_in_words(
    case: str, leyden: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = CASES / case
    monkeypatch.chdir(folder)
    result = leyden("check", "leyden.toml")
    if GOLDEN:
        (folder / "expected.err").write_text(result.err)
    assert result.err == (folder / "expected.err").read_text()
    assert result.err.startswith("leyden.toml: ")
    assert (result.code, result.out) == (2, "")
