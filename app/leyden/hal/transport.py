"""The guard that is common to all buses: deadlines, turns, counters, recovery and giving up.

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
from typing import ClassVar, Final, Generic, Protocol, TypeVar

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
from leyden.hal.load import LoadMeter
from leyden.kernel import Clock, DeadlineError, NoDataError, Value

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
