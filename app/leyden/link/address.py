"""Socket addresses for paths of any length.

A Unix socket's address holds 108 bytes (unix(7)); a data directory may be deeper than that. Such a
path is reached through an open file descriptor of its directory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_LIMIT: Final = 107  # bytes of sun_path without its closing NUL


@contextmanager
def short_address(path: Path) -> Iterator[str]:
    """Yield an address for `bind` or `connect`; valid only inside the block.

    Raises:
        OSError: the directory is not there or may not be entered.
    """
    if len(os.fsencode(path)) <= _LIMIT:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
