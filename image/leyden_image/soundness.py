"""Looks whether what is in the tree can work: nothing may need what was taken out.

Programs have their libraries, scripts their interpreter, links their target, units the program they
start. Removing files by glob is safe only because this is looked at after each build.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from leyden_image.tree import inside

_LIBRARIES: Final = ("usr/lib/aarch64-linux-gnu", "usr/lib", "usr/lib/aarch64-linux-gnu/systemd")
# Links that point into what only exists while the system runs.
_RUNNING: Final = ("/run/", "/proc/", "/dev/", "/data/", "/var/lib/")
_UNITS: Final = ("usr/lib/systemd/system", "etc/systemd/system")
_EXEC: Final = re.compile(r"^Exec\w+=[-@:+!|]*(/\S+)", re.MULTILINE)
_AARCH64: Final = 183
_DYNAMIC, _NEEDED, _STRTAB, _RUNPATH = 2, 1, 5, 29


def unsound(root: Path) -> list[str]:
    """Return what cannot work in the tree, one sentence each."""
    return sorted({*_files(root), *_units(root)})


def needed_libraries(data: bytes) -> tuple[list[str], list[str]]:
    """Return the libraries that an arm64 ELF file names, and where it looks for them first.

    Layouts are those of the System V ABI, 64 bit, little endian.
    """
    if data[:5] != b"\x7fELF\x02" or struct.unpack_from("<H", data, 18)[0] != _AARCH64:
        return [], []
    segments = list(_segments(data))
    entries = [
        struct.unpack_from("<qQ", data, place)
        for kind, offset, _, size in segments
        if kind == _DYNAMIC
        for place in range(offset, offset + size, 16)
    ]
    strings = next((value for tag, value in entries if tag == _STRTAB), None)
    if strings is None:
        return [], []
    table = _offset_of(strings, segments)
    words = {tag: [_word(data, table + v) for t, v in entries if t == tag] for tag in (1, 29)}
    return words[_NEEDED], words[_RUNPATH]


def _files(root: Path) -> Iterator[str]:
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder) / name
            place = f"/{path.relative_to(root)}"
            if path.is_symlink():
                yield from _link(root, path, place)
            elif path.is_file():
                yield from _program(root, path, place)


def _link(root: Path, path: Path, place: str) -> Iterator[str]:
    target = path.readlink()
    absolute = str(target if target.is_absolute() else Path(place).parent / target)
    absolute = os.path.normpath(absolute)
    if absolute.startswith(_RUNNING) or absolute == "/dev/null":
        return
    real = inside(root, Path(absolute.lstrip("/")))
    if not (real.is_symlink() or real.exists()):
        yield f"{place} is a link to {target}, which is not there"


def _program(root: Path, path: Path, place: str) -> Iterator[str]:
    with path.open("rb") as file:
        head = file.read(4)
        if head[:2] == b"#!" and os.access(path, os.X_OK):
            line = (
                (head + file.readline(200)).split(b"\n")[0][2:].strip().decode("utf-8", "replace")
            )
            if line and not _exists(root, line.split()[0]):
                yield f"{place} is a script for {line.split()[0]}, which is not there"
        if head != b"\x7fELF":
            return
        data = head + file.read()
    needed, places = needed_libraries(data)
    folders = [*(word.replace("$ORIGIN", str(Path(place).parent)) for word in places), *_LIBRARIES]
    for library in needed:
        if not any(_exists(root, f"{folder}/{library}") for folder in folders):
            yield f"{place} needs {library}, which is not there"


def _units(root: Path) -> Iterator[str]:
    for folder in _UNITS:
        for path in sorted((root / folder).rglob("*")):
            if path.is_symlink() or not path.is_file():
                continue
            for program in _EXEC.findall(path.read_text("utf-8", "replace")):
                if not _exists(root, program):
                    yield f"{path.name} starts {program}, which is not there"


def _exists(root: Path, place: str) -> bool:
    parts = Path(os.path.normpath(place.lstrip("/")))
    path = inside(root, parts)
    return path.is_symlink() or path.exists()


def _segments(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Yield kind, offset in the file, address and size of each program header."""
    start = struct.unpack_from("<Q", data, 32)[0]
    size, count = struct.unpack_from("<HH", data, 54)
    for number in range(count):
        place = start + number * size
        kind, _, offset, address, _, length = struct.unpack_from("<IIQQQQ", data, place)
        yield kind, offset, address, length


def _offset_of(address: int, segments: list[tuple[int, int, int, int]]) -> int:
    for kind, offset, begin, size in segments:
        if kind == 1 and begin <= address < begin + size:
            return offset + address - begin
    return address


def _word(data: bytes, place: int) -> str:
    return data[place : data.index(b"\0", place)].decode("utf-8", "replace")
