"""Errors of storage: what the disk would not do, where, and what to try."""

from __future__ import annotations

import errno
from pathlib import Path

from leyden.kernel import LeydenError

_REMEDIES = {
    errno.ENOSPC: "the disk is full; delete something or lower [log] limit",
    errno.EDQUOT: "the disk quota is used up; delete something or raise the quota",
    errno.EROFS: "the file system is read-only; a worn or badly seated card often is the reason",
    errno.EACCES: "this user may not write there; change the owner or choose another folder",
    errno.EPERM: "this user may not write there; change the owner or choose another folder",
    errno.ENOTDIR: "a part of the path is a file; choose another folder",
    errno.EIO: "the disk reports an error; replace the card",
}


class StorageError(LeydenError):
    """The disk refused something that cannot be done without it."""

    def __init__(self, path: Path, cause: OSError) -> None:
        super().__init__(f"{path}: {explain(cause)}")
        self.path = path
        self.cause = cause


class InUseError(LeydenError):
    """Another process works in the data directory; `pid` is 0 if it does not say who it is."""

    def __init__(self, folder: Path, pid: int) -> None:
        holder = f"process {pid}" if pid else "another process"
        super().__init__(
            f"{folder} is in use by {holder}; stop it, or choose another folder with --data"
        )
        self.folder = folder
        self.pid = pid


def explain(error: OSError) -> str:
    """Return what an error of the operating system means and what to do about it, in words."""
    what = error.strerror or str(error)
    remedy = _REMEDIES.get(error.errno or 0)
    return f"{what}: {remedy}" if remedy else what
