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
_PATIENCE_S: Final = 20.0  # for a program that was told to end


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
        process = subprocess.Popen(
            words,
            cwd=folder,
            env=_surroundings(environment),
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
    except FileNotFoundError as error:
        raise ImageError(
            f"{words[0]} is not on this machine; `python -m leyden_image host` says what to install"
        ) from error
    with process:
        try:
            said, complained = process.communicate(stdin)
        except BaseException:
            _end(process)
            raise
    if process.returncode != 0:
        raise ImageError(_complaint(words, process.returncode, complained.strip() or said.strip()))
    return said


def _end(process: subprocess.Popen[str]) -> None:
    """Let a program clean up before it has to go: it may have mounted something."""
    process.terminate()
    try:
        process.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()


def _surroundings(extra: Mapping[str, str] | None) -> dict[str, str]:
    path = os.environ.get("PATH", os.defpath)
    return {**os.environ, "PATH": f"{path}:{_SBIN}", **_ENVIRONMENT, **(extra or {})}


def _complaint(words: Sequence[str], code: int, said: str) -> str:
    how = f"exit code {code}" if code >= 0 else f"signal {-code}"
    lines = [f"  {line}" for line in said.splitlines()[-_TAIL:]]
    return "\n".join([f"{shlex.join(words)} ended with {how}:", *lines])
