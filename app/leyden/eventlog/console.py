"""A console for events: one JSON line each on a text stream, for a terminal or a journal."""

from __future__ import annotations

from typing import Final, TextIO

import msgspec

from leyden.eventlog.values import portable
from leyden.kernel import (
    GOOD,
    Clock,
    Delivery,
    Event,
    EventStream,
    Overflow,
    Subscription,
    iso,
)

CAPACITY: Final = 1024  # events that wait for a slow terminal; older ones are dropped and counted


class Console:
    """Writes events to `stream` in a lane of its own: a slow or closed terminal holds nobody up.

    Times are those of the wall clock when the event is written, moved back by its age.
    """

    def __init__(self, stream: TextIO, clock: Clock) -> None:
        self._stream = stream
        self._clock = clock
        self._subscription: Subscription | None = None
        self.error = ""  # why nothing is written any more

    def attach(self, events: EventStream, prefix: str | tuple[str, ...] = "") -> Subscription:
        """Begin to write the events on routes that begin with `prefix`."""
        self._subscription = events.subscribe(
            self.write,
            name="console",
            prefix=prefix,
            delivery=Delivery.QUEUE,
            capacity=CAPACITY,
            overflow=Overflow.DROP_OLDEST,
        )
        return self._subscription

    def detach(self) -> None:
        """Stop writing."""
        if self._subscription is not None:
            self._subscription.cancel()
            self._subscription = None

    def write(self, event: Event) -> None:
        """Write one event; when the reader of the stream is gone, stop."""
        wall = self._clock.time_ns() - self._clock.monotonic_ns() + event.mono
        try:
            self._stream.write(line_of(event, wall) + "\n")
            self._stream.flush()
        except (OSError, ValueError) as error:  # closed at the other end, or at this one
            self.error = str(error)
            self.detach()


def line_of(event: Event, wall_ns: int) -> str:
    """Return an event as one line of JSON with whole words, defaults left out."""
    line = {
        "n": event.n,
        "time": iso(wall_ns),
        "route": event.route,
        "value": portable(event.value),
    }
    if event.quality is not GOOD:
        line["quality"] = event.quality.word
    for name in ("reason", "detail", "source", "cause", "trace"):
        if given := getattr(event, name):
            line[name] = given
    return msgspec.json.encode(line).decode()
