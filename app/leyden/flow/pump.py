"""Pump: brings values from outside, an observable or a function that yields them, onto a route."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from leyden.flow.errors import FullError, SchemaError
from leyden.flow.handle import Handle
from leyden.flow.health import Health, health_route
from leyden.flow.node import Edge, Node
from leyden.flow.words import span_words
from leyden.kernel import BAD, CancelledWaitError, Event, FeedbackLoopError, Route

if TYPE_CHECKING:
    from leyden.flow.graph import Graph

Source: TypeAlias = Callable[[], Iterable[Any]]


class Disposable(Protocol):
    """What an observable gives its subscriber to end the subscription."""

    def dispose(self) -> None:
        """Send no more."""
        ...


@runtime_checkable
class Observable(Protocol):
    """Anything with the usual three callbacks: values, then one error or one completion."""

    def subscribe(
        self,
        on_next: Callable[[Any], None],
        on_error: Callable[[Exception], None],
        on_completed: Callable[[], None],
    ) -> Disposable:
        """Begin to send."""
        ...


class _PumpNode(Node):
    """The pump as the graph draws it."""

    kind = "source"

    def __init__(self, pump: Pump) -> None:
        super().__init__()
        self.name = f"{pump.name}/source"
        self._pump = pump

    def words(self) -> str:
        return self._pump.words()


class Pump(Handle):
    """Publishes what a source sends; made by `Graph.pipe`.

    A value that does not fit the route is published as bad, with the reason. An error ends the
    pump: the route turns bad, its health route says `failed`. Completion makes the health route say
    `completed`; the last value stands. Nothing the pump does ever raises in the source.

    A function is called in a lane of its own and yields the values; it waits by the clock. If it
    yields events, those are the causes of what is published.
    """

    def __init__(self, graph: Graph, name: str, to: Route) -> None:
        super().__init__(name, graph.forget)
        self.to = to
        self.node = _PumpNode(self)
        self._graph = graph
        self._health = graph.events.declare(health_route(to))
        self._ended: Health | None = None
        self._why = ""
        self._ended_ns = 0
        self._subscription: Disposable | None = None

    def observe(self, source: Observable) -> None:
        """Subscribe to an observable."""
        try:
            self._subscription = source.subscribe(
                on_next=self._take, on_error=self._fail, on_completed=self._complete
            )
        except Exception as error:  # noqa: BLE001 - a source is anybody's code; its failure is told on the route
            self._fail(error)
        if self._ended is not None:
            self._release()

    def run(self, source: Source) -> None:
        """Call a function in a lane and publish what it yields."""
        self._graph.executor.start_lane(f"flow.{self.name}", lambda: self._draw(source))

    def _draw(self, source: Source) -> None:
        try:
            values = source()
            with contextlib.ExitStack() as stack:
                if hasattr(values, "close"):
                    stack.callback(values.close)  # a generator's `finally` runs here, in its lane
                for value in values:
                    if not self.active:
                        return
                    self._take(value)
        except CancelledWaitError:
            raise
        except Exception as error:  # noqa: BLE001 - as in `observe`
            self._fail(error)
        else:
            self._complete()

    def _take(self, value: Any) -> None:
        node = self.node
        if not self.active or self._ended is not None:
            node.dropped += 1
            return
        node.entered += 1
        try:
            self._publish(value)
        except SchemaError as error:
            self._graph.failed(node, None, error)
            self._publish_bad("out_of_range", str(error))
        except FullError as error:
            node.dropped += 1
            self._graph.failed(node, None, error)
        except FeedbackLoopError as error:
            node.dropped += 1
            node.count_error(error, self._graph.clock.monotonic_ns())  # the stream has told
        else:
            node.out += 1

    def _publish(self, value: Any) -> None:
        source = f"flow.{self.name}"
        if isinstance(value, Event):
            self._graph.publish(
                self.to,
                value.value,
                source=source,
                quality=value.quality,
                reason=value.reason,
                detail=value.detail,
                cause=value,
            )
        else:
            self._graph.publish(self.to, value, source=source)

    def _publish_bad(self, reason: str, detail: str) -> None:
        self._graph.events.publish(
            self.to, None, source=f"flow.{self.name}", quality=BAD, reason=reason, detail=detail
        )

    def _fail(self, error: Exception) -> None:
        if self._end(Health.FAILED, f"{type(error).__name__}: {error}"):
            self._graph.failed(self.node, None, error)
            self._publish_bad("no_data", f"the source failed: {self._why}")

    def _complete(self) -> None:
        self._end(Health.COMPLETED, "the source has sent all it had")

    def _end(self, how: Health, why: str) -> bool:
        if self._ended is not None or not self.active:
            return False
        self._ended, self._why = how, why
        self._ended_ns = self._graph.clock.monotonic_ns()
        self._graph.events.publish(self._health, how.value, source=f"flow.{self.name}", detail=why)
        self._release()
        return True

    def _release(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            subscription.dispose()

    def stop(self) -> None:
        """Take no more; a function's lane ends when it next yields."""
        self._release()

    def words(self) -> str:
        """Say whether the source still sends."""
        if self._ended is None:
            return "open: publishes what the source sends"
        ago = span_words(self._graph.clock.monotonic_ns() - self._ended_ns)
        return f"{self._ended}: {self._why}, {ago} ago"

    def nodes(self) -> tuple[Node, ...]:
        """The source."""
        return (self.node,)

    def edges(self) -> tuple[Edge, ...]:
        """From the source to its route, and to the route that tells of its health."""
        return (
            Edge(self.node.name, self.to.key),
            Edge(self.node.name, self._health.key, "speaks"),
        )
