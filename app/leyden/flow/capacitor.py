"""Capacitor: bounded storage between a producer and a consumer that goes at its own pace.

Values are held, oldest first, until there is demand for them. Demand is credit: asked for while
nothing is held, it stands, and the next value leaves at once. Without a demand route the demand is
the consumer itself: whenever it has dealt with one value it gets the next.

Delivery runs in a lane of the capacitor's own, so a slow consumer never holds a producer up. A
producer waits in one case only, the policy `block`.
"""

from __future__ import annotations

import threading
from collections import deque
from enum import StrEnum
from typing import Final

from leyden.flow.errors import FullError, StageError
from leyden.flow.node import Control, Site, Stage
from leyden.flow.words import number_words, span_words
from leyden.kernel import BAD, CancelledWaitError, Event, Route, Signal

DEMAND_SCHEMAS: Final = ("int", "bool")


class OverflowPolicy(StrEnum):
    """What a full capacitor does with one value more."""

    LATEST = "latest"  # gives up the backlog: only the newest value is worth delivering
    DROP_OLDEST = "drop_oldest"  # keeps the newest `keep` values
    REJECT = "reject"  # keeps what it has and refuses the new one
    BLOCK = "block"  # lets the producer wait for room, up to a timeout


class _Waiter:
    """A producer that waits for room; the first in line is given the next place."""

    __slots__ = ("granted", "signal")

    def __init__(self, signal: Signal) -> None:
        self.signal = signal
        self.granted = False


