"""Wiring: the routes of a configuration, typed by wiring them once on a graph nobody runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from graphlib import CycleError, TopologicalSorter

from leyden.appliance.placing import Placed
from leyden.appliance.plan import RoutePlan
from leyden.appliance.tables import RouteTable
from leyden.appliance.words import Complaints, circle_words, near, one_of
from leyden.flow import FlowError, Graph, Stage, through
from leyden.kernel import EventStream, Origin, Route, RouteInfo, SimulatedExecutor

PREFIX = "flow"  # the first word of every route that a configuration derives


def wire_routes(
    tables: Mapping[str, RouteTable], placed: Mapping[str, Placed], complaints: Complaints
) -> tuple[RoutePlan, ...]:
    """Return the routes in an order in which each comes after what it needs.

    Complains about names that are not there, stages that do not fit and routes that go in circles.
    """
    for name in tables:
        if name in placed:
            complaints.add(("route", name), f'there is a device "{name}" too; choose another name')
    stages = {name: _stages(name, table, complaints) for name, table in tables.items()}
    plans = {name: _plan(name, table, tables) for name, table in tables.items()}
    try:
        order = tuple(TopologicalSorter(_needs(plans, stages)).static_order())
    except CycleError as error:
        circle = list(reversed(error.args[1]))
        complaints.add(("route", circle[0], "from"), circle_words(circle, "feeds", "feed"))
        return ()
    with _trial_graph(placed) as graph:
        trial = _Trial(graph, placed, complaints)
        for name in order:
            trial.wire(plans[name], stages[name])
    return tuple(plans[name] for name in order)


def _plan(name: str, table: RouteTable, tables: Mapping[str, RouteTable]) -> RoutePlan:
    source = f"{PREFIX}.{table.source}" if table.source in tables else table.source
    return RoutePlan(name, source, tuple(table.through), table.label, table.group)


def _stages(name: str, table: RouteTable, complaints: Complaints) -> tuple[Stage, ...] | None:
    try:
        return through(table.through)
    except FlowError as error:
        _complain(complaints, name, error)
        return None


def _needs(
    plans: Mapping[str, RoutePlan], stages: Mapping[str, tuple[Stage, ...] | None]
) -> dict[str, list[str]]:
    """Return which other routes of the configuration each one begins with or is steered by."""
    needs: dict[str, list[str]] = {}
    for name, plan in plans.items():
        steering = [each.route for stage in stages[name] or () for each in stage.controls()]
        needs[name] = [need for need in map(_own_name, [plan.source, *steering]) if need in plans]
    return needs


def _own_name(key: str) -> str:
    first, _, rest = key.partition(";")[0].partition(".")
    return rest if first == PREFIX else ""


class _Trial:
    """Pipes routes one after another and says what does not fit."""

    def __init__(self, graph: Graph, placed: Mapping[str, Placed], complaints: Complaints) -> None:
        self._graph = graph
        self._unsound = {id for id, each in placed.items() if not each.sound}
        self._unknown: set[str] = set()  # routes that something was said about already
        self._complaints = complaints

    def wire(self, plan: RoutePlan, stages: tuple[Stage, ...] | None) -> None:
        """Pipe one route; of what follows from an earlier mistake nothing is said."""
        key = f"{PREFIX}.{plan.name}"
        spoilt = plan.source in self._unknown or plan.source.partition(".")[0] in self._unsound
        if stages is None or spoilt:
            self._unknown.add(key)
            return
        source = self._graph.events.route(plan.source)
        if source is None:
            self._unknown.add(key)
            self._refuse_source(plan)
            return
        target = Route.of(key, source.route.schema, origin=Origin.DERIVED)
        try:
            self._graph.pipe(plan.source, target, through=stages, name=plan.name)
        except FlowError as error:
            self._unknown.add(key)
            _complain(self._complaints, plan.name, error)

    def _refuse_source(self, plan: RoutePlan) -> None:
        routes = (info.route for info in self._graph.events.routes())
        known = [route.key for route in routes if route.origin is not Origin.SYSTEM]
        self._complaints.add(
            ("route", plan.name, "from"),
            f'no route or channel "{plan.source}", expected {one_of(known)}'
            f"{near(plan.source, known)}",
        )


def _complain(complaints: Complaints, name: str, error: FlowError) -> None:
    path = [error.path] if error.path else []
    complaints.add(("route", name, *path), error.text.removeprefix(f"{name}: "))


@contextmanager
def _trial_graph(placed: Mapping[str, Placed]) -> Iterator[Graph]:
    """Yield a graph with a route for each channel, in simulated time that never begins."""
    executor = SimulatedExecutor()
    events = EventStream(executor)
    graph = Graph(events, executor)
    try:
        for info in _infos(placed):
            events.declare(info.route, info)
        yield graph
    finally:
        graph.close()
        executor.close()


def _infos(placed: Mapping[str, Placed]) -> Iterable[RouteInfo]:
    for id, each in placed.items():
        for channel in each.channels:
            route = Route.of(f"{id}.{channel.name}", channel.schema())
            yield RouteInfo(route, period_s=each.plan.period_s, decimals=channel.decimals())
