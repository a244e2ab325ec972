"""Unpacks Debian packages as plain files, without running anything of theirs."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from leyden_image.debian.lockfile import Locked
from leyden_image.errors import ImageError
from leyden_image.store import fresh_folder, sha256_of, write_whole
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
    if target.exists() and _listing(target).exists():
        return target
    partial = fresh_folder(cache / f".{digest[:24]}.partial")
    contents = {}
    for one in packages:
        if sha256_of(debs / one.file) != one.sha256:
            raise ImageError(f"{debs / one.file} was damaged; remove it and build again")
        listed = run(["dpkg-deb", "--vextract", debs / one.file, partial])
        contents[one.name] = sorted(line.removeprefix("./") for line in listed.splitlines())
    write_whole(_listing(target), json.dumps(contents))
    shutil.rmtree(target, ignore_errors=True)
    partial.replace(target)
    return target


def contents(unpacked: Path) -> dict[str, list[str]]:
    """Return which files each package of an unpacked folder brought, relative to the root."""
    listed: dict[str, list[str]] = json.loads(_listing(unpacked).read_text("utf-8"))
    return listed


def _listing(unpacked: Path) -> Path:
    return unpacked.with_name(f"{unpacked.name}.json")