class Capacitor(Stage):
    """Keeps the last values until there is demand.

    Args:
        keep: most values held, 1 or more.
        overflow: what happens to a value more. `latest` merges everything held into the newest
            value and counts it as coalesced; the others count as dropped what they give up.
        demand: key of the route whose events ask for values: a whole number for that many, True
            for one. True instead of a key: only `demand()` asks. Empty: whenever the consumer is
            free.
        timeout_s: how long a producer waits for room under `block`.

    Raises:
        StageError: `keep` below 1, an unknown policy, or a timeout that is not positive.
    """

    kind = "capacitor"

    def __init__(
        self,
        keep: int = 1,
        overflow: OverflowPolicy | str = OverflowPolicy.DROP_OLDEST,
        demand: str | Route | bool = "",
        timeout_s: float = 1.0,
    ) -> None:
        super().__init__()
        if keep < 1:
            raise StageError("capacitor.keep", f"found {keep}, expected a whole number from 1")
        if not timeout_s > 0:
            raise StageError("capacitor.timeout", f"found {timeout_s} s, expected more than 0 s")
        try:
            self.overflow = OverflowPolicy(overflow)
        except ValueError:
            known = ", ".join(OverflowPolicy)
            raise StageError(
                "capacitor.overflow", f'found "{overflow}", expected one of {known}'
            ) from None
        self.immediate = not demand
        self.demand_route = demand.key if isinstance(demand, Route) else ""
        if isinstance(demand, str):
            self.demand_route = demand
        self.timeout_s = timeout_s
        self._keep = keep
        self._held: deque[Event] = deque()
        self._credit = 0
        self._promised = 0  # places given to producers whose event is still on its way
        self._waiters: deque[_Waiter] = deque()
        self._lock = threading.Lock()
        self._idle = True  # the lane has looked and found nothing it may send
        self._closed = False
        self._late_n = 0  # every event up to this number found the way closed when it came
        self._took_ns = 0
        self.age_ns = 0  # age of the value last delivered
        self.oldest_ns = 0  # greatest age of any value when it was delivered

    @property
    def sends_from_lane(self) -> bool:
        """Yes: delivery has a lane of its own."""
        return True

    @property
    def keep(self) -> int:
        """Most values it holds."""
        return self._keep

    @property
    def held(self) -> int:
        """Values in it now."""
        return len(self._held)

    @property
    def credit(self) -> int:
        """Demand that stands: values asked for that have not come yet."""
        return self._credit

    @property
    def blocks(self) -> bool:
        """Whether its producers wait for room."""
        return self.overflow is OverflowPolicy.BLOCK

    def period(self, period_s: float | None) -> float | None:
        """Values on demand have no rhythm of their own."""
        return period_s if self.immediate else None

    def controls(self) -> tuple[Control, ...]:
        """The demand route, if there is one."""
        if not self.demand_route:
            return ()
        return (Control("demand", self.demand_route, self._steer, DEMAND_SCHEMAS, replay=False),)

    def attach(self, site: Site) -> None:
        """Begin to deliver, in a lane called after the stage."""
        super().attach(site)
        self._clock = site.executor.clock
        self._took_ns = self._clock.monotonic_ns()
        self._ready = site.executor.signal()
        site.executor.start_lane(f"flow.{site.name}", self._deliver)

    # What producers call

    def accept(self, event: Event) -> None:
        """Hold one event; under any policy this returns at once."""
        with self._lock:
            self.entered += 1
            held = self._held
            if self._closed:
                self.dropped += 1
                return
            if self._promised:
                self._promised -= 1
            if len(held) + self._promised >= self._keep and not self._make_room():
                return
            held.append(event)
            if not self._idle or not (self.immediate or self._credit):
                self._late_n = event.n
                return
            self._idle = False
        self._ready.set()

    def accept_waiting(self, event: Event) -> None:
        """Hold one event, waiting for room first; for lanes, which may wait."""
        try:
            self.enter()
        except FullError:
            with self._lock:
                self.entered += 1
                self.dropped += 1
            return
        self.accept(event)

    def enter(self) -> None:
        """Wait until there is room for one event more and take the place.

        Raises:
            FullError: no room within `timeout_s`.
        """
        with self._lock:
            if self._closed:
                return  # taken down: it holds nobody up any more
            if len(self._held) + self._promised < self._keep:
                self._promised += 1
                return
            waiter = _Waiter(self.site.executor.signal())
            self._waiters.append(waiter)
        waiter.signal.wait(self.timeout_s)
        with self._lock:
            if waiter.granted:
                return
            self._waiters.remove(waiter)
        raise FullError(
            f"{self.name}: no room within {number_words(self.timeout_s)} s ({self.words()})"
        )

    def leave(self) -> None:
        """Give back a place taken with `enter` and not used."""
        with self._lock:
            self._promised = max(0, self._promised - 1)
            self._grant()

    # What consumers call

    def demand(self, count: int = 1) -> None:
        """Ask for `count` values; what is not there yet is owed.

        Raises:
            ValueError: a count below 1.
        """
        if count < 1:
            raise ValueError(f"{self.name}: found a demand for {count} values, expected 1 or more")
        with self._lock:
            self._credit += count
            if not self._idle or not self._held:
                return
            self._idle = False
        self._ready.set()

    def _steer(self, event: Event) -> None:
        # A bad demand asks for nothing; neither does False or 0.
        if event.quality < BAD and event.value:
            self.demand(int(event.value))

    # How it works

    def _make_room(self) -> bool:
        if self.overflow is OverflowPolicy.DROP_OLDEST:
            self._held.popleft()
            self.dropped += 1
            return True
        if self.overflow is OverflowPolicy.LATEST:
            self.coalesced += len(self._held)
            self._held.clear()
            return True
        self.dropped += 1  # `reject`; or `block` and nobody who could be made to wait
        return False

    def _deliver(self) -> None:
        while not self._closed:
            event = self._take()
            if event is None:
                self._ready.wait()
                self._ready.clear()
                continue
            try:
                self.site.send(event)
            except CancelledWaitError:
                raise
            except Exception as error:  # noqa: BLE001 - the lane must outlive whatever comes after it
                self.site.failed(self, event, error)

    def _take(self) -> Event | None:
        with self._lock:
            if not self._held or not (self.immediate or self._credit) or self._closed:
                self._idle = True
                return None
            event = self._held.popleft()
            if not self.immediate:
                self._credit -= 1
            self._took_ns = now = self._clock.monotonic_ns()
            self.age_ns = age = now - event.mono
            self.oldest_ns = max(self.oldest_ns, age)
            self.late += event.n <= self._late_n
            self.out += 1
            if self._waiters:
                self._grant()
            return event

    def _grant(self) -> None:
        # Under the lock. A place goes to the longest waiter directly, so that nobody overtakes.
        while self._waiters and len(self._held) + self._promised < self._keep:
            waiter = self._waiters.popleft()
            waiter.granted = True
            self._promised += 1
            waiter.signal.set()

    def stop(self) -> None:
        """Drop what is held, let waiting producers go, end the lane."""
        with self._lock:
            self._closed = True
            self.dropped += len(self._held)
            self._held.clear()
            waiters, self._waiters = self._waiters, deque()
            for waiter in waiters:
                waiter.granted = True
                waiter.signal.set()
        self._ready.set()

    def words(self) -> str:
        """Say whether values go through, and if not, what they wait for."""
        if not self.name:
            return f"unattached: will keep {self._keep}"
        if self._closed:
            return "disposed: holds nothing"
        with self._lock:
            held, credit, idle = len(self._held), self._credit, self._idle
            came = self._held[0].mono if self._held else 0
        if held and not self.immediate and not credit:
            return f"closed: {self._charge(held)}, waiting for demand since {self._since(came)}"
        if not idle:
            return f"busy: {self._charge(held)}, delivering since {self._since(0)}"
        return self._empty_words(credit)

    def _charge(self, held: int) -> str:
        return f"{held} of {self._keep} kept"

    def _since(self, came_ns: int) -> str:
        return span_words(self._clock.monotonic_ns() - max(self._took_ns, came_ns))

    def _empty_words(self, credit: int) -> str:
        if self.immediate:
            return "open: empty, delivers as values come"
        if credit:
            return f"open: empty, {credit} asked for and owed"
        return "closed: empty, and nothing asked for"
