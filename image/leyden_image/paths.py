"""Where the builder reads, where it keeps, where it writes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
IMAGE = PROJECT / "image"


def cache_folder() -> Path:
    """Return the folder for what can be had again: packages, wheels, root file systems."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "leyden" / "image"


@dataclass(frozen=True, slots=True)
class Workplace:
    """The folders of one build.

    Attributes:
        output: results, complete or absent.
        scratch: what exists only while building; made on the same disk as the results.
        cache: kept from build to build, shared by all checkouts of a user.
    """

    output: Path
    scratch: Path
    cache: Path

    @staticmethod
    def at(output: Path, cache: Path | None = None) -> Workplace:
        """Return the workplace whose results go to `output`."""
        output = output.resolve()
        return Workplace(output, output / "image-work", cache or cache_folder())
