"""Whether a process that was killed will ever end, by what the kernel tells of its threads."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from leyden.appliance.stuck import stuck_in_kernel


def process(proc: Path, pid: int, *states: str, name: str = "python3") -> None:
    for number, state in enumerate(states):
        task = proc / str(pid) / "task" / str(pid + number)
        task.mkdir(parents=True)
        (task / "stat").write_text(f"{pid + number} ({name}) {state} 1 {pid} {pid} 0 -1 4194560\n")


@pytest.mark.parametrize(
    ("states", "stuck"), [("S", False), ("SRS", False), ("Z", False), ("ZD", True), ("D", True)]
)
def test_one_thread_that_hears_no_signal_is_enough(
    tmp_path: Path, states: str, stuck: bool
) -> None:
    process(tmp_path, 300, *states)
    assert stuck_in_kernel(300, tmp_path) is stuck


def test_a_name_with_brackets_and_letters_is_no_state(tmp_path: Path) -> None:
    process(tmp_path, 300, "S", name="a) D (b")
    assert not stuck_in_kernel(300, tmp_path)


def test_one_that_is_gone_or_unknown_is_not_stuck(tmp_path: Path) -> None:
    assert not stuck_in_kernel(300, tmp_path)
    assert not stuck_in_kernel(0, tmp_path)
    process(tmp_path, 300)
    (tmp_path / "300" / "task" / "300").mkdir(parents=True)
    assert not stuck_in_kernel(300, tmp_path)


def test_this_process_is_not_stuck() -> None:
    assert not stuck_in_kernel(os.getpid())
