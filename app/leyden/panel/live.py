"""The live view: carries the runtime's stream to many browsers, in order, none holding up another.

One thread pulls the link into a ring. Each browser has a *feed*, a position in the stream, with at
most two frames on their way that it has not acknowledged; what it cannot take yet stays in the
ring, once for all of them. A feed that falls behind receives of each sampled channel only the
newest value and is told how many it was spared; one that stops taking anything is hung up on.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from leyden.kernel import NS, Clock, LeydenError, iso
from leyden.link.client import LinkClient, LinkDownError, LinkRefusal, matches
from leyden.panel.auth import Principal
from leyden.panel.ring import Entry, Ring, Stretch, entries_of

CLIENTS: Final = 24
CREDIT: Final = 2  # frames on their way to one client
FRAME_EVENTS: Final = 500
BEHIND: Final = 1000  # entries; a feed further behind the head than this is spared samples
BEAT_S: Final = 1.0
PACE_S: Final = 0.05  # at most this often is the link read, so that a fast stream makes few frames
STALL_S: Final = 15.0  # a client that acknowledges nothing for this long is hung up on
_QUIET_S: Final = 3.0  # a client this late with its acknowledgement gets no beats on top
_READ_EVENTS: Final = 2000
_CATALOG_S: Final = 5.0  # at most this often is the catalog of routes asked for
_RETRY_S: Final = (
    0.1,
    0.25,
    0.5,
    1.0,
)  # after the first, second, … failure

_encode = msgspec.json.Encoder().encode
_log = logging.getLogger("leyden.panel")


class PanelFullError(LeydenError):
    """As many browsers watch as the panel serves."""


class Subscription(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a client wants: everything above `after`, or from now on; of some routes, or of all."""

    after: int | None = None
    routes: tuple[str, ...] | None = None  # prefixes

    def __post_init__(self) -> None:
        if self.after is not None and self.after < 0:
            raise ValueError("after must not be negative")
        if self.routes is not None and len(self.routes) > 64:
            raise ValueError("at most 64 routes")


