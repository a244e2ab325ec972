"""Which image a run is about, unpacked, and the programs of the host that a run needs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from leyden_hil.card import tool
from leyden_hil.errors import InfraError

VARIABLE: Final = "LEYDEN_IMAGE"
TOOLS: Final = {
    "qemu-system-aarch64": "qemu-system-arm",
    "setpriv": "util-linux",
    "mcopy": "mtools",
    "debugfs": "e2fsprogs",
    "ssh": "openssh-client",
    "zstd": "zstd",
    "fdtput": "device-tree-compiler",
}


def missing_packages(tools: Iterable[str] = TOOLS) -> list[str]:
    """Return the Debian packages whose programs are not here."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    return sorted({TOOLS[name] for name in tools if shutil.which(name, path=path) is None})


def find(build: Path) -> Path:
    """Return the image of a run: of the variable `LEYDEN_IMAGE`, else the newest in `build`.

    A compressed one is unpacked beside the results first.

    Raises:
        InfraError: there is none.
    """
    named = os.environ.get(VARIABLE)
    found = [Path(named)] if named else _newest(build)
    if not found or not found[0].exists():
        raise InfraError(f"found no image in {build}; `make image` builds one")
    return found[0] if found[0].suffix == ".img" else _unpacked(found[0], build / "hil")


def _newest(build: Path) -> list[Path]:
    images = [*build.glob("leyden-*.img"), *build.glob("leyden-*.img.zst")]
    return sorted(images, key=lambda path: path.stat().st_mtime, reverse=True)[:1]


def _unpacked(image: Path, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / image.stem
    if not path.exists() or path.stat().st_mtime < image.stat().st_mtime:
        tool(["zstd", "-q", "-d", "-f", "--sparse", str(image), "-o", str(path)])
    return path
