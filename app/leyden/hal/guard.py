"""The guard above every raw bus, real or modelled: deadlines, turns, counters and recovery.

A guard opens its raw bus when it is first needed and again whenever it was lost. It belongs to one
lane. What it adds to a transfer:

- the time allowed, `deadline` or what `allow` said, is checked before and after; past it every
  further transfer is refused, which ends even a driver that polls in a loop;
- a transfer that was not acknowledged is repeated at once, a few times, and counted;
- a stuck bus is worked up a ladder, one rung a transfer: try again, open again, then whatever
  `recovery` brings; `status` names the last address as the suspect;
- a call that hangs is given up with `abandon`: the next caller gets a newly opened bus, the old one
  is refused for good when its call comes back.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Generic, Protocol, TypeAlias, TypeVar

from leyden.hal.errors import (
    AbandonedError,
    BusError,
    BusHungError,
    BusLostError,
    BusMissingError,
    BusStuckError,
    BusTurnError,
    NoAnswerError,
    PermissionBusError,
)
from leyden.hal.gpio import Bias, Edge, EdgeEvent, InputLine, OutputLine, RawGpioChip
from leyden.hal.i2c import Message, RawI2cBus, bits_of, bytes_of
from leyden.hal.lease import LeasedOutput, LeaseKeeper
from leyden.hal.load import LoadMeter
from leyden.hal.spi import RawSpiBus
from leyden.hal.uart import BITS_PER_BYTE, IDLE_S, RawUart
from leyden.kernel import NS, Clock, DeadlineError, NoDataError, Value

RETRIES: Final = 2  # of a transfer that was not acknowledged


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of recovery beyond opening the bus again, such as cycling a sensor's supply."""

    name: str
    act: Callable[[str], None]  # gets the suspect in words; raises BusError when it could not


class Raw(Protocol):
    """What a guard needs of any raw bus."""

    def close(self) -> None:
        """Give the bus back."""
        ...


B = TypeVar("B", bound=Raw)
T = TypeVar("T")


class _Session(Generic[B]):
    """One opened raw bus and the right to use it; given up as a whole."""

    def __init__(self, raw: B) -> None:
        self.raw = raw
        # Taken without waiting, so it can never hold a lane up: it only tells two lanes apart.
        self.turn = threading.Lock()
        self.abandoned = False


@dataclass(frozen=True, slots=True)
class _Work:
    """What is on the bus right now, and who brought it there."""

    suspect: str
    thread: threading.Thread
    until_ns: int | None


