"""Sequence numbers and boots: reserved on disk before they are used, so that none is used twice.

`sequence.json` holds the boot counter and a bound: every number below it may have been given out.
A boot begins at the bound it finds, raises it by two blocks before it gives out anything, and keeps
it one block ahead from then on. A clean end lowers the bound to what was used.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final

import msgspec

from leyden.storage.atomic import write_atomic
from leyden.storage.files import FILES, Files

BLOCK: Final = 65_536  # numbers reserved at a time: eleven minutes at a hundred a second
_FILE: Final = "sequence.json"


class Sequence(msgspec.Struct, frozen=True):
    """What the file says."""

    boot: int  # boots of this data directory so far
    bound: int  # no number from here on was ever given out
    format: int = 1


class Numbers:
    """Gives this boot its number and its blocks of sequence numbers.

    A disk that refuses the bound does not stop the appliance: numbers go on, and `unsecured` counts
    those that a crash would let the next boot use again. They are secured as soon as the disk takes
    the bound.

    Args:
        folder: where `sequence.json` lives.
        logged: the last boot and the last number that the log itself is known to hold.
        files: the file system.
    """

    def __init__(self, folder: Path, logged: tuple[int, int], files: Files = FILES) -> None:
        self._path = folder / _FILE
        self._files = files
        self._counting = threading.Lock()
        self._writing = threading.Lock()  # held while the disk is asked, so never waited for long
        found = read_sequence(folder)
        boot, last = logged
        self.lost = found is None and boot > 0  # the file is gone although there is a log
        if found is None:
            # What was given out and not logged is unknown, but no boot is two blocks ahead of it.
            found = Sequence(boot, last + 1 + (2 * BLOCK if boot else 0))
        self.boot = max(found.boot, boot) + 1
        self.first = max(found.bound, last + 1)
        self._granted = self.first
        self._secured = self.first
        self.trouble: OSError | None = self._try_to_secure(self.first + 2 * BLOCK)

    @property
    def unsecured(self) -> int:
        """Numbers given out that are not reserved on disk."""
        return max(0, self._granted - self._secured)

    def reserve(self, patience_s: float = 1.0) -> int:
        """Grant one block more and return the first number beyond it.

        Returns at once while `renew` keeps up. Otherwise it writes the bound itself, after waiting
        at most `patience_s` for another who does; with 0 it leaves the disk alone.
        """
        with self._counting:
            self._granted += BLOCK
            granted = self._granted
        if granted > self._secured and patience_s and self._writing.acquire(timeout=patience_s):
            try:
                if granted > self._secured:
                    self._try_to_secure(granted + BLOCK)
            finally:
                self._writing.release()
        return granted

    def due(self) -> bool:
        """Whether less than a whole block is secured ahead."""
        return self._secured - self._granted < BLOCK

    def renew(self) -> None:
        """Secure one block ahead of what is granted, if that is due.

        Raises:
            OSError: the disk refused.
        """
        with self._writing:
            if self.due():
                self._secure(self._granted + BLOCK)

    def finish(self, last: int) -> None:
        """Say on disk that nothing above `last` was used, so that numbering goes on without a gap.

        Raises:
            OSError: the disk refused; the next boot begins above the reserved bound.
        """
        with self._writing:
            self._secure(last + 1)

    def secure_granted(self) -> None:
        """Make sure that what was granted stays this boot's own, after `finish` said otherwise."""
        with self._writing:
            if self._granted > self._secured:
                self._try_to_secure(self._granted)

    def _try_to_secure(self, bound: int) -> OSError | None:
        try:
            self._secure(bound)
        except OSError as error:
            return error
        return None

    def _secure(self, bound: int) -> None:
        text = msgspec.json.encode(Sequence(self.boot, bound)) + b"\n"
        write_atomic(self._path, text, files=self._files)
        self._secured = bound


def read_sequence(folder: Path) -> Sequence | None:
    """Return what `sequence.json` in `folder` says; None if it is missing or damaged."""
    try:
        found = msgspec.json.decode((folder / _FILE).read_bytes(), type=Sequence)
    except (OSError, msgspec.DecodeError, ValueError):
        return None
    return found if found.boot >= 0 and found.bound >= 1 else None
