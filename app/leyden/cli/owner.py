"""Acting as the owner of a folder: what root writes for a process must be the process's own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def acting_as_owner(folder: Path) -> Iterator[None]:
    """Let root be the owner of `folder` while the context lasts; others stay who they are.

    On a card the panel owns its auth directory and runs as a user of its own. A file that root
    replaced there would be one that the panel cannot read any more.
    """
    try:
        status = folder.stat()
    except OSError:  # it will be made, or refused in words, by who uses it
        yield
        return
    if os.geteuid() != 0 or status.st_uid == 0:
        yield
        return
    user, group = os.geteuid(), os.getegid()
    os.setegid(status.st_gid)
    os.seteuid(status.st_uid)
    try:
        yield
    finally:
        os.seteuid(user)
        os.setegid(group)
