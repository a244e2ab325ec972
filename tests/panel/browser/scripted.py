"""A runtime that does what a test says: channels with a past, at the other end of a real link.

It stands in for the runtime below the link's own server, so that panel, link and browser are the
real ones. `Plant.modes` decides per device what it does from now on: `good` values, `silent`
(nothing at all, as behind a hung bus), `bad` or `uncertain` values with a reason in words.
"""

from __future__ import annotations

import math
import threading
import time
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from panel.systems import LAPTOP

from leyden.kernel import Answer, Gap, Intent, iso
from leyden.kernel.intent import Outcome
from leyden.link.protocol import (
    BusRow,
    DeviceList,
    DeviceRow,
    EventPage,
    EventRow,
    Health,
    HelloAnswer,
    History,
    LatestList,
    LatestRow,
    LinkRefusal,
    Point,
    Query,
    RouteList,
    RouteRow,
    SystemAnswer,
    Trouble,
    WitnessRow,
)
from leyden.link.server import Principal

NS = 1_000_000_000
PAST_S = 86_400.0  # how long the plant has been running when a test begins
KEPT = 20_000
CONFIGURATION = "runtime.configuration"


@dataclass(frozen=True)
class Wave:
    """A signal that looks like a measured one and is the same each time."""

    middle: float
    swing: float  # slow
    period_s: float
    rough: float = 0.0  # fast

    def at(self, t: float) -> float:
        slow = math.sin(2 * math.pi * t / self.period_s) + 0.3 * math.sin(t / 97.0)
        fast = math.sin(t * 1.7) + math.sin(t * 2.9 + 1) + math.sin(t * 0.61)
        return self.middle + self.swing * slow + self.rough * fast / 3


@dataclass
class Mode:
    """What a device does, and why."""

    name: str = "good"  # good | silent | bad | uncertain
    reason: str = ""
    detail: str = ""


@dataclass
class Machine:
    """One device of the plant."""

    row: DeviceRow
    channels: tuple[RouteRow, ...]
    waves: tuple[Wave, ...]
    mode: Mode = field(default_factory=Mode)
    since: float = 0.0  # when the mode began
    due: float = 0.0  # when it is read next

    @property
    def period_s(self) -> float:
        return self.channels[0].period_s or 1.0

    def every(self, period_s: float) -> None:
        """Read this device less often."""
        self.channels = tuple(
            msgspec.structs.replace(each, period_s=period_s) for each in self.channels
        )
        self.row = msgspec.structs.replace(self.row, period_s=period_s)


def greenhouse() -> list[Machine]:
    """The sample appliance's devices."""
    return [
        _machine(
            "air", "bme280", "i2c1", "0x76", "chip id",
            _float("air.temperature", "Air", "Cel", "°C", -40, 85, 0.01, 1, normal=(18.0, 28.0)),
            Wave(22.4, 1.1, 1700, 0.12),
            _float("air.humidity", "Air", "%", "%", 0, 100, 0.01, 1, normal=(40.0, 70.0)),
            Wave(54.0, 3.0, 1300, 0.5),
            _float("air.pressure", "Air", "Pa", "Pa", 30_000, 110_000, 1, 0),
            Wave(101_320.0, 60.0, 5000, 5.0),
        ),
        _machine(
            "soil", "mcp3008", "spi0", "0", "null bit",
            _float("soil.moisture_1", "Soil", "%", "%", 0, 100, 0.1, 1, normal=(30.0, 60.0)),
            Wave(44.0, 4.0, 4000, 0.2),
            _float("soil.moisture_2", "Soil", "%", "%", 0, 100, 0.1, 1, normal=(30.0, 60.0)),
            Wave(38.0, 3.0, 2600, 0.2),
        ),
        _machine(
            "dust", "pms5003", "uart0", "", "frame checksum",
            _float("dust.pm1_0", "Dust", "ug/m3", "µg/m³", 0, 1000, 1, 0),
            Wave(5.0, 2.0, 900, 0.8),
            _float("dust.pm2_5", "Dust", "ug/m3", "µg/m³", 0, 1000, 1, 0, normal=(0.0, 25.0)),
            Wave(9.0, 3.0, 900, 1.2),
            _float("dust.pm10", "Dust", "ug/m3", "µg/m³", 0, 1000, 1, 0, normal=(0.0, 50.0)),
            Wave(12.0, 4.0, 900, 1.5),
        ),
        _machine(
            "vent", "gpio", "gpio0", "17", "read-back",
            RouteRow("vent.state", "bool", "1", "input", group="Vent", period_s=1.0, device="vent"),
            Wave(0.2, 0.6, 420),
        ),
        _machine(
            "host", "host", "", "", "kernel",
            _float("host.cpu_temperature", "Host", "Cel", "°C", 0, 125, 0.1, 1, normal=(0.0, 70.0)),
            Wave(48.0, 2.5, 700, 0.6),
            _float("host.load", "Host", "1", "", 0, None, 0.01, 2),
            Wave(0.42, 0.2, 500, 0.1),
            _float("host.memory_used", "Host", "%", "%", 0, 100, 0.1, 1, normal=(0.0, 80.0)),
            Wave(31.0, 0.8, 3000, 0.1),
            _float("host.uptime", "Host", "s", "s", 0, None, 1, 0),
            Wave(331_000.0, 0.0, 1000),
        ),
    ]  # fmt: skip


