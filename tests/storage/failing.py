"""A file system that refuses, tears or delays what it is told to, for tests of everything above."""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from leyden.storage.files import Files


class FailingFiles(Files):
    """The real file system, except for what it is told to refuse, to delay or to run out of.

    Syncs are counted but not waited for: what a process reads back does not depend on them.
    """

    def __init__(self) -> None:
        super().__init__(durable=False)
        self.calls: Counter[str] = Counter()
        self._errors: dict[str, int] = {}
        self._remaining: dict[str, int] = {}
        self._delays: dict[str, Callable[[], object]] = {}
        self._room: int | None = None  # bytes that still fit

    def refuse(self, *calls: str, error: int, times: int = 1 << 30) -> None:
        """Let these calls fail with `error`, so many times."""
        for call in calls:
            self._errors[call] = error
            self._remaining[call] = times

    def delay(self, call: str, wait: Callable[[], object]) -> None:
        """Run `wait` before each such call."""
        self._delays[call] = wait

    def leave_room(self, size: int | None) -> None:
        """Let the disk be full after `size` more bytes; None: it has room."""
        self._room = size

    def relent(self) -> None:
        """Work again."""
        self._errors.clear()
        self._delays.clear()
        self._room = None

    def _called(self, call: str) -> None:
        self.calls[call] += 1
        if call in self._delays:
            self._delays[call]()
        if call in self._errors and self._remaining[call] > 0:
            self._remaining[call] -= 1
            raise OSError(self._errors[call], os.strerror(self._errors[call]))

    def create(self, path: Path, mode: int) -> int:
        self._called("create")
        return super().create(path, mode)

    def append_to(self, path: Path) -> int:
        self._called("append_to")
        return super().append_to(path)

    def overwrite(self, path: Path, mode: int) -> int:
        self._called("overwrite")
        return super().overwrite(path, mode)

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        self._called("write")
        if self._room is None:
            return super().write(descriptor, data)
        fits = min(len(data), self._room)
        if fits == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._room -= fits
        return super().write(descriptor, bytes(data[:fits]))

    def truncate(self, descriptor: int, size: int) -> None:
        self._called("truncate")
        super().truncate(descriptor, size)

    def sync_data(self, descriptor: int) -> None:
        self._called("sync_data")
        super().sync_data(descriptor)

    def sync(self, descriptor: int) -> None:
        self._called("sync")
        super().sync(descriptor)

    def replace(self, source: Path, target: Path) -> None:
        self._called("replace")
        super().replace(source, target)

    def remove(self, path: Path) -> None:
        self._called("remove")
        super().remove(path)

    def make_folder(self, path: Path) -> None:
        self._called("make_folder")
        super().make_folder(path)

    def sync_folder(self, path: Path) -> None:
        self._called("sync_folder")
        super().sync_folder(path)
