"""Samplers: the lanes that read devices on time, one lane a bus, earliest deadline first.

All devices of one bus share a lane, so the bus needs no lock. A call that hangs in the operating
system past its deadline is noticed by the `Overseer`, which abandons the lane's thread, marks the
devices and gives the bus a fresh thread; other buses never wait.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from threading import get_ident
from typing import TYPE_CHECKING, Any, Final

from leyden.kernel.attachment import Attachment
from leyden.kernel.clock import NS
from leyden.kernel.device import Transport
from leyden.kernel.errors import DeadlineError

if TYPE_CHECKING:
    from leyden.kernel.executor import Executor, Lane, Signal

OVERSEE_S: Final = 0.25  # how often the overseer looks; adds to a deadline before a hang is seen
_MOST_ABANDONED: Final = 3  # threads given up on one bus before no new one is tried


class _Due:
    """When an attachment is to be stepped next."""

    __slots__ = ("at", "attachment", "by", "tried")

    def __init__(self, attachment: Attachment, at: int, tried: Signal) -> None:
        self.attachment = attachment
        self.tried = tried  # set once the first step is over
        self.at = at
        self.by = at + attachment.period_ns


class _Call:
    """Work that another lane wants done on this one."""

    def __init__(self, executor: Executor, attachment: Attachment, body: Callable[[], Any]) -> None:
        self.attachment = attachment
        self.body = body
        self.begun = False
        self.done = executor.signal()
        self.error: Exception | None = None


class _Strand:
    """One thread of a sampler's lane; abandoned, it must touch nothing any more."""

    def __init__(self) -> None:
        self.abandoned = False
        self.ident = 0  # of its thread, once it runs
        self.lane: Lane | None = None

    def alive(self) -> bool:
        """Whether its thread has not ended."""
        return self.lane is None or self.lane.alive()


