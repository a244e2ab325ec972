"""Unpacks Debian packages as plain files, without running anything of theirs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from leyden_image.debian.lockfile import Locked
from leyden_image.store import fresh_folder
from leyden_image.tools import run


def unpack(packages: Sequence[Locked], debs: Path, cache: Path) -> Path:
    """Return a folder with the files of all packages together; nobody may change it.

    Args:
        packages: to unpack, into one folder.
        debs: where the package files are.
        cache: folder for finished unpackings, found again by the packages' hashes.

    Raises:
        ImageError: a package file is damaged.
    """
    digest = hashlib.sha256("\n".join(one.sha256 for one in packages).encode()).hexdigest()
    target = cache / digest[:24]
    if target.exists():
        return target
    partial = fresh_folder(cache / f".{digest[:24]}.partial")
    for one in packages:
        run(["dpkg-deb", "--extract", debs / one.file, partial])
    partial.replace(target)
    return target
