"""The supervisor: starts services, restarts the failing, gives up on those that fail too often."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from leyden.kernel.clock import NS
from leyden.kernel.errors import ComponentError
from leyden.kernel.event import BAD, Value
from leyden.kernel.service import Service, ServiceRun, ServiceState
from leyden.kernel.timing import TimingFigures

if TYPE_CHECKING:
    from leyden.kernel.runtime import Runtime

CRITICAL_EXIT: Final = 70  # EX_SOFTWARE: the supervising process starts a fresh runtime

_WORDS: Final = ("started", "stopped", "error", "restart", "failed", "critical_failure", "stuck")


class ServiceStatus(msgspec.Struct, frozen=True):
    """Where a service stands and since when, with its figures."""

    name: str
    state: ServiceState
    since_s: float
    critical: bool
    restarts: int
    last_error: str
    timing: TimingFigures


class Supervisor:
    """Holds the services of a runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._runs: dict[str, ServiceRun] = {}
        self._open = False  # between `start_all` and `stop_all`
        self._guard = threading.Lock()  # none is started behind the back of `stop_all`

    def add(self, service: Service) -> ServiceRun:
        """Take a service in and declare its lifecycle routes."""
        run = ServiceRun(service, self._runtime.context(f"service.{service.name}"), self)
        for word in _WORDS:
            self._runtime.events.declare_system(f"service.{service.name}.{word}")
        self._runs[service.name] = run
        return run

    def remove(self, name: str) -> None:
        """Stop a service and forget it."""
        self.stop(name)
        self._runs.pop(name, None)

    def start(self, name: str) -> None:
        """Start a service that is not running.

        Raises:
            ComponentError: there is no such service, or the runtime is not up.
        """
        run = self._known(name)
        if not self._start(run):
            raise ComponentError(f"service {name} cannot be started: the runtime is not up")

    def start_if_enabled(self, service: Service) -> None:
        """Start a service that has just been added, if the others have been started."""
        if service.enabled:
            self._start(self._known(service.name))

    def start_all(self) -> None:
        """Start every enabled service in order of registration."""
        with self._guard:
            self._open = True
        for run in list(self._runs.values()):
            self.start_if_enabled(run.service)

    def stop(self, name: str) -> bool:
        """Stop a service within its deadline; one that does not end is left behind and reported."""
        return self._stop(self._known(name))

    def stop_all(self) -> None:
        """Stop every service, last started first. All are asked before any is waited for."""
        with self._guard:
            self._open = False
            runs = list(reversed(self._runs.values()))
        for run in runs:
            run.ask_to_stop()
        for run in runs:
            self._stop(run)

    def statuses(self) -> tuple[ServiceStatus, ...]:
        """Return where every service stands; takes no lock."""
        now = self._runtime.clock.monotonic_ns()
        return tuple(
            ServiceStatus(
                name,
                run.state,
                (now - run.since_ns) / NS,
                run.service.critical,
                run.restarts,
                run.last_error,
                run.timing.figures(),
            )
            for name, run in list(self._runs.items())
        )

    # What a run tells its supervisor.

    def published(self, run: ServiceRun, word: str, value: Mapping[str, Value]) -> None:
        """Publish `service.<name>.<word>`."""
        name = run.service.name
        self._runtime.events.publish(
            f"service.{name}.{word}",
            {"service": name, **value},
            source=f"service.{name}",
        )

    def gave_up(self, run: ServiceRun) -> None:
        """Report a service that stays down; a critical one takes the appliance down safely."""
        name, critical = run.service.name, run.service.critical
        detail = f"service {name} is down: {run.last_error}"
        word = "critical_failure" if critical else "failed"
        self.published(run, word, {"error": run.last_error, "restarts": run.restarts})
        self._runtime.events.declare_system(f"alarm.service.{name}")
        self._runtime.events.publish_now(
            f"alarm.service.{name}",
            {"service": name, "critical": critical},
            source=f"service.{name}",
            quality=BAD,
            reason="failed",
            detail=detail,
        )
        if critical:
            self._runtime.request_shutdown(detail, exit_code=CRITICAL_EXIT)

    def _start(self, run: ServiceRun) -> bool:
        with self._guard:
            if self._open:
                run.start(self._runtime.executor)
            return self._open

    def _stop(self, run: ServiceRun) -> bool:
        ended = run.stop()
        if not ended:
            self.published(run, "stuck", {"deadline_s": run.service.stop_deadline_s})
        return ended

    def _known(self, name: str) -> ServiceRun:
        try:
            return self._runs[name]
        except KeyError:
            known = ", ".join(self._runs) or "none"
            raise ComponentError(f'no service "{name}"; there is {known}') from None
