"""The event stream: numbers every record, stores it, then tells everyone, in one order.

Append first, then notify: a record is in the store before any subscriber sees it, and all
subscribers see records in the order of their numbers. A handler that publishes does not run ahead
of itself: what it publishes is delivered after the event it is handling has reached everyone.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from operator import length_hint
from threading import get_ident
from typing import Final, Protocol, TypeAlias

from msgspec import structs

from leyden.kernel.errors import DuplicateError, FeedbackLoopError, ReportedError, RouteError
from leyden.kernel.event import BAD, GOOD, Event, Quality, RouteInfo, Scan, Value, freeze
from leyden.kernel.executor import Executor, SystemExecutor
from leyden.kernel.route import RESERVED, Origin, Route, Schema
from leyden.kernel.store import MemoryStore, Page, Store
from leyden.kernel.subscription import Delivery, Overflow, Subscription

HOP_LIMIT: Final = 32  # events in one causal chain before it counts as a feedback loop
_HOPS_AFTER_REPORT: Final = 4
_DEEP: Final = 4  # from this hop on the events of one trace are counted …
DEEP_LIMIT: Final = 1000  # … because a loop that answers one with two would need 2 ** 32 to end
_TRACES_COUNTED: Final = 64
SYNC_TIMEOUT_S: Final = 0.05  # how long a command waits for its record to be on disk

SUBSCRIBER_ERROR: Final = "event.subscriber_error"
FEEDBACK_LOOP: Final = "event.feedback_loop"
LOG_STALLED: Final = "log.stalled"

Handler: TypeAlias = Callable[[Event], object]  # what it returns is not looked at

_ATOMS: Final = frozenset({type(None), bool, int, float, str, bytes})  # immutable as they are


class Publisher(Protocol):
    """Publishes on one route; arguments as in `EventStream.publish`."""

    def __call__(
        self,
        value: Value,
        source: str = "",
        quality: Quality = GOOD,
        reason: str = "",
        detail: str = "",
        cause: Event | None = None,
    ) -> Event:
        """Number, store and deliver one value; return its event."""
        ...


class _Targets(list[Handler]):
    """Whom a route's events go to: bare handlers to run through, and whose they are when one fails.

    A list and not pairs, because this is run through for every event. A place whose subscription
    was cancelled meanwhile does nothing.
    """

    __slots__ = ("_owners",)

    def __init__(self, owners: tuple[Subscription, ...], *, errors: bool = False) -> None:
        super().__init__(each.offer_unless_own if errors else each.offer for each in owners)
        self._owners = owners

    def at(self, places: Iterator[Handler]) -> Subscription:
        """Return whose handler an iterator over this list has given out last."""
        return self._owners[len(self) - length_hint(places) - 1]

    def behind(self, places: Iterator[Handler]) -> _Targets:
        """Return those that an iterator over this list has not given out yet."""
        return _Targets(self._owners[len(self) - length_hint(places) :])

    def silence(self, owner: Subscription) -> None:
        """Let the place of a cancelled subscription do nothing."""
        for place, each in enumerate(self._owners):
            if each is owner:
                self[place] = _nothing


def _nothing(event: Event) -> None:
    """Stands where a cancelled handler stood."""


_NOBODY: Final = _Targets(())


class _Node:
    """What the stream keeps of one route."""

    __slots__ = ("good", "info", "key", "latest", "publish", "targets")

    publish: Publisher

    def __init__(self, info: RouteInfo) -> None:
        self.info = info
        self.key = info.route.key
        self.latest: Event | None = None
        self.good: Event | None = None  # the last event better than bad, once a bad one followed
        self.targets = _Targets(())

    def keep_good(self) -> None:
        """Remember the latest value before a bad one takes its place."""
        if self.latest is not None and self.latest.quality < BAD:
            self.good = self.latest


class EventStream:
    """One ordered stream of events on declared routes.

    Args:
        executor: gives queued subscribers their lanes, and the clock.
        store: takes each record before anyone is notified.
    """

    def __init__(self, executor: Executor | None = None, store: Store | None = None) -> None:
        self.executor = executor or SystemExecutor()
        self.clock = self.executor.clock
        self.store: Store = store if store is not None else MemoryStore()
        self.boot = self.store.boot
        self._append = self.store.append
        self._mono = self.clock.monotonic_ns
        self._lock = threading.Lock()
        self._next = self.store.first_number()
        self._bound = self.store.reserve()
        self._nodes: dict[str, _Node] = {}
        self._tables: dict[tuple[str, ...], tuple[_Node, ...]] = {}
        self._scans: dict[tuple[tuple[str, ...], str], None] = {}
        self._subscriptions: tuple[Subscription, ...] = ()
        self._pending: deque[tuple[Event, _Targets]] = deque()
        self._busy = False
        self._deliverer = 0  # ident of the thread that delivers while `_busy`
        self._delivering: Event | None = None
        self._in_flight = _Targets(())  # whom it is being delivered to
        self._in_lane: dict[int, Event] = {}  # what each queued subscriber's thread is handling
        self._looping: deque[int] = deque(maxlen=64)  # traces already reported as loops
        self._deep: dict[int, int] = {}  # events of a trace from `_DEEP` on
        for key in (SUBSCRIBER_ERROR, FEEDBACK_LOOP, LOG_STALLED):
            self.declare_system(key)

    # Catalog

    def declare(self, route: Route, info: RouteInfo | None = None) -> Route:
        """Add a route to the catalog and return it; the same declaration twice is one.

        Raises:
            DuplicateError: another route has this key.
            RouteError: the first word belongs to the system.
        """
        if route.owner in RESERVED:
            raise RouteError(
                f'route "{route.key}" begins with the reserved word "{route.owner}"; '
                "choose another owner"
            )
        return self._declare(route, info)

    def declare_system(self, name: str, schema: Schema | None = None) -> Route:
        """Declare a route below a reserved word; for the runtime itself."""
        route = Route.of(name, schema or Schema("json"), origin=Origin.SYSTEM)
        return self._declare(route, None)

    def _declare(self, route: Route, info: RouteInfo | None) -> Route:
        with self._lock:
            node = self._nodes.get(route.key)
            if node is None:
                node = self._nodes[route.key] = _Node(info or RouteInfo(route))
                node.publish = self._publisher_of(node)
                node.targets = self._targets_of(route.key)
                return route
            known = node.info.route
            if known != route:
                raise DuplicateError(
                    f'route "{route.key}" is declared as {known.text} ({known.origin}), '
                    f"found a second declaration {route.text} ({route.origin})"
                )
            if info is not None:
                node.info = info
            return known

    def declare_scan(self, routes: tuple[str, ...], source: str) -> None:
        """Announce that `source` publishes these routes together, so that a log can say so first.

        Raises:
            RouteError: a route is not declared.
        """
        self._table(routes)
        self._scans[routes, source] = None

    def scans(self) -> tuple[tuple[tuple[str, ...], str], ...]:
        """Return the announced scans, as (routes, source), in order of announcement."""
        return tuple(self._scans)

    def route(self, key: str) -> RouteInfo | None:
        """Return what is known of a route, or None."""
        node = self._nodes.get(key)
        return node.info if node else None

    def routes(self) -> tuple[RouteInfo, ...]:
        """Return every declared route, in order of declaration."""
        return tuple(node.info for node in list(self._nodes.values()))

    # Publishing

    def publish(
        self,
        route: Route | str,
        value: Value,
        source: str = "",
        quality: Quality = GOOD,
        reason: str = "",
        detail: str = "",
        cause: Event | None = None,
    ) -> Event:
        """Number, store and deliver one value; return its event.

        The cause is the event being handled by this thread unless another is given.

        Raises:
            RouteError: the route is not declared.
            FeedbackLoopError: the causal chain is longer than `HOP_LIMIT`.
        """
        try:
            node = self._nodes[route if type(route) is str else route.key]  # type: ignore[union-attr]  # a Route then
        except KeyError:
            raise self._undeclared(route) from None
        return node.publish(value, source, quality, reason, detail, cause)

    def publisher(self, route: Route | str) -> Publisher:
        """Return the function that publishes on one route: the shortest way for a hot path.

        Raises:
            RouteError: the route is not declared.
        """
        node = self._nodes.get(route if isinstance(route, str) else route.key)
        if node is None:
            raise self._undeclared(route)
        return node.publish

    def publish_now(
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
        """Publish and wait until the record is on disk, at most 50 ms.

        For commands, alarms and outputs: what is done must be on record first. A disk that takes
        longer is an event of its own, and the caller goes on.
        """
        event = self.publish(
            route, value, source=source, quality=quality, reason=reason, detail=detail, cause=cause
        )
        if not self.store.commit(event.n, SYNC_TIMEOUT_S):
            self.publish(LOG_STALLED, {"n": event.n, "waited_s": SYNC_TIMEOUT_S}, source="stream")
        return event

    def publish_scan(
        self,
        routes: tuple[str, ...],
        values: tuple[Value, ...],
        *,
        source: str = "",
        qualities: tuple[Quality, ...] = (),
        reasons: tuple[str, ...] = (),
        details: tuple[str, ...] = (),
    ) -> Scan:
        """Publish all channels of a device as one record of `len(routes)` sequence numbers.

        Raises:
            RouteError: a route is not declared.
            ValueError: the tuples differ in length.
            FeedbackLoopError: it was published by a handler of what it caused itself.
        """
        nodes = self._tables.get(routes) or self._table(routes)
        _check_lengths(routes, values, qualities, reasons, details)
        trace, follows, hops = self._chain(nodes[0], source) if nodes else (0, 0, 0)
        with self._lock:
            n = self._next
            while n + len(nodes) > self._bound:
                self._bound = self.store.reserve()
            self._next = n + len(nodes)
            # In whole microseconds, as the log keeps it: what is read back is what was published.
            mono = self._mono() // 1000 * 1000
            scan = Scan(
                n, mono, routes, values, source, qualities, reasons, details, self.boot,
                trace, follows, hops,
            )  # fmt: skip
            self._append(scan)
            for node, event in zip(nodes, scan.events(), strict=True):
                if event.quality is BAD:
                    node.keep_good()
                node.latest = event
                if node.targets:
                    self._pending.append((event, node.targets))
            if self._busy or not self._pending:
                return scan
            self._busy = True
        self._drain()
        return scan

    @property
    def head(self) -> int:
        """The last sequence number given out; 0 before the first."""
        return self._next - 1

    # Reading

    def latest(self, key: str) -> Event | None:
        """Return the newest event of a route."""
        node = self._nodes.get(key)
        return node.latest if node else None

    def last_good(self, key: str) -> Event | None:
        """Return the newest event of a route that is better than bad."""
        node = self._nodes.get(key)
        if node is None:
            return None
        newest = node.latest
        return newest if newest is not None and newest.quality < BAD else node.good

    def read(self, after: int, limit: int = 1000) -> Page:
        """Return up to `limit` records with numbers above `after`, oldest first."""
        return self.store.read(after, limit)

    # Subscribing

    def subscribe(
        self,
        handler: Handler,
        *,
        name: str,
        prefix: str | tuple[str, ...] = "",
        delivery: Delivery = Delivery.QUEUE,
        capacity: int = 1024,
        overflow: Overflow = Overflow.DROP_OLDEST,
        replay_latest: bool = False,
    ) -> Subscription:
        """Call `handler` with every event whose route begins with one of `prefix`.

        `INLINE` runs in the publisher's thread and is for work of microseconds; `QUEUE` gives the
        handler a lane and a bounded queue of its own; `LATEST` keeps the newest event a route.
        With `replay_latest` the newest event of each route comes first, in order.
        """
        prefixes = (prefix,) if isinstance(prefix, str) else tuple(prefix)
        subscription = Subscription(
            self, handler, name, prefixes, delivery, capacity=capacity, overflow=overflow
        )
        with self._lock:
            self._subscriptions = (*self._subscriptions, subscription)
            matching = [node for node in self._nodes.values() if subscription.matches(node.key)]
            for node in matching:
                node.targets = self._targets_of(node.key)
            # Replayed events queue behind what is numbered already and before what comes next, so
            # the newcomer sees each route's latest once and nothing out of order.
            newest = [node.latest for node in matching if replay_latest and node.latest is not None]
            target = _Targets((subscription,))
            for event in sorted(newest, key=lambda event: event.n):
                self._pending.append((event, target))
            # Looked at once: a deliverer lays `_busy` down without the lock, and only then looks
            # for what was left here.
            take_over = bool(self._pending) and not self._busy
            if take_over:
                self._busy = True
        subscription.start()
        if take_over:
            self._drain()
        return subscription

    def cancelled(self, subscription: Subscription) -> None:
        """Forget a subscription; called by its `cancel`."""
        with self._lock:
            self._subscriptions = tuple(s for s in self._subscriptions if s is not subscription)
            for _, targets in list(self._pending):
                targets.silence(subscription)
            self._in_flight.silence(subscription)
        self.retarget()

    def retarget(self) -> None:
        """Look again at who takes which route, after a subscription has changed."""
        with self._lock:
            for node in self._nodes.values():
                node.targets = self._targets_of(node.key)

    def subscriptions(self) -> tuple[Subscription, ...]:
        """Every subscription in force."""
        return self._subscriptions

    def handle(self, subscription: Subscription, event: Event) -> None:
        """Call a handler in isolation; what it publishes follows from `event`."""
        me = get_ident()
        self._in_lane[me] = event
        try:
            subscription.handler(event)
        except Exception as error:  # noqa: BLE001 - the isolation boundary: counted and published
            self._failed(subscription, event, error)
        else:
            subscription.succeeded()
        finally:
            del self._in_lane[me]

    # How it works

    def _publisher_of(self, node: _Node) -> Publisher:
        # A closure, and explicit acquire and release: this is the path of every value, and each
        # attribute looked up and each context manager entered would be paid for a million times.
        key, boot, store, pending = node.key, self.boot, self.store, self._pending
        append, mono, deliver = self._append, self._mono, self._deliver
        acquire, release = self._lock.acquire, self._lock.release

        def publish(
            value: Value,
            source: str = "",
            quality: Quality = GOOD,
            reason: str = "",
            detail: str = "",
            cause: Event | None = None,
        ) -> Event:
            if type(value) not in _ATOMS:
                value = freeze(value)
            if cause is None and (self._busy or self._in_lane):
                cause = self._handled_here()
            if cause is None:
                trace = follows = hops = 0
            else:
                trace, follows, hops = cause.trace or cause.n, cause.n, cause.hops + 1
                if hops >= _DEEP:
                    self._refuse_loop(node, source, cause)
            acquire()
            try:
                n = self._next
                if n >= self._bound:
                    self._bound = store.reserve()
                self._next = n + 1
                event = Event(
                    n, mono(), key, value, source, quality, reason, detail, trace, follows, boot,
                    hops,
                )  # fmt: skip
                append(event)
                if quality is BAD:
                    node.keep_good()
                node.latest = event
                targets = node.targets
                if self._busy or pending:
                    pending.append((event, targets))
                    if self._busy:
                        return event
                    targets = _NOBODY  # a deliverer is just leaving: take over behind it
                self._busy = True
            finally:
                release()
            deliver(event, targets)
            return event

        return publish

    def _drain(self) -> None:
        if self._pending:
            self._deliver(*self._pending.popleft())
        else:
            self._busy = False

    def _deliver(self, event: Event, targets: _Targets) -> None:
        # Exactly one thread is here at a time: the one that set `_busy`. It delivers its own event
        # and then whatever has been numbered meanwhile, nested publications included.
        pending = self._pending
        self._deliverer = get_ident()
        places = iter(targets)
        try:
            while True:
                self._delivering, self._in_flight = event, targets
                for handler in places:
                    try:
                        handler(event)
                    except Exception as error:  # noqa: BLE001 - isolation, as in `handle`
                        self._failed(targets.at(places), event, error)
                if not pending:
                    # Lay the duty down, then look once more: a publisher that still saw `_busy` has
                    # left its event behind and relies on somebody to come.
                    self._deliverer = 0
                    self._busy = False
                    if not pending or not self._take_up():
                        return
                event, targets = pending.popleft()
                places = iter(targets)
        except BaseException:
            # An interrupt ends this delivery, not the event of those behind: the next takes over.
            behind = targets.behind(places)
            if behind:
                pending.appendleft((event, behind))
            self._deliverer = 0
            self._busy = False
            raise

    def _take_up(self) -> bool:
        # Become the deliverer again, unless somebody else has.
        with self._lock:
            if self._busy or not self._pending:
                return False
            self._busy = True
        self._deliverer = get_ident()
        return True

    def _handled_here(self) -> Event | None:
        # The event this thread is handling, if any: what it publishes follows from that.
        me = get_ident()
        if self._busy and self._deliverer == me:
            return self._delivering
        return self._in_lane.get(me)

    def _chain(self, node: _Node, source: str) -> tuple[int, int, int]:
        # Trace, cause and hops of what this thread publishes, as in `publish`.
        cause = self._handled_here()
        if cause is None:
            return 0, 0, 0
        if cause.hops + 1 >= _DEEP:
            self._refuse_loop(node, source, cause)
        return cause.trace or cause.n, cause.n, cause.hops + 1

    def _targets_of(self, key: str) -> _Targets:
        matching = tuple(s for s in self._subscriptions if s.matches(key))
        return _Targets(matching, errors=key == SUBSCRIBER_ERROR)

    def _table(self, routes: tuple[str, ...]) -> tuple[_Node, ...]:
        missing = next((key for key in routes if key not in self._nodes), None)
        if missing is not None:
            raise self._undeclared(missing)
        nodes = tuple(self._nodes[key] for key in routes)
        self._tables[routes] = nodes
        return nodes

    def _undeclared(self, route: Route | str) -> RouteError:
        key = route if isinstance(route, str) else route.key
        return RouteError(
            f'route "{key}" is not declared; call events.declare(Route.of("{key}", …)) first'
        )

    def _refuse_loop(self, node: _Node, source: str, cause: Event) -> None:
        hops, trace = cause.hops + 1, cause.trace or cause.n
        if hops > HOP_LIMIT:
            raise self._feedback(node, source, cause, f"in {HOP_LIMIT} hops")
        if hops > HOP_LIMIT - _HOPS_AFTER_REPORT:
            return  # a report of a loop, and what reacts to it
        led_to = self._deep[trace] = self._deep.get(trace, 0) + 1
        if led_to > DEEP_LIMIT:
            raise self._feedback(node, source, cause, f"in more than {DEEP_LIMIT} events")
        if len(self._deep) > _TRACES_COUNTED:
            self._deep.pop(min(self._deep), None)

    def _feedback(self, node: _Node, source: str, cause: Event, how_far: str) -> FeedbackLoopError:
        who, trace = source or "somebody", cause.trace or cause.n
        text = f"{node.key} published by {who} follows from itself {how_far}"
        if trace not in self._looping:
            self._looping.append(trace)
            value = {"route": node.key, "source": source, "trace": trace, "hops": HOP_LIMIT}
            # A few hops are left for those who react to the report, not enough for a new loop.
            self._report(FEEDBACK_LOOP, value, text, cause, HOP_LIMIT - _HOPS_AFTER_REPORT)
        return FeedbackLoopError(text)

    def _failed(self, subscription: Subscription, event: Event, error: Exception) -> None:
        news = subscription.failed(error)
        # A loop has its own event, and so has a process's failure; that somebody is called no more
        # because of it has none yet.
        looped = isinstance(error, FeedbackLoopError) and not subscription.quarantined
        if news and not looped and not isinstance(error, ReportedError):
            value = {
                "subscriber": subscription.name,
                "route": event.route,
                "n": event.n,
                "error": f"{type(error).__name__}: {error}",
                "quarantined": subscription.quarantined,
            }
            detail = f"{subscription.name} failed on {event.route}: {error}"
            self._report(SUBSCRIBER_ERROR, value, detail, event, event.hops)

    def _report(
        self, key: str, value: dict[str, Value], detail: str, cause: Event, hops: int
    ) -> None:
        source = str(value.get("subscriber", "stream"))
        most = HOP_LIMIT - _HOPS_AFTER_REPORT
        ended = self._deep.get(cause.trace or cause.n, 0) >= DEEP_LIMIT
        hops = most if ended else min(hops, most)  # a report of a loop is no part of it
        self.publish(
            key, value, source=source, detail=detail, cause=structs.replace(cause, hops=hops)
        )


def _check_lengths(routes: tuple[str, ...], *columns: tuple[object, ...]) -> None:
    values, *doubts = columns
    wrong = [len(values)] if len(values) != len(routes) else []
    wrong += [len(each) for each in doubts if len(each) not in (0, len(routes))]
    if wrong:
        raise ValueError(f"found {wrong[0]} values, expected {len(routes)}: {routes}")