class Feed:
    """One client's place in the stream.

    `send` hands a named message to the client's own queue and returns at once; `hang_up` ends its
    connection. All methods may be called from any thread; the frames are made in one.
    """

    def __init__(
        self,
        hub: Hub,
        principal: Principal,
        send: Callable[[str, msgspec.Raw], None],
        hang_up: Callable[[], None],
    ) -> None:
        self.principal = principal
        self.closed = threading.Event()
        self._hub = hub
        self._send = send
        self._hang_up = hang_up
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._running = False
        self._asked: Subscription | None = None
        self._wanted: tuple[str, ...] | None = None
        self._following = False
        self._position = 0  # everything up to here has been dealt with
        self._sent = 0  # the last number a frame has named
        self._owes_frame = False  # a subscription is answered by a frame even if it is empty
        self._was_live = False
        self._on_the_way: deque[tuple[int, int]] = deque()  # (last, sent at ns)

    def subscribe(self, subscription: Subscription) -> None:
        """Go to a place in the stream and follow it from there, in a thread of the feed's own."""
        with self._lock:
            self._asked = subscription
            begin, self._running = not self._running, True
        self._wake.set()
        if begin:
            threading.Thread(target=self._live, name="panel.feed", daemon=True).start()

    def acknowledge(self, last: int) -> None:
        """Take note that the client has dealt with everything up to `last`."""
        with self._lock:
            while self._on_the_way and self._on_the_way[0][0] <= last:
                self._on_the_way.popleft()
        self._wake.set()

    def wake(self) -> None:
        """Look for something new."""
        self._wake.set()

    def close(self) -> None:
        """End the feed and its connection."""
        if not self.closed.is_set():
            self.closed.set()
            self._wake.set()
            self._hub.forget(self)
            self._hang_up()

    def _live(self) -> None:
        try:
            self.run()
        finally:
            self.close()

    def run(self) -> None:
        """Send frames and beats until the feed is closed; the body of its thread."""
        next_beat = 0
        while not self.closed.is_set():
            now = self._hub.clock.monotonic_ns()
            if now >= next_beat:
                next_beat = now + round(BEAT_S * NS)
                self._beat(now)
            if self.step():
                continue
            self._wake.wait(max(0.0, (next_beat - self._hub.clock.monotonic_ns()) / NS))
            self._wake.clear()

    def step(self) -> bool:
        """Send the next frame if there is one and the client may have it; return whether it was."""
        if not self._hub.ready.is_set():
            return False
        with self._lock:
            asked, self._asked = self._asked, None
        if asked is not None:
            self._begin(asked)
        if not self._following or len(self._on_the_way) >= CREDIT:
            return False
        stretch = self._next()
        if stretch is None:
            return False
        moved = stretch.upto > self._position
        self._position = stretch.upto
        if not stretch.entries and not self._owes_frame:
            return moved and not stretch.live  # all left out by the filter, and more to look at
        self._send_frame(stretch)
        return True

    def recheck(self) -> None:
        """Make sure that the numbers this client has are still those of the stream."""
        with self._lock:
            if self._asked is None and self._following:
                self._asked = Subscription(self._sent, self._wanted)
        self._wake.set()

    def _begin(self, asked: Subscription) -> None:
        position = self._hub.ring.high if asked.after is None else asked.after
        if not self._hub.given_out(position):
            # Numbers never go back within one data directory: this client knew another one.
            position = self._hub.ring.high
            self._send("reset", msgspec.Raw(_encode({"head": position})))
        with self._lock:
            self._on_the_way.clear()
        self._wanted = asked.routes
        self._position = self._sent = position
        self._following = self._owes_frame = True
        self._was_live = False

    def _next(self) -> Stretch | None:
        ring = self._hub.ring
        if self._position > ring.high:
            return None  # the client has asked the runtime itself and is ahead of the ring
        spare = None
        if self._was_live and ring.behind(self._position, BEHIND):
            spare = self._hub.sampled
        found = ring.after(self._position, self._wants, FRAME_EVENTS, spare)
        return found if found is not None else self._from_log()

    def _from_log(self) -> Stretch | None:
        try:
            page = self._hub.link.read(self._position, routes=self._wanted, limit=FRAME_EVENTS)
        except (LinkDownError, LinkRefusal):
            return None  # tried again with the next beat
        entries = list(entries_of(page))
        upto = max(page.next, self._position)
        return Stretch(entries, len(entries), upto, live=upto >= self._hub.ring.high)

    def _wants(self, route: str) -> bool:
        return matches(route, self._wanted)

    def _send_frame(self, stretch: Stretch) -> None:
        first, self._sent = self._sent + 1, stretch.upto
        self._owes_frame = False
        self._was_live = self._was_live or stretch.live
        frame = {
            "first": first,
            "last": stretch.upto,
            "count": stretch.total - _gaps_in(stretch.entries),
            "events": [msgspec.Raw(entry.json) for entry in stretch.entries if entry.route],
            "gaps": [msgspec.Raw(entry.json) for entry in stretch.entries if not entry.route],
            "live": stretch.live,
        }
        with self._lock:
            self._on_the_way.append((stretch.upto, self._hub.clock.monotonic_ns()))
        self._send("frame", msgspec.Raw(_encode(frame)))

    def _beat(self, now: int) -> None:
        if not self._hub.admits(self.principal):
            self.close()
            return
        with self._lock:
            waiting_ns = now - self._on_the_way[0][1] if self._on_the_way else 0
        if waiting_ns > STALL_S * NS:
            self.close()
        elif waiting_ns <= _QUIET_S * NS:
            self._send("beat", msgspec.Raw(_encode(self._hub.beat())))


def _gaps_in(entries: Sequence[Entry]) -> int:
    return sum(1 for entry in entries if not entry.route)


