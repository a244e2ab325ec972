"""The lock file of Debian packages: which exact files an image is made of.

    epoch 1763600000
    wanted 5f0c…
    root adduser 3.152 all debian pool/main/a/adduser/adduser_3.152_all.deb 191344 9a0b…

One line a package: its use, name, version, architecture, archive, place in the archive, bytes,
SHA-256. Uses are `root` (installed by apt), `unpack` (files only), and what is needed while
building and no part of the image: `sdk` (compiled against), `host` (run).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from leyden_image.errors import ImageError
from leyden_image.paths import IMAGE
from leyden_image.recipe import Recipe

LOCK: Final = IMAGE / "lock" / "debian.lock"
USES: Final = ("root", "unpack", "sdk", "host")
_HEAD: Final = "# Debian packages of the image; written by `python -m leyden_image lock`."
_FIELDS: Final = 8


@dataclass(frozen=True, slots=True, order=True)
class Locked:
    """One package file.

    Attributes:
        use: one of `USES`.
        name: of the package.
        version: Debian's, epoch included.
        architecture: `arm64`, `all`, or the building machine's.
        archive: `debian` or `debian-security`.
        path: inside the archive.
        size: in bytes.
        sha256: of the file, hex.
    """

    use: str
    name: str
    version: str
    architecture: str
    archive: str
    path: str
    size: int
    sha256: str

    @property
    def file(self) -> str:
        """The name under which the file is cached: unique by content."""
        return f"{self.name}_{self.sha256[:16]}.deb"


@dataclass(frozen=True, slots=True)
class Lock:
    """What a lock file says.

    Attributes:
        epoch: when it was made, seconds since 1970; the root's files are no younger.
        wanted: digest of what the layers asked for then.
        packages: sorted.
    """

    epoch: int
    wanted: str
    packages: tuple[Locked, ...]

    def of(self, use: str) -> tuple[Locked, ...]:
        """Return the packages of one use."""
        return tuple(package for package in self.packages if package.use == use)

    def text(self) -> str:
        """Return the lock file's content."""
        lines = [_HEAD, f"epoch {self.epoch}", f"wanted {self.wanted}"]
        for one in sorted(self.packages):
            words = (one.use, one.name, one.version, one.architecture, one.archive, one.path)
            lines.append(f"{' '.join(words)} {one.size} {one.sha256}")
        return "\n".join(lines) + "\n"


def read_lock(path: Path = LOCK) -> Lock:
    """Read a lock file.

    Raises:
        ImageError: there is none, or a line of it is no package.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise ImageError(f"{path} is missing; `python -m leyden_image lock` writes it") from error
    head: dict[str, str] = {}
    packages: list[Locked] = []
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] in USES:
            packages.append(_package(words, f"{path}:{number}"))
        elif len(words) == 2 and words[0] in {"epoch", "wanted"}:
            head[words[0]] = words[1]
        else:
            raise ImageError(f"{path}:{number}: {line!r} is neither a package nor epoch nor wanted")
    if head.keys() != {"epoch", "wanted"} or not head["epoch"].isdigit():
        raise ImageError(f"{path}: epoch or wanted is missing; `python -m leyden_image lock`")
    return Lock(int(head["epoch"]), head["wanted"], tuple(sorted(packages)))


def wanted_digest(recipe: Recipe) -> str:
    """Return a digest of all packages and suites that an image asks for."""
    debian = recipe.config.debian
    words = [debian.suite, *debian.suites, *debian.security, *debian.components]
    for layer in recipe.layers:
        for use in ("packages", "unpack", "sdk", "host"):
            words += [f"{use}={name}" for name in sorted(getattr(layer, use))]
        words += [f"family={one.of} {' '.join(one.members)}" for one in layer.families]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()


def check_current(lock: Lock, recipe: Recipe) -> None:
    """Raise `ImageError` if layers ask for something else than the lock was made for."""
    if lock.wanted == wanted_digest(recipe):
        return
    missing = sorted(_asked_for(recipe) - {one.name for one in lock.packages})
    what = f"it has no {', '.join(missing)}" if missing else "packages or suites were changed"
    raise ImageError(
        f"{LOCK.name} is older than the layers: {what}; `python -m leyden_image lock` renews it"
    )


def _asked_for(recipe: Recipe) -> set[str]:
    return {
        name.partition("/")[0]
        for layer in recipe.layers
        for name in (*layer.packages, *layer.unpack, *layer.sdk, *layer.host)
    }


def _package(words: Iterable[str], where: str) -> Locked:
    fields = list(words)
    if len(fields) != _FIELDS or not fields[6].isdigit() or len(fields[7]) != 64:
        raise ImageError(
            f"{where}: expected use, name, version, architecture, archive, path, size, sha256"
        )
    use, name, version, architecture, archive, path, size, sha256 = fields
    return Locked(use, name, version, architecture, archive, path, int(size), sha256)
