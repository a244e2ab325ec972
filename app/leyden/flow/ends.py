"""Ends of a line: a route that its values are published on, or a handler that consumes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from leyden.flow.errors import FullError
from leyden.flow.node import Node
from leyden.kernel import (
    Delivery,
    Event,
    EventStream,
    FeedbackLoopError,
    Overflow,
    Route,
    Subscription,
)

Handler: TypeAlias = Callable[[Event], object]  # whatever it returns is of no interest


def unlisted(events: EventStream, name: str, handler: Handler) -> Subscription:
    """Return a subscription that the stream does not know of, to be served by `events.handle`.

    So a handler that events reach in another way is isolated, counted and put in quarantine like
    every other subscriber.
    """

    def call(event: Event) -> None:
        handler(event)

    return Subscription(
        events, call, name, (), Delivery.INLINE, capacity=1, overflow=Overflow.DROP_OLDEST
    )


class RouteEnd(Node):
    """Publishes each event's value and quality on a route, with the event as its cause."""

    kind = "pipe"

    def __init__(self, name: str, route: Route, publish: Callable[[Event], object]) -> None:
        super().__init__()
        self.name = name
        self.route = route
        self._publish = publish

    def accept(self, event: Event) -> None:
        """Publish; a chain that grew too long, or no room behind the route, ends here."""
        self.entered += 1
        try:
            self._publish(event)
        except (FeedbackLoopError, FullError) as error:
            # The stream has told of the loop; and a lane that waited in vain says so in words here.
            self.dropped += 1
            self.errors += 1
            self.last_error = f"{type(error).__name__}: {error}"
        else:
            self.out += 1

    def words(self) -> str:
        """Say where the values go."""
        return f"open: publishes on {self.route.key}"


class HandlerEnd(Node):
    """Calls a handler in isolation; the capacitor in front brings the next when it is done."""

    kind = "observer"

    def __init__(self, name: str, events: EventStream, handler: Handler) -> None:
        super().__init__()
        self.name = name
        self._events = events
        self._subscription = unlisted(events, name, handler)

    def accept(self, event: Event) -> None:
        """Call the handler; what it publishes follows from `event`."""
        self.entered += 1
        subscription = self._subscription
        if not subscription.active:
            self.dropped += 1
            return
        before = subscription.counters()["errors"]
        self._events.handle(subscription, event)
        if subscription.counters()["errors"] == before:
            self.out += 1
        else:
            self.errors += 1
            self.last_error = subscription.last_error

    def stop(self) -> None:
        """Do not call the handler any more."""
        self._subscription.cancel()

    def words(self) -> str:
        """Say whether the handler is called."""
        if self._subscription.quarantined:
            return "quarantined: the handler failed too often in a row"
        return "open: calls its handler"