class Guard(Generic[B]):
    """Everything that is the same for all kinds of bus; also the kernel's `Transport`.

    Args:
        name: "i2c1"; also the name of the bus's lane.
        open_raw: opens the raw bus; raises `BusError` in words where it cannot.
        clock: for deadlines and load.
        path: for the devices page: "/dev/i2c-1".
        recovery: further rungs of the ladder for a stuck bus.
    """

    kind: ClassVar[str] = ""
    reopens: ClassVar[bool] = True  # whether a given-up bus is opened again

    def __init__(
        self,
        name: str,
        open_raw: Callable[[], B],
        clock: Clock,
        *,
        path: str = "",
        recovery: Sequence[Rung] = (),
    ) -> None:
        self.name = name
        self.path = path
        self._open_raw = open_raw
        self._clock = clock
        self._meter = LoadMeter(clock)
        self._ladder = (Rung("retry", _nothing), Rung("reopen", self._reopen), *recovery)
        self._rung = 0
        self._recovered: dict[str, int] = {}
        self._session: _Session[B] | None = None
        self._work: _Work | None = None
        self._holder = ""
        self._holder_thread: threading.Thread | None = None
        self._until_ns: int | None = None
        self._outcasts: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
        self._state = "closed"
        self._suspect = ""
        self.transfers = self.errors = self.retries = self.bytes = self.opened = 0
        self.abandonments = 0

    # The kernel's side: Transport.

    def allow(self, holder: str, until_ns: int) -> None:
        """Let `holder` use the bus until that monotonic time; refuse transfers after it.

        Raises:
            AbandonedError: this caller was given up before.
        """
        self._refuse_outcast()
        self._holder, self._until_ns = holder, until_ns
        self._holder_thread = threading.current_thread()

    def release(self) -> None:
        """End what `allow` began."""
        if threading.current_thread() not in self._outcasts:
            self._holder, self._holder_thread, self._until_ns = "", None, None

    def abandon(self) -> str:
        """Give up the transfer that hangs; return words that name the suspect.

        The thread in it is refused from now on, and closes its own handle when the system lets it
        go: closing it here could hand the same file number to somebody else under its feet.
        """
        work, session = self._work, self._session
        self.abandonments += 1
        self._cast_out(work)
        if work is None:
            return f"{self.name}, with no transfer under way"
        self._work = None
        self._state, self._suspect = "hung", work.suspect
        if session is not None:
            session.abandoned = True
            self._session = None if self.reopens else _Session(session.raw)
        return work.suspect

    def status(self) -> Mapping[str, Value]:
        """Figures for the devices page."""
        return {
            "name": self.name,
            "kind": self.kind,
            "path": self.path,
            "state": "hung" if self._overdue() else self._state,
            "load": round(self._meter.load(), 4),
            "transfers": self.transfers,
            "errors": self.errors,
            "retries": self.retries,
            "bytes": self.bytes,
            "opened": self.opened,
            "abandoned": self.abandonments,
            "recovered": dict(self._recovered),
            "suspect": self._suspect,
        }

    def close(self) -> None:
        """Give the raw bus back; the next transfer opens it again."""
        self._drop(self._session)
        self._state = "closed"

    # The drivers' side, for the subclasses.

    def run(
        self, suspect: str, call: Callable[[B], T], deadline: int | None, *, late: bool = False
    ) -> T:
        """Carry out one transfer under all the rules.

        Args:
            suspect: words that name it: "transfer to 0x76".
            call: the transfer on the raw bus.
            deadline: monotonic ns, beside what `allow` said; the earlier counts.
            late: whether an answer after the deadline still counts.
        """
        self._refuse_outcast()
        until = self.until(deadline)
        self._refuse_late(until, f"before the {suspect}")
        session = self._session or self._open()
        if not session.turn.acquire(blocking=False):
            raise self._taken(suspect)
        self._work = _Work(suspect, threading.current_thread(), until)
        try:
            result = self._persist(session, suspect, call, until)
        finally:
            session.turn.release()
            if not session.abandoned:
                self._work = None
        if not late and self._is_late(until):
            self.errors += 1
            self._refuse_late(until, f"when the {suspect} came back")
        return result

    def until(self, deadline: int | None) -> int | None:
        """Return the earlier of a deadline and what `allow` said."""
        ambient = self._until_ns
        if deadline is None or ambient is None:
            return ambient if deadline is None else deadline
        return min(deadline, ambient)

    def count(self, bits: int, speed_hz: int, size: int) -> None:
        """Count what a transfer put on the wire."""
        self.bytes += size
        if speed_hz > 0:
            self._meter.add(bits, speed_hz)

    def _persist(
        self, session: _Session[B], suspect: str, call: Callable[[B], T], until: int | None
    ) -> T:
        left = RETRIES
        while True:
            try:
                result = self._once(session, call)
            except NoAnswerError:
                if left == 0 or self._is_late(until):
                    raise
                left -= 1
                self.retries += 1
            except BusStuckError:
                self._state, self._suspect = "stuck", suspect
                if self._is_late(until):
                    raise
                return self._recover(session, suspect, call)
            else:
                self._state, self._suspect, self._rung = "ok", "", 0
                return result

    def _once(self, session: _Session[B], call: Callable[[B], T]) -> T:
        self.transfers += 1
        try:
            result = call(session.raw)
        except NoDataError as error:
            self._refuse_given_up(session, error)
            self.errors += 1
            self._note(session, error)
            raise
        self._refuse_given_up(session, None)
        return result

    def _recover(self, session: _Session[B], suspect: str, call: Callable[[B], T]) -> T:
        """Climb one rung and try once more; the next failure climbs the next one."""
        rung = self._ladder[self._rung % len(self._ladder)]
        self._rung += 1
        self.retries += 1
        rung.act(suspect)
        result = self._once(self._session or session, call)
        self._recovered[rung.name] = self._recovered.get(rung.name, 0) + 1
        self._state, self._suspect, self._rung = "ok", "", 0
        return result

    def _note(self, session: _Session[B], error: NoDataError) -> None:
        if isinstance(error, NoAnswerError):
            self._state, self._suspect = "ok", ""  # silence at one address: the bus itself moves
        elif isinstance(error, (BusLostError, BusMissingError, PermissionBusError)):
            self._drop(session)
            self._state = "closed"

    def _open(self) -> _Session[B]:
        try:
            raw = self._open_raw()
        except BusError:
            self.errors += 1
            self._state = "closed"
            raise
        self.opened += 1
        if self._state == "closed":
            self._state = "ok"
        self._session = _Session(raw)
        return self._session

    def _reopen(self, _: str) -> None:
        session = self._session
        if session is not None:
            session.raw.close()
            session.raw = self._open_raw()
            self.opened += 1

    def _drop(self, session: _Session[B] | None) -> None:
        if session is not None:
            session.raw.close()
        if self._session is session:
            self._session = None

    def _refuse_outcast(self) -> None:
        if threading.current_thread() in self._outcasts:
            raise AbandonedError(
                f"{self.name} was taken from {threading.current_thread().name} when its call hung"
            )

    def _cast_out(self, work: _Work | None) -> None:
        for thread in (work.thread if work else None, self._holder_thread):
            if thread is not None:
                self._outcasts.add(thread)
        self._holder, self._holder_thread, self._until_ns = "", None, None

    def _refuse_given_up(self, session: _Session[B], error: NoDataError | None) -> None:
        if not session.abandoned:
            return
        if self.reopens:
            session.raw.close()
        raise AbandonedError(f"{self.name}: the call came back after it was given up") from error

    def _refuse_late(self, until: int | None, when: str) -> None:
        if self._is_late(until):
            whose = f" allowed to {self._holder}" if self._holder else ""
            raise DeadlineError(f"the time{whose} on {self.name} was over {when}")

    def _is_late(self, until: int | None) -> bool:
        return until is not None and self._clock.monotonic_ns() >= until

    def _overdue(self) -> bool:
        work = self._work
        return work is not None and self._is_late(work.until_ns)

    def _taken(self, suspect: str) -> BusError:
        work, caller = self._work, threading.current_thread().name
        under_way = f"the {work.suspect} by {work.thread.name}" if work else "another transfer"
        if self._overdue():
            return BusHungError(f"{self.name} hangs in {under_way}; {caller} has to wait")
        return BusTurnError(
            f"{self.name} is used by two lanes at once: {under_way} is not over "
            f"and {caller} wants the {suspect}"
        )