class Sampler:
    """Runs the devices of one transport, or of none, on one lane."""

    def __init__(self, name: str, executor: Executor, transport: Transport | None) -> None:
        self.name = name
        self.transport = transport
        self._executor = executor
        self._clock = executor.clock
        self._guard = threading.Lock()  # for the short lists below; never held over a wait
        self._due: list[_Due] = []
        self._calls: deque[_Call] = deque()
        self._wake = executor.signal()
        self._halted = False
        self._strand: _Strand | None = None
        self._gone: list[_Strand] = []
        self._busy: tuple[Attachment, int] | None = None  # who is being served, and until when

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """The devices of this lane, in order of registration."""
        return tuple(due.attachment for due in self._due)

    def add(self, attachment: Attachment) -> Signal:
        """Sample a device from now on; return a signal set when it was tried once.

        The lane starts with the first device.
        """
        due = _Due(attachment, self._clock.monotonic_ns(), self._executor.signal())
        with self._guard:
            self._due.append(due)
        self._keep_strand()
        self._wake.set()
        return due.tried

    def remove(self, attachment: Attachment, timeout_s: float) -> bool:
        """Stop sampling a device and detach it; return whether it came to rest in time."""
        with self._guard:
            known = any(due.attachment is attachment for due in self._due)
            self._due = [due for due in self._due if due.attachment is not attachment]
        if not known:
            return True  # it never ran: there is nothing to stop
        beside = self._detach(attachment, timeout_s)
        return beside is None or beside.join(timeout_s)

    def forget(self, attachment: Attachment) -> None:
        """Sample a device no more that never came up; there is nothing to detach."""
        with self._guard:
            self._due = [due for due in self._due if due.attachment is not attachment]

    def call(self, attachment: Attachment, body: Callable[[], Any], timeout_s: float) -> None:
        """Run `body` on this lane, ahead of what is due, and wait for it.

        Raises:
            DeadlineError: the lane did not come to it in time.
            Exception: whatever `body` raised.
        """
        if not self._call(_Call(self._executor, attachment, body), timeout_s):
            raise DeadlineError(f"{self.name} was busy for {timeout_s:g} s")

    def stop(self, timeout_s: float) -> tuple[Lane, ...]:
        """Detach every device, last first, and end the lane.

        What a lane that hangs does not come to is stopped beside it; those lanes are returned,
        still at work, so that one bus does not hold up the others.
        """
        with self._guard:
            attachments = [due.attachment for due in self._due]
            self._due = []
        beside: list[Lane] = []
        for attachment in reversed(attachments):
            if beside or self._hangs():
                beside.append(self._detach_beside(attachment))
            elif (lane := self._detach(attachment, timeout_s)) is not None:
                beside.append(lane)
        self._halted = True
        self._wake.set()
        strand = self._strand
        if strand is not None and strand.lane is not None and not beside:
            strand.lane.join(timeout_s)
        return tuple(beside)

    def oversee(self) -> None:
        """Give up on a call that is past its deadline; called by the overseer's lane."""
        busy = self._busy
        if busy is not None and self._clock.monotonic_ns() > busy[1]:
            self._abandon(*busy)
        else:
            self._keep_strand()

    # The lane

    def _keep_strand(self) -> None:
        # One thread, and a new one for one that is gone: never two on one bus, whoever asks.
        with self._guard:
            if self._halted or not (self._due or self._calls) or not self._may_start():
                return
            if self._strand is None or not self._strand.alive():
                strand = self._strand = _Strand()
                body = partial(self._run, strand)
                strand.lane = self._executor.start_lane(f"lane.{self.name}", body)

    def _run(self, strand: _Strand) -> None:
        strand.ident = get_ident()
        while not strand.abandoned and not self._halted:
            call = self._next_call()
            if call is not None:
                self._serve(strand, call.attachment, partial(self._answer, call))
                continue
            due, wait_s = self._next_due()
            if due is None:
                self._wake.wait(wait_s)
                self._wake.clear()
            else:
                self._serve(strand, due.attachment, partial(self._step, strand, due))

    def _call(self, call: _Call, timeout_s: float) -> bool:
        # Whether the lane has done it in time; what it raised is raised here.
        strand = self._strand
        if strand is not None and strand.ident == get_ident():
            call.body()  # a handler that runs in this very lane asks: it would wait for itself
            return True
        with self._guard:
            self._calls.append(call)
        self._wake.set()
        if not call.done.wait(timeout_s):
            with self._guard:
                if call in self._calls:
                    self._calls.remove(call)
            return False
        if call.error is not None:
            raise call.error
        return True

    def _next_call(self) -> _Call | None:
        with self._guard:
            if not self._calls:
                return None
            self._calls[0].begun = True
            return self._calls.popleft()

    def _next_due(self) -> tuple[_Due | None, float | None]:
        # Among what is due, the one whose deadline comes first; otherwise how long nothing is.
        now = self._clock.monotonic_ns()
        with self._guard:
            ready = [due for due in self._due if due.at <= now]
            if ready:
                return min(ready, key=lambda due: (due.by, due.attachment.id)), None
            if not self._due:
                return None, None
            return None, (min(due.at for due in self._due) - now) / NS

    def _serve(self, strand: _Strand, attachment: Attachment, body: Callable[[], None]) -> None:
        until = self._clock.monotonic_ns() + attachment.deadline_ns
        if self.transport is not None:
            self.transport.allow(attachment.id, until)
        self._busy = (attachment, until)
        try:
            body()
        finally:
            with self._guard:  # or the overseer, giving this strand up at this very moment
                mine = not strand.abandoned
                if mine:
                    self._busy = None
            if mine and self.transport is not None:
                self.transport.release()

    def _answer(self, call: _Call) -> None:
        try:
            call.body()
        except Exception as error:  # noqa: BLE001 - handed to the lane that asked
            call.error = error
        call.done.set()

    def _step(self, strand: _Strand, due: _Due) -> None:
        attachment, began = due.attachment, self._clock.monotonic_ns()
        attachment.timing.began(began - due.at)
        wait_s = attachment.step()
        due.tried.set()
        if strand.abandoned:
            return
        now = self._clock.monotonic_ns()
        attachment.timing.ended(now - began)
        self._reschedule(due, now, wait_s)

    def _reschedule(self, due: _Due, now: int, wait_s: float) -> None:
        attachment = due.attachment
        if not attachment.online:
            due.at = now + round(wait_s * NS)
        else:
            due.at += attachment.period_ns
            if due.at <= now:  # whole periods were missed: back on the grid, and counted
                missed = (now - due.at) // attachment.period_ns + 1
                attachment.timing.overran(missed)
                due.at += missed * attachment.period_ns
        due.by = due.at + attachment.period_ns

    # Ending and hanging

    def _detach(self, attachment: Attachment, timeout_s: float) -> Lane | None:
        # The lane that is still at it when the time is over; None once it is done.
        call = _Call(self._executor, attachment, attachment.detach)
        try:
            if self._call(call, timeout_s):
                return None
        except Exception as error:  # noqa: BLE001 - one device's stop must not keep others running
            attachment.stop_failed(error)
            return None
        strand = self._strand
        if call.begun and strand is not None and strand.lane is not None:
            return strand.lane  # the stop itself hangs: a second one would hang beside it
        return self._detach_beside(attachment)

    def _detach_beside(self, attachment: Attachment) -> Lane:
        # The lane hangs. A stop of its own may still reach an output that is not on that bus.
        def detach() -> None:
            try:
                attachment.detach()
            except Exception as error:  # noqa: BLE001 - as on the lane
                attachment.stop_failed(error)

        return self._executor.start_lane(f"stop.{attachment.id}", detach)

    def _hangs(self) -> bool:
        busy, strand = self._busy, self._strand
        late = busy is not None and self._clock.monotonic_ns() > busy[1]
        return late or strand is None or not strand.alive()

    def _abandon(self, attachment: Attachment, until: int) -> None:
        with self._guard:
            strand = self._strand
            if strand is None or self._busy != (attachment, until):
                return
            strand.abandoned = True
            self._gone.append(strand)
            self._strand = self._busy = None
            waiting = list(self._due)
        suspect = self._suspect()
        if attachment not in [due.attachment for due in waiting]:
            attachment.hung(
                suspect
            )  # it is being removed: what comes back late is void all the same
        now = self._clock.monotonic_ns()
        for due in waiting:
            due.attachment.hung(suspect)
            self._reschedule(due, now, due.attachment.retry_s)
        self._keep_strand()

    def _suspect(self) -> str:
        if self.transport is None:
            return "no answer"
        try:
            return self.transport.abandon()
        except Exception as error:  # noqa: BLE001 - the overseer watches the other buses too
            return f"it cannot be opened again: {error}"

    def _may_start(self) -> bool:
        self._gone = [strand for strand in self._gone if strand.lane and strand.lane.alive()]
        return len(self._gone) < _MOST_ABANDONED


class Overseer:
    """The lane that watches all samplers for calls that do not come back."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._halt = executor.signal()
        self._samplers: tuple[Sampler, ...] = ()
        self._lane: Lane | None = None
        self.beat_ns = executor.clock.monotonic_ns()  # proof of life for the watchdog

    def watch(self, samplers: tuple[Sampler, ...]) -> None:
        """Watch these samplers; the lane starts with the first call."""
        self._samplers = samplers
        if self._lane is None:
            self._lane = self._executor.start_lane("overseer", self._run)

    def stop(self) -> None:
        """End the lane."""
        self._halt.set()
        if self._lane is not None:
            self._lane.join(1.0)

    def _run(self) -> None:
        while not self._halt.wait(OVERSEE_S):
            self.beat_ns = self._executor.clock.monotonic_ns()
            for sampler in self._samplers:
                sampler.oversee()
