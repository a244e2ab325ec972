"""Builds this project's own wheel, front end included."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from typing import Final

from leyden_image.errors import ImageError
from leyden_image.paths import PROJECT
from leyden_image.store import fresh_folder
from leyden_image.tools import run

# Files that are brought from npm and not kept in git; without them the panel is an empty page.
_FRONT_END: Final = "leyden/panel/static/vendor/"


def build_project(folder: Path, epoch: int, project: Path = PROJECT) -> Path:
    """Return the project's wheel, built into `folder`.

    Raises:
        ImageError: the build back end is not there, or the front end's files were not brought.
    """
    fresh_folder(folder)
    run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
        folder=project,
        environment={"SOURCE_DATE_EPOCH": str(epoch)},
    )
    wheel = next(folder.glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        if not any(name.startswith(_FRONT_END) for name in archive.namelist()):
            raise ImageError(
                f"{wheel.name} lacks the panel's front end ({_FRONT_END}); "
                "`make setup` brings it (or python -m leyden.panel.vendor)"
            )
    return wheel