def _nothing(_: str) -> None:
    """The first rung: only try again."""


class GuardedI2c(Guard[RawI2cBus]):
    """An `I2cBus` under guard."""

    kind = "i2c"

    def transfer(
        self, address: int, messages: Sequence[Message], *, deadline: int | None = None
    ) -> list[bytes]:
        """Carry out `messages` as `I2cBus.transfer` says."""

        def call(raw: RawI2cBus) -> list[bytes]:
            answers = raw.transfer(address, messages)
            self.count(bits_of(messages), raw.speed_hz, bytes_of(messages))
            return answers

        return self.run(f"transfer to {address:#04x}", call, deadline)


class GuardedSpi(Guard[RawSpiBus]):
    """An `SpiBus` under guard."""

    kind = "spi"

    def transfer(
        self,
        chip_select: int,
        data: bytes,
        *,
        speed_hz: int,
        mode: int = 0,
        deadline: int | None = None,
    ) -> bytes:
        """Exchange `data` as `SpiBus.transfer` says."""

        def call(raw: RawSpiBus) -> bytes:
            answer = raw.transfer(chip_select, data, speed_hz=speed_hz, mode=mode)
            self.count(8 * len(data), speed_hz, len(data))
            return answer

        return self.run(f"transfer to chip select {chip_select}", call, deadline)


