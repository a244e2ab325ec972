"""Atomic replacement of small files: after a power cut there is the old content or the new one."""

from __future__ import annotations

import contextlib
import itertools
import os
from pathlib import Path
from typing import Final

from leyden.storage.files import FILES, Files, write_all

_PRIVATE: Final = 0o600  # for secrets: the owner alone
_PUBLIC: Final = 0o644
_SUFFIX: Final = ".partial"
_serial = itertools.count()


def write_atomic(path: Path, data: bytes, *, private: bool = False, files: Files = FILES) -> None:
    """Replace the file at `path` by `data`, synced before the name changes hands and after.

    Two writers at once are safe: the last one wins, whole.

    Args:
        path: the file to replace or create; its folder must exist.
        data: the whole new content.
        private: readable and writable by the owner only, from the first byte on.
        files: the file system.

    Raises:
        OSError: the disk refused; the old content stands.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{next(_serial)}{_SUFFIX}")
    try:
        _write_synced(temporary, data, _PRIVATE if private else _PUBLIC, files)
        files.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):  # the first error is the one to tell
            files.remove(temporary)
        raise
    files.sync_folder(path.parent)


def remove_leftovers(folder: Path, files: Files = FILES) -> int:
    """Delete what interrupted replacements left in `folder`; return how many files that were.

    For the one process that owns the folder, before it writes there.
    """
    count = 0
    for path in folder.glob(f".*{_SUFFIX}"):
        files.remove(path)
        count += 1
    return count


def _write_synced(path: Path, data: bytes, mode: int, files: Files) -> None:
    descriptor = files.overwrite(path, mode)
    try:
        write_all(files, descriptor, data)
        files.sync(descriptor)
    finally:
        files.close(descriptor)
