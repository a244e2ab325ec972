"""Runs functions of the initrd's shell files under the shells of this machine, with stand-ins."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

BOOT = Path(__file__).parents[3] / "image" / "boot"
INITRD = BOOT / "initrd"
LIBRARY = INITRD / "leyden"

# `sh` is always there; busybox's is the one on the card.
SHELLS = ("sh", "busybox sh")


def shell_or_reason(shell: str) -> str | None:
    """Return why a shell cannot be used here; None when it can."""
    program = shell.split(maxsplit=1)[0]
    return None if shutil.which(program) else f"{program} is not installed on this machine"


def run_shell(
    shell: str,
    script: str,
    *files: str,
    folder: Path,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run a script after the library's `files`, with all it touches inside `folder`.

    Records, console, kernel log, /sys and /dev are there instead of where they are on a card.
    """
    for name in ("records", "sys", "dev"):
        (folder / name).mkdir(exist_ok=True)
    surroundings = {
        "RECORDS": f"{folder}/records",
        "CONSOLE": f"{folder}/console",
        "KERNEL_LOG": f"{folder}/kernel-log",
        "SYS": f"{folder}/sys",
        "DEV": f"{folder}/dev",
        "LEYDEN": str(LIBRARY),
        "JSON": f"{LIBRARY}/json.awk",
        "FORGET": "/dev/null",
        "TMPDIR": str(folder),
        "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin",
        "LC_ALL": "C.UTF-8",
    }
    sources = "".join(f". {LIBRARY}/{file}.sh\n" for file in files)
    return subprocess.run(
        [*shell.split(), "-c", f"set -u\n{sources}{script}"],
        input=stdin,
        capture_output=True,
        env={**surroundings, **(environment or {})},
        cwd=folder,
        check=False,
        timeout=30,
    )


def output_of(
    shell: str,
    script: str,
    *files: str,
    folder: Path,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run a script that has to succeed, and return what it printed."""
    done = run_shell(shell, script, *files, folder=folder, stdin=stdin, environment=environment)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr == b""
    return done.stdout.decode()