class GuardedUart(Guard[RawUart]):
    """A `Uart` under guard."""

    kind = "uart"

    def read(self, limit: int, *, deadline: int | None = None) -> bytes:
        """Return what has arrived, as `Uart.read` says."""
        until = self.until(deadline)
        if until is None:
            until = self._clock.monotonic_ns() + round(IDLE_S * NS)

        def call(raw: RawUart) -> bytes:
            data = raw.read(limit, deadline=until)
            self._count_bytes(raw, data)
            return data

        # What arrived just as the time was over has arrived: the next call is refused, not this.
        return self.run("read", call, deadline, late=True)

    def write(self, data: bytes, *, deadline: int | None = None) -> None:
        """Send `data`, as `Uart.write` says."""

        def call(raw: RawUart) -> None:
            raw.write(data, deadline=self.until(deadline))
            self._count_bytes(raw, data)

        self.run("write", call, deadline)

    def flush_input(self) -> None:
        """Throw away what has arrived and was not read."""
        self.run("flush", lambda raw: raw.flush_input(), None)

    def _count_bytes(self, raw: RawUart, data: bytes) -> None:
        self.count(BITS_PER_BYTE * len(data), raw.speed_bd, len(data))


class GuardedGpio(Guard[RawGpioChip]):
    """A `GpioChip` under guard, whose outputs are held on leases.

    A chip's lines cannot be taken twice, so after `abandon` the same open chip goes on.
    """

    kind = "gpio"
    reopens = False

    def __init__(
        self,
        name: str,
        open_raw: Callable[[], RawGpioChip],
        clock: Clock,
        *,
        keeper: LeaseKeeper,
        path: str = "",
    ) -> None:
        super().__init__(name, open_raw, clock, path=path)
        self._keeper = keeper
        self._outputs: set[LeasedOutput] = set()

    def input(
        self,
        line: int,
        *,
        bias: Bias = Bias.AS_IS,
        active_low: bool = False,
        edges: Edge = Edge.NONE,
        debounce_s: float = 0.0,
    ) -> InputLine:
        """Take `line` as an input, as `GpioChip.input` says."""

        def call(raw: RawGpioChip) -> InputLine:
            return raw.input(
                line, bias=bias, active_low=active_low, edges=edges, debounce_s=debounce_s
            )

        return _GuardedInput(self, self.run(f"request of line {line}", call, None))

    def output(
        self, line: int, *, safe: bool, active_low: bool = False, consumer: str = ""
    ) -> OutputLine:
        """Take `line` as an output at its safe value, as `GpioChip.output` says."""

        def call(raw: RawGpioChip) -> LeasedOutput:
            held = raw.drive(line, value=safe, active_low=active_low, consumer=consumer)
            name = f"{self.name} line {line}" + (f", {consumer}" if consumer else "")
            return LeasedOutput(name, line, held, safe=safe, keeper=self._keeper)

        leased = self.run(f"request of line {line}", call, None)
        self._outputs.add(leased)
        return _GuardedOutput(self, leased)

    def close(self) -> None:
        """Drive every output safe and give the chip back."""
        for output in sorted(self._outputs, key=lambda each: each.line):
            self.close_output(output)
        super().close()

    def close_output(self, output: LeasedOutput) -> None:
        """Drive one output safe and give its line back."""
        self._outputs.discard(output)
        output.close()


class _GuardedInput:
    """An input line whose use is counted and bounded like any transfer."""

    def __init__(self, guard: GuardedGpio, raw: InputLine) -> None:
        self.line = raw.line
        self._guard = guard
        self._raw = raw
        self._words = f"read of line {raw.line}"

    def value(self) -> bool:
        return self._guard.run(self._words, lambda _: self._raw.value(), None)

    def events(self, limit: int = 64) -> list[EdgeEvent]:
        return self._guard.run(self._words, lambda _: self._raw.events(limit), None)

    def missed(self) -> int:
        return self._raw.missed()

    def close(self) -> None:
        self._raw.close()


class _GuardedOutput:
    """An output line whose use is counted and bounded like any transfer."""

    def __init__(self, guard: GuardedGpio, leased: LeasedOutput) -> None:
        self.line = leased.line
        self._guard = guard
        self._leased = leased
        self._words = f"write to line {leased.line}"

    def hold(self, value: bool, lease_ms: int) -> None:
        self._guard.run(self._words, lambda _: self._leased.hold(value, lease_ms), None)

    def value(self) -> bool:
        return self._guard.run(self._words, lambda _: self._leased.value(), None)

    def close(self) -> None:
        # Never refused, not even after the deadline: closing is how a line is made safe.
        self._guard.close_output(self._leased)


AnyGuard: TypeAlias = GuardedI2c | GuardedSpi | GuardedUart | GuardedGpio
