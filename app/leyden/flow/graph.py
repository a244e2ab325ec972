"""Graph: routes joined by stages, every part of it named, counted, explained and removable."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, overload

import msgspec

from leyden.flow.capacitor import Capacitor
from leyden.flow.doors import Doors
from leyden.flow.ends import Handler
from leyden.flow.errors import FlowError, SchemaError
from leyden.flow.handle import Handle
from leyden.flow.line import HANDLER_KEEP, Line, check_fit, check_ports, shape, waiting_places
from leyden.flow.lineage import Lineage, lineage
from leyden.flow.node import Edge, Node, NodeInfo, Stage
from leyden.flow.observation import Observation
from leyden.flow.pump import Observable, Pump, Source
from leyden.flow.schema import conform, derived_route, misfit
from leyden.flow.snapshot import FlowSnapshot, route_words, take
from leyden.flow.timer import Timer
from leyden.flow.words import did_you_mean, short
from leyden.kernel import (
    BAD,
    GOOD,
    Delivery,
    Doubt,
    Event,
    EventStream,
    Executor,
    FeedbackLoopError,
    Origin,
    Quality,
    Route,
    RouteInfo,
    Value,
)

STAGE_ERROR = "event.stage_error"

H = TypeVar("H", bound=Handle)


class Graph:
    """Joins the routes of one event stream.

    Args:
        events: the stream whose routes are joined.
        executor: gives lanes and time; the stream's own unless another is given.
    """

    def __init__(self, events: EventStream, executor: Executor | None = None) -> None:
        self.events = events
        self.executor = executor or events.executor
        self.clock = self.executor.clock
        self.doors = Doors()
        self.timer = Timer(self.executor, self._timer_failed)
        self._timer_node = _TimerNode()
        self._lock = threading.Lock()
        self._handles: dict[str, Handle] = {}
        self._names: set[str] = set()
        events.declare_system(STAGE_ERROR)

    # Values

    def publish(
        self,
        route: Route | str,
        value: Value,
        *,
        source: str = "",
        quality: Quality = GOOD,
        reason: str = "",
        detail: str = "",
        cause: Event | None = None,
    ) -> Event:
        """Publish a value of the type its route carries.

        A number outside the route's range, or one that is not finite, is published as bad, reason
        `out_of_range`. If the route leads into a capacitor whose policy is `block`, this waits for
        room before there is an event.

        Raises:
            FlowError: the route is not declared.
            SchemaError: the value is of another type.
            FullError: no room in the time the capacitor allows; nothing was published.
            FeedbackLoopError: the causal chain is too long.
        """
        info = self.resolve(route)
        if quality is BAD:
            value = None
        else:
            value, doubt = _conform(info.route, value)
            if doubt is not None:
                quality, reason, detail = doubt.quality, doubt.reason, detail or doubt.detail
        publish = self.events.publisher(info.route)
        return self.doors.through(
            info.route.key, lambda: publish(value, source, quality, reason, detail, cause)
        )

    def latest(self, route: Route | str) -> Event | None:
        """Return the newest event of a route, value included; None if there has been none.

        Raises:
            FlowError: the route is not declared.
        """
        return self.events.latest(self.resolve(route).route.key)

    def lineage(self, event: Event) -> Lineage:
        """Follow an event back to the reading it came from."""
        return lineage(self.events, event)

    # Wiring

    def observe(
        self,
        route: Route | str,
        handler: Handler,
        *,
        name: str = "",
        delivery: Delivery = Delivery.QUEUE,
        capacity: int = 1024,
        replay_latest: bool = False,
    ) -> Observation:
        """Call `handler` with every event of one route, each with its own value, in order.

        The handler has a lane and a bounded queue of its own unless `delivery` says otherwise; what
        it raises is counted and published and harms nobody else.

        Raises:
            FlowError: the route is not declared.
        """
        found = self.resolve(route).route
        who = name or f"{found.key}/{getattr(handler, '__name__', 'observer').strip('<>')}"
        return self._keep(
            who,
            lambda unique: Observation(
                self,
                unique,
                found,
                handler,
                delivery=delivery,
                capacity=capacity,
                replay_latest=replay_latest,
            ),
        )

    @overload
    def pipe(
        self,
        source: Route | str,
        to: Route | str | Handler | None = None,
        *,
        through: Iterable[Stage] = (),
        name: str = "",
        replay_latest: bool = False,
    ) -> Line: ...

    @overload
    def pipe(self, source: Observable | Source, to: Route | str, *, name: str = "") -> Pump: ...

    def pipe(
        self,
        source: Route | str | Observable | Source,
        to: Route | str | Handler | None = None,
        *,
        through: Iterable[Stage] = (),
        name: str = "",
        replay_latest: bool = False,
    ) -> Line | Pump:
        """Join a source to where its values go, through stages.

        From a route, `to` is a route (declared as derived if it is new), a handler (called in a
        lane, which brings the next event when it has returned), or nothing if the stages only
        watch. From an observable, or from a function that yields values, `to` is a route and there
        are no stages; put those in a line behind it.

        Raises:
            FlowError: an undeclared route, or types or units that do not fit.
            StageError: a stage that cannot stand where it is.
        """
        stages = tuple(through)
        if isinstance(source, (Route, str)):
            return self._line(source, to, stages, name, replay_latest)
        if stages or replay_latest or not isinstance(to, (Route, str)):
            raise FlowError(
                "a source from outside is piped onto a route, without stages; "
                "pipe that route through the stages"
            )
        return self._pump(source, to, name)

    def _line(
        self,
        source: Route | str,
        to: Route | str | Handler | None,
        stages: tuple[Stage, ...],
        name: str,
        replay_latest: bool,
    ) -> Line:
        info = self.resolve(source, "from")
        handler = to if callable(to) else None
        if handler is not None and not (stages and isinstance(stages[-1], Capacitor)):
            stages = (*stages, Capacitor(keep=HANDLER_KEEP))
        # All that can be wrong is looked for before anything is declared or begun.
        waiting_places(stages)
        check_ports(self, stages)
        leaving = shape(info, stages)
        who = name or _line_name(info.route, to)
        route = None
        if isinstance(to, (Route, str)):
            self._refuse_double(who, info.route.key, to if isinstance(to, str) else to.key)
            route = self._end_route(who, leaving, to)
        elif to is None and all(stage.side_route is None for stage in stages):
            raise FlowError(f"{who}: leads nowhere; give it a route or a handler to go to")
        line = self._keep(who, lambda unique: Line(self, unique, info, stages, route or handler))
        try:
            line.wire(replay_latest=replay_latest)
        except BaseException:
            line.dispose()
            raise
        return line

    def _refuse_double(self, name: str, source: str, to: str) -> None:
        if source == to:
            raise FlowError(f"{name}: {to} is piped onto itself")
        for handle in self.handles():
            if isinstance(handle, Line) and handle.joins(source, to):
                raise FlowError(
                    f"{name}: {source} flows into {to} already, by line {handle.name}; "
                    "a second line would deliver every value twice"
                )

    def _end_route(self, name: str, leaving: RouteInfo, to: Route | str) -> Route:
        key = to if isinstance(to, str) else to.key
        known = self.events.route(key)
        schema = leaving.route.schema
        if known is not None:
            check_fit(name, schema, known.route)
            return known.route
        if isinstance(to, str):
            route = derived_route(to, schema)
        else:
            route = msgspec.structs.replace(to, origin=Origin.DERIVED)
            check_fit(name, schema, route)
        return self.events.declare(route, msgspec.structs.replace(leaving, route=route))

    def _pump(self, source: Observable | Source, to: Route | str, name: str) -> Pump:
        route = self.resolve(to).route
        pump = self._keep(name or f"{route.key}/pump", lambda unique: Pump(self, unique, route))
        if isinstance(source, Observable):
            pump.observe(source)
        else:
            pump.run(source)
        return pump

    def close(self) -> None:
        """Take everything down, newest first."""
        for handle in reversed(self.handles()):
            handle.dispose()
        self.timer.close()

    # Looking at it

    def handles(self) -> tuple[Handle, ...]:
        """Everything set up and not yet taken down, oldest first."""
        with self._lock:
            return tuple(self._handles.values())

    def nodes(self) -> tuple[NodeInfo, ...]:
        """Every route that takes part, and every stage, source and observer, as they are now."""
        return self.flow_snapshot().nodes

    def topology(self) -> tuple[Edge, ...]:
        """Every way that events take, as wired."""
        return tuple(edge for handle in self.handles() for edge in handle.edges())

    def flow_snapshot(self, about: Route | str | None = None) -> FlowSnapshot:
        """Return the graph with its figures; or only what touches one route or node.

        Raises:
            FlowError: no such route or node.
        """
        key = about.key if isinstance(about, Route) else about or ""
        return take(self.events, self.handles(), key)

    def explain(self, name: str) -> str:
        """Say in words what a node does, or what a route carries.

        Raises:
            FlowError: no such node or route.
        """
        for handle in self.handles():
            for node in handle.nodes():
                if node.name == name:
                    return node.explain()
        return route_words(self.events, self.resolve(name).route.key)

    # What lines, pumps and stages call

    def resolve(self, route: Route | str, path: str = "") -> RouteInfo:
        """Return what is known of a route; a `Route` that is new is declared.

        An error names `path` as the place where the route was written.

        Raises:
            FlowError: no route has this key, or the one that has carries other values.
        """
        key = route if isinstance(route, str) else route.key
        known = self.events.route(key)
        if known is None:
            if isinstance(route, str):
                keys = [info.route.key for info in self.events.routes()]
                raise FlowError(f'no route "{key}"{did_you_mean(key, keys)}', path)
            self.events.declare(route)
            return self.events.route(key) or RouteInfo(route)
        problem = "" if isinstance(route, str) else misfit(route.schema, known.route.schema)
        if problem:
            raise FlowError(f"{key} is declared otherwise: {problem}", path)
        return known

    def republisher(
        self, route: Route, source: str, *, may_wait: bool
    ) -> Callable[[Event], object]:
        """Return the function that publishes an event's value on `route`, caused by the event."""
        publish, key, through = self.events.publisher(route), route.key, self.doors.through

        def republish(event: Event) -> Event:
            return publish(event.value, source, event.quality, event.reason, event.detail, event)

        def republish_waiting(event: Event) -> Event:
            return through(key, lambda: republish(event))

        return republish_waiting if may_wait else republish

    def failed(self, node: Node, event: Event | None, error: Exception) -> None:
        """Count a node's error and, now and then, tell of it with node, route and value."""
        if not node.count_error(error, self.clock.monotonic_ns()):
            return
        value = {
            "node": node.name,
            "route": event.route if event else "",
            "n": event.n if event else 0,
            "value": short(event.value) if event else "",
            "error": node.last_error,
            "errors": node.errors,
        }
        try:
            self.events.publish(
                STAGE_ERROR, value, source=f"flow.{node.name}", detail=node.explain(), cause=event
            )
        except FeedbackLoopError:
            node.errors += 1  # the stream has told of the loop, which is the greater trouble

    def forget(self, handle: Handle) -> None:
        """Take a handle that was disposed of out of the books."""
        with self._lock:
            self._handles.pop(handle.name, None)
            self._names.discard(handle.name)

    def _timer_failed(self, error: Exception) -> None:
        self.failed(self._timer_node, None, error)

    def _keep(self, name: str, make: Callable[[str], H]) -> H:
        # The name is taken before the thing is made, so that two threads cannot choose the same.
        with self._lock:
            unique, count = name, 1
            while unique in self._names:
                count += 1
                unique = f"{name}_{count}"
            self._names.add(unique)
        try:
            handle = make(unique)
        except BaseException:
            with self._lock:
                self._names.discard(unique)
            raise
        with self._lock:
            self._handles[unique] = handle
        return handle


class _TimerNode(Node):
    """Stands for the timer where its errors are told."""

    kind = "timer"

    def __init__(self) -> None:
        super().__init__()
        self.name = "timer"


def _conform(route: Route, value: Value) -> tuple[Value, Doubt | None]:
    try:
        return conform(route.schema, value)
    except SchemaError as error:
        raise SchemaError(f"{route.key}: {error}") from None


def _line_name(source: Route, to: Any) -> str:
    if isinstance(to, (Route, str)):
        return to if isinstance(to, str) else to.key
    if callable(to):
        return f"{source.key}/{getattr(to, '__name__', 'handler').strip('<>')}"
    return f"{source.key}/watch"
