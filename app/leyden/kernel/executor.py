"""Executors: lanes of execution, in real threads or one at a time in simulated time.

Every bus, service and queue is a *lane*. The `SystemExecutor` gives each lane a thread. The
`SimulatedExecutor` lets exactly one lane run at a time and picks the next by (due time, lane name),
so that an hour of simulated time takes the same course whenever it is run.

Code that runs in lanes waits only through `clock.sleep` and `Signal.wait`, and holds no lock while
it does; then the same code runs under either executor.
"""

from __future__ import annotations

import heapq
import sys
import threading
from collections.abc import Callable
from typing import Protocol

from leyden.kernel.clock import NS, Clock, ManualClock, SystemClock
from leyden.kernel.errors import CancelledWaitError


class Signal(Protocol):
    """A flag that lanes wait on; it stays set until cleared."""

    def set(self) -> None:
        """Raise the flag and let every waiter go on."""
        ...

    def clear(self) -> None:
        """Lower the flag."""
        ...

    def is_set(self) -> bool:
        """Whether the flag is up."""
        ...

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the flag is up or `timeout` seconds are over; return whether it is up."""
        ...


class Lane(Protocol):
    """One strand of execution."""

    name: str

    def alive(self) -> bool:
        """Whether the body has not returned yet."""
        ...

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the body to return, at most `timeout` seconds; return whether it has."""
        ...


class Executor(Protocol):
    """Starts lanes and makes what they wait on."""

    clock: Clock

    def start_lane(self, name: str, body: Callable[[], object]) -> Lane:
        """Run `body` in a lane of its own; an exception that leaves it goes to the excepthook."""
        ...

    def signal(self) -> Signal:
        """Return a new, lowered signal."""
        ...


class _ThreadLane:
    """A lane in a daemon thread: one that hangs in the kernel must not hold the process."""

    def __init__(self, name: str, body: Callable[[], object]) -> None:
        self.name = name
        self._thread = threading.Thread(target=body, name=name, daemon=True)
        self._thread.start()

    def alive(self) -> bool:
        return self._thread.is_alive()

    def join(self, timeout: float | None = None) -> bool:
        if self._thread is threading.current_thread():
            return False
        self._thread.join(timeout)
        return not self._thread.is_alive()


class SystemExecutor:
    """One thread a lane, real time."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock: Clock = clock or SystemClock()

    def start_lane(self, name: str, body: Callable[[], object]) -> Lane:
        """Start a daemon thread called `name`."""
        return _ThreadLane(name, body)

    def signal(self) -> Signal:
        """Return a `threading.Event`."""
        return threading.Event()


class _SimulatedLane:
    """A thread that runs only while it holds the baton."""

    def __init__(self, executor: SimulatedExecutor, name: str, body: Callable[[], object]) -> None:
        self.name = name
        self.baton = threading.Semaphore(0)
        self.cancelled = False
        self.ended = executor.signal()
        self._executor = executor
        self._body = body
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        self.baton.acquire()
        try:
            if not self.cancelled:
                self._body()
        except CancelledWaitError:
            pass  # the executor is closing; the lane unwinds
        except BaseException:  # noqa: BLE001 - like any thread's last resort: report, keep the baton going
            threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), self.thread)))
        finally:
            self.ended.set()
            self._executor.lane_ended(self)

    def alive(self) -> bool:
        return not self.ended.is_set()

    def join(self, timeout: float | None = None) -> bool:
        if self._executor.current is self:
            return False
        return self.ended.wait(timeout)


class _SimulatedSignal:
    """A flag in simulated time. Only the holder of the baton touches it, so it needs no lock."""

    def __init__(self, executor: SimulatedExecutor) -> None:
        self._executor = executor
        self._flag = False
        self._waiters: list[_Wait] = []

    def set(self) -> None:
        self._flag = True
        waiters, self._waiters = self._waiters, []
        for wait in waiters:
            self._executor.wake(wait)

    def clear(self) -> None:
        self._flag = False

    def is_set(self) -> bool:
        return self._flag

    def wait(self, timeout: float | None = None) -> bool:
        if not self._flag:
            self._executor.park(timeout, self._waiters)
            # Whoever ran out of time must not stay until somebody sets the flag, maybe never.
            self._waiters = [wait for wait in self._waiters if not wait.spent]
        return self._flag


class _Wait:
    """One lane's place in the queue; spent once the lane has been let go on."""

    __slots__ = ("lane", "spent")

    def __init__(self, lane: _SimulatedLane) -> None:
        self.lane = lane
        self.spent = False


class _SimulatedClock(ManualClock):
    """Simulated time whose `sleep` yields the baton."""

    executor: SimulatedExecutor

    def sleep(self, seconds: float) -> None:
        """Let other lanes run until `seconds` have passed."""
        self.executor.park(max(0.0, seconds), None)


