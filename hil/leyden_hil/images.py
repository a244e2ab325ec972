"""Which image a run is about, unpacked, and the programs of the host that a run needs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from leyden_hil.card import tool
from leyden_hil.errors import InfraError

VARIABLE: Final = "LEYDEN_IMAGE"
_KEPT: Final = 2  # unpacked images: this run's, and one that another may be about
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


@dataclass(frozen=True, slots=True)
class Image:
    """The image of a run."""

    unpacked: Path
    build: Path  # the folder that its builder filled


def find(build: Path) -> Image:
    """Return the image of a run: of the variable `LEYDEN_IMAGE`, else the newest in `build`.

    A compressed one is unpacked beside the results first.

    Raises:
        InfraError: there is none.
    """
    named = os.environ.get(VARIABLE)
    found = [Path(named)] if named else _newest(build)
    if not found or not found[0].exists():
        raise InfraError(f"found no image in {build}; `make image` builds one")
    image = found[0].resolve()
    unpacked = image if image.suffix == ".img" else _unpacked(image, build / "hil")
    return Image(unpacked, image.parent)


def _newest(build: Path) -> list[Path]:
    images = [*build.glob("leyden-*.img"), *build.glob("leyden-*.img.zst")]
    return sorted(images, key=lambda path: path.stat().st_mtime, reverse=True)[:1]


def _unpacked(image: Path, folder: Path) -> Path:
    """Return an image unpacked, under a name of its own: another run may use an older one."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{image.stem.removesuffix('.img')}-{image.stat().st_mtime_ns:x}.img"
    if not path.exists():
        part = path.with_suffix(f".{os.getpid()}")
        tool(["zstd", "-q", "-d", "-f", "--sparse", str(image), "-o", str(part)])
        part.rename(path)
    for old in sorted(folder.glob("*.img"), key=lambda each: each.stat().st_mtime)[:-_KEPT]:
        old.unlink()
    return path
