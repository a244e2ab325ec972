"""The data directory: which folder holds what, and the processes that leave their number there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from leyden.kernel import LeydenError
from leyden.storage.atomic import write_atomic


class FolderError(LeydenError):
    """The data directory cannot be made or written."""


@dataclass(frozen=True, slots=True)
class Folders:
    """Paths below one data directory; `make` creates them."""

    data: Path

    @property
    def log(self) -> Path:
        """Segments of the event log."""
        return self.data / "log"

    @property
    def plan(self) -> Path:
        """Plans that the runtime keeps between its starts."""
        return self.data / "plan"

    @property
    def auth(self) -> Path:
        """Tokens and sessions; for the owner alone."""
        return self.data / "auth"

    @property
    def run(self) -> Path:
        """What lives as long as the processes: sockets and their numbers."""
        return self.data / "run"

    @property
    def socket(self) -> Path:
        """The link of the runtime."""
        return self.run / "leyden.sock"

    def make(self) -> None:
        """Create the folders that are missing.

        Raises:
            FolderError: a folder cannot be made, or cannot be written to.
        """
        for folder, mode in ((self.data, 0o755), (self.auth, 0o700), (self.run, 0o755)):
            try:
                folder.mkdir(mode=mode, parents=True, exist_ok=True)
            except OSError as error:
                raise FolderError(_words(folder, error)) from error
            if not os.access(folder, os.W_OK | os.X_OK):
                raise FolderError(
                    f"{folder} cannot be written by this user; "
                    "change its owner or choose another with --data"
                )

    def note_pid(self, name: str, pid: int) -> None:
        """Leave a process's number in `run/<name>.pid`."""
        write_atomic(self.run / f"{name}.pid", f"{pid}\n".encode())

    def forget_pid(self, name: str) -> None:
        """Remove `run/<name>.pid`."""
        (self.run / f"{name}.pid").unlink(missing_ok=True)


def _words(folder: Path, error: OSError) -> str:
    reason = error.strerror or str(error)
    return f"{folder} cannot be made: {reason}; choose another data directory with --data"
