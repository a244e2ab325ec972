"""Runs the scripts: subject after subject, round after round, each bounded and none left behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .environments import Environments
from .workloads import SCRIPTS, Effort, Entry, Workload

GAUGE = SCRIPTS / "gauge"


@dataclass(frozen=True, slots=True)
class Sample:
    """What one run of one script said: figures by name, or an error in words."""

    subject: str  # its id
    figures: Mapping[str, float] = field(default_factory=dict)
    detail: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""


Runner = Callable[[Workload, Entry, Effort], Sample]


def order(entries: tuple[Entry, ...], rounds: int) -> Iterator[tuple[int, Entry]]:
    """Yield A B C A B C …: what disturbs the machine for a while disturbs every subject."""
    for turn in range(rounds):
        for entry in entries:
            yield turn, entry


def measure(
    workload: Workload, effort: Effort, run: Runner, say: Callable[[str], None]
) -> list[Sample]:
    """Run a workload for every subject and round; one that failed is not tried again."""
    samples: list[Sample] = []
    failed: set[str] = set()
    for turn, entry in order(workload.entries, effort.rounds):
        if entry.subject.id in failed:
            continue
        say(f"{workload.name} {turn + 1}/{effort.rounds} {entry.subject.id}")
        sample = run(workload, entry, effort)
        samples.append(sample)
        if sample.error:
            failed.add(entry.subject.id)
    return samples


class ScriptRunner:
    """Runs scripts as processes, each in the environment of its subject.

    Args:
        environments: where each subject's Python is.
        folder: where scripts may write; on the disk the log is meant for, not in memory.
    """

    def __init__(self, environments: Environments, folder: Path) -> None:
        self._environments = environments
        self._folder = folder

    def __call__(self, workload: Workload, entry: Entry, effort: Effort) -> Sample:
        """Run one script once."""
        subject = entry.subject.id
        python = self._environments.pythons.get(subject)
        if python is None:
            reason = self._environments.reasons.get(subject, "no environment")
            return Sample(subject, error=f"not installed: {reason}")
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._folder) as scratch:
            command = [
                str(python), "-P", str(SCRIPTS / entry.script), *entry.arguments,
                f"seconds={effort.seconds}", f"folder={scratch}",
            ]  # fmt: skip
            return _outcome(workload, subject, *run_bounded(command, workload, scratch))


def run_bounded(command: list[str], workload: Workload, folder: str) -> tuple[int | None, str, str]:
    """Run a command in a session of its own; return its exit code, None when out of time."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=_environment(folder),
        start_new_session=True,  # so that it and its children can be ended together
    )
    if workload.pinned:
        _pin(process.pid)
    try:
        stdout, stderr = process.communicate(timeout=workload.timeout_s)
    except subprocess.TimeoutExpired:
        return None, "", ""
    finally:
        _end(process)
    return process.returncode, stdout, stderr


def _outcome(
    workload: Workload, subject: str, code: int | None, stdout: str, stderr: str
) -> Sample:
    if code is None:
        return Sample(subject, error=f"did not end within {workload.timeout_s:g} s")
    if code != 0:
        last = (stderr.strip().splitlines() or ["it said nothing"])[-1]
        return Sample(subject, error=f"exit {code}: {last}")
    try:
        said = json.loads(stdout.strip().splitlines()[-1])
        value, others = float(said["value"]), said["also"]
        figures = {workload.name: value} | {
            figure.name: float(others[figure.name]) for figure in workload.figures[1:]
        }
    except (IndexError, ValueError, KeyError, TypeError) as error:
        return Sample(subject, error=f"did not print a result: {type(error).__name__} {error}")
    return Sample(subject, figures, said.get("detail", {}))


def _environment(folder: str) -> dict[str, str]:
    # Nothing of the caller's settings may favour one subject: no PYTHON* variables but these.
    kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
    return kept | {"PYTHONPATH": str(GAUGE), "PYTHONHASHSEED": "0", "TMPDIR": folder}


def _pin(pid: int) -> None:
    processors = sorted(os.sched_getaffinity(0))
    if len(processors) > 1:  # the last one: interrupts and this process tend to the first
        try:
            os.sched_setaffinity(pid, processors[-1:])
        except ProcessLookupError:
            return  # it has ended already; its outcome says why


def _end(process: subprocess.Popen[str]) -> None:
    # The session's id is the process's own, so this reaches what it started and nothing else.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
