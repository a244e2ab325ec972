"""Debouncing by time stamps: which of a line's edges are changes and which are chatter.

A level counts once it has lasted for the debounce time. The kernel stamps each edge when it
happens, so the verdict does not depend on when the edges are fetched.

    raw      ──┐ ┌┐┌──────────┐ ┌─────
               └─┘└┘          └─┘
    stable   ──────────────────────────     excursions shorter than the debounce time: 3 glitches
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Change:
    """A stable level that began at `mono`."""

    mono: int  # ns: the edge it began with, not the moment it was proven
    level: bool


class Debouncer:
    """Follows one line's edges; `level` is the stable level, `raw` the newest one.

    Args:
        level: What the line is at the beginning.
        now: When that was, in ns; edges before it are part of it.
        hold_ns: How long a level has to last.
    """

    def __init__(self, level: bool, now: int, hold_ns: int) -> None:
        self.level = level
        self.raw = level
        self.glitches = 0  # excursions from the stable level that did not last
        self.lost = 0  # edges that must have been between two of the same direction
        self._began = self._since = now
        self._hold_ns = hold_ns

    def edge(self, mono: int, rising: bool) -> tuple[Change, ...]:
        """Take the next edge; return the changes that are certain by now, oldest first."""
        if mono < self._began:
            return ()
        mono = max(mono, self._since)
        proven = self.settle(mono)  # the level before this edge lasted until it
        if rising == self.raw:
            self.lost += 1  # the line was elsewhere in between, for how long nobody knows
        elif rising == self.level:
            self.glitches += 1
        self.raw, self._since = rising, mono
        return proven + self.settle(mono)

    def settle(self, now: int) -> tuple[Change, ...]:
        """Return the change that the newest level has become by lasting until `now`, if any."""
        if self.raw == self.level or now - self._since < self._hold_ns:
            return ()
        self.level = self.raw
        return (Change(self._since, self.level),)

    def resync(self, level: bool, now: int) -> None:
        """Go on from a level that was read, because an edge to it was lost."""
        self.lost += 1
        self.raw, self._since = level, max(now, self._since)
