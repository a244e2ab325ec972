"""Puts files into the root tree and takes them out: copies with fixed owners, globs, links."""

from __future__ import annotations

import glob
import os
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path

from leyden_image.errors import ImageError

_IGNORED = {"__pycache__", ".gitkeep"}


def copy_tree(source: Path, root: Path) -> int:
    """Copy a folder of the project over `root`; return how many files that were.

    Files become root's, readable by everybody, executable where they are in the project. Links
    stay links. A folder that is a link in the root (`/lib` is one) is followed inside the root.

    Raises:
        ImageError: a folder is to be put where the root has a file.
    """
    count = 0
    for folder, names, files in os.walk(source):
        names[:] = sorted(name for name in names if name not in _IGNORED)
        relative = Path(folder).relative_to(source)
        for name in [*names, *sorted(files)]:
            item = Path(folder) / name
            target = inside(root, relative / name)
            if item.is_symlink() or name in files:
                if name not in _IGNORED:
                    copy_file(item, target)
                    count += 1
            else:
                make_folder(target)
    return count


def copy_file(source: Path, target: Path) -> None:
    """Copy one file or link, with root as owner and one of the modes 644 and 755."""
    make_folder(target.parent)
    if target.is_symlink() or target.exists():
        target.unlink()
    if source.is_symlink():
        target.symlink_to(source.readlink())
        return
    shutil.copyfile(source, target)
    target.chmod(0o755 if source.stat().st_mode & stat.S_IXUSR else 0o644)


def make_folder(path: Path, mode: int = 0o755) -> None:
    """Make a folder and those above it, unless they are there."""
    if path.is_dir():
        return
    if path.exists():
        raise ImageError(f"{path} is a file; a folder is to be put there")
    path.mkdir(parents=True)
    path.chmod(mode)


def write_file(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a text file of the root."""
    make_folder(path.parent)
    if path.is_symlink():
        path.unlink()
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)


def link(path: Path, target: str) -> None:
    """Make `path` a symbolic link to `target`, whatever it was."""
    make_folder(path.parent)
    if path.is_symlink() or path.exists():
        path.unlink()
    path.symlink_to(target)


def remove(root: Path, patterns: Iterable[str]) -> list[str]:
    """Take out what the globs match, `**` for any depth; return the globs that match nothing."""
    idle = []
    for pattern in patterns:
        # The module's glob and not the path's: that one overlooks links that lead nowhere.
        found = glob.glob(pattern, root_dir=root, recursive=True, include_hidden=True)  # noqa: PTH207
        if not found:
            idle.append(pattern)
        for name in sorted(found):
            _delete(root / name)
    return idle


def inside(root: Path, relative: Path) -> Path:
    """Return where `relative` is below `root`, following folders of the root that are links.

    A link to an absolute place means a place in the root, not on this machine.
    """
    place = root
    for part in relative.parts[:-1]:
        place = place / part
        if place.is_symlink():
            target = place.readlink()
            place = (
                root / target.relative_to("/") if target.is_absolute() else place.parent / target
            )
    return place / relative.name


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
