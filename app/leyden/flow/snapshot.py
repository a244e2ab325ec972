"""Snapshot: the graph as it is at one moment, with true figures, to draw or to ask about."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from leyden.flow.errors import FlowError
from leyden.flow.handle import Handle
from leyden.flow.node import Edge, Node, NodeInfo
from leyden.flow.words import did_you_mean, short, span_words, symbol
from leyden.kernel import BAD, EventStream


class FlowSnapshot(msgspec.Struct, frozen=True):
    """The graph, or a part of it, at one moment."""

    mono: int  # ns
    nodes: tuple[NodeInfo, ...]
    edges: tuple[Edge, ...]


def take(events: EventStream, handles: Iterable[Handle], about: str = "") -> FlowSnapshot:
    """Return everything that handles brought into the graph; or what touches one route or node.

    Raises:
        FlowError: no such route or node.
    """
    handles = tuple(handles)
    edges = tuple(edge for handle in handles for edge in handle.edges())
    stages = {node.name: node for handle in handles for node in handle.nodes()}
    if about:
        edges = _around(events, about, edges)
    ends = (name for edge in edges for name in (edge.source, edge.target))
    names = dict.fromkeys([about, *ends] if about else ends)
    nodes = tuple(_info(events, name, stages.get(name)) for name in names)
    return FlowSnapshot(events.clock.monotonic_ns(), nodes, edges)


def _around(events: EventStream, about: str, edges: tuple[Edge, ...]) -> tuple[Edge, ...]:
    found = tuple(edge for edge in edges if about in (edge.source, edge.target))
    if not found and events.route(about) is None:
        known = {name for edge in edges for name in (edge.source, edge.target)}
        known.update(info.route.key for info in events.routes())
        raise FlowError(f'no route or node "{about}"{did_you_mean(about, known)}')
    return found


def _info(events: EventStream, name: str, node: Node | None) -> NodeInfo:
    return (
        NodeInfo(name, "route", explain=route_words(events, name)) if node is None else node.info()
    )


def route_words(events: EventStream, key: str) -> str:
    """Say in words what a route carried last, how good it was and how long ago."""
    info, event = events.route(key), events.latest(key)
    if info is None or event is None:
        return "empty: nothing yet"
    age = span_words(events.clock.monotonic_ns() - event.mono)
    if event.quality is BAD:
        return f"bad: {event.detail or event.reason or 'no reason given'}, {age} ago"
    value = f"{short(event.value)} {symbol(info.route.schema.unit)}".strip()
    return f"{event.quality.word}: {value}, {age} ago"
