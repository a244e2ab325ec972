"""Reactors: a process or interface in its place, started, fed, isolated and stopped."""

from __future__ import annotations

import threading
from typing import Final

from leyden.kernel.context import Context
from leyden.kernel.errors import ReportedError
from leyden.kernel.event import BAD, Event, Value
from leyden.kernel.process import Process
from leyden.kernel.subscription import Subscription

_WORDS: Final = ("started", "stopped", "error", "stuck")


class Reactor:
    """Runs one process: its failures are counted and published, its stop has a deadline."""

    def __init__(self, process: Process, kind: str, ctx: Context) -> None:
        self.process = process
        self.kind = kind
        self.name = process.name
        self._ctx = ctx
        self._events = ctx.events
        self._subscription: Subscription | None = None
        self._guard = threading.Lock()
        for word in _WORDS:
            self._events.declare_system(f"process.{process.name}.{word}")

    def start(self) -> None:
        """Start the process, then feed it: what is, first, and then whatever happens.

        Raises:
            Exception: whatever the process's `start` raised.
        """
        self.process.start(self._ctx)
        self._tell("started")
        self._subscription = self._events.subscribe(
            self._handle,
            name=f"{self.kind}.{self.name}",
            prefix=self.process.prefixes,
            capacity=self.process.queue,
            replay_latest=True,
        )

    def stop(self, timeout_s: float) -> None:
        """Stop the process if it was started, waiting at most `timeout_s` for each step."""
        with self._guard:  # a removal and a shutdown may both come to it
            subscription, self._subscription = self._subscription, None
        if subscription is None:
            return
        subscription.cancel()
        at_rest = subscription.join(timeout_s)  # no `stop` while `handle` is still at work
        lane = self._ctx.executor.start_lane(f"stop.{self.name}", self._ask_to_stop)
        self._tell("stopped" if lane.join(timeout_s) and at_rest else "stuck")

    def _handle(self, event: Event) -> None:
        if event.route == f"process.{self.name}.error":
            return  # its own error, given back to it, would make it fail again
        try:
            self.process.handle(self._ctx, event)
        except Exception as error:
            subscription = self._subscription
            if subscription is None or subscription.failure_would_be_news:
                last = subscription is not None and subscription.next_failure_is_the_last
                self._report({"route": event.route, "n": event.n, "quarantined": last}, error)
            raise ReportedError(str(error)) from error

    def _ask_to_stop(self) -> None:
        try:
            self.process.stop(self._ctx)
        except Exception as error:  # noqa: BLE001 - one that fails must not keep others running
            self._report({}, error)

    def _tell(self, word: str) -> None:
        self._events.publish(f"process.{self.name}.{word}", {"kind": self.kind}, source="runtime")

    def _report(self, value: dict[str, Value], error: Exception) -> None:
        self._events.publish(
            f"process.{self.name}.error",
            {"process": self.name, **value},
            source=self._ctx.source,
            quality=BAD,
            reason="error",
            detail=f"{type(error).__name__}: {error}",
        )
