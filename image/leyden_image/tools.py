"""Runs the programs of the host, and says in words what went wrong with one."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from leyden_image.errors import ImageError

# Words, order and numbers as everywhere, whatever the person at the keyboard speaks.
_ENVIRONMENT: Final = {"LC_ALL": "C.UTF-8", "TZ": "UTC"}
_SBIN: Final = "/usr/local/sbin:/usr/sbin:/sbin"  # absent from many a user's PATH
_TAIL: Final = 25  # lines of a failing program that are shown


def run(
    command: Sequence[str | Path],
    *,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    stdin: str | None = None,
) -> str:
    """Run a program to its end and return what it printed.

    Args:
        command: program and arguments; no shell is involved.
        folder: where it runs.
        environment: variables added to those of this process.
        stdin: text for its standard input; none when absent.

    Raises:
        ImageError: it is not there, or says that it failed.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            cwd=folder,
            env=_surroundings(environment),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except FileNotFoundError as error:
        raise ImageError(
            f"{words[0]} is not on this machine; `python -m leyden_image host` says what to install"
        ) from error
    if done.returncode != 0:
        raise ImageError(_complaint(words, done))
    return done.stdout


def _surroundings(extra: Mapping[str, str] | None) -> dict[str, str]:
    path = os.environ.get("PATH", os.defpath)
    return {**os.environ, "PATH": f"{path}:{_SBIN}", **_ENVIRONMENT, **(extra or {})}


def _complaint(words: Sequence[str], done: subprocess.CompletedProcess[str]) -> str:
    said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-_TAIL:]
    how = f"exit code {done.returncode}"
    if done.returncode < 0:
        how = f"signal {-done.returncode}"
    return "\n".join([f"{shlex.join(words)} ended with {how}:", *(f"  {line}" for line in said)])
