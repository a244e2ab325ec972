"""Room on a disk: how much a folder takes and how much is left."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def folder_bytes(folder: Path) -> int:
    """Return the bytes taken by the files below `folder`; 0 if there is no such folder."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # deleted while we count
                total += (Path(parent) / name).lstat().st_size
    return total


def free_bytes(folder: Path) -> int:
    """Return the bytes an ordinary user may still write to the disk that holds `folder`.

    Raises:
        OSError: there is no such folder.
    """
    facts = os.statvfs(folder)
    return facts.f_bavail * facts.f_frsize
