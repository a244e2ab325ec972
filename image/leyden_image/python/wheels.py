"""Unpacks wheels into the root, as an installer would, without starting anything."""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePosixPath

from leyden_image.errors import ImageError
from leyden_image.tree import make_folder

# Parts of a `.data` folder that belong among the modules; scripts, headers and the like do not.
_AMONG_MODULES = frozenset({"purelib", "platlib"})


def install_wheel(wheel: Path, target: Path) -> list[str]:
    """Unpack the modules of a wheel into `target`; return their places in it.

    Raises:
        ImageError: the file is no wheel, or names a place outside of the target.
    """
    brought = []
    try:
        with zipfile.ZipFile(wheel) as archive:
            for name in sorted(archive.namelist()):
                place = _place(PurePosixPath(name), wheel)
                if place is None or name.endswith("/"):
                    continue
                _write(archive.read(name), target / place, executable=name.endswith(".so"))
                brought.append(str(place))
    except zipfile.BadZipFile as error:
        raise ImageError(f"{wheel} is no wheel: {error}") from error
    return brought


def _place(name: PurePosixPath, wheel: Path) -> PurePosixPath | None:
    if name.is_absolute() or ".." in name.parts:
        raise ImageError(f"{wheel} has a file outside of itself: {name}")
    if not name.parts[0].endswith(".data"):
        return name
    if len(name.parts) > 2 and name.parts[1] in _AMONG_MODULES:
        return PurePosixPath(*name.parts[2:])
    return None


def _write(data: bytes, target: Path, *, executable: bool) -> None:
    make_folder(target.parent)
    target.write_bytes(data)
    target.chmod(0o755 if executable else 0o644)
