"""Counts how often a plan was started and the runtime died before it was up.

Words can be said of a plan that is refused; one that takes the whole process with it (a library
that crashes, a read that hangs until the watchdog ends it) can only be counted. The counts live
where a restart of the machine clears them: a plan that had bad luck gets another chance then.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

import msgspec

from leyden.storage.atomic import write_atomic

MOST: Final = 3  # starts in a row that end before the runtime is up; then another plan has its turn


class Attempts:
    """Counts by plan, in one small file.

    Args:
        path: the file; in a folder that is emptied when the machine starts.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def spent(self, key: str) -> bool:
        """Whether the plan of this key has had its chances."""
        return self._counts().get(key, 0) >= MOST

    def begin(self, key: str) -> None:
        """Count a start, before anything can go wrong."""
        counts = self._counts()
        self._write({**counts, key: counts.get(key, 0) + 1})

    def over(self, key: str) -> None:
        """Forget the starts of a plan: it came up, or ended in an orderly way with words."""
        counts = self._counts()
        if counts.pop(key, None) is not None:
            self._write(counts)

    def _counts(self) -> dict[str, int]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, int])
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return {}

    def _write(self, counts: dict[str, int]) -> None:
        # Without the count a plan that kills the runtime is tried for ever, which is what would
        # happen without this file too: no reason not to start.
        with contextlib.suppress(OSError):
            write_atomic(self._path, msgspec.json.encode(counts))
