"""The backend: what a runtime tells and takes over the link, in the words of its protocol."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Any, Final

import msgspec

from leyden.appliance.assemble import Appliance
from leyden.appliance.trends import Stretch, Trends
from leyden.appliance.update.card import Card
from leyden.appliance.update.events import UpdateEvents
from leyden.appliance.update.history import FILE
from leyden.appliance.update.status import system_answer
from leyden.eventlog.clocklog import WallMap, read_wall_map
from leyden.eventlog.reader import LogReader
from leyden.kernel import (
    BAD,
    GOOD,
    NS,
    Answer,
    Delivery,
    DeviceStatus,
    Event,
    Gap,
    Intent,
    Quality,
    Record,
    RouteInfo,
    Scan,
    Subscription,
    iso,
    last_number,
)
from leyden.link import protocol
from leyden.link.protocol import LinkRefusal
from leyden.link.server import Principal
from leyden.units import UNITS

VERSION: Final = metadata.version("leyden")
_STALE_PERIODS: Final = 2
_DEAD_PERIODS: Final = 3
_STALE_FLOOR_S: Final = 1.0
_DEAD_FLOOR_S: Final = 2.0
_FILL_EVENTS: Final = 400_000  # how much of the log is read back for charts: half a minute's work


class RuntimeBackend:
    """Answers the link from a running appliance.

    Args:
        appliance: what runs.
        card: what it runs from, where that is a card with slots.
    """

    def __init__(self, appliance: Appliance, card: Card | None = None) -> None:
        self._appliance = appliance
        self._card = card or Card()
        self._runtime = appliance.runtime
        self._events = appliance.runtime.events
        self._clock = appliance.runtime.clock
        self._past = WallMap()
        self._trends = Trends(self._wall_of)
        self._moved = threading.Condition()
        self._waiting = 0
        self._subscription: Subscription | None = None
        self._questions: dict[str, Callable[[protocol.Query], Any]] = {
            "health": self._health,
            "identity": self._identity,
            "devices": self._devices,
            "routes": self._routes,
            "latest": self._latest,
            "latest_all": self._latest_all,
            "history": self._history,
            "signals": self._signals,
            "graph": self._graph,
            "system": self._system,
        }

    def start(self) -> None:
        """Begin to follow the stream, and read back what charts need of the log."""
        self._subscription = self._events.subscribe(
            self._follow, name="link", delivery=Delivery.INLINE
        )
        recorder = self._appliance.recorder
        if recorder is not None:
            self._runtime.executor.start_lane("link.past", self._read_past)
            if self._card.updates.is_dir():
                history = self._card.updates / FILE
                self._runtime.add_service(UpdateEvents(history, recorder.folder))

    def stop(self) -> None:
        """Stop following; those who wait are let go."""
        if self._subscription is not None:
            self._subscription.cancel()
        with self._moved:
            self._moved.notify_all()

    # What the link asks

    def hello(self) -> protocol.HelloAnswer:
        """Who answers, and where the stream stands."""
        return protocol.HelloAnswer(
            version=VERSION,
            name=self._appliance.plan.label or self._runtime.name,
            boot=self._events.boot,
            head=self._events.head,
            mono=self._clock.monotonic_ns(),
            wall=self._clock.time_ns(),
            clock_state="synced" if self._clock.synchronised() else "unsynced",
        )

    def read(self, after: int, prefixes: tuple[str, ...] | None, limit: int) -> protocol.EventPage:
        """Return up to `limit` events above `after` whose route begins with a prefix."""
        page = self._events.read(after, limit)
        rows: list[protocol.EventRow] = []
        following = page.next
        for event in _expanded(page.records, after):
            if len(rows) == limit:
                following = event.n - 1
                break
            if protocol.matches(event.route, prefixes):
                rows.append(protocol.EventRow.of(_honest(event), self._wall_of(event)))
        return protocol.EventPage(tuple(rows), following, page.gaps, self._events.head)

    def wait_for(self, after: int, timeout_s: float) -> bool:
        """Wait until a number above `after` has been given out; return whether one has."""
        with self._moved:
            self._waiting += 1
            try:
                self._moved.wait_for(lambda: self._events.head > after, timeout_s)
            finally:
                self._waiting -= 1
        return self._events.head > after

    def query(self, query: protocol.Query) -> Any:
        """Answer one question; see `protocol.ANSWERS`.

        Raises:
            LinkRefusal: no such route, or nothing of that kind here.
        """
        return self._questions[query.what](query)

    def submit(self, intent: Intent, principal: Principal) -> Answer:
        """Carry out an intent, or say why not."""
        del principal  # the link has capped the role and filled in who asks
        return self._runtime.submit(intent)

    # Following the stream

    def _follow(self, event: Event) -> None:
        self._trends.take(event)
        if self._waiting:
            with self._moved:
                self._moved.notify_all()

    def _read_past(self) -> None:
        recorder = self._appliance.recorder
        assert recorder is not None  # noqa: S101 - `start` begins this lane only with one
        first = recorder.first_number()
        self._past = read_wall_map(recorder.reader)
        # A reader of its own: this one takes a while, and others must not wait behind it.
        reader = LogReader(recorder.folder)
        self._trends.fill(_only_events(reader, max(0, first - _FILL_EVENTS)), upto=first)

    def _wall_of(self, event: Event) -> int:
        if event.boot in (self._events.boot, 0):
            return self._clock.time_ns() - self._clock.monotonic_ns() + event.mono
        dated = self._past.date(event.boot, event.mono)
        return dated.wall if dated is not None else 0

    # Questions

    def _health(self, _: protocol.Query) -> protocol.Health:
        recorder = self._appliance.recorder
        well = recorder is None or recorder.status()["condition"] == "ok"
        return protocol.Health(
            "ok" if well else "degraded",
            VERSION,
            self._events.head,
            round(self._clock.uptime(), 3),
            self._appliance.plan.label,
        )

    def _identity(self, _: protocol.Query) -> dict[str, Any]:
        newest = self._events.latest("runtime.identity")
        known = newest.value if newest is not None else self._appliance.identity
        identity: dict[str, Any] = dict(msgspec.to_builtins(known))
        return identity | {"name": self._runtime.name, "label": self._appliance.plan.label}

    def _devices(self, _: protocol.Query) -> protocol.DeviceList:
        now = self._clock.monotonic_ns()
        devices = tuple(_device_row(status, now) for status in self._runtime.devices())
        buses = tuple(
            protocol.BusRow(
                **{key: bus[key] for key in protocol.BusRow.__struct_fields__ if key in bus}
            )
            for bus in (transport.status() for transport in self._runtime.transports())
        )
        return protocol.DeviceList(devices, buses)

    def _routes(self, _: protocol.Query) -> protocol.RouteList:
        return protocol.RouteList(tuple(_route_row(info) for info in self._events.routes()))

    def _latest(self, query: protocol.Query) -> protocol.LatestRow:
        return self._latest_row(self._known(query.route or ""))

    def _latest_all(self, _: protocol.Query) -> protocol.LatestList:
        head = self._events.head
        rows = [self._latest_row(info) for info in self._events.routes()]
        return protocol.LatestList(tuple(row for row in rows if row.n), head)

    def _latest_row(self, info: RouteInfo) -> protocol.LatestRow:
        key, code = info.route.key, info.route.schema.unit
        event = self._events.latest(key)
        if event is None:
            detail = "nothing has been published on this route yet"
            return protocol.LatestRow(key, None, code, "bad", "no_data", None, 0, None, detail)
        event = _honest(event)
        age_s = (self._clock.monotonic_ns() - event.mono) / NS
        quality, reason, detail = _judged(event, age_s, info.period_s)
        row = protocol.LatestRow(
            key,
            None if quality is BAD else event.value,
            code,
            quality.word,
            reason,
            round(age_s, 3),
            event.n,
            iso(self._wall_of(event)),
            detail,
        )
        if quality is not BAD:
            return row
        good = self._events.last_good(key)
        return msgspec.structs.replace(row, last_value=good.value if good is not None else None)

    def _history(self, query: protocol.Query) -> protocol.History:
        info = self._known(query.route or "")
        until = self._clock.time_ns()
        if query.from_mono is not None:
            since = until - self._clock.monotonic_ns() + query.from_mono
        else:
            since = until - round((query.span_s or 0) * NS)
        stretches = self._trends.history(info.route.key, since, until, query.points)
        return protocol.History(tuple(_point(each) for each in stretches))

    def _signals(self, _: protocol.Query) -> protocol.SignalList:
        world = self._appliance.world
        if world is None:
            raise LinkRefusal("unavailable", "this appliance runs on real buses, not on a model")
        return protocol.SignalList(
            tuple(
                protocol.SignalRow(each.name, each.value, each.unit, each.kind)
                for each in world.list()
            )
        )

    def _graph(self, _: protocol.Query) -> protocol.Graph:
        snapshot = self._appliance.graph.flow_snapshot()
        return protocol.Graph(
            tuple(
                protocol.NodeRow(
                    node.name, node.kind, msgspec.structs.asdict(node.counters), node.explain
                )
                for node in snapshot.nodes
            ),
            tuple((edge.source, edge.target) for edge in snapshot.edges),
        )

    def _system(self, _: protocol.Query) -> protocol.SystemAnswer:
        synced = self._clock.synchronised()
        words = "" if synced else "nobody has set the clock since power came on; it may be wrong"
        clock = protocol.ClockRow("synced" if synced else "unsynced", words)
        return system_answer(self._card, self._appliance.identity.model, clock)

    def _known(self, key: str) -> RouteInfo:
        info = self._events.route(key)
        if info is None:
            raise LinkRefusal("not_found", f'no route "{key}"')
        return info


def _expanded(records: tuple[Record, ...], after: int) -> Iterator[Event]:
    for record in records:
        if isinstance(record, Scan):
            if last_number(record) > after:
                yield from (event for event in record.events() if event.n > after)
        elif record.n > after:
            yield record


def _only_events(reader: LogReader, after: int) -> Iterator[Event]:
    return (item for item in reader.events(after) if not isinstance(item, Gap))


def _honest(event: Event) -> Event:
    # Publishing is not validated, for speed; JSON would make a good null of what is no number.
    value = event.value
    if not isinstance(value, float) or math.isfinite(value):
        return event
    return msgspec.structs.replace(
        event, value=None, quality=BAD, reason="out_of_range", detail=f"{value} is no number"
    )


def _judged(event: Event, age_s: float, period_s: float | None) -> tuple[Quality, str, str]:
    # A value gets older without anybody saying so. What is known to come every period and has not
    # come is doubted first and then no longer shown as a value at all.
    if event.quality is BAD or period_s is None:
        return event.quality, event.reason, event.detail
    words = f"nothing for {age_s:.0f} s, expected every {period_s:g} s"
    if age_s > max(_DEAD_PERIODS * period_s, _DEAD_FLOOR_S):
        return BAD, "no_data", words
    if age_s > max(_STALE_PERIODS * period_s, _STALE_FLOOR_S) and event.quality is GOOD:
        return Quality.UNCERTAIN, "stale", words
    return event.quality, event.reason, event.detail


def _point(stretch: Stretch) -> protocol.Point:
    mean = stretch.mean
    return protocol.Point(
        stretch.start / 1e6,
        None if mean is None else float(f"{mean:.6g}"),
        stretch.quality.word,
        stretch.minimum if stretch.count else None,
        stretch.maximum if stretch.count else None,
    )


def _device_row(status: DeviceStatus, now: int) -> protocol.DeviceRow:
    fault = status.fault
    trouble = (
        protocol.Trouble(fault.reason, fault.detail, round((now - fault.mono) / NS, 1))
        if fault is not None
        else None
    )
    age = status.witness_age_s
    return protocol.DeviceRow(
        id=status.id,
        driver=status.driver,
        state=str(status.state),
        label=status.label,
        compatible=status.compatible,
        bus=status.bus,
        address=status.address,
        since_s=round(status.since_s, 1),
        error=trouble,
        witness=protocol.WitnessRow(
            status.witness, status.witness_result, None if age is None else round(age, 1)
        ),
        channels=status.channels,
        period_s=status.period_s,
        reads=status.reads,
        errors=status.errors,
        overruns=status.timing.overruns,
        lateness_p99_ms=status.timing.lateness_p99_ms,
        resets=status.resets,
    )


def _route_row(info: RouteInfo) -> protocol.RouteRow:
    route, schema = info.route, info.route.schema
    known = UNITS.get(schema.unit)
    return protocol.RouteRow(
        route=route.key,
        kind=schema.id,
        unit=schema.unit,
        origin=str(route.origin),
        label=info.label,
        group=info.group,
        symbol=known.symbol if known else schema.unit,
        minimum=schema.minimum,
        maximum=schema.maximum,
        step=schema.step,
        decimals=info.decimals,
        period_s=info.period_s,
        device=route.owner if str(route.origin) in ("input", "output") else "",
        normal=info.normal,
        plane=str(route.plane),
        layer=str(route.layer),
        variant=str(route.variant),
    )
