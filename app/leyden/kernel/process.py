"""Processes: components that react to events, each in a lane of its own."""

from __future__ import annotations

from typing import ClassVar

from leyden.kernel.context import Context
from leyden.kernel.event import Event


class Process:
    """Reacts to events whose route begins with one of `prefixes`; `""` means all.

    On start it first receives the newest event of each matching route, lifecycle included, so it
    misses nothing by being late. An exception in `handle` becomes `process.<id>.error`.
    """

    name: str = ""
    prefixes: ClassVar[tuple[str, ...]] = ("",)
    queue: ClassVar[int] = 1024  # events waiting at most; the oldest go first

    def start(self, ctx: Context) -> None:
        """Declare routes, open what is needed."""

    def handle(self, ctx: Context, event: Event) -> None:
        """React to one event."""

    def stop(self, ctx: Context) -> None:
        """Close what `start` opened."""
