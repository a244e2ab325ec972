"""Makes the lock file: resolves what the layers ask for against Debian's signed lists."""

from __future__ import annotations

import fnmatch
import time
from pathlib import Path

from leyden_image.debian.apt import Apt
from leyden_image.debian.lockfile import Lock, Locked, wanted_digest
from leyden_image.errors import ImageError
from leyden_image.recipe import Family, Recipe

TARGET = "arm64"
# Tools that run while building. Another building machine uses the target's own, emulated.
HOST = "amd64"


def resolve(recipe: Recipe, folder: Path, now: float | None = None) -> Lock:
    """Return a new lock for an image.

    Args:
        recipe: the image.
        folder: for apt's lists; kept between calls, so that only changes are fetched.
        now: seconds since 1970, for the lock's epoch; the present when absent.

    Raises:
        ImageError: a package is not in the archive, or the archive cannot be reached.
    """
    packages = [*_target(recipe, folder / TARGET), *_host(recipe, folder / HOST)]
    epoch = int(time.time() if now is None else now)
    return Lock(epoch, wanted_digest(recipe), tuple(sorted(packages)))


def _target(recipe: Recipe, folder: Path) -> list[Locked]:
    apt = Apt.prepare(folder, TARGET, recipe.config.debian)
    installed = sorted({name for layer in recipe.layers for name in layer.packages})
    unpacked = sorted({name for layer in recipe.layers for name in layer.unpack})
    families = [family for layer in recipe.layers for family in layer.families]
    sdk = sorted({name for layer in recipe.layers for name in layer.sdk})
    return [
        *apt.closure("root", [*apt.essential(), *installed]),
        *apt.exactly("unpack", unpacked),
        *(one for family in families for one in _family(apt, family)),
        *apt.exactly("sdk", sdk),
    ]


def _family(apt: Apt, family: Family) -> list[Locked]:
    reached = apt.closure("unpack", [family.of])
    found = []
    for pattern in family.members:
        matching = [one for one in reached if fnmatch.fnmatchcase(one.name, pattern)]
        if not matching:
            raise ImageError(f"{family.of} depends on no package {pattern}; look at its layer")
        found += matching
    return found


def _host(recipe: Recipe, folder: Path) -> list[Locked]:
    names = sorted({name for layer in recipe.layers for name in layer.host})
    if not names:
        return []
    return Apt.prepare(folder, HOST, recipe.config.debian).exactly("host", names)
