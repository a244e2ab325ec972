"""Brings locked package files into the cache, several at a time, each checked by its hash."""

from __future__ import annotations

import hashlib
import http.client
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Final

from leyden_image.debian.lockfile import Locked
from leyden_image.debian.mirror import EXAMPLE, VARIABLE, archive_url
from leyden_image.errors import ImageError
from leyden_image.store import write_whole

_AT_ONCE: Final = 6
_TRIES: Final = 4
_TIMEOUT_S: Final = 60.0
_BLOCK: Final = 1 << 18
_GONE: Final = frozenset({403, 404, 410})


def fetch(
    packages: Sequence[Locked], folder: Path, tell: Callable[[int, int], None] = lambda *_: None
) -> int:
    """Make `folder` hold all packages; return how many bytes had to be brought.

    Args:
        packages: what is needed.
        folder: the cache.
        tell: is called with bytes brought and bytes to bring, from this thread.

    Raises:
        ImageError: a file is gone from the mirror, cannot be had, or is not what was locked.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [one for one in packages if not (folder / one.file).exists()]
    total = sum(one.size for one in missing)
    done, stop = 0, threading.Event()
    pool = ThreadPoolExecutor(_AT_ONCE)
    try:
        tasks = {pool.submit(_bring, one, folder / one.file, stop): one for one in missing}
        for task in as_completed(tasks):
            task.result()
            done += tasks[task].size
            tell(done, total)
    finally:
        # After an error or Ctrl-C the others have to give up, or the person waits for them.
        stop.set()
        pool.shutdown(cancel_futures=True)
    return total


def _bring(package: Locked, target: Path, stop: threading.Event) -> None:
    url = f"{archive_url(package.archive)}/{urllib.parse.quote(package.path)}"
    for attempt in range(1, _TRIES + 1):
        try:
            data = _read(url, stop)
            break
        except urllib.error.HTTPError as error:
            error.close()  # it is also the answer, and holds the connection
            if error.code in _GONE:
                raise ImageError(_gone(package, url)) from error
            if attempt == _TRIES:
                raise ImageError(f"{url}: {error}; tried {_TRIES} times") from error
        except (OSError, http.client.HTTPException) as error:
            if attempt == _TRIES:
                raise ImageError(f"{url}: {error}; tried {_TRIES} times") from error
    found = hashlib.sha256(data).hexdigest()
    if found != package.sha256:
        raise ImageError(
            f"{url} has SHA-256 {found}, {package.sha256} is locked; "
            "`python -m leyden_image lock` if the archive was changed on purpose"
        )
    write_whole(target, data)


def _read(url: str, stop: threading.Event) -> bytes:
    blocks = []
    with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:
        while block := answer.read(_BLOCK):
            if stop.is_set():
                raise ImageError("stopped")
            blocks.append(block)
        if (expected := answer.length) not in {None, 0}:
            raise http.client.IncompleteRead(b"", expected)
    return b"".join(blocks)


def _gone(package: Locked, url: str) -> str:
    return (
        f"{package.name} {package.version} is gone from the mirror ({url}). "
        "Renew the lock with `python -m leyden_image lock`, "
        f"or build the old one from a snapshot: {VARIABLE}='{EXAMPLE}'"
    )
