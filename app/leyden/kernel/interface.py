"""Interfaces: processes that face people or networks, started last among processes."""

from __future__ import annotations

from leyden.kernel.process import Process


class Interface(Process):
    """A process by mechanism, an interface by role: listed and started separately."""
