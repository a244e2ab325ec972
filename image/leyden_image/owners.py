"""Who brought which file of the root: for the report and the bill of materials.

Names are `deb:systemd`, `pypi:flask`, `leyden` for this project, and `image` for what the builder
and the folders of this repository put in.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from leyden_image.unpack import contents

IMAGE: Final = "image"
PROJECT: Final = "leyden"
_COMPILED: Final = "__pycache__"


@dataclass(slots=True)
class Owners:
    """Owner of each file, by its place relative to the root."""

    by_place: dict[str, str] = field(default_factory=dict)

    def installed(self, root: Path) -> None:
        """Add what dpkg knows; to be called before its records are taken out of the root."""
        for path in sorted((root / "var/lib/dpkg/info").glob("*.list")):
            name = path.stem.partition(":")[0]
            lines = path.read_text("utf-8").splitlines()
            self.add(f"deb:{name}", (line.lstrip("/") for line in lines))

    def unpacked(self, folder: Path) -> None:
        """Add what packages brought that were only unpacked."""
        for name, places in contents(folder).items():
            # Kernel modules are stored without their own compression.
            self.add(f"deb:{name}", (place.removesuffix(".xz") for place in places))

    def add(self, owner: str, places: Iterable[str]) -> None:
        """Note that `owner` brought these files."""
        for place in places:
            self.by_place[_merged(place)] = owner

    def of(self, place: str) -> str:
        """Return who brought a file; compiled Python belongs to its source's owner."""
        if owner := self.by_place.get(place):
            return owner
        parts = Path(place)
        if parts.parent.name == _COMPILED:
            source = parts.parent.parent / f"{parts.name.partition('.')[0]}.py"
            return self.by_place.get(str(source), IMAGE)
        return IMAGE


def sizes(root: Path, owners: Owners) -> tuple[Counter[str], Counter[str]]:
    """Return the bytes of the tree by owner and by folder, two levels deep."""
    by_owner: Counter[str] = Counter()
    by_folder: Counter[str] = Counter()
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder) / name
            status = path.lstat()
            if stat.S_ISREG(status.st_mode):
                place = path.relative_to(root)
                by_owner[owners.of(str(place))] += status.st_size
                by_folder["/".join(place.parts[:-1][:3]) or "/"] += status.st_size
    return by_owner, by_folder


def _merged(place: str) -> str:
    """Return where a file is in a root whose /bin, /lib and /sbin are links into /usr."""
    first = place.partition("/")[0]
    return f"usr/{place}" if first in {"bin", "lib", "sbin"} else place