class SimulatedExecutor:
    """Exactly one lane runs at a time; time jumps to the next thing that is due.

    The thread that made the executor drives it with `run_for` or `run_until`; between those calls
    it holds the baton itself and may call anything a lane may call, except that its own waits run
    the simulation forward.
    """

    def __init__(self, start_ns: int = 0, wall_ns: int = 1_767_225_600 * NS) -> None:
        self._time = _SimulatedClock(start_ns, wall_ns)
        self._time.executor = self
        self.clock: Clock = self._time
        self.current: _SimulatedLane | None = None  # None: the driver holds the baton
        self._due: list[tuple[int, str, int, _Wait]] = []
        self._lanes: list[_SimulatedLane] = []
        self._order = 0
        self._limit = start_ns
        self._driver = threading.Semaphore(0)
        self._closing = False

    @property
    def manual_clock(self) -> ManualClock:
        """The clock, for tests that step wall time."""
        return self._time

    def start_lane(self, name: str, body: Callable[[], object]) -> Lane:
        """Make a lane that is due now; it begins when the baton reaches it."""
        lane = _SimulatedLane(self, name, body)
        lane.cancelled = self._closing
        self._lanes.append(lane)
        self._push(self._time.monotonic_ns(), _Wait(lane))
        return lane

    def signal(self) -> Signal:
        """Return a signal in simulated time."""
        return _SimulatedSignal(self)

    def run_for(self, seconds: float) -> None:
        """Let lanes run until `seconds` of simulated time have passed."""
        self.run_until(self._time.monotonic_ns() + round(seconds * NS))

    def run_until(self, due_ns: int, stop: Callable[[], bool] | None = None) -> None:
        """Let lanes run until the clock reads `due_ns`, or until `stop()` is true between turns."""
        if self.current is not None:
            raise RuntimeError("run_until is for the thread that drives the simulation, not a lane")
        self._limit = due_ns
        while stop is None or not stop():
            lane = self._next(due_ns)
            if lane is None:
                self._time.advance_to(due_ns)
                return
            # With a stop condition the driver must see every turn; without one lanes hand over
            # directly and the driver sleeps until the limit.
            self._watching = stop is not None
            self._give(lane)
            self._driver.acquire()
            self.current = None

    _watching = False

    def close(self) -> None:
        """End every lane by raising `CancelledWaitError` from its wait."""
        self._closing = True
        for lane in self._lanes:
            lane.cancelled = True
        while self._due:
            _, _, _, wait = heapq.heappop(self._due)
            wait.spent = True
        self._watching = True
        while self._lanes:  # also those that a lane starts while it unwinds
            lane = self._lanes[0]
            self._give(lane)
            self._driver.acquire()
            self.current = None
            lane.thread.join(1.0)

    # What lanes and signals call.

    def park(self, timeout: float | None, waiters: list[_Wait] | None) -> None:
        """Give the baton away until `timeout` is over or one of `waiters` is woken."""
        lane = self.current
        if lane is None:
            self._drive(timeout, waiters)
            return
        if lane.cancelled:
            raise CancelledWaitError(f"lane {lane.name} was ended")
        wait = _Wait(lane)
        if waiters is not None:
            waiters.append(wait)
        if timeout is not None:
            self._push(self._time.monotonic_ns() + round(timeout * NS), wait)
        self._hand_over(lane)
        if lane.cancelled:
            raise CancelledWaitError(f"lane {lane.name} was ended")
        wait.spent = True

    def wake(self, wait: _Wait) -> None:
        """Make a parked lane due now."""
        if not wait.spent:
            self._push(self._time.monotonic_ns(), wait)

    def lane_ended(self, lane: _SimulatedLane) -> None:
        """Pass the baton on from a lane whose body has returned."""
        if lane in self._lanes:
            self._lanes.remove(lane)
        self._pass_on()

    def _drive(self, timeout: float | None, waiters: list[_Wait] | None) -> None:
        # The driver itself waits: run the others until it is woken or its time is over.
        now = self._time.monotonic_ns()
        due = now + round(timeout * NS) if timeout is not None else now + 366 * 86_400 * NS
        woken = _Wait(_DRIVER)
        if waiters is not None:
            waiters.append(woken)
        self.run_until(due, (lambda: woken.spent) if waiters is not None else None)
        woken.spent = True

    def _push(self, due_ns: int, wait: _Wait) -> None:
        if wait.lane is _DRIVER:
            wait.spent = True
            return
        self._order += 1
        heapq.heappush(self._due, (due_ns, wait.lane.name, self._order, wait))

    def _next(self, limit_ns: int) -> _SimulatedLane | None:
        while self._due:
            due, _, _, wait = self._due[0]
            if wait.spent:
                heapq.heappop(self._due)
                continue
            if due > limit_ns:
                return None
            heapq.heappop(self._due)
            wait.spent = True
            self._time.advance_to(due)
            return wait.lane
        return None

    def _hand_over(self, lane: _SimulatedLane) -> None:
        if not self._watching and not self._closing:
            following = self._next(self._limit)
            if following is lane:
                return  # next in line itself: no switch of threads
            if following is not None:
                self._give(following)
                lane.baton.acquire()
                return
        self._driver.release()
        lane.baton.acquire()

    def _pass_on(self) -> None:
        following = None
        if not self._watching and not self._closing:
            following = self._next(self._limit)
        if following is None:
            self._driver.release()
        else:
            self._give(following)

    def _give(self, lane: _SimulatedLane) -> None:
        self.current = lane
        lane.baton.release()


class _Nobody:
    name = ""


_DRIVER: _SimulatedLane = _Nobody()  # type: ignore[assignment]  # stands for the driving thread
