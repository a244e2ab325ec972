"""Handles: what the graph gives back for everything it sets up, so that it can be taken down."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

from leyden.flow.node import Edge, Node


class Handle:
    """Something set up in a graph; `dispose`, or the end of a `with` block, takes it down.

    Args:
        name: unique in its graph.
        forget: tells the graph that it is gone.
    """

    def __init__(self, name: str, forget: Callable[[Handle], None]) -> None:
        self.name = name
        self.active = True
        self._forget = forget

    def nodes(self) -> tuple[Node, ...]:
        """The nodes it brought into the graph."""
        return ()

    def edges(self) -> tuple[Edge, ...]:
        """The ways between its nodes and the routes."""
        return ()

    def explain(self) -> str:
        """Say in words what each of its nodes does."""
        return "\n".join(f"{node.name}: {node.explain()}" for node in self.nodes())

    def dispose(self) -> None:
        """Take it down, from any thread, once or more often; nothing is delivered afterwards."""
        if self.active:
            self.active = False
            self.stop()
            self._forget(self)

    def stop(self) -> None:
        """Let go of everything it holds."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.dispose()
