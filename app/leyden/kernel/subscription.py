"""Subscriptions: how one subscriber is served, and what its failures and slowness cost it alone."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from threading import get_ident
from typing import TYPE_CHECKING, Final

from leyden.kernel.event import Event

if TYPE_CHECKING:
    from leyden.kernel.executor import Lane
    from leyden.kernel.stream import EventStream

QUARANTINE_AFTER: Final = 20  # failures in a row


class Delivery(StrEnum):
    """Where and when a handler runs."""

    INLINE = "inline"  # in the publisher's thread, at once
    QUEUE = "queue"  # in a lane of its own, every event
    LATEST = "latest"  # in a lane of its own, the newest event of each route


class Overflow(StrEnum):
    """What a full queue does with one event more."""

    DROP_OLDEST = "drop_oldest"
    DROP_NEWEST = "drop_newest"


class Subscription:
    """One handler's place in the stream; made by `EventStream.subscribe`."""

    def __init__(
        self,
        stream: EventStream,
        handler: Callable[[Event], object],
        name: str,
        prefixes: tuple[str, ...],
        delivery: Delivery,
        *,
        capacity: int,
        overflow: Overflow,
    ) -> None:
        if capacity < 1:
            raise ValueError(f"subscription {name}: found capacity {capacity}, expected 1 or more")
        self.name = name
        self.prefixes = prefixes
        self.delivery = delivery
        self.handler = handler
        self.quarantined = False
        self.active = True
        self._stream = stream
        self._capacity = capacity
        self._overflow = overflow
        self._queue: deque[Event] = deque()
        self._newest: dict[str, Event] = {}
        self._guard = threading.Lock()
        self._wake = stream.executor.signal()
        self._lane: Lane | None = None
        self._ident = 0  # of its lane's thread
        self._served = self._dropped = self._coalesced = 0
        self._errors = self._streak = 0
        self.last_error = ""
        # An inline handler is called bare: nothing stands between the publisher and it.
        self.offer: Callable[[Event], object] = {
            Delivery.INLINE: handler,
            Delivery.QUEUE: self._enqueue,
            Delivery.LATEST: self._coalesce,
        }[delivery]

    def matches(self, key: str) -> bool:
        """Whether events of this route are meant for the handler."""
        return self.active and key.startswith(self.prefixes)

    def start(self) -> None:
        """Begin to serve: give a queued handler its lane."""
        if self.delivery is not Delivery.INLINE:
            self._lane = self._stream.executor.start_lane(f"sub.{self.name}", self._serve)

    def cancel(self) -> None:
        """Stop being called, at once; queued events are dropped. May be called from the handler."""
        if not self.active:
            return
        self.active = False
        self._stream.cancelled(self)
        with self._guard:
            self._queue.clear()
            self._newest.clear()
        self._wake.set()

    def join(self, timeout_s: float) -> bool:
        """After `cancel`: wait until the handler has returned; return whether it has.

        From within the handler itself there is nothing to wait for.
        """
        return self._lane is None or self._ident == get_ident() or self._lane.join(timeout_s)

    def counters(self) -> dict[str, int | bool]:
        """Figures: served, dropped, coalesced, errors, waiting, late_ms, quarantined.

        `late_ms` is the age of the event that has waited longest.
        An inline handler is called bare, so what it served is counted from its first failure on.
        """
        return {
            "served": self._served,
            "dropped": self._dropped,
            "coalesced": self._coalesced,
            "errors": self._errors,
            "waiting": len(self._queue) + len(self._newest),
            "late_ms": self._late_ms(),
            "quarantined": self.quarantined,
        }

    @property
    def failure_would_be_news(self) -> bool:
        """Whether the next failure in a row is the first, or the last straw."""
        return self._streak == 0 or self.next_failure_is_the_last

    @property
    def next_failure_is_the_last(self) -> bool:
        """Whether one more failure in a row puts the subscriber in quarantine."""
        return self._streak == QUARANTINE_AFTER - 1

    def failed(self, error: Exception) -> bool:
        """Count a failure; return whether it is news: the first of a streak, or the last straw."""
        news = self.failure_would_be_news
        self._errors += 1
        self._streak += 1
        self.last_error = f"{type(error).__name__}: {error}"
        if self._streak == QUARANTINE_AFTER:
            self.quarantined = True
            self.cancel()
        elif self.offer is self.handler:
            self.offer = self._serve_inline
            self._stream.retarget()
        return news

    def succeeded(self) -> None:
        """Count a handled event; ends a streak of failures."""
        self._served += 1
        self._streak = 0

    def offer_unless_own(self, event: Event) -> None:
        """Take an error report unless it is about this subscriber, which would fail again."""
        if event.source != self.name:
            self.offer(event)

    def _late_ms(self) -> int:
        with self._guard:
            waiting = [*list(self._queue)[:1], *self._newest.values()]
        if not waiting:
            return 0
        oldest = min(event.mono for event in waiting)
        return max(0, self._stream.clock.monotonic_ns() - oldest) // 1_000_000

    def _serve_inline(self, event: Event) -> None:
        # One that has failed is watched: a success must end a streak of failures.
        self.handler(event)
        self.succeeded()

    def _enqueue(self, event: Event) -> None:
        with self._guard:
            if len(self._queue) >= self._capacity:
                self._dropped += 1
                if self._overflow is Overflow.DROP_NEWEST:
                    return
                self._queue.popleft()
            self._queue.append(event)
        self._wake.set()

    def _coalesce(self, event: Event) -> None:
        with self._guard:
            if self._newest.pop(event.route, None) is not None:
                self._coalesced += 1
            self._newest[event.route] = event
        self._wake.set()

    def _serve(self) -> None:
        self._ident = get_ident()
        while self.active:
            self._wake.wait()
            self._wake.clear()
            while (event := self._take()) is not None and self.active:
                self._stream.handle(self, event)

    def _take(self) -> Event | None:
        with self._guard:
            if self._queue:
                return self._queue.popleft()
            if self._newest:
                return self._newest.pop(next(iter(self._newest)))
            return None
