"""A fixed stretch of a disk outside every file system, read and replaced as a whole."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path

from leyden.storage.files import FILES, Files


@dataclass(frozen=True, slots=True)
class RawArea:
    """`size` bytes at `offset` of a disk, or of a file that stands for one.

    A power cut while writing can leave any mixture of old and new sectors: whoever uses an area
    keeps two of them, or a checksum, or both.
    """

    disk: Path
    offset: int  # bytes
    size: int  # bytes
    files: Files = FILES

    def read(self) -> bytes:
        """Return what stands there.

        Raises:
            OSError: the disk is missing, too small or damaged here.
        """
        descriptor = os.open(self.disk, os.O_RDONLY | os.O_CLOEXEC)
        try:
            data = os.pread(descriptor, self.size, self.offset)
        finally:
            os.close(descriptor)
        if len(data) < self.size:
            raise OSError(errno.ENXIO, f"{self.disk} ends before {self.offset + self.size} bytes")
        return data

    def write(self, data: bytes) -> None:
        """Replace what stands there; it is on the disk on return. The rest becomes zeros.

        Raises:
            ValueError: `data` is larger than the area.
            OSError: the disk refused; the area holds old, new or torn contents.
        """
        if len(data) > self.size:
            raise ValueError(f"found {len(data)} bytes for an area of {self.size}")
        whole = memoryview(data.ljust(self.size, b"\0"))
        descriptor = self.files.update(self.disk)
        try:
            taken = 0
            while taken < self.size:
                taken += self._write_some(descriptor, whole[taken:], self.offset + taken)
            self.files.sync(descriptor)
        finally:
            self.files.close(descriptor)

    def _write_some(self, descriptor: int, data: memoryview, offset: int) -> int:
        taken = self.files.write_at(descriptor, data, offset)
        if taken == 0:
            raise OSError(errno.EIO, "the disk takes no more bytes")  # or this would never end
        return taken
