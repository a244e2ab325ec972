"""Has a configuration judged in a process of its own, and returns the verdict.

Reading a configuration takes pydantic and all drivers, which would stay in the runtime's memory for
months to do a second's work. So a child reads the file, tells what it found, and ends.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import msgspec

from leyden.appliance.plan import Plan

TIMEOUT_S: Final = 60.0  # the slowest board needs a few seconds
_OURS_ALONE: Final = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
_LONGEST: Final = 400  # characters of what a child that broke has left


class Verdict(msgspec.Struct, frozen=True):
    """What became of a configuration: a plan, or what is wrong with it, line by line."""

    plan: Plan | None
    problems: tuple[str, ...] = ()


def judge_in_child(path: Path, *, timeout_s: float = TIMEOUT_S) -> Verdict:
    """Return the verdict on a configuration file; a judge that breaks is a problem in words."""
    command = [sys.executable, "-m", "leyden.appliance.judging", str(path)]
    # Whatever the child sends would be taken for the runtime's own sign of life.
    environment = {name: value for name, value in os.environ.items() if name not in _OURS_ALONE}
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
        return msgspec.json.decode(done.stdout, type=Verdict)
    except subprocess.TimeoutExpired:
        return _broken(path, f"took longer than {timeout_s:g} s")
    except OSError as error:
        return _broken(path, f"could not be started: {error.strerror or error}")
    except msgspec.MsgspecError:
        last = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        return _broken(path, f"ended with {done.returncode}: {last[:_LONGEST]}")


def _broken(path: Path, what: str) -> Verdict:
    return Verdict(None, (f"{path}: could not be judged: the judge {what}",))
