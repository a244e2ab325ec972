"""The few calls on the file system that storage makes, in one place so that tests can fail them."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

_APPEND: Final = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
_REPLACE: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
_UPDATE: Final = os.O_RDWR | os.O_CLOEXEC


class Files:
    """The machine's own file system. Every method raises `OSError`, as the call it makes does.

    Args:
        durable: wait for the disk where asked to. False is for simulations, which do in a minute
            what takes a day and whose files can be made again.
    """

    def __init__(self, *, durable: bool = True) -> None:
        self._durable = durable

    def create(self, path: Path, mode: int) -> int:
        """Create a file that must not exist yet, for appending; return its descriptor."""
        return os.open(path, _APPEND | os.O_CREAT | os.O_EXCL, mode)

    def append_to(self, path: Path) -> int:
        """Open an existing file for appending; return its descriptor."""
        return os.open(path, _APPEND)

    def overwrite(self, path: Path, mode: int) -> int:
        """Create a file, or empty the one there is; return its descriptor."""
        return os.open(path, _REPLACE, mode)

    def update(self, path: Path) -> int:
        """Open an existing file or disk for reading and writing; return its descriptor."""
        return os.open(path, _UPDATE)

    def write_at(self, descriptor: int, data: bytes | memoryview, offset: int) -> int:
        """Write once at a place; return how many bytes were taken, which may be fewer."""
        return os.pwrite(descriptor, data, offset)

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        """Write once; return how many bytes were taken, which may be fewer."""
        return os.write(descriptor, data)

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut an open file down to `size` bytes."""
        os.ftruncate(descriptor, size)

    def sync_data(self, descriptor: int) -> None:
        """Return when what was written is on the disk, with the size needed to read it back."""
        if self._durable:
            os.fdatasync(descriptor)

    def sync(self, descriptor: int) -> None:
        """Return when contents and metadata are on the disk."""
        if self._durable:
            os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        """Close a descriptor."""
        os.close(descriptor)

    def replace(self, source: Path, target: Path) -> None:
        """Give `source` the name `target`, in one step, whatever had it before."""
        source.replace(target)

    def remove(self, path: Path) -> None:
        """Delete a file."""
        path.unlink()

    def make_folder(self, path: Path) -> None:
        """Create a folder and those above it, unless they exist."""
        path.mkdir(parents=True, exist_ok=True)

    def sync_folder(self, path: Path) -> None:
        """Return when the names in a folder are on the disk: a new file's name needs this too."""
        if not self._durable:
            return
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


FILES: Final = Files()


def write_all(files: Files, descriptor: int, data: bytes) -> None:
    """Write all of `data`, in one call unless the disk takes less than it was given.

    Raises:
        OSError: the disk refused; part of `data` may have been written.
    """
    taken = files.write(descriptor, data)
    if taken == len(data):
        return
    rest = memoryview(data)[taken:]
    while rest:
        taken = files.write(descriptor, rest)
        if taken == 0:
            raise OSError(errno.EIO, "the file takes no more bytes")  # or this would never end
        rest = rest[taken:]
