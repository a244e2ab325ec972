"""Components that kernel tests are made of: devices that obey, services that fail on cue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from leyden.kernel import (
    Context,
    Device,
    Event,
    NoDataError,
    Process,
    Reading,
    Runtime,
    Service,
    SimulatedExecutor,
    Span,
)
from leyden.units import Celsius


@dataclass(frozen=True, slots=True, kw_only=True)
class Warmth(Reading):
    temperature: Annotated[Celsius, Span("Cel", -40, 85, step=0.01)]


class Thermometer(Device[Warmth]):
    """Reads what `value` says; every hook can be told to fail."""

    reading = Warmth
    witness = "answers"

    def __init__(self) -> None:
        self.value = 21.4
        self.present = True
        self.calls: list[str] = []
        self.fail: dict[str, Exception] = {}
        self.before: dict[str, Callable[[], object]] = {}

    def _hook(self, name: str) -> None:
        self.calls.append(name)
        if name in self.before:
            self.before[name]()
        if name in self.fail:
            raise self.fail[name]
        if not self.present:
            raise NoDataError("no answer")

    def probe(self) -> None:
        self._hook("probe")

    def start(self) -> None:
        self._hook("start")

    def read(self) -> Warmth:
        self._hook("read")
        return Warmth(temperature=Celsius(self.value))

    def check(self) -> None:
        self._hook("check")

    def stop(self) -> None:
        self.calls.append("stop")
        if "stop" in self.before:
            self.before["stop"]()
        if "stop" in self.fail:
            raise self.fail["stop"]


class Listener(Process):
    """Keeps what it hears."""

    def __init__(self, name: str = "listener", *prefixes: str) -> None:
        self.name = name
        self.prefixes = prefixes or ("",)  # type: ignore[misc]  # an instance may be choosier
        self.heard: list[Event] = []
        self.calls: list[str] = []

    def start(self, ctx: Context) -> None:
        self.calls.append("start")

    def handle(self, ctx: Context, event: Event) -> None:
        self.heard.append(event)

    def stop(self, ctx: Context) -> None:
        self.calls.append("stop")

    def routes(self) -> list[str]:
        return [event.route for event in self.heard]


class Ticker(Service):
    """Notes when it ticks; fails when told to."""

    def __init__(self, name: str = "ticker", period_s: float = 1.0) -> None:
        self.name = name
        self.period_s = period_s
        self.ticks: list[int] = []
        self.calls: list[str] = []
        self.on_tick: Callable[[Context], object] = lambda ctx: None
        self.on_start: Callable[[Context], object] = lambda ctx: None
        self.on_stop: Callable[[Context], object] = lambda ctx: None

    def start(self, ctx: Context) -> None:
        self.calls.append("start")
        self.on_start(ctx)

    def tick(self, ctx: Context) -> None:
        self.ticks.append(ctx.clock.monotonic_ns())
        self.on_tick(ctx)

    def stop(self, ctx: Context) -> None:
        self.calls.append("stop")
        self.on_stop(ctx)


class Rig:
    """A runtime in simulated time, with everything it publishes written down."""

    def __init__(self, **options: object) -> None:
        self.executor = SimulatedExecutor()
        self.runtime = Runtime("rig", executor=self.executor, **options)  # type: ignore[arg-type]
        self.events: list[Event] = []
        from leyden.kernel import Delivery

        self.runtime.events.subscribe(self.events.append, name="rig", delivery=Delivery.INLINE)

    def run_for(self, seconds: float) -> None:
        self.executor.run_for(seconds)

    def routes(self, prefix: str = "") -> list[str]:
        return [event.route for event in self.events if event.route.startswith(prefix)]

    def of(self, route: str) -> list[Event]:
        return [event for event in self.events if event.route == route]

    def close(self) -> None:
        self.runtime.shutdown("test over")
        self.executor.close()
