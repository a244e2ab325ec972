"""Nodes: what every part of the graph has, a name, true counters and words that explain it.

A `Stage` is a node that stands in a line between a route and where its values go. A stage receives
events, not values: the value that arrives is always the one that belongs to its event.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import ClassVar, Final, Self

import msgspec

from leyden.flow.errors import StageError
from leyden.flow.timer import Timer
from leyden.kernel import NS, Event, Executor, Schema

_TELL_AGAIN_NS: Final = 10 * NS  # a node that keeps failing is reported this often


class Counters(msgspec.Struct, frozen=True, rename={"entered": "in"}):
    """What went through a node since it was made; `held` is what is in it now."""

    entered: int = 0  # "in" where a text form is wanted
    out: int = 0  # sent on
    dropped: int = 0  # refused, pushed out, or filtered away
    coalesced: int = 0  # replaced by a newer one before they could be sent
    held: int = 0
    late: int = 0  # of those sent on: had to wait for demand, a consumer or the rate
    errors: int = 0


class NodeInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """A node as a drawing or a panel shows it."""

    name: str
    kind: str
    counters: Counters = Counters()
    explain: str = ""
    keep: int = 0  # most that `held` can be; 0: holds nothing, or the question makes no sense

    @property
    def state(self) -> str:
        """The first word of the explanation: open, closed, busy, armed, silent and so on."""
        return self.explain.partition(":")[0]


class Edge(msgspec.Struct, frozen=True, omit_defaults=True):
    """A way that events take from one node to another; `port` names any but the main one."""

    source: str
    target: str
    port: str = ""


class Node:
    """A named part of the graph with counters."""

    kind: ClassVar[str] = "node"

    def __init__(self) -> None:
        self.name = ""
        self.entered = self.out = self.dropped = self.coalesced = self.late = self.errors = 0
        self.last_error = ""
        self._told_ns: int | None = None

    @property
    def keep(self) -> int:
        """Most events it ever holds; 0 for a node that holds none."""
        return 0

    @property
    def held(self) -> int:
        """Events in it now."""
        return 0

    def counters(self) -> Counters:
        """Return the figures as they are now."""
        return Counters(
            self.entered, self.out, self.dropped, self.coalesced, self.held, self.late, self.errors
        )

    def explain(self) -> str:
        """Say in words what it does now and why: `closed: 3 of 5 kept, waiting for demand …`."""
        if not self.errors:
            return self.words()
        times = "error" if self.errors == 1 else "errors"
        return f"{self.words()}; {self.errors} {times}, the last: {self.last_error}"

    def words(self) -> str:
        """The explanation without its errors: a state, a colon, the reason."""
        return "open: passes everything"

    def info(self) -> NodeInfo:
        """Return what a drawing shows of it."""
        return NodeInfo(self.name, self.kind, self.counters(), self.explain(), self.keep)

    def count_error(self, error: Exception, now_ns: int) -> bool:
        """Count a failure; return whether it is time to tell people."""
        self.errors += 1
        self.last_error = f"{type(error).__name__}: {error}"
        if self._told_ns is not None and now_ns - self._told_ns < _TELL_AGAIN_NS:
            return False
        self._told_ns = now_ns
        return True


@dataclass(frozen=True, slots=True)
class Site:
    """The place in the graph that a stage is given.

    Args:
        name: the stage's name in the graph.
        executor: gives lanes, signals and the clock.
        timer: calls back later.
        send: hands an event to whatever comes next in the line.
        speak: publishes a word and a sentence on the stage's side route.
        failed: counts and reports an error at an event.
        newest: the newest event of the route the stage stands on, also before it has been
            delivered; None for a stage further down the line.
        dispose: takes the whole line down.
    """

    name: str
    executor: Executor
    timer: Timer
    send: Callable[[Event], None]
    speak: Callable[[str, str, Event | None], None]
    failed: Callable[[Node, Event | None, Exception], None]
    newest: Callable[[], Event | None]
    dispose: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Control:
    """A second input of a stage: the port's name, the route, and what to do with its events."""

    port: str  # "demand", "gate"
    route: str
    steer: Callable[[Event], None]
    schemas: tuple[str, ...]  # schema ids the port understands
    replay: bool  # whether the route's latest event counts at once


class Stage(Node):
    """A node in a line. Made free of any graph, then attached to a site by `Graph.pipe`."""

    site: Site

    @property
    def sends_from_lane(self) -> bool | None:
        """Whether what comes next may wait, because a lane of the stage's own calls it.

        None: what comes next is called from wherever the stage itself is.
        """
        return None

    def shape(self, schema: Schema) -> Schema:
        """Return the schema that leaves when `schema` comes in.

        Raises:
            StageError: the stage cannot work on such values.
        """
        return schema

    def period(self, period_s: float | None) -> float | None:
        """Return the expected distance of values that leave; None: not regular."""
        return period_s

    def controls(self) -> tuple[Control, ...]:
        """The inputs beside the main one."""
        return ()

    @property
    def side_route(self) -> str | None:
        """Key of the route it speaks on; empty: the line's health route; None: it never speaks."""
        return None

    def attach(self, site: Site) -> None:
        """Take the place in a graph and begin to work.

        Raises:
            StageError: the stage stands in a line already.
        """
        if self.name:
            # Its counters and what it holds belong to one line; a second needs a stage of its own.
            raise StageError(self.kind, f"stands in the graph already, as {self.name}")
        self.name = site.name
        self.site = site

    def accept(self, event: Event) -> None:
        """Take one event from the line. Never called twice at the same time."""
        self.entered += 1
        self.out += 1
        self.site.send(event)

    def stop(self) -> None:
        """Let go of lanes and alarms; what is held is dropped."""

    def dispose(self) -> None:
        """Take down the line this stage stands in; a line works whole or not at all."""
        if self.name:
            self.site.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.dispose()
