"""The lock on a data directory: one supervisor at a time, and a second one learns who has it."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Final

from leyden.storage.errors import InUseError, StorageError
from leyden.storage.files import FILES, Files

_FILE: Final = ".lock"


class FolderLock:
    """An exclusive flock(2) below `folder`, held until `release` or the death of this process.

    Children do not inherit it: a supervisor that is killed frees the folder at once.
    """

    def __init__(self, folder: Path, files: Files = FILES) -> None:
        self.folder = folder
        self._files = files
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Create the folder if need be and lock it.

        Raises:
            InUseError: another process has it; names the process.
            StorageError: the folder cannot be created or written.
        """
        try:
            self._files.make_folder(self.folder)
            descriptor = os.open(self.folder / _FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StorageError(self.folder, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _pid_in(descriptor)
            os.close(descriptor)
            raise InUseError(self.folder, holder) from None
        self._descriptor = descriptor
        with contextlib.suppress(OSError):  # the lock stands; on a full disk it has no name to show
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Free the folder; nothing happens if it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> FolderLock:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def _pid_in(descriptor: int) -> int:
    text = os.pread(descriptor, 32, 0).strip()
    return int(text) if text.isdigit() else 0
