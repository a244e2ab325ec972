"""What became of updates, as events of the appliance: the runtime reads the history as it grows.

The history is written by root, in the middle of boots and restarts, whether or not a runtime is
there to be told. So the runtime looks for what it has not published yet, and notes how far it is.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

import msgspec

from leyden.appliance.update.history import read_history
from leyden.appliance.update.slots import Entry
from leyden.kernel import Context, Schema, Service
from leyden.storage.atomic import write_atomic

ROUTE: Final = "runtime.update"
SEEN_FILE: Final = "updates-published"


class UpdateEvents(Service):
    """Publishes each new entry of the history of updates on `runtime.update`; looks every 2 s.

    Args:
        history: the file.
        folder: where it is noted which entries are published; the runtime's own.
    """

    name = "updates"
    period_s = 2.0

    def __init__(self, history: Path, folder: Path) -> None:
        self._history = history
        self._note = folder / SEEN_FILE
        self._seen: int | None = None  # None: not started yet
        self._looked: tuple[int, int] | None = None

    def start(self, ctx: Context) -> None:
        """Declare the route, and find out which entries are published already."""
        ctx.events.declare_system(ROUTE, Schema("json"))
        if self._seen is None:
            self._seen = _number_in(self._note)

    def tick(self, ctx: Context) -> None:
        """Publish what is new in the history."""
        state = _state_of(self._history)
        if state == self._looked:
            return
        self._looked = state
        for entry in self._new(read_history(self._history)):
            ctx.publish(ROUTE, _value(entry), detail=entry.reason)
            self._seen = entry.n
        with contextlib.suppress(OSError):  # on a full disk a restart may say things twice
            write_atomic(self._note, f"{self._seen}\n".encode())

    def _new(self, entries: list[Entry]) -> list[Entry]:
        newest = max((entry.n for entry in entries), default=0)
        # A card whose records were lost counts anew.
        seen = self._seen if self._seen is not None and self._seen <= newest else 0
        return [entry for entry in entries if entry.n > seen]


def _value(entry: Entry) -> dict[str, str | int]:
    fields = msgspec.structs.asdict(entry)
    return {name: value for name, value in fields.items() if name != "boot" and value != ""}


def _state_of(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0  # no update was ever installed
    return found.st_size, found.st_mtime_ns


def _number_in(path: Path) -> int:
    try:
        return int(path.read_text("ascii"))
    except (OSError, ValueError):
        return 0
