"""One emulator at a time on a machine: a lock that two runs queue for.

An emulated machine takes all cores it can get. Two at once would make each other late, and every
time that is measured would be wrong.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import threading
import time
from pathlib import Path
from typing import Final

from leyden_hil.errors import InfraError

NAME: Final = "leyden-emulator.lock"
VARIABLE: Final = "LEYDEN_EMULATOR_LOCK"
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
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        if not _free(descriptor) and not _Turn(descriptor).came(limit_s):
            raise InfraError(
                f"{self.path}: another run has had its emulator for {limit_s:.0f} s; "
                "wait for it, or look who holds it with `fuser -v`"
            )
        self._descriptor = descriptor
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


def _free(descriptor: int) -> bool:
    """Take the lock if nobody has it; return whether it was free."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class _Turn:
    """A place in the kernel's queue for the lock.

    The kernel lets those in who stand there, in order, and has no waiting with an end; so a thread
    stands there, and lets go at once should its turn come after nobody wants it any more.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._decided = threading.Condition()
        self._here = False
        self._wanted = True
        threading.Thread(target=self._stand, name="lock", daemon=True).start()

    def came(self, limit_s: float) -> bool:
        """Wait for the turn; return whether it came in time."""
        with self._decided:
            self._wanted = self._decided.wait_for(lambda: self._here, limit_s)
            return self._wanted

    def _stand(self) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        with self._decided:
            self._here = True
            self._decided.notify_all()
            if not self._wanted:
                os.close(self._descriptor)
