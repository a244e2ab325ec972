"""Doors: where publishers on a route wait until a capacitor behind it has room."""

from __future__ import annotations

import threading
from collections.abc import Callable

from leyden.flow.capacitor import Capacitor
from leyden.kernel import Event


class Doors:
    """The capacitors that block, by the route they stand on.

    Waiting is done before there is an event, outside every lock: during delivery it would hold up
    every route, the one that would make room included.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._doors: dict[str, tuple[Capacitor, ...]] = {}

    def add(self, key: str, capacitor: Capacitor) -> None:
        """Let publishers on a route wait for room in a capacitor."""
        with self._lock:
            self._doors[key] = (*self._doors.get(key, ()), capacitor)

    def remove(self, key: str, capacitor: Capacitor) -> None:
        """Undo `add`, if it was done."""
        with self._lock:
            left = tuple(door for door in self._doors.get(key, ()) if door is not capacitor)
            if left:
                self._doors[key] = left
            else:
                self._doors.pop(key, None)

    def through(self, key: str, publish: Callable[[], Event]) -> Event:
        """Publish on a route once every capacitor that blocks there has a place for the event.

        Raises:
            FullError: one had none in the time it allows; nothing was published.
        """
        doors = self._doors.get(key)
        return publish() if doors is None else _wait_and_publish(doors, publish)


def _wait_and_publish(doors: tuple[Capacitor, ...], publish: Callable[[], Event]) -> Event:
    entered: list[Capacitor] = []
    try:
        for door in doors:
            door.enter()
            entered.append(door)
        return publish()
    except BaseException:
        for door in entered:
            door.leave()
        raise
