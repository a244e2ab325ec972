"""Tells whether two images are the same, and names the first file inside that is not."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from leyden_image.errors import ImageError
from leyden_image.store import sha256_of
from leyden_image.tools import run

_SECTOR: Final = 512
_BLOCK: Final = 1 << 20
_EXT4_MAGIC_AT: Final = 0x438
_TABLE_AT: Final = 0x1BE


@dataclass(frozen=True, slots=True)
class _Part:
    """A partition: its number, first byte and size."""

    number: int
    start: int
    size: int


def compare(first: Path, second: Path) -> str | None:
    """Return where two images differ first, in words; None if they are the same.

    Raises:
        ImageError: one of them is no image.
    """
    if sha256_of(first) == sha256_of(second):
        return None
    with tempfile.TemporaryDirectory(prefix="leyden-compare-") as name:
        raws = [_unpacked(path, Path(name) / side) for path, side in ((first, "a"), (second, "b"))]
        return _raw_difference(raws[0], raws[1], Path(name))


def _raw_difference(first: Path, second: Path, scratch: Path) -> str:
    place = first_difference(first, second)
    if place is None:
        return "the cards are the same; only the compression differs"
    for part in partitions(first):
        if part.start <= place < part.start + part.size:
            return f"partition {part.number}: {_inside_partition(first, second, part, scratch)}"
    return f"byte {place:#x} of the card, outside of all partitions"


def _inside_partition(first: Path, second: Path, part: _Part, scratch: Path) -> str:
    sides = [_cut(raw, part, scratch / f"{raw.stem}.part") for raw in (first, second)]
    opener = _opener(sides[0])
    if opener is None:
        return f"byte {first_difference(*sides):#x}, in no file system that is known"
    trees = [opener(side, scratch / f"{side.stem}.tree") for side in sides]
    return tree_difference(trees[0], trees[1], scratch) or (
        f"byte {first_difference(*sides):#x} of the file system; all files are the same"
    )


def tree_difference(first: Path, second: Path, scratch: Path) -> str | None:
    """Return the first file in which two trees differ, looking into a squashfs."""
    places = sorted({*_places(first), *_places(second)})
    for place in places:
        pair = first / place, second / place
        missing = [path for path in pair if not os.path.lexists(path)]
        if missing:
            return f"{place} is only in one of them"
        what = _entry_difference(*pair)
        if what and place.endswith(".squashfs"):
            trees = [
                _open_squashfs(path, scratch / f"{number}.root") for number, path in enumerate(pair)
            ]
            inner = tree_difference(trees[0], trees[1], scratch)
            return f"{place}: {inner or 'the same files, packed differently'}"
        if what:
            return f"{place}: {what}"
    return None


def first_difference(first: Path, second: Path) -> int | None:
    """Return the first byte at which two files differ; None if they do not."""
    place = 0
    with first.open("rb") as one, second.open("rb") as other:
        while True:
            left, right = one.read(_BLOCK), other.read(_BLOCK)
            if left != right:
                return place + next(_unequal(left, right))
            if not left:
                return None
            place += len(left)


def partitions(raw: Path) -> list[_Part]:
    """Read the partition table of a card."""
    with raw.open("rb") as file:
        head = file.read(_SECTOR)
    if head[510:] != b"\x55\xaa":
        raise ImageError(f"{raw} has no partition table; an image of a card is expected")
    found = []
    for number in range(4):
        entry = head[_TABLE_AT + 16 * number :][:16]
        start, count = (int.from_bytes(entry[at : at + 4], "little") for at in (8, 12))
        if count:
            found.append(_Part(number + 1, start * _SECTOR, count * _SECTOR))
    return found


def _entry_difference(first: Path, second: Path) -> str | None:
    one, other = first.lstat(), second.lstat()
    for name, left, right in (
        ("kind and mode", oct(one.st_mode), oct(other.st_mode)),
        ("owner", (one.st_uid, one.st_gid), (other.st_uid, other.st_gid)),
        ("time", int(one.st_mtime), int(other.st_mtime)),
    ):
        if left != right:
            return f"{name} {left} and {right}"
    if stat.S_ISLNK(one.st_mode) and first.readlink() != second.readlink():
        return f"leads to {first.readlink()} and {second.readlink()}"
    if stat.S_ISREG(one.st_mode) and (place := first_difference(first, second)) is not None:
        return f"byte {place:#x} of the content"
    return None


def _unpacked(path: Path, stem: Path) -> Path:
    if path.suffix != ".zst":
        target = stem.with_suffix(".img")
        target.symlink_to(path.resolve())
        return target
    target = stem.with_suffix(".img")
    run(["zstd", "-q", "-d", "--sparse", "-o", target, path])
    return target


def _cut(raw: Path, part: _Part, target: Path) -> Path:
    with ExitStack() as stack:
        source, out = (stack.enter_context(p.open(m)) for p, m in ((raw, "rb"), (target, "wb")))
        out.truncate(part.size)
        source.seek(part.start)
        for place in range(0, part.size, _BLOCK):
            block = source.read(min(_BLOCK, part.size - place))
            if block.strip(b"\0"):
                out.seek(place)
                out.write(block)
    return target


def _opener(part: Path) -> Callable[[Path, Path], Path] | None:
    with part.open("rb") as file:
        head = file.read(_EXT4_MAGIC_AT + 2)
    if head[_EXT4_MAGIC_AT:] == b"\x53\xef":
        return _open_ext4
    return _open_fat if head[510:512] == b"\x55\xaa" else None


def _open_ext4(part: Path, target: Path) -> Path:
    target.mkdir()
    run(["debugfs", "-R", f"rdump / {target}", part])
    return target


def _open_fat(part: Path, target: Path) -> Path:
    target.mkdir()
    run(["mcopy", "-s", "-p", "-m", "-n", "-i", part, "::", target])
    return target


def _open_squashfs(path: Path, target: Path) -> Path:
    run(["unsquashfs", "-quiet", "-no-progress", "-dest", target, path])
    return target


def _places(tree: Path) -> Iterator[str]:
    for folder, names, files in os.walk(tree):
        for name in (*names, *files):
            yield str((Path(folder) / name).relative_to(tree))


def _unequal(left: bytes, right: bytes) -> Iterator[int]:
    for place, (one, other) in enumerate(zip(left, right, strict=False)):
        if one != other:
            yield place
    yield min(len(left), len(right))
