"""Leases on outputs: a line is driven for a limited time, then goes to its safe value by itself."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from leyden.hal.errors import BusError, BusLostError, MessageError
from leyden.hal.gpio import RawOutput
from leyden.kernel import NS, Clock, Executor, Lane, Signal

MS: Final = 1_000_000  # nanoseconds in a millisecond


@dataclass(frozen=True, slots=True)
class _Lease:
    value: bool
    until_ns: int


class LeasedOutput:
    """An output line that only a running lease keeps away from its safe value."""

    def __init__(
        self, name: str, line: int, raw: RawOutput, *, safe: bool, keeper: LeaseKeeper
    ) -> None:
        self.name = name  # for people: "gpio line 17, vent"
        self.line = line
        self.safe = safe
        self._raw = raw
        self._keeper = keeper
        self._lease: _Lease | None = None
        self._driven: bool | None = safe  # None: not known, the last attempt failed
        self._change = threading.Lock()  # for the lease alone, never held while the line is driven
        self._closed = False
        keeper.add(self)

    def hold(self, value: bool, lease_ms: int) -> None:
        """Drive the line to `value` until `lease_ms` are over, then to its safe value.

        Raises:
            MessageError: `lease_ms` is not positive.
            BusError: the line was closed, or could not be set.
        """
        if lease_ms <= 0:
            raise MessageError(f"{self.name}: found a lease of {lease_ms} ms, expected 1 or more")
        if self._closed:
            raise BusLostError(f"{self.name} is closed")
        until = self._keeper.clock.monotonic_ns() + lease_ms * MS
        with self._change:
            self._lease = _Lease(value, until)
        self._settle()
        self._keeper.expect(until)

    def value(self) -> bool:
        """Return the level read back from the line."""
        return self._raw.value()

    def close(self) -> None:
        """Drive the line to its safe value and give it back."""
        if self._closed:
            return
        self._closed = True
        self._keeper.remove(self)
        with self._change:
            self._lease = None
        try:
            self._settle()
        finally:
            self._raw.close()

    def until(self) -> int | None:
        """Return the monotonic time (ns) at which the lease ends; None where none runs."""
        lease = self._lease
        return lease.until_ns if lease else None

    def expire(self, now_ns: int) -> bool:
        """Go to the safe value if the lease is over by `now_ns`; return whether it was."""
        with self._change:
            if self._lease is not None and self._lease.until_ns <= now_ns:
                self._lease = None
        if self._lease is not None or self._driven is self.safe:
            return False
        self._settle()
        return True

    def _settle(self) -> None:
        """Drive the line to what the lease says, and again if the lease changed meanwhile.

        Holder and keeper may both be here. Each looks again after it has driven the line, so the
        last one to drive it has seen the last lease, without a lock around the system call.
        """
        while True:
            lease = self._lease
            value = lease.value if lease else self.safe
            self._driven = None
            self._raw.drive(value)
            self._driven = value
            if self._lease is lease:
                return


Expired: TypeAlias = Callable[[LeasedOutput], None]


class LeaseKeeper:
    """Ends leases on time, in a lane of its own that no bus and no device can hold up.

    Args:
        executor: what runs the lane, "leases".
        expired: called in that lane after a line went safe because nobody renewed its lease.
    """

    RETRY_S: Final = 0.1  # until a line that could not be set is tried again

    def __init__(self, executor: Executor, expired: Expired | None = None) -> None:
        self.clock: Clock = executor.clock
        self.expirations = 0
        self.failures = 0  # attempts to reach the safe value that the line refused
        self.deaf_listeners = 0  # calls of `expired` that raised
        self._executor = executor
        self._expired = expired
        self._outputs: tuple[LeasedOutput, ...] = ()
        self._change = threading.Lock()  # for the tuple alone
        self._wake: Signal = executor.signal()
        self._sleeps_until: int | None = None
        self._ending = False
        self._lane: Lane | None = None

    def start(self) -> None:
        """Begin to watch; a second call does nothing."""
        if self._lane is None:
            self._lane = self._executor.start_lane("leases", self._run)

    def stop(self, timeout_s: float = 1.0) -> None:
        """Drive every line safe and end the lane.

        Raises:
            BusError: a line refused; the others were driven all the same.
        """
        refused: BusError | None = None
        for output in self._outputs:
            try:
                output.close()
            except BusError as error:
                self.failures += 1
                refused = error
        self._ending = True
        self._wake.set()
        if self._lane is not None:
            self._lane.join(timeout_s)
        if refused is not None:
            raise refused

    def add(self, output: LeasedOutput) -> None:
        """Watch over one more line; starts the lane."""
        with self._change:
            self._outputs = (*self._outputs, output)
        self.start()

    def remove(self, output: LeasedOutput) -> None:
        """Watch over it no longer."""
        with self._change:
            self._outputs = tuple(each for each in self._outputs if each is not output)

    def expect(self, until_ns: int) -> None:
        """Notice that a lease ends then; wakes the lane only where it would sleep past it."""
        if self._sleeps_until is None or until_ns < self._sleeps_until:
            self._wake.set()

    def _run(self) -> None:
        while not self._ending:
            self._wake.clear()
            self._sleeps_until = None
            due = self._expire_due()
            self._sleeps_until = due
            now = self.clock.monotonic_ns()
            self._wake.wait(None if due is None else max(0.0, (due - now) / NS))

    def _expire_due(self) -> int | None:
        """End what is over; return when to look again, None where no lease runs."""
        now = self.clock.monotonic_ns()
        again: list[int] = []
        for output in self._outputs:
            if not self._try_expire(output, now):
                again.append(now + round(self.RETRY_S * NS))
            elif (until := output.until()) is not None:
                again.append(until)
        return min(again, default=None)

    def _try_expire(self, output: LeasedOutput, now_ns: int) -> bool:
        try:
            over = output.expire(now_ns)
        except BusError:
            self.failures += 1
            return False
        if over:
            self.expirations += 1
            self._tell(output)
        return True

    def _tell(self, output: LeasedOutput) -> None:
        if self._expired is None:
            return
        try:
            self._expired(output)
        except Exception:  # noqa: BLE001 - whoever listens must not end the lane that makes lines safe; counted
            self.deaf_listeners += 1
