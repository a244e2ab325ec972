"""One emulator at a time on a machine: a lock that two runs queue for.

An emulated machine takes all cores it can get. Two at once would make each other late, and every
time that is measured would be wrong.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from pathlib import Path
from typing import Final

from leyden_hil.errors import InfraError

NAME: Final = "leyden-emulator.lock"
VARIABLE: Final = "LEYDEN_EMULATOR_LOCK"
_LOOK_S: Final = 0.2  # between two looks; the kernel's lock has no waiting with an end

_waited_s = [0.0]


def waited_s() -> float:
    """Return how long this process has waited for other runs so far, in seconds."""
    return sum(_waited_s)


class EmulatorLock:
    """The host-wide lock; its descriptor may be inherited, and holds as long as anyone has it.

    Args:
        path: of the lock file; `None`: the variable `LEYDEN_EMULATOR_LOCK`, else
            `leyden-emulator.lock` in the folder for temporary files.
    """

    def __init__(self, path: Path | None = None) -> None:
        named = os.environ.get(VARIABLE)
        self.path = path or (Path(named) if named else Path(tempfile.gettempdir()) / NAME)
        self._descriptor: int | None = None

    def acquire(self, limit_s: float) -> float:
        """Wait for the lock; return how long it took, in seconds.

        Raises:
            InfraError: somebody else has had it for `limit_s`.
        """
        began = time.monotonic()
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        while not self._take():
            if time.monotonic() - began > limit_s:
                self.release()
                raise InfraError(
                    f"{self.path}: another run has had its emulator for {limit_s:.0f} s; "
                    "wait for it, or look who holds it with `fuser -v`"
                )
            time.sleep(_LOOK_S)
        _waited_s.append(time.monotonic() - began)
        return _waited_s[-1]

    def descriptor(self) -> int:
        """Return the descriptor, for a child to inherit.

        Raises:
            InfraError: it is not held.
        """
        if self._descriptor is None:
            raise InfraError(f"{self.path}: an emulator was to be started without the lock")
        return self._descriptor

    def release(self) -> None:
        """Close it; a child that inherited it holds on until it ends."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _take(self) -> bool:
        try:
            fcntl.flock(self.descriptor(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