class Hub:
    """Follows the runtime and serves every feed.

    Args:
        link: reaches the runtime.
        clock: tells the time.
        admits: tells whether a principal may go on watching; asked once a beat.
    """

    def __init__(
        self, link: LinkClient, clock: Clock, admits: Callable[[Principal], bool] = lambda _: True
    ) -> None:
        self.link = link
        self.clock = clock
        self.admits = admits
        self.ring = Ring()
        self._feeds: set[Feed] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.ready = threading.Event()  # once the runtime has answered for the first time
        self._heard_ns = clock.monotonic_ns()  # when it last answered, or when we began to ask
        self._known: frozenset[str] = frozenset()
        self._sampled: frozenset[str] = frozenset()
        self._catalog_ns: int | None = None
        self._in_touch = False

    def start(self) -> None:
        """Begin to follow the runtime, in a thread of its own."""
        self._thread = threading.Thread(target=self._follow, name="panel.reader", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Hang up on every client and stop following."""
        self._stop.set()
        for feed in self.feeds():
            feed.close()
        if self._thread is not None:
            self._thread.join(2.0)

    def feeds(self) -> list[Feed]:
        """The feeds there are."""
        with self._lock:
            return list(self._feeds)

    def open(
        self,
        principal: Principal,
        send: Callable[[str, msgspec.Raw], None],
        hang_up: Callable[[], None],
    ) -> Feed:
        """Return a new feed, which does nothing until it is told what to follow.

        Raises:
            PanelFullError: 24 are open.
        """
        feed = Feed(self, principal, send, hang_up)
        with self._lock:
            if len(self._feeds) >= CLIENTS:
                raise PanelFullError(f"panel full: {CLIENTS} live views are open; close one")
            self._feeds.add(feed)
        return feed

    def forget(self, feed: Feed) -> None:
        """Make room for another."""
        with self._lock:
            self._feeds.discard(feed)

    def end_session(self, session: str) -> None:
        """Hang up on everybody who watches through a session."""
        for feed in self.feeds():
            if feed.principal.session == session:
                feed.close()

    def sampled(self, route: str) -> bool:
        """Whether a route's values are samples, of which a late reader is spared all but one."""
        return route in self._sampled

    def given_out(self, n: int) -> bool:
        """Whether the runtime has given out that number already, as far as can be told."""
        if n <= self.ring.high:
            return True
        try:
            return n <= self.link.hello().head
        except (LinkDownError, LinkRefusal):
            return True

    def age_s(self) -> float:
        """Seconds since the runtime last answered; since we began to ask if it never has."""
        return (self.clock.monotonic_ns() - self._heard_ns) / NS

    def beat(self) -> dict[str, Any]:
        """What every client is told each second: the time, the head, the silence of the runtime."""
        return {
            "time": iso(self.clock.time_ns()),
            "mono": self.clock.monotonic_ns(),
            "head": self.ring.high,
            "age_s": self.age_s(),
        }

    def _follow(self) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                pause_s = self.read_once()
                failures = 0
            except Exception as error:  # noqa: BLE001 - without this thread no browser hears again
                if not isinstance(error, (LinkDownError, LinkRefusal)):
                    _log.exception("following the runtime failed; trying again")
                self._in_touch = False
                pause_s = _RETRY_S[min(failures, len(_RETRY_S) - 1)]
                failures += 1
            self._stop.wait(pause_s)

    def read_once(self, wait_s: float = BEAT_S / 2) -> float:
        """Pull what is new into the ring; return for how long to rest, in seconds.

        Raises:
            LinkDownError: no runtime answers.
            LinkRefusal: it does not let us read.
        """
        if not self._in_touch:
            self._make_contact()
        page = self.link.read(self.ring.high, limit=_READ_EVENTS, wait_s=wait_s)
        self._heard_ns = self.clock.monotonic_ns()
        if page.next > self.ring.high:
            self.ring.extend(page, self._heard_ns)
            self._learn({row.route for row in page.events})
            for feed in self.feeds():
                feed.wake()
        return PACE_S if page.events else 0.0

    def _make_contact(self) -> None:
        head = self.link.hello().head
        if not self.ready.is_set() or head < self.ring.high:
            self.ring.restart(head)
            for feed in self.feeds():
                feed.recheck()
        self._in_touch = True
        self.ready.set()

    def _learn(self, routes: set[str]) -> None:
        if routes <= self._known:
            return
        now = self.clock.monotonic_ns()
        if self._catalog_ns is not None and now - self._catalog_ns < _CATALOG_S * NS:
            return  # until then the new routes' values are spared nobody
        self._catalog_ns = now
        rows = self.link.routes().routes
        self._known = frozenset(row.route for row in rows) | routes
        self._sampled = frozenset(
            row.route
            for row in rows
            if row.period_s is not None and row.origin in {"input", "output", "derived"}
        )
