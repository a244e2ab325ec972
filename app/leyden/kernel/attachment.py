"""Attachments: a device in its place, with its state, its readings judged, its failures counted.

A driver says what it read or why it could not. What that is worth is decided here: a value outside
the possible range is bad, a failed read keeps the last value as stale for a short while and then
turns it bad with the reason in words, a device that answers again comes back by itself.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from leyden.kernel.clock import NS
from leyden.kernel.device import Channel, Device, DeviceState, Direction, Doubt, Reading
from leyden.kernel.errors import (
    ComponentError,
    DeviceError,
    DeviceResetError,
    NoDataError,
    NotReadyError,
    WrongDeviceError,
)
from leyden.kernel.event import BAD, GOOD, UNCERTAIN, Quality, RouteInfo, Value
from leyden.kernel.route import Origin, Route
from leyden.kernel.timing import Timing, TimingFigures

if TYPE_CHECKING:
    from leyden.kernel.stream import EventStream

STALE_PERIODS: Final = 3  # a value older than this many periods is bad …
STALE_FLOOR_S: Final = 2.0  # … but not before two seconds
_SHORTEST_S: Final = 1e-3  # a period below the scheduler's own grain would only spin
_FIRST_RETRY_S: Final = 0.5
_LONGEST_RETRY_S: Final = 5.0  # a chip plugged back in is found within this
T = TypeVar("T")
_LIFECYCLE: Final = ("attached", "detached", "failed", "degraded", "recovered")


class IfAbsent(StrEnum):
    """What a device that does not answer at boot means for the boot."""

    RETRY = "retry"  # goes on, and keeps trying
    FAIL = "fail"  # ends the boot
    IGNORE = "ignore"  # goes on, and tries again at the next boot


@dataclass(frozen=True, slots=True)
class Placement:
    """How a device is run: its name, rate and role."""

    id: str
    period_s: float = 1.0
    check_s: float = 10.0  # distance of witness checks
    deadline_s: float | None = None  # for one read; default: the period, within 0.25 … 1 s
    if_absent: IfAbsent = IfAbsent.RETRY
    label: str = ""
    group: str = ""
    driver: str = ""
    address: str = ""
    needs: tuple[str, ...] = ()  # devices that must be online first
    normal: Mapping[str, tuple[float, float]] | None = None
    labels: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        for what in ("period_s", "deadline_s"):
            value = getattr(self, what)
            if value is not None and not (math.isfinite(value) and value >= _SHORTEST_S):
                raise ComponentError(
                    f"device {self.id}: found {what} {value!r}, expected {_SHORTEST_S:g} or more"
                )


class Fault(msgspec.Struct, frozen=True):
    """The last thing that went wrong with a device, and when."""

    reason: str
    detail: str
    mono: int


class DeviceStatus(msgspec.Struct, frozen=True):
    """What the devices page shows of one device."""

    id: str
    driver: str
    label: str
    compatible: str
    bus: str
    address: str
    state: DeviceState
    since_s: float
    fault: Fault | None
    witness: str
    witness_result: str
    witness_age_s: float | None
    channels: tuple[str, ...]
    period_s: float
    reads: int
    errors: int
    resets: int
    timing: TimingFigures


class Attachment:
    """One device in its place on a lane. Only that lane calls `step`, `write` and `detach`."""

    def __init__(
        self,
        device: Device[Any],
        place: Placement,
        events: EventStream,
        is_online: Callable[[str], bool],
        bus: str,
    ) -> None:
        self.device = device
        self.place = place
        self.bus = bus
        self.id = place.id
        self.state = DeviceState.ABSENT
        self.fault: Fault | None = None
        self.timing = Timing()
        self.reads = self.errors = self.resets = 0
        self.witness_result = ""
        self._witness_ns: int | None = None
        self._events = events
        self._clock = events.clock
        self._is_online = is_online
        self._source = f"device.{place.id}"
        self._since = self._clock.monotonic_ns()
        self._channels = device.channels()
        self._routes = self._declare_channels()
        self._last_values: tuple[Value, ...] = ()
        self._good_ns: int | None = None  # when the last reading arrived
        self._started_ns = 0
        self._retry_s = _FIRST_RETRY_S
        self._was_seen = False
        self._stepping = False
        self._epoch = 0  # counts the times the lane gave up on a call
        self._reported: tuple[DeviceState, str] | None = None  # the failure last published
        self._checked_ns = 0
        self._limit_ns = round(max(STALE_PERIODS * place.period_s, STALE_FLOOR_S) * NS)
        for word in _LIFECYCLE:
            events.declare_system(f"device.{place.id}.{word}")

    # What the lane asks

    @property
    def online(self) -> bool:
        """Whether readings are expected."""
        return self.state in (DeviceState.ONLINE, DeviceState.DEGRADED)

    @property
    def period_ns(self) -> int:
        """Distance of reads."""
        return round(self.place.period_s * NS)

    @property
    def deadline_ns(self) -> int:
        """Time allowed for one step on the wire."""
        usual = min(1.0, max(0.25, self.place.period_s))
        return round((self.place.deadline_s or self.device.deadline_s or usual) * NS)

    def step(self) -> float:
        """Attach, or read, or check, whatever is next; return seconds until the next step is due.

        A device that is online returns its period; one that is not, its growing retry interval.
        """
        missing = next((need for need in self.place.needs if not self._is_online(need)), None)
        if missing is not None:
            self._wait_for(missing)
            return _FIRST_RETRY_S
        self._stepping = True
        try:
            if not self.online and not self._attach():
                return self._back_off()
            self._read()
        except _AbandonedError:
            return self._retry_s
        except DeviceResetError as error:
            self.resets += 1
            self._failed(error)
            self._restart_after_reset()
        except DeviceError as error:
            self._failed(error)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a driver's mistake stays its own
            self._failed(_DriverError(f"{type(error).__name__}: {error}"))
        finally:
            self._stepping = False
        return self.place.period_s if self.online else self._retry_s

    def write(self, channel: str, value: Value) -> None:
        """Drive an output channel, and publish at once what it reads back.

        Raises:
            DeviceError: the device is not there, or refuses.
        """
        if not self.online:
            raise DeviceError(f"{self.id} is {self.state}; nothing was written")
        self.device.write(channel, value)
        # The value from before a change is no longer a good one. A rule that answers each reading
        # with a write is not to chase itself: the same value again waits for its period.
        if self._shown(channel) != value and not self._stepping:
            self.step()

    def _shown(self, channel: str) -> Value:
        names = [each.name for each in self._channels]
        shown = self._last_values
        return shown[names.index(channel)] if channel in names and shown else None

    @property
    def retry_s(self) -> float:
        """Seconds until the next attempt while the device is away."""
        return self._retry_s

    def stop_failed(self, error: Exception) -> None:
        """Record that the device could not be stopped properly."""
        self.errors += 1
        self.fault = Fault("stop_failed", f"{type(error).__name__}: {error}", self._now())

    def hung(self, suspect: str) -> None:
        """The lane gave up waiting for this device or for one beside it on the bus."""
        self.errors += 1
        self._epoch += 1
        self._down(DeviceState.OFFLINE, "no_data", f"{self.bus or self.id} hangs: {suspect}")

    def detach(self) -> None:
        """Stop the device; its outputs go to their safe state."""
        was_online = self.online
        self._epoch += 1  # a read that hangs and comes back after this says nothing any more
        try:
            self.device.stop()
        finally:
            self._enter(DeviceState.OFFLINE)
            # Whoever starts it again finds it as at the first time.
            self._reported, self._retry_s, self._good_ns = None, _FIRST_RETRY_S, None
            if was_online:
                self._publish_bad("no_data", f"{self.id} was stopped")
            self._tell("detached", {"state": str(self.state)})

    def status(self) -> DeviceStatus:
        """Return what the devices page shows; callable from any thread."""
        now = self._clock.monotonic_ns()
        checked = self._witness_ns
        return DeviceStatus(
            self.id,
            self.place.driver or type(self.device).__name__,
            self.place.label,
            self.device.compatible,
            self.bus,
            self.place.address,
            self.state,
            (now - self._since) / NS,
            self.fault,
            self.device.witness,
            self.witness_result,
            (now - checked) / NS if checked is not None else None,
            self._routes,
            self.place.period_s,
            self.reads,
            self.errors,
            self.resets,
            self.timing.figures(),
        )

    # Attaching

    def _attach(self) -> bool:
        if self._reported is None:
            self._enter(DeviceState.STARTING)
        try:
            self._ask(self.device.probe)
            self._ask(self.device.start)
            self._check()
        except WrongDeviceError as error:
            self._down(DeviceState.FAILED, error.reason, str(error))
        except DeviceError as error:
            state = DeviceState.OFFLINE if self._was_seen else DeviceState.ABSENT
            self._down(state, error.reason, str(error))
        else:
            self._started_ns = self._clock.monotonic_ns()
            self._retry_s = _FIRST_RETRY_S
            self._was_seen = True
            self._reported = None
            self._enter(DeviceState.ONLINE)
            self._tell("attached", {"driver": self.place.driver, "channels": list(self._routes)})
            return True
        return False

    def _ask(self, call: Callable[[], T]) -> T:
        # A call that comes back after it was given up on says nothing about the present, whether it
        # brings a value or an error.
        epoch = self._epoch
        try:
            return call()
        finally:
            if self._epoch != epoch:
                raise _AbandonedError

    def _back_off(self) -> float:
        wait, self._retry_s = self._retry_s, min(_LONGEST_RETRY_S, self._retry_s * 2)
        return wait

    def _wait_for(self, need: str) -> None:
        if self.online or self._reported is None:
            self._down(DeviceState.OFFLINE, "no_data", f"waits for {need}")

    def _restart_after_reset(self) -> None:
        # The part is there but has forgotten its settings: write them again at once, so that one
        # reading is lost and not a back-off's worth. It may be another part by now: ask first.
        try:
            self._ask(self.device.probe)
            self._ask(self.device.start)
        except DeviceError as error:
            self._failed(error)
        else:
            self._started_ns = self._clock.monotonic_ns()

    # Reading

    def _read(self) -> None:
        now = self._clock.monotonic_ns()
        if now - self._checked_ns >= self.place.check_s * NS:
            self._check()
        try:
            reading = self._ask(self.device.read)
        except NotReadyError as error:
            # Since it was started, not since it was last good: it may have been away for long.
            if self._now() - max(self._good_ns or 0, self._started_ns) >= self._limit_ns:
                raise NoDataError(str(error)) from error
            return
        self.reads += 1
        self._publish(reading)
        self._good_ns = self._clock.monotonic_ns()
        if self.state is DeviceState.DEGRADED:
            self._enter(DeviceState.ONLINE)
            self._tell("recovered", {"errors": self.errors})

    def _check(self) -> None:
        try:
            self._ask(self.device.check)
        except DeviceError as error:
            self.witness_result = str(error)
            raise
        else:
            self.witness_result = "ok"
        finally:
            self._checked_ns = self._witness_ns = self._clock.monotonic_ns()

    def _publish(self, reading: Reading) -> None:
        values, doubts = reading.values(), reading.doubts
        warming = self._warming_up()
        judged = [
            self._judge(channel, values.get(channel.name), doubts.get(channel.name, warming))
            for channel in self._channels
        ]
        self._last_values = tuple(value for value, _ in judged)
        self._publish_judged(judged)

    def _warming_up(self) -> Doubt | None:
        left = self.device.warm_up_s - (self._clock.monotonic_ns() - self._started_ns) / NS
        if left <= 0:
            return None
        return Doubt.uncertain("warming_up", f"warming up, {math.ceil(left)} s to go")

    def _judge(self, channel: Channel, value: Value, doubt: Doubt | None) -> _Judged:
        if doubt is not None and doubt.quality is BAD:
            return None, doubt
        if value is None:
            return None, Doubt.bad("no_data", f"{channel.name} was not read")
        wrong = _impossible(channel, value)
        if wrong:
            return None, Doubt.bad("out_of_range", wrong)
        return _rounded(channel, value), doubt

    def _publish_judged(self, judged: list[_Judged]) -> None:
        values = tuple(value for value, _ in judged)
        if all(doubt is None for _, doubt in judged):
            self._events.publish_scan(self._routes, values, source=self._source)
            return
        self._events.publish_scan(
            self._routes,
            values,
            source=self._source,
            qualities=tuple(doubt.quality if doubt else GOOD for _, doubt in judged),
            reasons=tuple(doubt.reason if doubt else "" for _, doubt in judged),
            details=tuple(doubt.detail if doubt else "" for _, doubt in judged),
        )

    # Failing

    def _failed(self, error: DeviceError) -> None:
        self.errors += 1
        detail = str(error)
        self.fault = Fault(error.reason, detail, self._clock.monotonic_ns())
        if isinstance(error, WrongDeviceError):
            self._down(DeviceState.FAILED, error.reason, detail)
        elif self._good_ns is None or self._is_too_old():
            self._down(DeviceState.OFFLINE, error.reason, self._with_age(detail))
        else:
            self._stale(detail)

    def _now(self) -> int:
        return self._clock.monotonic_ns()

    def _with_age(self, detail: str) -> str:
        # "no answer from 0x76; check the cable" → "no answer from 0x76 for 3 s; check the cable"
        if self._good_ns is None:
            return detail
        what, semicolon, remedy = detail.partition(";")
        if _SAYS_HOW_LONG.search(what):
            return detail
        return f"{what} for {self._age() / NS:.0f} s{semicolon}{remedy}"

    def _is_too_old(self) -> bool:
        # A reading arrives a little after it was due, and a failure may be found sooner: looking at
        # the age alone would take one more period, and then the limit is long past.
        return self._age() + self.period_ns // 2 >= self._limit_ns

    def _age(self) -> int:
        return self._now() - (self._good_ns or self._started_ns)

    def _stale(self, detail: str) -> None:
        if self.state is not DeviceState.DEGRADED:
            self._enter(DeviceState.DEGRADED)
            value = {"errors": self.errors}
            self._tell("degraded", value, quality=UNCERTAIN, reason="stale", detail=detail)
        doubt = Doubt.uncertain("stale", detail)
        kept = self._last_values
        self._publish_judged(
            [(v, doubt) if v is not None else (None, Doubt.bad("no_data", detail)) for v in kept]
        )

    def _down(self, state: DeviceState, reason: str, detail: str) -> None:
        # Retries that find the same thing again are no news.
        self.fault = Fault(reason, detail, self._clock.monotonic_ns())
        self._enter(state)
        if self._reported != (state, reason):
            self._reported = (state, reason)
            self._publish_bad(reason, detail)
            self._tell("failed", {"state": str(state)}, quality=BAD, reason=reason, detail=detail)

    def _publish_bad(self, reason: str, detail: str) -> None:
        doubt = Doubt.bad(reason, detail)
        self._publish_judged([(None, doubt) for _ in self._channels])

    # Bookkeeping

    def _declare_channels(self) -> tuple[str, ...]:
        place = self.place
        keys = []
        for channel in self._channels:
            out = channel.direction is Direction.OUT
            origin = Origin.OUTPUT if out else Origin.INPUT
            route = Route.of(f"{place.id}.{channel.name}", channel.schema(), origin=origin)
            label = (place.labels or {}).get(channel.name) or channel.label
            info = RouteInfo(
                route,
                label=label or channel.name.replace("_", " "),
                group=place.group or place.label or place.id,
                decimals=channel.decimals(),
                period_s=place.period_s,
                normal=(place.normal or {}).get(channel.name) or channel.normal,
            )
            keys.append(self._events.declare(route, info).key)
        self._events.declare_scan(tuple(keys), self._source)
        return tuple(keys)

    def _enter(self, state: DeviceState) -> None:
        if state is not self.state:
            self.state = state
            self._since = self._clock.monotonic_ns()

    def _tell(
        self,
        word: str,
        value: dict[str, Value],
        *,
        quality: Quality = GOOD,
        reason: str = "",
        detail: str = "",
    ) -> None:
        self._events.publish(
            f"device.{self.id}.{word}",
            {"device": self.id, **value},
            source=self._source,
            quality=quality,
            reason=reason,
            detail=detail,
        )


_Judged = tuple[Value, Doubt | None]
_SAYS_HOW_LONG: Final = re.compile(r" for \d+ s$")
_WORDS: Final = {bool: "true or false", str: "text"}


class _AbandonedError(Exception):
    """The lane has given up on the call that is just returning."""


class _DriverError(DeviceError):
    """An exception that a driver should not have let out."""

    reason = "driver_error"


def _impossible(channel: Channel, value: Value) -> str:
    if channel.kind in (bool, str):
        right = isinstance(value, channel.kind)
        return "" if right else f"{channel.name} is {value!r}, expected {_WORDS[channel.kind]}"
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return f"{channel.name} is {value!r}, which is no number"
    low, high = channel.minimum, channel.maximum
    if (low is not None and value < low) or (high is not None and value > high):
        return f"{channel.name} is {value:g} {channel.unit}, possible is {low:g} … {high:g}"
    return ""


def _rounded(channel: Channel, value: Value) -> Value:
    if channel.kind in (bool, str):
        return value
    if channel.kind is int:
        return int(value)
    if not channel.step:
        return float(value)
    # Exactly the digits of the step: the log stays short, and equal on every machine.
    return round(round(value / channel.step) * channel.step, _digits(channel.step))


@functools.cache
def _digits(step: float) -> int:
    exponent = Decimal(repr(step)).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
