"""Services: components that do something at a fixed rate, and the lane that runs one.

Deadlines are absolute on the monotonic clock, so a slow tick does not shift the ones after it. A
failure is a stop and a start again after a back-off that grows; too many in a while and the service
is failed for good. A `critical` service that fails takes the appliance to its safe state.
"""

from __future__ import annotations

import random
import threading
import traceback
import zlib
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from threading import get_ident
from typing import TYPE_CHECKING, Final

from leyden.kernel.clock import NS
from leyden.kernel.context import Context
from leyden.kernel.executor import Executor, Lane
from leyden.kernel.timing import Timing

if TYPE_CHECKING:
    from leyden.kernel.supervisor import Supervisor


@dataclass(frozen=True, slots=True)
class Restart:
    """When and how often a failed service is started again.

    The wait is `first_s`, doubled with each failure up to `longest_s`, spread by ± 20 % so that
    services that fail together do not come back together. More than `limit` failures within
    `window_s` and the service stays down; a tick that succeeds after `settle_s` forgets them.
    """

    first_s: float = 0.5
    longest_s: float = 30.0
    limit: int = 8
    window_s: float = 120.0
    settle_s: float = 60.0

    def wait_s(self, failures: int, spread: float) -> float:
        """Seconds before start number `failures` + 1; `spread` is in -1 … 1."""
        return min(self.longest_s, self.first_s * 2.0 ** (failures - 1)) * (1 + 0.2 * spread)


NEVER: Final = Restart(limit=0)


class Service:
    """Does something every `period_s` seconds; one without a period only starts and stops."""

    name: str = ""
    period_s: float = 1.0
    restart: Restart = Restart()
    critical: bool = False
    enabled: bool = True  # whether boot starts it
    stop_deadline_s: float = 1.0  # services, processes and buses share a shutdown of seconds

    def start(self, ctx: Context) -> None:
        """Declare routes, open what is needed; called again at each restart."""

    def tick(self, ctx: Context) -> None:
        """Do the periodic work."""

    def stop(self, ctx: Context) -> None:
        """Close what `start` opened; called whenever `start` was, failed or not."""


class ServiceState(StrEnum):
    """Where a service stands."""

    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    WAITING = "waiting"  # failed, will be started again
    FAILED = "failed"  # failed too often


class ServiceRun:
    """One service with its lane, state and figures."""

    def __init__(self, service: Service, ctx: Context, supervisor: Supervisor) -> None:
        self.service = service
        self.ctx = ctx
        self.state = ServiceState.STOPPED
        self.since_ns = ctx.clock.monotonic_ns()
        self.last_error = ""
        self.restarts = 0
        self.timing = Timing()
        self._supervisor = supervisor
        self._halt = ctx.executor.signal()
        self._lane: Lane | None = None
        self._ident = 0  # of its lane's thread
        self._asked_ns: int | None = None  # when it was asked to stop
        self._guard = threading.Lock()  # for starting; never held over a wait
        self._failures: deque[int] = deque()
        # Seeded by name: the same run of a simulation waits the same times.
        self._random = random.Random(zlib.crc32(service.name.encode()))  # noqa: S311 - not a secret

    def start(self, executor: Executor) -> None:
        """Give the service its lane, unless it has one."""
        with self._guard:
            if self.state not in (ServiceState.STOPPED, ServiceState.FAILED):
                return
            self._enter(ServiceState.STARTING)
            self._asked_ns = None
            self._halt.clear()
            self._lane = executor.start_lane(f"service.{self.service.name}", self._run)

    def ask_to_stop(self) -> None:
        """Ask the service to end; its lane does so after the tick it is in."""
        if self._asked_ns is None:
            self._asked_ns = self.ctx.clock.monotonic_ns()
        self._halt.set()

    def stop(self) -> bool:
        """Ask the service to end; return whether it has within its deadline from the first asking.

        From within the service itself it is only asked: it ends after its tick.
        """
        self.ask_to_stop()
        if self._lane is None or self._ident == get_ident():
            return True
        gone_s = (self.ctx.clock.monotonic_ns() - (self._asked_ns or 0)) / NS
        return self._lane.join(max(0.0, self.service.stop_deadline_s - gone_s))

    def _run(self) -> None:
        self._ident = get_ident()
        while not self._halt.is_set():
            error = self._attempt()
            if error is None:
                break
            if not self._may_restart(error):
                return
        self._enter(ServiceState.STOPPED)
        self._supervisor.published(self, "stopped", {})

    def _attempt(self) -> Exception | SystemExit | None:
        # One life of the service: start, ticks, stop. The stop is owed however it ends. A thread
        # that calls sys.exit() ends without a word, so that is a failure like any other.
        error: Exception | SystemExit | None = None
        self._enter(ServiceState.STARTING)
        try:
            self.service.start(self.ctx)
            self._enter(ServiceState.RUNNING)
            self._supervisor.published(self, "started", {"restarts": self.restarts})
            self._tick_until_halted()
        except (Exception, SystemExit) as caught:  # noqa: BLE001 - a component's isolation boundary
            error = caught
        try:
            self.service.stop(self.ctx)
        except (Exception, SystemExit) as caught:  # noqa: BLE001 - the same; the first is the cause
            error = error or caught
        return error

    def _tick_until_halted(self) -> None:
        clock, period = self.ctx.clock, round(self.service.period_s * NS)
        if period <= 0:
            self._halt.wait()
            return
        due = clock.monotonic_ns()
        while not self._halt.is_set():
            now = clock.monotonic_ns()
            if now < due:
                self._halt.wait((due - now) / NS)
                continue
            self.timing.began(now - due)
            self.service.tick(self.ctx)
            done = clock.monotonic_ns()
            self.timing.ended(done - now)
            self._forget_failures(done)
            due += period
            if done >= due + period:  # whole periods were missed: back on the grid, and counted
                missed = (done - due) // period
                self.timing.overran(missed)
                due += missed * period

    def _may_restart(self, error: Exception | SystemExit) -> bool:
        now = self.ctx.clock.monotonic_ns()
        self.last_error = f"{type(error).__name__}: {error}"
        trace = "".join(traceback.format_exception(error)[-3:])
        self._supervisor.published(self, "error", {"error": self.last_error, "traceback": trace})
        if self._halt.is_set():
            return True  # it was to end anyway: nobody is waiting for it to come back
        restart = self.service.restart
        self._failures.append(now)
        while self._failures and now - self._failures[0] > restart.window_s * NS:
            self._failures.popleft()
        if self.service.critical or len(self._failures) > restart.limit:
            self._enter(ServiceState.FAILED)
            self._supervisor.gave_up(self)
            return False
        wait = restart.wait_s(len(self._failures), self._random.uniform(-1, 1))
        self._enter(ServiceState.WAITING)
        if self._halt.wait(wait):
            return True
        self.restarts += 1
        self._supervisor.published(self, "restart", {"after_s": round(wait, 3), "n": self.restarts})
        return True

    def _forget_failures(self, now: int) -> None:
        if self._failures and now - self._failures[-1] > self.service.restart.settle_s * NS:
            self._failures.clear()

    def _enter(self, state: ServiceState) -> None:
        self.state = state
        self.since_ns = self.ctx.clock.monotonic_ns()
