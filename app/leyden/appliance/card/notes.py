"""Notes: what people should know about this boot, for the panel, the journal and the consoles.

The file holds one JSON object a line, `{"level": "warning", "what": "wifi.country", "text": "…"}`,
and is written by whoever has something to say while the system starts, the initrd included. It
lives in memory and begins anew at each boot.
"""

from __future__ import annotations

import contextlib
import os
import sys
from enum import StrEnum
from typing import Final, TextIO

import msgspec

from leyden.appliance.card import consoles
from leyden.appliance.card.places import Card
from leyden.storage.files import FILES, write_all


class Level(StrEnum):
    """How much a note matters."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Note(msgspec.Struct, frozen=True):
    """One thing to know."""

    level: Level
    what: str  # a short name, the same in every language: "preseed.left-out"
    text: str  # for people


_PRIORITY: Final = {Level.INFO: 6, Level.WARNING: 4, Level.ERROR: 3}  # as syslog(3) counts


class Notes:
    """Tells people, each thing once a boot.

    Args:
        card: whose notes these are.
        stream: standard error, which systemd takes to the journal.
    """

    def __init__(self, card: Card, stream: TextIO | None = None) -> None:
        self._card = card
        self._stream = sys.stderr if stream is None else stream

    def add(self, level: Level, what: str, text: str, *, aloud: bool | None = None) -> None:
        """Note something; what matters more than information is shown on the consoles too.

        Args:
            level: how much it matters.
            what: its short name.
            text: one line for people.
            aloud: whether to show it on the consoles; by default as the level says.
        """
        note = Note(level, what, " ".join(text.split()))
        line = msgspec.json.encode(note) + b"\n"
        known = line in self._lines()
        self._say(note)
        if known:
            return
        self._append(line)
        if aloud if aloud is not None else level is not Level.INFO:
            consoles.show(self._card, f"leyden: {note.text}\n")

    def _say(self, note: Note) -> None:
        # The journal takes the priority from the line; a terminal would only show it.
        mark = f"<{_PRIORITY[note.level]}>" if "JOURNAL_STREAM" in os.environ else ""
        with contextlib.suppress(OSError):
            self._stream.write(f"{mark}{note.text}\n")
            self._stream.flush()

    def _lines(self) -> set[bytes]:
        try:
            return set(self._card.notes.read_bytes().splitlines(keepends=True))
        except OSError:
            return set()

    def _append(self, line: bytes) -> None:
        # Others write to the same file: one call, so that no line gets into another.
        with contextlib.suppress(OSError):
            FILES.make_folder(self._card.run)
            descriptor = self._open()
            try:
                write_all(FILES, descriptor, line)
            finally:
                FILES.close(descriptor)

    def _open(self) -> int:
        try:
            return FILES.create(self._card.notes, 0o644)
        except FileExistsError:
            return FILES.append_to(self._card.notes)
