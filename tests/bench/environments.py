"""Builds one virtual environment for each subject, once, and says plainly when it cannot."""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from .subjects import Role, Subject

INSTALL_TIMEOUT_S = 300
STAMP = "pins.sha256"  # written last, so that an interrupted build is begun anew


@dataclass(frozen=True, slots=True)
class Environments:
    """The Python of each subject, or the reason why it has none."""

    pythons: dict[str, Path] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


def prepare(subjects: Iterable[Subject], root: Path, say: Callable[[str], None]) -> Environments:
    """Build what is missing or outdated below `root`; return where every Python is."""
    found = Environments()
    for subject in subjects:
        if subject.role is Role.LEYDEN:
            found.pythons[subject.id] = Path(sys.executable)
            continue
        folder = root / subject.environment
        if not is_current(folder, subject):
            say(f"environment {subject.id}: installing")
            reason = build(folder, subject)
            if reason:
                say(f"environment {subject.id}: not installed, {reason}")
                found.reasons[subject.id] = reason
                continue
        found.pythons[subject.id] = _python(folder)
    return found


def is_current(folder: Path, subject: Subject) -> bool:
    """Whether the environment was finished with these pins and this Python."""
    stamp = folder / STAMP
    return stamp.is_file() and stamp.read_text() == fingerprint(subject)


def fingerprint(subject: Subject) -> str:
    """A digest of everything that decides what is in the environment."""
    text = "\n".join((sys.version, sys.base_prefix, *sorted(subject.pins)))
    return hashlib.sha256(text.encode()).hexdigest()


def build(folder: Path, subject: Subject) -> str:
    """Make the environment anew; return "" or, in words, why it could not be made."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        venv.create(folder, symlinks=True)
        reason = _install(folder, subject)
    except (OSError, subprocess.SubprocessError) as error:
        return f"{type(error).__name__}: {error}"
    if not reason:
        (folder / STAMP).write_text(fingerprint(subject))
    return reason


def _install(folder: Path, subject: Subject) -> str:
    if importlib.util.find_spec("pip") is None:
        return "this Python has no pip; make the project's environment with `python -m venv`"
    command = [
        sys.executable, "-m", "pip", "--python", str(_python(folder)), "install", "--quiet",
        "--disable-pip-version-check", "--no-input",
        # A package without a wheel for this machine would be compiled, for minutes or in vain.
        "--only-binary", ":all:",
    ]  # fmt: skip
    command += [word for name in subject.from_source for word in ("--no-binary", name)]
    command += subject.pins
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False
    )
    return "" if done.returncode == 0 else _why(done.stderr)


def _why(stderr: str) -> str:
    errors = [line.removeprefix("ERROR: ") for line in stderr.splitlines() if "ERROR" in line]
    return errors[-1].strip() if errors else "pip failed without saying why"


def _python(folder: Path) -> Path:
    return folder / "bin" / "python"
