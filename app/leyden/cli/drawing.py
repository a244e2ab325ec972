"""Drawing: devices, routes and stages of an assembled appliance as a Mermaid flowchart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from leyden.appliance.assemble import Appliance
from leyden.appliance.plan import Plan
from leyden.flow import Edge
from leyden.kernel import DeviceStatus, Direction, RouteInfo
from leyden.units import UNITS

_PIPE: Final = "pipe"  # the end of a line, which only publishes: drawn as the arrow it is


def draw(appliance: Appliance) -> str:
    """Return the graph as Mermaid text, drawn from what is wired and not from what was written."""
    return "\n".join(_Drawing(appliance).lines())


class _Drawing:
    def __init__(self, appliance: Appliance) -> None:
        self._appliance = appliance
        self._devices = appliance.runtime.devices()
        self._routes = {info.route.key: info for info in appliance.runtime.events.routes()}
        snapshot = appliance.graph.flow_snapshot()
        self._kinds = {node.name: node.kind for node in snapshot.nodes}
        self._edges = _without_pipes(snapshot.edges, self._kinds)
        self._options = dict(_stage_options(appliance.plan))
        self._ids: dict[str, str] = {}

    def lines(self) -> Iterator[str]:
        """Yield the drawing line by line: nodes by bus, routes and stages, then arrows."""
        yield "flowchart LR"
        yield from self._buses()
        channels = [key for status in self._devices for key in status.channels]
        drawn = dict.fromkeys([*channels, *(n for e in self._edges for n in (e.source, e.target))])
        for name in drawn:
            yield f"  {self._id(name)}{self._shape(name)}"
        for status in self._devices:
            for key in status.channels:
                arrow = "<-->" if key in self._outputs() else "-->"
                yield f"  {self._id(f'device {status.id}')} {arrow} {self._id(key)}"
        for edge in self._edges:
            port = f"|{_quoted(edge.port)}|" if edge.port else ""
            yield f"  {self._id(edge.source)} -->{port} {self._id(edge.target)}"

    def _buses(self) -> Iterator[str]:
        paths = {bus.name: bus.path for bus in self._appliance.plan.buses}
        for bus in dict.fromkeys(status.bus for status in self._devices):
            inside = [status for status in self._devices if status.bus == bus]
            title = " · ".join(dict.fromkeys((bus, paths[bus]))) if bus in paths else "no bus"
            yield f"  subgraph {self._id(f'bus {bus}')}[{_quoted(title)}]"
            for status in inside:
                yield f"    {self._id(f'device {status.id}')}[{_quoted(_device_words(status))}]"
            yield "  end"

    def _outputs(self) -> set[str]:
        return {
            f"{status.id}.{channel.name}"
            for status in self._devices
            for channel in self._appliance.runtime.device(status.id).channels()
            if channel.direction is Direction.OUT
        }

    def _shape(self, name: str) -> str:
        info = self._routes.get(name)
        if info is None:
            words = f"{self._kinds.get(name, name)}\n{self._options.get(name, '')}"
            return "{{" + _quoted(words.rstrip()) + "}}"
        return f"([{_quoted(_route_words(info))}])"

    def _id(self, name: str) -> str:
        return self._ids.setdefault(name, f"n{len(self._ids) + 1}")


def _without_pipes(edges: tuple[Edge, ...], kinds: Mapping[str, str]) -> list[Edge]:
    """Return the edges with each pipe, one way in and one way out, replaced by one arrow."""
    onward = {edge.source: edge.target for edge in edges if kinds.get(edge.source) == _PIPE}
    return [
        Edge(edge.source, onward.get(edge.target, edge.target), edge.port)
        for edge in edges
        if edge.source not in onward
    ]


def _stage_options(plan: Plan) -> Iterator[tuple[str, str]]:
    """Yield the name of each configured stage, as the graph names it, and its options."""
    for route in plan.routes:
        counts: dict[str, int] = {}
        for row in route.through:
            ((kind, options),) = row.items()
            counts[kind] = count = counts.get(kind, 0) + 1
            words = ", ".join(f"{key} {value}" for key, value in options.items())
            yield f"{route.name}/{kind}" + (f"_{count}" if count > 1 else ""), words


def _device_words(status: DeviceStatus) -> str:
    return f"{status.id}\n{' '.join(filter(None, (status.driver, status.address)))}"


def _route_words(info: RouteInfo) -> str:
    code = info.route.schema.unit
    symbol = UNITS[code].symbol if code in UNITS else code
    return f"{info.route.key}\n{symbol}".rstrip()


def _quoted(text: str) -> str:
    # Mermaid writes a quote inside quotes as an entity, and breaks lines as HTML does.
    return '"' + text.replace("#", "#35;").replace('"', "#quot;").replace("\n", "<br/>") + '"'
