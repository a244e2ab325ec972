"""A bench in simulated time: one driver, its chip model, and the real kernel between them."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final

from leyden.hal.errors import WorldError
from leyden.hal.guard import AnyGuard
from leyden.hal.mock.chip import Chip
from leyden.hal.mock.rig import Rig
from leyden.hal.mock.world import Source
from leyden.kernel import (
    BAD,
    GOOD,
    NS,
    Channel,
    Delivery,
    DeviceState,
    DeviceStatus,
    Direction,
    Event,
    Runtime,
    SimulatedExecutor,
)
from leyden.testing.kit import Kit

BUS: Final = "bus0"
_REMEMBERED: Final = 4096  # changes of the world that an event may still be measured by
_LATENCY_S: Final = 0.5  # between the world and a reading, where a model does not say


@dataclass(slots=True)
class Tally:
    """How readings turned out; `wrong` are good ones that were not true."""

    good: int = 0
    uncertain: int = 0
    bad: int = 0
    wrong: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)

    def total(self) -> int:
        """All readings counted."""
        return self.good + self.uncertain + self.bad + len(self.wrong)


class Bench:
    """Runs one driver against its model, and judges what it publishes by what was true.

        with Bench(load_kit("my_drivers.mychip")) as bench:
            bench.set("temperature", 21.0)
            bench.run_for(5)
            assert bench.tally.wrong == []

    Args:
        kit: the driver.
        seed: of the world's noise and of faults that strike by chance.
        plug: makes what is connected instead of the kit's own model; None connects nothing.
        proxy: wraps the bus that the driver gets.
    """

    def __init__(
        self,
        kit: Kit,
        *,
        seed: int = 0,
        plug: Callable[..., Chip] | str | None = "model",
        proxy: Callable[[AnyGuard], Any] | None = None,
    ) -> None:
        self.kit = kit
        self.executor = SimulatedExecutor()
        self.rig = Rig(self.executor, seed=seed)
        self.world = self.rig.world
        self.tally = Tally()
        self.events: deque[Event] = deque(maxlen=_REMEMBERED)
        self.options = kit.options()
        self.bus = self._make_bus()
        self.chip = self._plug(kit.model if plug == "model" else plug)
        self.device = kit.driver(proxy(self.bus) if proxy and self.bus else self.bus, self.options)
        channels: tuple[Channel, ...] = self.device.channels()
        self.channels = {channel.name: channel for channel in channels}
        self.runtime = Runtime("bench", executor=self.executor)
        self.runtime.add_device(self.device, kit.device_id, transport=self.bus, every_s=kit.every_s)
        self.runtime.events.subscribe(
            self._hear, name="bench", prefix=self._names(), delivery=Delivery.INLINE
        )
        self._courses: dict[str, list[tuple[int, Any]]] = {}

    def __enter__(self) -> Bench:
        self.runtime.boot()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.heal()
        self.runtime.shutdown("the test is over")
        self.rig.close()
        self.executor.close()

    # The world

    def sensed(self) -> dict[str, Channel]:
        """The input channels whose quantity the model takes from the world, by name."""
        return {
            name: channel
            for name, channel in self.channels.items()
            if channel.direction is Direction.IN and self._source(name) is not None
        }

    def set(self, channel: str, value: Any) -> None:
        """Make this true from now on; what follows from it in the world is true as well."""
        self._note_truths()
        self.world.set(f"{self.kit.device_id}.{channel}", value)
        self._note_truths()

    def truth(self, channel: str) -> Any:
        """What is true of a channel now."""
        return self.world.get(f"{self.kit.device_id}.{channel}")

    def fault(self, text: str) -> None:
        """Let a fault of `hal.mock.faults` strike: "nack", or "bus nack" for the whole bus."""
        name, _, rest = text.partition(" ")
        if name == "bus":
            self.world.set(f"{BUS}.fault", rest)
        elif text == "absent":
            self.world.set(f"{self.kit.device_id}.present", False)
        else:
            self.world.set(f"{self.kit.device_id}.fault", text)

    def heal(self) -> None:
        """Take every fault away."""
        for name, sound in (
            (f"{self.kit.device_id}.present", True),
            (f"{self.kit.device_id}.fault", "none"),
            (f"{BUS}.fault", "none"),
        ):
            if name in self.world.names():
                self.world.set(name, sound)

    # Time

    def run_for(self, seconds: float) -> None:
        """Let so much time pass."""
        self.executor.run_for(seconds)

    def run_reads(self, count: int) -> None:
        """Let so many periods pass."""
        self.run_for(count * self.kit.every_s)

    def settle(self, limit_s: float = 60.0) -> bool:
        """Let time pass until every sensed channel is good, warm-up over; return whether it is."""
        end = self.executor.clock.monotonic_ns() + round(limit_s * NS)
        while self.executor.clock.monotonic_ns() < end:
            self.run_reads(1)
            if self.all_good():
                return True
        return False

    # What came of it

    def status(self) -> DeviceStatus:
        """The device's line on the devices page."""
        return self.runtime.devices()[0]

    def latest(self, channel: str) -> Event | None:
        """The newest event of a channel."""
        return self.runtime.events.latest(f"{self.kit.device_id}.{channel}")

    def all_good(self) -> bool:
        """Whether the device is online and the newest event of every sensed channel is good."""
        newest = [self.latest(name) for name in self.sensed()]
        good = all(event is not None and event.quality is GOOD for event in newest)
        return good and self.status().state is DeviceState.ONLINE

    def tolerance(self, channel: str, codes: float = 1.0) -> float:
        """How far a true reading may be off: half a step for rounding, and so many codes.

        A model whose converter is coarser than the step says so in `lsb`, by channel.
        """
        step = self.channels[channel].step or 0.0
        code: float = getattr(self.chip, "lsb", {}).get(channel, step / 2)
        return step / 2 + codes * code + 1e-9 * abs(self.channels[channel].maximum or 0.0)

    def is_true(self, event: Event, codes: float = 1.0) -> bool:
        """Whether the event's value was true at some moment that it may have been measured at."""
        channel = event.route.removeprefix(f"{self.kit.device_id}.")
        latency = getattr(self.chip, "latency_s", _LATENCY_S) + self.kit.every_s
        return any(
            self.matches(channel, event.value, true, codes)
            for true in self._truths(channel, event.mono - round(latency * NS), event.mono)
        )

    def matches(self, channel: str, value: Any, true: Any, codes: float = 1.0) -> bool:
        """Whether a value is what is true, or so many codes from it."""
        if isinstance(true, (bool, str)):
            return bool(value == true)
        return abs(float(value) - float(true)) <= self.tolerance(channel, codes)

    # Within

    def _make_bus(self) -> Any:
        match self.kit.bus_kind:
            case "i2c":
                return self.rig.i2c(BUS)
            case "spi":
                return self.rig.spi(BUS)
            case "uart":
                return self.rig.uart(BUS)
            case "gpio":
                return self.rig.gpio(BUS)
        return None

    def _plug(self, model: Any) -> Chip | None:
        if model is None or self.bus is None:
            return None
        chip: Chip = self.rig.plug(BUS, model, self.kit.device_id, self.options)
        return chip

    def _names(self) -> tuple[str, ...]:
        return tuple(f"{self.kit.device_id}.{name}" for name in self.channels)

    def _source(self, channel: str) -> Source | None:
        try:
            source = self.world.source(f"{self.kit.device_id}.{channel}")
        except WorldError:
            return None
        kinds = {float: "number", int: "number", bool: "bool", str: "text"}
        wanted = self.channels[channel]
        alike = source.kind == kinds[wanted.kind]
        return source if alike and (source.kind != "number" or source.unit == wanted.unit) else None

    def _hear(self, event: Event) -> None:
        if event.route not in self._names():
            return
        self.events.append(event)
        if event.reason:
            self.tally.reasons[event.reason] += 1
        if event.quality is BAD:
            self.tally.bad += 1
        elif event.quality is not GOOD:
            self.tally.uncertain += 1
        elif self._is_sensed(event) and not self.is_true(event, codes=2.0):
            self.tally.wrong.append(f"{event.route} = {event.value}")
        else:
            self.tally.good += 1

    def _note_truths(self) -> None:
        now = self.executor.clock.monotonic_ns()
        for name in self.sensed():
            self._courses.setdefault(name, []).append((now, self.truth(name)))

    def _is_sensed(self, event: Event) -> bool:
        return self._source(event.route.removeprefix(f"{self.kit.device_id}.")) is not None

    def _truths(self, channel: str, since_ns: int, until_ns: int) -> Iterable[Any]:
        """Return every value that was true between two times."""
        course = self._courses.get(channel)
        if not course:
            source = self._source(channel)
            assert source is not None
            return [source.value(since_ns), source.value(until_ns)]
        begins = [0, *(at for at, _ in course[1:])]
        ends = [*begins[1:], until_ns + 1]
        return [
            value
            for (_, value), begin, end in zip(course, begins, ends, strict=True)
            if begin <= until_ns and end > since_ns
        ]
