"""One segment: a file that only grows, by whole lines."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

from leyden.storage.files import FILES, Files, write_all

_MODE: Final = 0o644


class Segment:
    """A segment open for writing; made by `create` or `reopen`.

    After any `OSError` the segment is not to be trusted any more: a failed sync may have dropped
    what it did not write. `abandon` it and write what was not synced again, into another one.
    """

    def __init__(self, path: Path, descriptor: int, size: int, files: Files) -> None:
        self.path = path
        self.size = size  # bytes, whole lines only
        self.synced_size = size  # bytes known to be on the disk
        self._descriptor = descriptor
        self._files = files

    @classmethod
    def create(cls, path: Path, opening: bytes, files: Files = FILES) -> Segment:
        """Create the file with `opening` as its first lines; its name is on disk on return.

        Raises:
            FileExistsError: there is such a file.
            OSError: the disk refused; no file is left behind where that can be helped.
        """
        segment = cls(path, files.create(path, _MODE), 0, files)
        try:
            segment.append(opening)
            files.sync_folder(path.parent)
        except OSError:
            segment.abandon()
            with contextlib.suppress(OSError):  # the first error is the one to tell
                files.remove(path)
            raise
        return segment

    @classmethod
    def reopen(cls, path: Path, size: int, files: Files = FILES) -> Segment:
        """Open an existing file and cut it down to its first `size` bytes."""
        segment = cls(path, files.append_to(path), size, files)
        try:
            files.truncate(segment._descriptor, size)
        except OSError:
            files.close(segment._descriptor)
            raise
        return segment

    def append(self, lines: bytes) -> None:
        """Write whole lines, in one call.

        Raises:
            OSError: the disk refused; what it had taken of `lines` is cut off again if possible.
        """
        try:
            write_all(self._files, self._descriptor, lines)
        except OSError:
            with contextlib.suppress(OSError):  # a torn line is cut by whoever opens the log next
                self._files.truncate(self._descriptor, self.size)
            raise
        self.size += len(lines)

    def sync(self) -> None:
        """Return when everything appended so far is on the disk."""
        self._files.sync_data(self._descriptor)
        self.synced_size = self.size

    def close(self) -> None:
        """Close the file; what is not synced is left to the kernel."""
        self._files.close(self._descriptor)

    def abandon(self) -> None:
        """Close the file, cut down to what is known to be on the disk, as far as it can be cut."""
        with contextlib.suppress(OSError):
            self._files.truncate(self._descriptor, self.synced_size)
        with contextlib.suppress(OSError):
            self._files.close(self._descriptor)