def _float(
    route: str,
    group: str,
    unit: str,
    symbol: str,
    low: float | None,
    high: float | None,
    step: float,
    decimals: int,
    normal: tuple[float, float] | None = None,
) -> RouteRow:
    return RouteRow(
        route, "float", unit, "input", "", group, symbol, low, high, step, decimals, 1.0,
        route.partition(".")[0], normal,
    )  # fmt: skip


def _machine(
    name: str, driver: str, bus: str, address: str, what: str, *pairs: RouteRow | Wave
) -> Machine:
    channels = tuple(each for each in pairs if isinstance(each, RouteRow))
    waves = tuple(each for each in pairs if isinstance(each, Wave))
    row = DeviceRow(
        id=name, driver=driver, state="online", label=name.capitalize(), bus=bus, address=address,
        since_s=PAST_S, witness=WitnessRow(what, "right", 3.0), period_s=1.0, reads=86_213,
        lateness_p99_ms=0.8, channels=tuple(each.route for each in channels),
    )  # fmt: skip
    return Machine(row, channels, waves)


class Plant:
    """The link's backend: a clockwork of machines that a test can break."""

    def __init__(
        self,
        machines: list[Machine] | None = None,
        *,
        period_s: float = 1.0,
        name: str = "greenhouse",
        clock_state: str = "synced",
        hurried: bool = False,
    ) -> None:
        self.machines = {each.row.id: each for each in machines or greenhouse()}
        self.name = name
        self.period_s = period_s
        self.clock_state = clock_state
        self.hurried = hurried  # every device is read at every tick
        self.boot = 3
        self.base = 480_000  # sequence numbers given out before the test began
        self.head = self.base
        self.gaps: list[Gap] = []
        self.holes: list[tuple[str, float, float, str]] = []  # device, from, to (s ago), quality
        self.system: SystemAnswer = LAPTOP
        self.configuration: dict[str, Any] | None = None  # what is said of a broken one
        self.refusing = ""  # a sentence: every query is refused with it
        self._events: list[EventRow] = []
        self._start = time.monotonic()
        self._moved = threading.Condition(threading.RLock())
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="plant", daemon=True)
        self._announce()

    # What a test does.

    def start(self) -> Plant:
        """Begin to publish, in a thread."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(5.0)

    def set_mode(self, device: str, name: str, reason: str = "", detail: str = "") -> None:
        """Let a device do something else from now on, and say so in its lifecycle."""
        machine = self.machines[device]
        machine.mode = Mode(name, reason, detail)
        machine.since = self.elapsed()
        if name == "good":
            self.publish(f"device.{device}.attached", {"driver": machine.row.driver})
        elif name in {"bad", "silent"}:
            self.publish(f"device.{device}.failed", {"reason": reason or "no_data"}, detail=detail)

    def silent_since(self, device: str, ago_s: float, detail: str) -> None:
        """Let a device's last reading be so long ago, and none come from now on."""
        machine = self.machines[device]
        machine.mode = Mode()
        with self._moved:
            self._read(machine, self.elapsed() - ago_s, ago_s)
        machine.mode = Mode("silent", "stale", detail)
        machine.since = self.elapsed() - ago_s

    def publish(self, route: str, value: Any, **more: Any) -> EventRow:
        """Publish one event and return it."""
        with self._moved:
            row = self._append(route, value, **more)
            self._moved.notify_all()
        return row

    def tick(self) -> None:
        """Publish one reading of every device that is due."""
        with self._moved:
            t = self.elapsed()
            for machine in self.machines.values():
                if machine.due <= t or self.hurried:
                    machine.due = t + machine.period_s - self.period_s / 2
                    self._read(machine, t)
            self._moved.notify_all()

    def tick_all(self) -> None:
        """Publish one reading of every device, due or not."""
        with self._moved:
            for machine in self.machines.values():
                self._read(machine, self.elapsed())

    def add(self, machine: Machine) -> None:
        """Attach one more device."""
        self.machines = {**self.machines, machine.row.id: machine}
        self.publish(f"device.{machine.row.id}.attached", {"driver": machine.row.driver})

    def restart_numbers(self, base: int) -> None:
        """Go on with lower numbers, as with another data directory."""
        with self._moved:
            self._events.clear()
            self.gaps.clear()
            self.head = base
            self.boot = 1

    def skip_numbers(self, count: int, reason: str) -> Gap:
        """Leave numbers out, as after a crash."""
        with self._moved:
            gap = Gap(self.head + 1, self.head + count, reason)
            self.gaps.append(gap)
            self.head = gap.last
        return gap

    def numbers(self) -> list[int]:
        """Every sequence number that has been published."""
        with self._moved:
            return [row.n for row in self._events]

    def published_at(self, route: str) -> list[float]:
        """When each event of a route was published, in ms of wall time."""
        with self._moved:
            offset = time.time_ns() - time.monotonic_ns()
            return [(row.mono + offset) / 1e6 for row in self._events if row.route == route]

    def elapsed(self) -> float:
        """Seconds since the test began."""
        return time.monotonic() - self._start

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            self.tick()
            due += self.period_s
            self._stop.wait(max(0.0, due - time.monotonic()))

    def _announce(self) -> None:
        self._append("runtime.booting", {"boot": self.boot})
        for machine in self.machines.values():
            value = {"driver": machine.row.driver, "bus": machine.row.bus}
            self._append(f"device.{machine.row.id}.attached", value)
        self._append("runtime.booted", {"devices": len(self.machines)})

    def _read(self, machine: Machine, t: float, ago_s: float = 0.0) -> None:
        mode = machine.mode
        if mode.name == "silent":
            return
        for channel, wave in zip(machine.channels, machine.waves, strict=True):
            value = None if mode.name == "bad" else _value(channel, wave, t)
            quality = mode.name if mode.name in {"bad", "uncertain"} else "good"
            self._append(
                channel.route, value, quality=quality, reason=mode.reason, detail=mode.detail,
                source=f"device.{machine.row.id}", ago_s=ago_s,
            )  # fmt: skip

    def _append(
        self, route: str, value: Any, *, quality: str = "good", ago_s: float = 0.0, **more: Any
    ) -> EventRow:
        self.head += 1
        ago = round(ago_s * NS)
        row = EventRow(
            self.head, route, value, quality, iso(time.time_ns() - ago),
            mono=time.monotonic_ns() - ago, **more,
        )  # fmt: skip
        self._events.append(row)
        del self._events[:-KEPT]
        return row

    # What the link asks.

    def hello(self) -> HelloAnswer:
        return HelloAnswer(
            "0.1.0", self.name, self.boot, self.head, time.monotonic_ns(), time.time_ns(),
            self.clock_state,
        )  # fmt: skip

    def read(self, after: int, prefixes: tuple[str, ...] | None, limit: int) -> EventPage:
        with self._moved:
            begin = bisect_right(self._events, after, key=lambda row: row.n)
            rows = self._events[begin : begin + limit]
            upto = rows[-1].n if rows else max(after, self.head)
            wanted = tuple(
                row for row in rows if prefixes is None or row.route.startswith(prefixes)
            )
            gaps = tuple(gap for gap in self.gaps if gap.last > after and gap.first <= upto)
            return EventPage(wanted, upto, gaps, self.head)

    def wait_for(self, after: int, timeout_s: float) -> bool:
        with self._moved:
            return self._moved.wait_for(lambda: self.head > after, timeout_s)

    def submit(self, intent: Intent, principal: Principal) -> Answer:
        return Answer(Outcome.REFUSED, f"{principal.who} may watch only: {intent.goal}")

    def query(self, query: Query) -> Any:
        if self.refusing:
            raise LinkRefusal("unavailable", self.refusing)
        answers: dict[str, Callable[[Query], Any]] = {
            "health": lambda _: Health("ok", "0.1.0", self.head, self.elapsed(), self.name),
            "identity": lambda _: self._identity(),
            "devices": lambda _: self._devices(),
            "routes": lambda _: RouteList(tuple(self._rows())),
            "latest": self._latest_of,
            "latest_all": lambda _: self._latest_all(),
            "history": self._history,
            "system": lambda _: self.system,
        }
        if query.what not in answers:
            raise LinkRefusal("unavailable", f"this runtime has no {query.what}")
        return answers[query.what](query)

    def _identity(self) -> dict[str, Any]:
        return {
            "device_id": "ley-2f9c41d07b6e",
            "name": self.name,
            "model": "a scripted plant",
            "boot": self.boot,
            "clock_state": self.clock_state,
            "versions": {"leyden": "0.1.0"},
        }

    def _rows(self) -> list[RouteRow]:
        return [row for machine in self.machines.values() for row in machine.channels]

    def _row(self, route: str) -> RouteRow:
        for row in self._rows():
            if row.route == route:
                return row
        raise LinkRefusal("not_found", f'no route "{route}"')

    def _latest_of(self, asked: Query) -> LatestRow:
        if asked.route == CONFIGURATION and self.configuration is not None:
            return LatestRow(CONFIGURATION, self.configuration, "1", "good", "", 9.0, 7, None)
        return self._latest(self._row(asked.route or ""))

    def _latest_all(self) -> LatestList:
        with self._moved:
            return LatestList(tuple(self._latest(row) for row in self._rows()), self.head)

    def _latest(self, row: RouteRow) -> LatestRow:
        with self._moved:
            own = [event for event in self._events if event.route == row.route]
        if not own:
            return LatestRow(row.route, None, row.unit, "bad", "no_data", None, 0, None)
        event = own[-1]
        good = next((each for each in reversed(own) if each.quality != "bad"), None)
        age = (time.monotonic_ns() - (good or event).mono) / NS
        mode, period = self.machines[row.device].mode, row.period_s or 1.0
        quality, reason, detail = event.quality, event.reason, event.detail
        if quality != "bad" and age > max(3 * period, 2.0):
            quality, reason, detail = "bad", "no_data", mode.detail
        elif quality != "bad" and age > max(2 * period, 1.0):
            quality, reason, detail = "uncertain", "stale", mode.detail
        value, last = event.value, {}
        if quality == "bad":
            value, last = None, {"last_value": good.value if good else None}
        return LatestRow(
            row.route, value, row.unit, quality, reason, age, event.n, event.time, detail, **last
        )

    def _devices(self) -> DeviceList:
        rows = []
        for machine in self.machines.values():
            mode, since = machine.mode, self.elapsed() - machine.since
            row = machine.row
            row = msgspec.structs.replace(row, reads=row.reads + int(self.elapsed()))
            if mode.name in {"bad", "silent"}:
                state = "degraded" if mode.reason == "stale" else "offline"
                row = msgspec.structs.replace(
                    row, state=state, since_s=since, errors=14, retries=28,
                    error=Trouble(mode.reason or "no_data", mode.detail, min(since, 1.0)),
                    witness=WitnessRow(row.witness.what if row.witness else "", "no answer", 1.0),
                )  # fmt: skip
            elif mode.name == "uncertain":
                row = msgspec.structs.replace(
                    row, state="degraded", since_s=since, errors=3,
                    error=Trouble(mode.reason, mode.detail, 1.0),
                )  # fmt: skip
            rows.append(row)
        hung = any(
            machine.mode.reason == "no_data" and machine.row.bus == "i2c1"
            for machine in self.machines.values()
        )
        buses = (
            BusRow("i2c1", "i2c", "/dev/i2c-1", "hung" if hung else "ok", 0.034, 172_426, 0,
                   "0x76" if hung else ""),
            BusRow("spi0", "spi", "/dev/spidev0.0", "ok", 0.002, 172_430),
            BusRow("uart0", "uart", "/dev/serial0", "ok", 0.028, 86_213, 2),
            BusRow("gpio0", "gpio", "gpiochip0", "ok", 0.0, 86_213),
        )  # fmt: skip
        return DeviceList(tuple(rows), buses)

    def _history(self, query: Query) -> History:
        row = self._row(query.route or "")
        span = query.span_s or (time.monotonic_ns() - (query.from_mono or 0)) / NS
        machine = self.machines[row.device]
        wave = machine.waves[machine.channels.index(row)]
        step = max(span / query.points, machine.period_s)
        now = self.elapsed()
        first = math.ceil((now - min(span, PAST_S)) / step)
        points = [
            self._point(row, machine, wave, k * step, step)
            for k in range(first, int(now / step) + 1)
        ]
        return History(tuple(point for point in points if point is not None))

    def _point(
        self, row: RouteRow, machine: Machine, wave: Wave, t: float, step: float
    ) -> Point | None:
        wall_ms = (time.time() - self.elapsed() + t) * 1000
        ago = self.elapsed() - t
        quality = "good"
        if machine.mode.name != "good" and t >= machine.since:
            quality = machine.mode.name
        for device, begin, end, hole in self.holes:
            if device == row.device and end <= ago <= begin:
                quality = hole
        if quality == "silent":
            return None
        if quality == "bad":
            return Point(wall_ms, None, "bad", None, None)
        # A stretch of several readings has a spread; one of a single reading has none.
        values = [
            _value(row, wave, t + step * i / 4) for i in range(4 if step > machine.period_s else 1)
        ]
        numbers = [float(value) for value in values]
        return Point(wall_ms, sum(numbers) / len(numbers), quality, min(numbers), max(numbers))


def _value(channel: RouteRow, wave: Wave, t: float) -> float | bool:
    if channel.kind == "bool":
        return wave.at(t) > 0.5
    if channel.route == "host.uptime":
        return round(wave.middle + t)
    step = channel.step or 0.01
    return round(round(wave.at(t) / step) * step, 6)
