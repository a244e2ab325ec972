"""What became of every update, as lines of JSON on the data partition, oldest first."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from leyden.appliance.update.slots import Entry
from leyden.storage.atomic import write_atomic
from leyden.storage.files import FILES, Files
from leyden.storage.segment import Segment

FILE: Final = "history.jsonl"
_KEPT: Final = 500  # entries; a file of twice as many is cut down to these

_decode = msgspec.json.Decoder(Entry).decode


class History:
    """The history in a folder, for the one process that updates; others call `read_history`."""

    def __init__(self, folder: Path, files: Files = FILES) -> None:
        self.path = folder / FILE
        self._files = files

    def last_number(self) -> int:
        """Return the number of the newest entry; 0 when there is none."""
        return max((entry.n for entry in read_history(self.path)), default=0)

    def add(self, entry: Entry) -> None:
        """Append an entry unless one with its number is there; it is on the card on return.

        Raises:
            OSError: the card refused.
        """
        entries = read_history(self.path)
        if any(known.n == entry.n for known in entries):
            return
        if len(entries) >= 2 * _KEPT:
            self._shorten(entries[-_KEPT:])
        line = msgspec.json.encode(entry) + b"\n"
        if not self.path.exists():
            self._files.make_folder(self.path.parent)
            segment = Segment.create(self.path, line, self._files)
        else:
            segment = Segment.reopen(self.path, _whole_lines(self.path), self._files)
            segment.append(line)
        try:
            segment.sync()
        finally:
            segment.close()

    def _shorten(self, entries: list[Entry]) -> None:
        lines = b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries)
        write_atomic(self.path, lines, files=self._files)


def read_history(path: Path) -> list[Entry]:
    """Return the entries in a file, oldest first; damaged lines are left out."""
    try:
        data = path.read_bytes()
    except OSError:
        return []
    found = []
    for line in data.splitlines():
        try:
            found.append(_decode(line))
        except msgspec.MsgspecError:
            continue  # torn by a power cut
    return found


def _whole_lines(path: Path) -> int:
    return path.read_bytes().rfind(b"\n") + 1
