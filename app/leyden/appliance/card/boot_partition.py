"""The boot partition: FAT, mounted read-only, made writable for as long as a write takes.

FAT has no journal: a power cut while it is written can damage it, and it is what the board starts
from. So it is written seldom and shortly, and everything here has a way to go on without it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from leyden.appliance.card.places import Card
from leyden.kernel import LeydenError
from leyden.storage.atomic import remove_leftovers, write_atomic
from leyden.storage.errors import explain
from leyden.storage.files import FILES, Files
from leyden.storage.raw import RawArea

_MOUNT_S: Final = 30.0
_OCTAL: Final = {"\\040": " ", "\\011": "\t", "\\012": "\n", "\\134": "\\"}  # in /proc/self/mounts


class BootPartitionError(LeydenError):
    """The boot partition cannot be written, with what was found and what to try."""


class Mounts(Protocol):
    """Makes a mounted file system writable and read-only again."""

    def state(self, path: Path) -> str:
        """Return "ro" or "rw"; "" where nothing is mounted."""
        ...

    def remount(self, path: Path, state: str) -> None:
        """Mount again with "ro" or "rw".

        Raises:
            BootPartitionError: the system refuses.
        """
        ...


class SystemMounts:
    """The mounts of the running system."""

    def state(self, path: Path) -> str:
        """Return "ro" or "rw"; "" where nothing is mounted."""
        found = ""
        for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
            _, where, _, options = line.split(" ")[:4]
            for written, meant in _OCTAL.items():
                where = where.replace(written, meant)
            if where == str(path):  # the last one lies on top
                found = "rw" if "rw" in options.split(",") else "ro"
        return found

    def remount(self, path: Path, state: str) -> None:
        """Mount again; writing everything out first is what `mount` does by itself."""
        command = ["mount", "-o", f"remount,{state}", str(path)]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_MOUNT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BootPartitionError(f"{path} cannot be mounted again: {error}") from error
        if done.returncode:
            reason = done.stderr.strip().removeprefix("mount: ") or f"mount ended {done.returncode}"
            raise BootPartitionError(
                f"{path} cannot be made writable: {reason}; check the card's lock switch, or look "
                "for errors on another computer (chkdsk, fsck.fat)"
            )


class PlainFolder:
    """A folder that stands for the boot partition: nothing is mounted."""

    def state(self, path: Path) -> str:
        """Return "rw" where the folder is."""
        return "rw" if path.is_dir() else ""

    def remount(self, path: Path, state: str) -> None:
        """Do nothing."""


class BootPartition:
    """Writes files on the boot partition.

    Args:
        card: whose boot partition it is.
        mounts: how it is made writable.
        files: the file system.
    """

    def __init__(self, card: Card, mounts: Mounts | None = None, files: Files = FILES) -> None:
        self._card = card
        self._mounts = mounts or (SystemMounts() if card.live else PlainFolder())
        self._files = files

    def write(self, name: str, data: bytes) -> None:
        """Replace a file whole, unless it holds just that already.

        Raises:
            BootPartitionError: it cannot be written; the old one stands.
        """
        path = self._card.boot / name
        if _holds(path, data):
            return
        with self._writable():
            remove_leftovers(self._card.boot, self._files)
            write_atomic(path, data, files=self._files)

    def overwrite(self, name: str, data: bytes) -> None:
        """Put other bytes in the place of a file's, on the very same sectors.

        So nothing of the old content is left anywhere, and no name or table of the file system
        changes that a power cut could damage. A power cut leaves a mixture of old and new sectors.

        Args:
            name: a file that is there.
            data: exactly as many bytes as the file has.

        Raises:
            BootPartitionError: it cannot be written.
        """
        path = self._card.boot / name
        with self._writable():
            found = path.stat().st_size
            if found != len(data):
                words = f"{path} has {found} bytes, expected {len(data)}: it has just been changed"
                raise BootPartitionError(f"{words}; start again")
            RawArea(path, 0, len(data), self._files).write(data)

    def remove(self, name: str) -> None:
        """Delete a file, if it is there.

        Raises:
            BootPartitionError: it cannot be deleted.
        """
        path = self._card.boot / name
        if path.exists():
            with self._writable():
                self._files.remove(path)
                self._files.sync_folder(self._card.boot)

    @contextmanager
    def _writable(self) -> Iterator[None]:
        path = self._card.boot
        with self._alone():
            before = self._mounts.state(path)
            if not before:
                raise BootPartitionError(
                    f"no boot partition is mounted at {path}; it may be damaged: look at the card "
                    "on another computer"
                )
            if before == "ro":
                self._mounts.remount(path, "rw")
            try:
                yield
            except OSError as error:
                raise BootPartitionError(f"{path} cannot be written: {explain(error)}") from error
            finally:
                if before == "ro":
                    # Writable is no harm to what was written; the next write tries again.
                    with contextlib.suppress(BootPartitionError):
                        self._mounts.remount(path, "ro")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other programs from making it read-only while we write."""
        self._files.make_folder(self._card.run)
        lock = os.open(
            self._card.run / "boot-partition.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def _holds(path: Path, data: bytes) -> bool:
    try:
        return path.read_bytes() == data
    except OSError:
        return False
