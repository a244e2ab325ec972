"""State: frozen values under dotted paths, with the time and source of each.

For coordination and observation, not for storage. A path is written `"net.wlan0.address"`, or as a
tuple where a part has a dot in it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import TypeAlias

import msgspec

from leyden.kernel.clock import Clock
from leyden.kernel.errors import LeydenError
from leyden.kernel.event import Value, freeze

Path: TypeAlias = str | tuple[str, ...]


class StateError(LeydenError, ValueError):
    """A path that is empty, or that would be a value and a level at once."""


class Entry(msgspec.Struct, frozen=True):
    """One value, when it was set, by whom, and how often its path has been set before."""

    value: Value
    mono: int  # ns
    source: str
    version: int


Watcher: TypeAlias = Callable[[tuple[str, ...], Entry | None], None]


class State:
    """A thread-safe tree of frozen values.

    Watchers hear of changes one at a time and in the order they were made, in the thread of
    whoever is changing something; `report` is told of one that fails, and the others go on.
    """

    def __init__(
        self, clock: Clock, report: Callable[[tuple[str, ...], Exception], None] | None = None
    ) -> None:
        self._clock = clock
        self._report = report
        self._lock = threading.RLock()
        self._entries: dict[tuple[str, ...], Entry] = {}
        self._watchers: dict[object, tuple[tuple[str, ...], Watcher]] = {}
        self._changes: deque[tuple[tuple[str, ...], Entry | None]] = deque()
        self._telling = False

    def get(self, path: Path, default: Value = None) -> Value:
        """Return the value at `path`; a level returns a mapping of what is below it."""
        parts = _parts(path)
        with self._lock:
            entry = self._entries.get(parts)
            if entry is not None:
                return entry.value
            below = self._tree(parts)
        return freeze(below) if below else default

    def entry(self, path: Path) -> Entry | None:
        """Return the value at `path` with its time, source and version."""
        return self._entries.get(_parts(path))

    def set(self, path: Path, value: Value, *, source: str = "") -> None:
        """Set one value.

        Raises:
            StateError: the path is empty, or a value stands where it needs a level or the reverse.
        """
        self.update(path, lambda _: value, source=source)

    def update(self, path: Path, change: Callable[[Value], Value], *, source: str = "") -> Value:
        """Replace a value by `change(value)` with nothing in between; return the new one."""
        parts = _parts(path)
        with self._lock:
            self._check_place(parts)
            old = self._entries.get(parts)
            value = freeze(change(old.value if old else None))
            version = old.version + 1 if old else 1
            entry = Entry(value, self._clock.monotonic_ns(), source, version)
            self._entries[parts] = entry
            self._changes.append((parts, entry))
        self._tell()
        return value

    def delete(self, path: Path) -> bool:
        """Remove a value, or everything below a level; return whether there was anything."""
        parts = _parts(path)
        with self._lock:
            gone = [key for key in self._entries if key[: len(parts)] == parts]
            for key in gone:
                del self._entries[key]
                self._changes.append((key, None))
        self._tell()
        return bool(gone)

    def paths(self, below: Path = ()) -> tuple[tuple[str, ...], ...]:
        """Return every path that has a value, below a level or all, sorted."""
        parts = _parts(below) if below else ()
        with self._lock:
            return tuple(sorted(key for key in self._entries if key[: len(parts)] == parts))

    def snapshot(self) -> Value:
        """Return the whole tree as one frozen mapping."""
        with self._lock:
            return freeze(self._tree(()))

    def subscribe(self, path: Path, watcher: Watcher) -> Callable[[], None]:
        """Call `watcher(path, entry)` after each change at or below `path`; return its cancel."""
        parts = _parts(path) if path else ()
        token = object()
        with self._lock:
            self._watchers[token] = (parts, watcher)
        return lambda: self._forget(token)

    def _forget(self, token: object) -> None:
        with self._lock:
            self._watchers.pop(token, None)

    def _tell(self) -> None:
        # One teller at a time: what others change meanwhile, watchers included, waits its turn.
        with self._lock:
            if self._telling:
                return
            self._telling = True
        try:
            while (change := self._next_change()) is not None:
                for watcher in self._watchers_of(change[0]):
                    self._call(watcher, *change)
        except BaseException:
            self._telling = False
            raise

    def _next_change(self) -> tuple[tuple[str, ...], Entry | None] | None:
        with self._lock:
            self._telling = bool(self._changes)
            return self._changes.popleft() if self._changes else None

    def _watchers_of(self, parts: tuple[str, ...]) -> list[Watcher]:
        with self._lock:
            watchers = list(self._watchers.values())
        return [watcher for below, watcher in watchers if parts[: len(below)] == below]

    def _call(self, watcher: Watcher, parts: tuple[str, ...], entry: Entry | None) -> None:
        try:
            watcher(parts, entry)
        except Exception as error:  # noqa: BLE001 - a watcher's failure is not the setter's
            if self._report is not None:
                self._report(parts, error)

    def _check_place(self, parts: tuple[str, ...]) -> None:
        for known in self._conflicts(parts):
            raise StateError(
                f'found a value at "{".".join(known)}", so "{".".join(parts)}" cannot be set; '
                "a path is either a value or a level"
            )

    def _conflicts(self, parts: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        for depth in range(1, len(parts)):
            if parts[:depth] in self._entries:
                yield parts[:depth]
        yield from (
            key for key in self._entries if len(key) > len(parts) and key[: len(parts)] == parts
        )

    def _tree(self, below: tuple[str, ...]) -> dict[str, Value]:
        tree: dict[str, Value] = {}
        for key, entry in self._entries.items():
            if key[: len(below)] == below and len(key) > len(below):
                level = tree
                for part in key[len(below) : -1]:
                    level = level.setdefault(part, {})
                level[key[-1]] = entry.value
        return tree


def _parts(path: Path) -> tuple[str, ...]:
    parts = tuple(path.split(".")) if isinstance(path, str) else tuple(path)
    if not parts or not all(isinstance(part, str) and part for part in parts):
        raise StateError(f'found path "{path}", expected names joined by dots')
    return parts
