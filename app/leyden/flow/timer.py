"""The graph's timer: calls back at a monotonic time, in one lane for all stages."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable

from leyden.kernel import NS, CancelledWaitError, Executor


class Alarm:
    """One appointment; made by `Timer.at`."""

    __slots__ = ("action", "due_ns", "order")

    def __init__(self, due_ns: int, order: int, action: Callable[[], None]) -> None:
        self.due_ns = due_ns
        self.order = order
        self.action = action

    def __lt__(self, other: Alarm) -> bool:
        return (self.due_ns, self.order) < (other.due_ns, other.order)


class Timer:
    """Keeps appointments in a lane that is started with the first one.

    Args:
        executor: gives the lane and the clock.
        failed: told of an action that raised; the others are kept.
    """

    def __init__(self, executor: Executor, failed: Callable[[Exception], None]) -> None:
        self._executor = executor
        self._clock = executor.clock
        self._failed = failed
        self._lock = threading.Lock()
        self._wake = executor.signal()
        self._alarms: list[Alarm] = []
        self._order = 0
        self._started = self._closed = False

    def at(self, due_ns: int, action: Callable[[], None]) -> Alarm:
        """Call `action` once the monotonic clock reads `due_ns`; it must not wait."""
        with self._lock:
            self._order += 1
            alarm = Alarm(due_ns, self._order, action)
            heapq.heappush(self._alarms, alarm)
            first = self._alarms[0] is alarm
            start = not self._started and not self._closed
            self._started = True
        if start:
            self._executor.start_lane("flow.timer", self._run)
        elif first:
            self._wake.set()
        return alarm

    def cancel(self, alarm: Alarm) -> None:
        """Forget an appointment; one that is over is forgotten already."""
        with self._lock:
            if alarm in self._alarms:
                self._alarms.remove(alarm)
                heapq.heapify(self._alarms)

    def close(self) -> None:
        """Forget every appointment and let the lane end."""
        with self._lock:
            self._closed = True
            self._alarms.clear()
        self._wake.set()

    def _run(self) -> None:
        while not self._closed:
            self._wake.clear()  # before looking, so that no appointment made meanwhile is missed
            while (alarm := self._due()) is not None:
                self._keep(alarm)
            self._wake.wait(self._until_next())

    def _due(self) -> Alarm | None:
        with self._lock:
            if self._alarms and self._alarms[0].due_ns <= self._clock.monotonic_ns():
                return heapq.heappop(self._alarms)
            return None

    def _keep(self, alarm: Alarm) -> None:
        try:
            alarm.action()
        except CancelledWaitError:
            raise
        except Exception as error:  # noqa: BLE001 - one stage's failure must not stop the others' time
            self._failed(error)

    def _until_next(self) -> float | None:
        with self._lock:
            if self._closed:
                return 0.0
            if not self._alarms:
                return None
            return max(0, self._alarms[0].due_ns - self._clock.monotonic_ns()) / NS
