"""Files that are there whole or not at all, their hashes, and folders used by one at a time."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from leyden_image.errors import ImageError

_BLOCK = 1 << 20


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content, hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a name to write to; when all went well the file takes the place of `path`.

    An error or Ctrl-C inside leaves what was at `path` before, and no half file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(descriptor)
    partial = Path(name)
    try:
        yield partial
        partial.chmod(0o644)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes | str) -> None:
    """Write a small file so that it is there whole or not at all."""
    with whole(path) as partial:
        partial.write_bytes(data.encode() if isinstance(data, str) else data)


def fresh_folder(path: Path) -> Path:
    """Return `path` as an empty folder."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


@contextlib.contextmanager
def alone(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Keep other builds out of a folder meanwhile; the lock ends with the process at the latest.

    Args:
        folder: is made when it is not there.
        wait: wait for the other one to finish; else say that it is there.

    Raises:
        ImageError: another build is using the folder, and `wait` is false.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / ".image.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    except BlockingIOError as error:
        raise ImageError(
            f"another build is writing to {folder}; wait for it or use --out"
        ) from error
    finally:
        os.close(descriptor)
