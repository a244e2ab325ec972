"""Context: the four things a component may reach, handed to it by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from leyden.kernel.clock import Clock
from leyden.kernel.event import GOOD, Event, Quality, RouteInfo, Value
from leyden.kernel.executor import Executor
from leyden.kernel.route import Route
from leyden.kernel.state import State
from leyden.kernel.stream import EventStream

if TYPE_CHECKING:
    from leyden.kernel.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Context:
    """What a component sees of the appliance; `source` names it in everything it publishes."""

    source: str
    clock: Clock
    events: EventStream
    state: State
    runtime: Runtime
    executor: Executor

    def declare(self, route: Route, info: RouteInfo | None = None) -> Route:
        """Add a route to the catalog, as `EventStream.declare`."""
        return self.events.declare(route, info)

    def publish(
        self,
        route: Route | str,
        value: Value,
        *,
        quality: Quality = GOOD,
        reason: str = "",
        detail: str = "",
        cause: Event | None = None,
    ) -> Event:
        """Publish in this component's name, as `EventStream.publish`."""
        return self.events.publish(
            route,
            value,
            source=self.source,
            quality=quality,
            reason=reason,
            detail=detail,
            cause=cause,
        )
