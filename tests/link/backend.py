"""A runtime reduced to what the link asks of it: numbered events in memory and canned rows."""

from __future__ import annotations

import threading
from typing import Any

from leyden.kernel import Answer, Gap, Intent, Outcome
from leyden.link.protocol import (
    BusRow,
    DeviceList,
    DeviceRow,
    EventPage,
    EventRow,
    Graph,
    Health,
    HelloAnswer,
    History,
    LatestList,
    LatestRow,
    LinkRefusal,
    NodeRow,
    Point,
    Query,
    RouteList,
    RouteRow,
    SignalList,
    SignalRow,
    SystemAnswer,
    Trouble,
    WitnessRow,
    matches,
)
from leyden.link.server import Principal

WALL = 1_767_225_600_000_000_000


class MemoryBackend:
    """Implements `Backend`; tests publish with `publish` and look at `intents`."""

    def __init__(self, head: int = 0) -> None:
        self.head = head
        self.boot = 3
        self.rows: list[EventRow] = []
        self.gaps: list[Gap] = []
        self.intents: list[tuple[Intent, Principal]] = []
        self.reads = 0
        self.system = SystemAnswer(False, "this is no appliance from an image of ours")
        self.routes = [
            RouteRow("air.temperature", "float", "Cel", "input", period_s=1.0, normal=(18, 28)),
            RouteRow("air.humidity", "float", "%", "input", period_s=1.0),
            RouteRow("device.air", "json", "1", "system"),
            RouteRow("vent.state", "bool", "1", "output"),
        ]
        self._moved = threading.Condition()

    def publish(self, route: str = "air.temperature", value: Any = 21.5, **more: Any) -> EventRow:
        with self._moved:
            self.head += 1
            row = EventRow(
                self.head, route, value, more.pop("quality", "good"),
                "2026-01-01T00:00:00.000Z", mono=self.head * 1000, **more,
            )  # fmt: skip
            self.rows.append(row)
            self._moved.notify_all()
        return row

    def lose(self, count: int, reason: str = "lost") -> Gap:
        with self._moved:
            gap = Gap(self.head + 1, self.head + count, reason)
            self.head += count
            self.gaps.append(gap)
            self._moved.notify_all()
        return gap

    # What the link calls.

    def hello(self) -> HelloAnswer:
        return HelloAnswer("0.1.0", "greenhouse", self.boot, self.head, 5, WALL, "synced")

    def read(self, after: int, prefixes: tuple[str, ...] | None, limit: int) -> EventPage:
        with self._moved:
            self.reads += 1
            newer = [row for row in self.rows if row.n > after]
            looked = newer[:limit]
            last = looked[-1].n if len(newer) > limit else max(after, self.head)
            gaps = tuple(gap for gap in self.gaps if gap.last > after and gap.first <= last)
            found = tuple(row for row in looked if matches(row.route, prefixes))
            return EventPage(found, last, gaps, self.head)

    def wait_for(self, after: int, timeout_s: float) -> bool:
        with self._moved:
            return self._moved.wait_for(lambda: self.head > after, timeout_s)

    def query(self, query: Query) -> Any:
        return getattr(self, f"_{query.what}")(query)

    def submit(self, intent: Intent, principal: Principal) -> Answer:
        for known, _ in self.intents:
            if known.key == intent.key:
                return Answer(Outcome.DONE, "done before", n=self.head)
        self.intents.append((intent, principal))
        if intent.goal == "device.write" and intent.role.rank < 1:
            return Answer(Outcome.REFUSED, "needs the role operator")
        return Answer(Outcome.DONE, n=self.head)

    def _health(self, _: Query) -> Health:
        return Health("ok", "0.1.0", self.head, 12.5, "greenhouse")

    def _identity(self, _: Query) -> dict[str, Any]:
        return {"serial": None, "model": "a laptop", "hostname": "bench"}

    def _devices(self, _: Query) -> DeviceList:
        air = DeviceRow(
            "air", "bme280", "offline", bus="i2c1", address="0x76", since_s=12.0,
            error=Trouble("no_data", "no answer from 0x76 on i2c1 for 12 s; check the cable", 1.0),
            witness=WitnessRow("id register 0x60"), channels=("air.temperature", "air.humidity"),
            period_s=1.0,
        )  # fmt: skip
        return DeviceList((air,), (BusRow("i2c1", "i2c", "/dev/i2c-1", load=0.02),))

    def _routes(self, _: Query) -> RouteList:
        return RouteList(tuple(self.routes))

    def _latest(self, query: Query) -> LatestRow:
        for row in self.routes:
            if row.route == query.route:
                return self._newest(row)
        raise LinkRefusal("not_found", f'no route "{query.route}"')

    def _latest_all(self, _: Query) -> LatestList:
        head = self.head
        return LatestList(tuple(self._newest(row) for row in self.routes), head)

    def _newest(self, info: RouteRow) -> LatestRow:
        for row in reversed(self.rows):
            if row.route == info.route:
                last = {"last_value": 21.5} if row.quality == "bad" else {}
                return LatestRow(
                    row.route, row.value, info.unit, row.quality, row.reason, 0.5, row.n, row.time,
                    row.detail, **last,
                )  # fmt: skip
        return LatestRow(info.route, None, info.unit, "bad", "no_data", None, 0, None)

    def _history(self, query: Query) -> History:
        if not any(row.route == query.route for row in self.routes):
            raise LinkRefusal("not_found", f'no route "{query.route}"')
        points = tuple(
            Point(row.n * 1000.0, row.value, row.quality, row.value, row.value)
            for row in self.rows
            if row.route == query.route
        )
        return History(points[-query.points :], tuple(self.gaps))

    def _signals(self, _: Query) -> SignalList:
        return SignalList((SignalRow("air.temperature", 21.5, "Cel", "constant"),))

    def _graph(self, _: Query) -> Graph:
        return Graph((NodeRow("air.temperature", "route", {"in": 3}, "passes everything"),))

    def _system(self, _: Query) -> SystemAnswer:
        return self.system
