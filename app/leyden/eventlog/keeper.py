"""The keeper: the service that looks after the log and the clock while the appliance runs."""

from __future__ import annotations

from leyden.eventlog.clocklog import CLOCK_ROUTE, as_value
from leyden.eventlog.recorder import Recorder
from leyden.kernel import Context, Schema, Service


class LogKeeper(Service):
    """Publishes clock records on `clock.wall` and reports a disk that hangs; looks every second."""

    name = "log"
    period_s = 1.0

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def start(self, ctx: Context) -> None:
        """Declare the route."""
        ctx.events.declare_system(CLOCK_ROUTE, Schema("json"))

    def tick(self, ctx: Context) -> None:
        """Publish a clock record if one is due, and look at the disk."""
        record = self._recorder.watch.look()
        if record is not None:
            ctx.publish(CLOCK_ROUTE, as_value(record))
        self._recorder.check()
