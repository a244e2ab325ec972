"""Observation: somebody who looks at one route, isolated from everybody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leyden.flow.ends import Handler, unlisted
from leyden.flow.handle import Handle
from leyden.flow.node import Counters, Edge, Node
from leyden.kernel import Delivery, Event, Overflow, Route, Subscription

if TYPE_CHECKING:
    from leyden.flow.graph import Graph


class _Observer(Node):
    """The observer as the graph draws it; its figures are the subscription's."""

    kind = "observer"

    def __init__(self, name: str, observation: Observation) -> None:
        super().__init__()
        self.name = name
        self._observation = observation

    @property
    def keep(self) -> int:
        return self._observation.capacity

    def counters(self) -> Counters:
        figures = self._observation.subscription.counters()
        served, errors = int(figures["served"]), int(figures["errors"])
        dropped, coalesced = int(figures["dropped"]), int(figures["coalesced"])
        waiting = int(figures["waiting"])
        return Counters(
            entered=served + errors + dropped + coalesced + waiting,
            out=served,
            dropped=dropped,
            coalesced=coalesced,
            held=waiting,
            errors=errors,
        )

    def explain(self) -> str:
        subscription = self._observation.subscription
        figures = subscription.counters()
        if subscription.quarantined:
            return f"quarantined: failed too often in a row, the last: {subscription.last_error}"
        if not subscription.active:
            return "disposed: is not called any more"
        failures = f", {figures['errors']} failed" if figures["errors"] else ""
        waiting = f", {figures['waiting']} wait" if figures["waiting"] else ""
        return f"open: {figures['served']} handled{failures}{waiting}"


class Observation(Handle):
    """A handler on one route; made by `Graph.observe`."""

    def __init__(
        self,
        graph: Graph,
        name: str,
        route: Route,
        handler: Handler,
        *,
        delivery: Delivery,
        capacity: int,
        replay_latest: bool,
    ) -> None:
        super().__init__(name, graph.forget)
        self.route = route
        self.capacity = 0 if delivery is Delivery.INLINE else capacity
        key, inline = route.key, delivery is Delivery.INLINE

        def handle(event: Event) -> None:
            if event.route == key:  # a prefix also finds longer names
                handler(event)

        def handle_inline(event: Event) -> None:
            if event.route == key and self.subscription.active:
                graph.events.handle(self.subscription, event)

        self._node = _Observer(name, self)
        # The stream calls inline handlers bare and counts only what goes wrong. This one is served
        # as those in lanes are, by a subscription that is not in the stream's list.
        self.subscription = unlisted(graph.events, name, handler)
        self._listed: Subscription = graph.events.subscribe(
            handle_inline if inline else handle,
            name=name,
            prefix=key,
            delivery=delivery,
            capacity=capacity,
            overflow=Overflow.DROP_OLDEST,
            replay_latest=replay_latest,
        )
        if not inline:
            self.subscription = self._listed

    def stop(self) -> None:
        """Call the handler no more, at once."""
        self._listed.cancel()
        self.subscription.cancel()

    def nodes(self) -> tuple[Node, ...]:
        """The observer."""
        return (self._node,)

    def edges(self) -> tuple[Edge, ...]:
        """From the route to the observer."""
        return (Edge(self.route.key, self._node.name),)
