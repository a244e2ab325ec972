"""The segments of a log in a folder: names by boot and first number, so that order needs no clock.

`00000003-000000065537.jsonl` is boot 3, beginning with number 65537.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import Final, NamedTuple

from leyden.storage.files import FILES, Files

_NAME: Final = re.compile(r"(\d{8,})-(\d{12,})\.jsonl")


class SegmentFile(NamedTuple):
    """A segment as the folder shows it; sorts in the order of writing."""

    boot: int
    first: int  # the number of the first record it may hold
    path: Path
    size: int  # bytes

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name


def segment_path(folder: Path, boot: int, first: int) -> Path:
    """Return the path of the segment of `boot` that begins with record number `first`."""
    return folder / f"{boot:08d}-{first:012d}.jsonl"


def list_segments(folder: Path) -> list[SegmentFile]:
    """Return the segments in `folder` in the order of writing; none if there is no such folder.

    Raises:
        OSError: the folder cannot be read.
    """
    try:
        entries = os.scandir(folder)
    except FileNotFoundError:
        return []
    found = []
    with entries:
        for entry in entries:
            match = _NAME.fullmatch(entry.name)
            if match is None:
                continue
            with contextlib.suppress(FileNotFoundError):  # dropped by its writer just now
                size = entry.stat().st_size
                found.append(SegmentFile(int(match[1]), int(match[2]), Path(entry.path), size))
    return sorted(found)


def remove_segment(segment: SegmentFile, files: Files = FILES) -> None:
    """Delete a segment; one that is gone already is no error."""
    with contextlib.suppress(FileNotFoundError):
        files.remove(segment.path)


def read_end(path: Path, length: int) -> bytes:
    """Return the last `length` bytes of a file, or all of a shorter one."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - length))
        return file.read()
