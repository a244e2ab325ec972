"""Line: a way through the graph, from a route through stages to a route or a handler."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING

from leyden.flow.capacitor import Capacitor
from leyden.flow.ends import Handler, HandlerEnd, RouteEnd
from leyden.flow.errors import FlowError, StageError
from leyden.flow.handle import Handle
from leyden.flow.health import health_route
from leyden.flow.node import Control, Edge, Node, Site, Stage
from leyden.flow.schema import derived_route, misfit
from leyden.kernel import (
    Delivery,
    Event,
    FeedbackLoopError,
    Origin,
    Route,
    RouteInfo,
    Schema,
    Subscription,
)

if TYPE_CHECKING:
    from leyden.flow.graph import Graph

HANDLER_KEEP = 1024  # events that wait for a handler, unless the line says otherwise


class Line(Handle):
    """Stages between a route and where its values go; made by `Graph.pipe`.

    Values travel in their events. Each event that leaves on a route has the event it came from as
    its cause.
    """

    def __init__(
        self,
        graph: Graph,
        name: str,
        source: RouteInfo,
        stages: tuple[Stage, ...],
        to: Route | Handler | None,
    ) -> None:
        super().__init__(name, graph.forget)
        self.source = source.route
        self.stages = stages
        self.to = to if isinstance(to, Route) else None
        self.end: RouteEnd | HandlerEnd | None = None
        self.side_routes: dict[str, Route] = {}  # by the name of the stage that speaks there
        self._graph = graph
        self._handler = None if isinstance(to, Route) else to
        self._subscriptions: list[Subscription] = []
        self._attached: list[Stage] = []

    # Wiring, in the order that `Graph.pipe` asks for it

    def wire(self, *, replay_latest: bool) -> None:
        """Attach the stages from the end to the beginning, then let events in."""
        names = _names(self.name, self.stages)
        may_wait = waiting_places(self.stages)
        send = self._make_end(may_wait[-1])
        for i in reversed(range(len(self.stages))):
            stage = self.stages[i]
            stage.attach(self._site(stage, names[i], send, first=i == 0))
            self._attached.append(stage)
            waiting = isinstance(stage, Capacitor) and stage.blocks and may_wait[i]
            send = (
                stage.accept_waiting if isinstance(stage, Capacitor) and waiting else stage.accept
            )
        for i, stage in enumerate(self.stages):
            for control in stage.controls():
                self._subscribe_control(stage, control, _control_path(i, stage, control))
        self._feed(send, replay_latest=replay_latest)

    def _make_end(self, may_wait: bool) -> Callable[[Event], None]:
        if self.to is not None:
            publish = self._graph.republisher(self.to, f"flow.{self.name}", may_wait=may_wait)
            self.end = RouteEnd(f"{self.name}/pipe", self.to, publish)
            return self.end.accept
        if self._handler is not None:
            self.end = HandlerEnd(f"{self.name}/observer", self._graph.events, self._handler)
            return self.end.accept
        return _nowhere

    def _site(self, stage: Stage, name: str, send: Callable[[Event], None], *, first: bool) -> Site:
        graph, key = self._graph, self.source.key
        return Site(
            name=name,
            executor=graph.executor,
            timer=graph.timer,
            send=send,
            speak=self._speaker(stage, name),
            failed=graph.failed,
            newest=(lambda: graph.events.latest(key)) if first else (lambda: None),
            dispose=self.dispose,
        )

    def _speaker(self, stage: Stage, name: str) -> Callable[[str, str, Event | None], None]:
        key = stage.side_route
        if key is None:
            return _mute
        route = health_route(self.to or self.source)
        if key:
            route = derived_route(key, Schema("text"))
        self.side_routes[name] = self._graph.events.declare(route)
        publish = self._graph.events.publisher(route)

        def speak(word: str, detail: str, cause: Event | None) -> None:
            try:
                publish(word, f"flow.{name}", detail=detail, cause=cause)
            except FeedbackLoopError as error:
                stage.count_error(error, self._graph.clock.monotonic_ns())  # the stream has told

        return speak

    def _subscribe_control(self, stage: Stage, control: Control, path: str) -> None:
        key = self._graph.resolve(control.route, path).route.key

        def steer(event: Event) -> None:
            if event.route == key:
                try:
                    control.steer(event)
                except Exception as error:  # noqa: BLE001 - counted and told of at the stage it steers
                    self._graph.failed(stage, event, error)

        self._subscriptions.append(
            self._graph.events.subscribe(
                steer,
                name=f"{stage.name}.{control.port}",
                prefix=key,
                delivery=Delivery.INLINE,
                replay_latest=control.replay,
            )
        )

    def _feed(self, first: Callable[[Event], None], *, replay_latest: bool) -> None:
        key = self.source.key
        opening = self.stages[0] if self.stages else None
        if isinstance(opening, Capacitor) and opening.blocks:
            self._graph.doors.add(key, opening)

        def feed(event: Event) -> None:
            if event.route == key:  # a prefix also finds longer names
                first(event)

        self._subscriptions.append(
            self._graph.events.subscribe(
                feed,
                name=f"flow.{self.name}",
                prefix=key,
                delivery=Delivery.INLINE,
                replay_latest=replay_latest,
            )
        )

    def stop(self) -> None:
        """Stop listening, then stop each stage; what they hold is dropped."""
        for subscription in self._subscriptions:
            subscription.cancel()
        for stage in reversed(self._attached):
            if isinstance(stage, Capacitor):
                self._graph.doors.remove(self.source.key, stage)
            stage.stop()
        if isinstance(self.end, HandlerEnd):
            self.end.stop()

    def joins(self, source: str, to: str) -> bool:
        """Whether it goes from the one route to the other."""
        return self.source.key == source and self.to is not None and self.to.key == to

    # Drawing

    def nodes(self) -> tuple[Node, ...]:
        """The stages and the end, in order."""
        return self.stages if self.end is None else (*self.stages, self.end)

    def edges(self) -> tuple[Edge, ...]:
        """The main way, then what steers the stages and where they speak."""
        way = [self.source.key, *(node.name for node in self.nodes())]
        if self.to is not None:
            way.append(self.to.key)
        edges = [Edge(a, b) for a, b in itertools.pairwise(way)]
        for stage in self.stages:
            edges += [Edge(each.route, stage.name, each.port) for each in stage.controls()]
            if stage.name in self.side_routes:
                edges.append(Edge(stage.name, self.side_routes[stage.name].key, "speaks"))
        return tuple(edges)


def shape(source: RouteInfo, stages: tuple[Stage, ...]) -> RouteInfo:
    """Return what leaves a line: the schema after all stages, and the distance of its values.

    Raises:
        StageError: a stage cannot work on what reaches it; the path says which.
    """
    schema, period = source.route.schema, source.period_s
    for i, stage in enumerate(stages):
        try:
            schema = stage.shape(schema)
        except StageError as error:
            raise StageError(f"through[{i}].{error.path}", error.text) from None
        period = stage.period(period)
    route = Route.of(source.route.name, schema)
    same = schema.unit == source.route.schema.unit
    return RouteInfo(
        route,
        group=source.group,
        decimals=source.decimals if same else None,
        period_s=period,
        normal=source.normal if same else None,
    )


def waiting_places(stages: tuple[Stage, ...]) -> list[bool]:
    """Return for each stage, and then for the end, whether what calls it may wait.

    Raises:
        StageError: a capacitor that blocks stands where nobody may be made to wait.
    """
    may_wait = [False]
    for i, stage in enumerate(stages):
        if isinstance(stage, Capacitor) and stage.blocks and i > 0 and not may_wait[i]:
            raise StageError(
                f"through[{i}].capacitor.overflow",
                'found "block" where nobody may be made to wait; put it first on its route '
                "or behind another capacitor",
            )
        own = stage.sends_from_lane
        may_wait.append(may_wait[i] if own is None else own)
    return may_wait


def check_ports(graph: Graph, stages: tuple[Stage, ...]) -> None:
    """Make sure that what steers the stages is there, and that they can speak where they want to.

    Raises:
        FlowError: it is not; the path says which.
    """
    for i, stage in enumerate(stages):
        _check_voice(graph, f"through[{i}].{stage.kind}.raise", stage.side_route)
        for control in stage.controls():
            path = _control_path(i, stage, control)
            found = graph.resolve(control.route, path).route
            if found.schema.id not in control.schemas:
                raise StageError(
                    path,
                    f"found {found.schema.id} values on {found.key}, "
                    f"expected {' or '.join(control.schemas)}",
                )


def _check_voice(graph: Graph, path: str, key: str | None) -> None:
    known = graph.events.route(key) if key else None
    if known is None:
        return
    problem = misfit(Schema("text"), known.route.schema)
    if problem or known.route.origin is not Origin.DERIVED:
        why = problem or f"it is an {known.route.origin} route"
        raise StageError(path, f'cannot speak on "{key}": {why}')


def _control_path(i: int, stage: Stage, control: Control) -> str:
    return f"through[{i}].{stage.kind}.{control.port}"


def check_fit(name: str, given: Schema, to: Route) -> None:
    """Refuse to join what does not fit.

    Raises:
        FlowError: another type, version or unit, or a route that is not the graph's to publish on.
    """
    problem = misfit(given, to.schema)
    if problem:
        raise FlowError(f"{name}: {to.key} cannot take this: {problem}")
    if to.origin in (Origin.INPUT, Origin.SYSTEM):
        raise FlowError(
            f"{name}: {to.key} is an {to.origin} route with a publisher of its own; "
            "give the line's end another name, or declare it with origin=Origin.DERIVED"
        )


def _names(line: str, stages: tuple[Stage, ...]) -> tuple[str, ...]:
    seen: dict[str, int] = {}
    names = []
    for stage in stages:
        seen[stage.kind] = count = seen.get(stage.kind, 0) + 1
        names.append(f"{line}/{stage.kind}" + (f"_{count}" if count > 1 else ""))
    return tuple(names)


def _nowhere(event: Event) -> None:
    """The end of a line that only watches."""


def _mute(word: str, detail: str, cause: Event | None) -> None:
    """The voice of a stage that never speaks."""
