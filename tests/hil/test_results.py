"""Results are measurements with limits; what the rig could not try never passes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leyden_hil import report
from leyden_hil.errors import RigError
from leyden_hil.results import (
    FILE,
    Attempt,
    Class,
    append,
    by_test,
    last_run,
    measured,
    read,
    verdict,
)

classes = st.sampled_from(["pass", "fail", "infra", "skip"])


def attempt(outcome: Class = "pass", **changes: Any) -> Attempt:
    usual: dict[str, Any] = {
        "run": "20260309T120000Z",
        "target": "qemu-virt",
        "card": "c0ffee",
        "test": "test_boot.py::test_a",
        "row": "ci",
        "attempt": 1,
        "outcome": outcome,
        "seconds": 1.0,
        "waited_s": 0.0,
    }
    return Attempt(**(usual | changes))


@pytest.mark.parametrize(
    ("value", "limit", "ok"),
    [
        (1.5, "<= 1.5", True),
        (1.51, "<= 1.5", False),
        (3, ">= 3", True),
        (0, "== 0", True),
        (1, "== 0", False),
        (1, "> 1", False),
        (0.9, "< 1", True),
        (-2, ">= -1", False),
        (123, "", True),
    ],
)
def test_a_limit_judges(value: float, limit: str, ok: bool) -> None:
    assert measured("x", value, "s", limit).ok is ok


def test_a_limit_that_is_none_is_refused() -> None:
    with pytest.raises(RigError, match="expected such as"):
        measured("x", 1, "s", "about 3")


def test_every_attempt_is_a_line_that_comes_back(tmp_path: Path) -> None:
    rows = [
        attempt("infra", words="the emulator did not call"),
        attempt(attempt=2, measurements=(measured("panel", 12.25, "s", "<= 20"),)),
    ]
    for row in rows:
        append(tmp_path / FILE, row)
    assert read(tmp_path / FILE) == rows
    line = msgspec.json.decode((tmp_path / FILE).read_bytes().splitlines()[1])
    assert line["class"] == "pass"
    assert line["measurements"][0]["limit"] == "<= 20"


def test_a_torn_last_line_is_left_out_and_a_broken_one_is_told(tmp_path: Path) -> None:
    path = tmp_path / FILE
    append(path, attempt())
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:20])
    assert read(path) == [attempt()]
    path.write_bytes(b"{}\n" + whole)
    with pytest.raises(RigError, match=r"results\.jsonl:1"):
        read(path)


@given(st.lists(classes))
def test_infra_alone_never_passes(outcomes: list[Class]) -> None:
    found = verdict(attempt(outcome) for outcome in outcomes)
    told = [outcome for outcome in outcomes if outcome != "infra"]
    assert found == (told[-1] if told else "infra")


def test_the_report_keeps_all_attempts_and_says_what_failed(tmp_path: Path) -> None:
    path = tmp_path / "qemu-virt" / FILE
    append(path, attempt("fail", run="20260101T000000Z", words="AssertionError: old"))
    append(path, attempt("infra", words="InfraError: the host is full"))
    append(path, attempt(attempt=2, measurements=(measured("panel", 12.25, "s", "<= 20"),)))
    slow = measured("sample", 9, "s", "<= 8")
    append(path, attempt("fail", test="test_b", words="beyond", measurements=(slow,)))
    text = report.markdown(tmp_path)
    assert "| test_boot.py::test_a | ci | INFRA, pass | 2 | panel 12.25 s (<= 20) |" in text
    assert "sample 9 s (<= 8, MISSED)" in text
    assert "the host is full" in text
    assert "1 pass, 1 fail, 0 infra, 0 skip" in text
    assert "AssertionError: old" not in text
    assert report.failed(last_run(read(path))) == ["test_b"]


def test_the_flake_rate_compares_attempts_on_one_image() -> None:
    history = [
        attempt("pass", run="1"),
        attempt("fail", run="2"),
        attempt("pass", run="1", test="b"),
        attempt("pass", run="2", test="b"),
        attempt("fail", run="3", test="b", card="other"),
        attempt("infra", run="4"),
    ]
    found = report.flakes(history)
    assert (found.compared, found.flaky, found.attempts, found.infra) == (2, 1, 6, 1)
    assert "flake rate 50.0 %" in found.line()


def test_tests_keep_the_order_they_were_tried_in() -> None:
    rows = [attempt(test="b"), attempt(test="a"), attempt(test="b", attempt=2)]
    assert list(by_test(rows)) == ["b", "a"]
