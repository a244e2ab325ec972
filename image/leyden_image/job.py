"""What every step of a build is handed: the recipe, the lock, the folders, the moment."""

from __future__ import annotations

import json
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path

from leyden_image.debian.lockfile import Lock, Locked
from leyden_image.errors import ImageError
from leyden_image.paths import PROJECT, Workplace
from leyden_image.recipe import Recipe
from leyden_image.tools import run
from leyden_image.unpack import unpack


@dataclass(frozen=True, slots=True)
class Release:
    """Which image this is.

    Attributes:
        version: of the project.
        commit: what it was built from; ends in `+changes` when files were changed since.
        epoch: time of that commit, seconds since 1970; the time of every file in the image.
        compatible: what updates have to name.
        boards: the device trees' names of the boards it starts on.
    """

    version: str
    commit: str
    epoch: int
    compatible: str
    boards: tuple[str, ...]

    def json(self) -> str:
        """Return the record as it stands in the image and in each slot."""
        fields = {
            "version": self.version,
            "commit": self.commit,
            "epoch": self.epoch,
            "compatible": self.compatible,
            "boards": list(self.boards),
        }
        return json.dumps(fields, indent=2) + "\n"


@dataclass(frozen=True, slots=True)
class Job:
    """One build under way.

    Attributes:
        recipe: what is built.
        lock: of which packages.
        place: the folders.
        release: what it will be called.
        root: the tree that becomes the root file system.
        keyring: certificate whose signatures on updates the image trusts.
    """

    recipe: Recipe
    lock: Lock
    place: Workplace
    release: Release
    root: Path
    keyring: Path

    def unpacked(self, layer: str) -> Path:
        """Return a folder with the files of a layer's packages that are not installed by apt."""
        declared = self.recipe.layer(layer)
        return self._unpack([one for one in self.lock.of("unpack") if declared.unpacks(one.name)])

    def tools(self, layer: str, use: str) -> Path:
        """Return a folder with packages that a layer needs while building: its `sdk` or `host`."""
        declared = self.recipe.layer(layer)
        names = declared.sdk if use == "sdk" else declared.host
        return self._unpack([one for one in self.lock.of(use) if one.name in names])

    def _unpack(self, packages: list[Locked]) -> Path:
        return unpack(packages, self.place.cache / "debs", self.place.cache / "unpacked")


def read_release(recipe: Recipe, project: Path = PROJECT) -> Release:
    """Find out which version, commit and time is being built.

    Raises:
        ImageError: this is no checkout and SOURCE_DATE_EPOCH does not say the time either.
    """
    boards = [name for device in recipe.devices for name in device.compatible]
    commit, epoch = _commit(project)
    return Release(
        version=_version(project),
        commit=commit,
        epoch=epoch,
        compatible=recipe.config.compatible,
        boards=tuple(dict.fromkeys(boards)),
    )


def _version(project: Path) -> str:
    content = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    return str(content["project"]["version"])


def _commit(project: Path) -> tuple[str, int]:
    if not (project / ".git").exists():
        epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
        if not epoch.isdigit():
            raise ImageError(
                f"{project} is no git checkout; set SOURCE_DATE_EPOCH to the time of the release"
            )
        return "unknown", int(epoch)
    # A checkout may belong to the person who called sudo.
    git = ["git", "-c", f"safe.directory={project}", "-C", str(project)]
    commit, epoch = run([*git, "show", "--no-patch", "--format=%H %ct", "HEAD"]).split()
    changed = run([*git, "status", "--porcelain", "--untracked-files=no"]).strip()
    return f"{commit}{'+changes' if changed else ''}", int(epoch)
