"""Tells whether a process is stuck in the kernel, where even SIGKILL does not end it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_UNINTERRUPTIBLE: Final = "D"  # proc_pid_stat(5): waiting for a device, deaf to every signal


def stuck_in_kernel(pid: int, proc: Path = Path("/proc")) -> bool:
    """Whether a thread of a process waits for a device without hearing any signal.

    A process that was killed keeps its files and its locks until its last thread has come back.

    Args:
        pid: the process; 0 or one that is gone is not stuck.
        proc: where the kernel tells of processes; another place only in tests.
    """
    return any(_state(stat) == _UNINTERRUPTIBLE for stat in proc.glob(f"{pid}/task/*/stat"))


def _state(stat: Path) -> str:
    try:
        # The name before it stands in brackets and may itself hold some.
        return stat.read_text(errors="replace").rpartition(") ")[2][:1]
    except OSError:  # it has just ended
        return ""
