"""The runtime: holds devices, processes, interfaces and services, starts and stops them in order.

Boot is a transaction: whatever keeps the appliance from starting, what had started is stopped again
in reverse. A device that does not answer is no such thing: it is tried again in the background.
Shutdown may be asked for from anywhere; every stop is isolated and has a deadline.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from functools import partial
from threading import get_ident
from typing import Any, Final

from leyden.kernel.attachment import Attachment, DeviceStatus, IfAbsent, Placement
from leyden.kernel.clock import NS
from leyden.kernel.context import Context
from leyden.kernel.device import Device, Transport
from leyden.kernel.errors import (
    BootError,
    ComponentError,
    DeviceError,
    DuplicateError,
    LeydenError,
)
from leyden.kernel.event import Value
from leyden.kernel.executor import Executor, Signal, SystemExecutor
from leyden.kernel.goals import GoalHandler, Goals
from leyden.kernel.intent import Answer, Intent, Role
from leyden.kernel.interface import Interface
from leyden.kernel.notify import Notifier
from leyden.kernel.process import Process
from leyden.kernel.reactor import Reactor
from leyden.kernel.sampler import Overseer, Sampler
from leyden.kernel.service import Service
from leyden.kernel.signals import asked_by_signals
from leyden.kernel.state import State
from leyden.kernel.store import Store
from leyden.kernel.stream import SUBSCRIBER_ERROR, EventStream
from leyden.kernel.supervisor import ServiceStatus, Supervisor

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_RUNTIME_WORDS: Final = ("identity", "booting", "booted", "shutting_down", "shutdown")
_ATTACH_WAIT_S: Final = 2.0  # how long boot waits for one device's first answer
_LOOK_S: Final = 0.25  # how often boot looks whether it is to end while it waits for a device
_STOP_WAIT_S: Final = 1.0  # how long one device or process may take to stop
_LEAVING: Final = "component that is being removed"
_BEAT_LIMIT_S: Final = 2.0  # an overseer silent for longer is no proof of life


class _StopAskedError(LeydenError):
    """A shutdown was asked for before boot was over."""


class Runtime:
    """One appliance: its components, its event stream, its way up and down.

    Args:
        name: what the appliance is called.
        executor: real threads unless a simulation is wanted.
        store: where records go before anyone is notified; in memory unless given.
        identity: called once at boot; its answer is the first event, `runtime.identity`.
        notifier: speaks to the service manager.

    Raises:
        ComponentError: one of these lacks a method; the message names it.
    """

    def __init__(
        self,
        name: str = "leyden",
        *,
        executor: Executor | None = None,
        store: Store | None = None,
        identity: Callable[[], Value] | None = None,
        notifier: Notifier | None = None,
    ) -> None:
        self.name = name
        self.executor = executor or SystemExecutor()
        self._check_seams(store, notifier)
        self.clock = self.executor.clock
        self.events = EventStream(self.executor, store)
        self.state = State(self.clock, self._watcher_failed)
        self.booted = False
        self._identity = identity
        self._notifier = notifier or Notifier()
        self._samplers: dict[str, Sampler] = {}
        self._overseer = Overseer(self.executor)
        self._attachments: dict[str, Attachment] = {}
        self._lane_of: dict[str, Sampler] = {}
        self._reactors: dict[str, Reactor] = {}
        self._supervisor = Supervisor(self)
        self._goals = Goals(self.events)
        self._names: dict[str, str] = {}  # component name → kind
        self._admin = threading.Lock()  # adding and removing; never held over a wait of a lane
        self._up = False  # from the start of boot to the start of shutdown
        self._stopping = False
        self._runner = 0  # ident of the thread that is in `run`
        self._stop_asked = self.executor.signal()
        self._stop_reason = ""
        self._exit_code = self._last_exit_code = 0
        for word in _RUNTIME_WORDS:
            self.events.declare_system(f"runtime.{word}")
        self.register_goal("device.write", self._write_goal, Role.OPERATOR)
        self.register_goal("runtime.shutdown", self._shutdown_goal, Role.ADMIN)

    # Components

    def context(self, source: str) -> Context:
        """Return the context of a component called `source`."""
        return Context(source, self.clock, self.events, self.state, self, self.executor)

    def add_device(
        self,
        device: Device[Any],
        id: str,
        *,
        transport: Transport | None = None,
        place: Placement | None = None,
        every_s: float = 1.0,
    ) -> Attachment:
        """Put a device in its place; while running it is attached at once.

        Devices of one transport share a lane; one without gets a lane of its own.

        Raises:
            DuplicateError: the name is taken.
            ComponentError: the name is not a name, or the device is incomplete.
        """
        self._claim(id, "device")
        try:
            return self._place_device(device, id, transport, place or Placement(id, every_s))
        except BaseException:
            self._disown(id)
            raise

    def add_process(self, process: Process) -> None:
        """Add an event-driven component; while running it is started at once.

        Raises:
            DuplicateError: the name is taken.
            ComponentError: it has no name, or lacks a method.
            Exception: while running, whatever its `start` raised; it is not added then.
        """
        kind = "interface" if isinstance(process, Interface) else "process"
        self._check_shape(process, ("start", "handle", "stop"), kind)
        self._claim(process.name, kind)
        reactor = Reactor(process, kind, self.context(f"{kind}.{process.name}"))
        with self._admin:
            self._reactors[process.name] = reactor
            at_once = self._up
        if at_once:
            self._start_latecomer(reactor)

    def add_interface(self, interface: Interface) -> None:
        """Add a component that faces people or networks; started after the processes."""
        self.add_process(interface)

    def add_service(self, service: Service) -> None:
        """Add a time-driven component; while running it is started at once.

        Raises:
            DuplicateError: the name is taken.
            ComponentError: it has no name, or lacks a method.
        """
        self._check_shape(service, ("start", "tick", "stop"), "service")
        self._claim(service.name, "service")
        self._supervisor.add(service)
        self._supervisor.start_if_enabled(service)

    def remove(self, name: str) -> None:
        """Stop a component as at shutdown, and forget it.

        Raises:
            ComponentError: there is no such component.
        """
        with self._admin:
            kind = self._names.get(name, _LEAVING)
            if kind == _LEAVING:
                raise ComponentError(f'no component "{name}"; there is {", ".join(self._names)}')
            self._names[name] = _LEAVING
        try:
            if kind == "device":
                self._take_out_device(name)
            elif kind == "service":
                self._supervisor.remove(name)
            else:
                self._reactors.pop(name).stop(_STOP_WAIT_S)
        finally:
            self._disown(name)

    def device(self, id: str) -> Device[Any]:
        """Return a device by name.

        Raises:
            ComponentError: there is no such device.
        """
        return self._known_device(id).device

    def devices(self) -> tuple[DeviceStatus, ...]:
        """Return where every device stands, in order of registration."""
        return tuple(attachment.status() for attachment in list(self._attachments.values()))

    def services(self) -> tuple[ServiceStatus, ...]:
        """Return where every service stands."""
        return self._supervisor.statuses()

    def start_service(self, name: str) -> None:
        """Start a service that is stopped or has failed."""
        self._supervisor.start(name)

    def stop_service(self, name: str) -> bool:
        """Stop a service within its deadline; return whether it ended."""
        return self._supervisor.stop(name)

    def transports(self) -> tuple[Transport, ...]:
        """Return the buses in use."""
        found = (sampler.transport for sampler in list(self._samplers.values()))
        return tuple(transport for transport in found if transport is not None)

    # Up and down

    def boot(self) -> None:
        """Start everything: devices, processes, interfaces, services.

        Raises:
            BootError: a component kept the appliance from starting, or a shutdown was asked for
                meanwhile; what had started is stopped.
        """
        with self._admin:
            if self._up or self._stopping:
                raise LeydenError("the runtime is running already")
            steps = self._boot_steps()
            self._up = True
        for step, start in steps:
            try:
                self._refuse_if_asked_to_stop()
                start()
            except BaseException as error:
                self._stop_everything(f"boot failed at {step}: {error}")
                if isinstance(error, Exception):
                    raise BootError(step, error) from error
                raise
        self.booted = True
        self._publish("booted", {"devices": self._device_states()})

    def run(self) -> int:
        """Boot, wait until a shutdown is asked for, shut down; return the exit code.

        In the main thread SIGTERM and SIGINT ask for one, unless the program has handlers of its
        own for them.

        Raises:
            BootError: a component kept the appliance from starting.
        """
        self._runner = get_ident()
        try:
            if isinstance(self.executor, SystemExecutor):
                with asked_by_signals(self.request_shutdown):
                    self._boot_and_wait()
            else:
                self._boot_and_wait()
        except KeyboardInterrupt:
            self.request_shutdown("interrupted from the keyboard")
        finally:
            self.shutdown(self._stop_reason)
            self._runner = 0
        return self._last_exit_code

    def request_shutdown(self, reason: str, exit_code: int = 0) -> None:
        """Ask for a shutdown and return at once; from any thread, tick, handler or signal's lane.

        One that is asked for before or during boot ends that boot. The first reason is kept; a
        non-zero exit code is never lowered again.
        """
        self._stop_reason = self._stop_reason or reason
        self._exit_code = self._exit_code or exit_code
        self._stop_asked.set()

    def shutdown(self, reason: str = "") -> None:
        """Stop everything in reverse order of boot; does nothing when nothing runs.

        While another thread is in `run` or `boot` it is that thread's to do: it is asked to.
        """
        if not self._up or self._stopping:
            return
        if not self.booted or self._runner not in (0, get_ident()):
            self.request_shutdown(reason)
            return
        self._notifier.stopping(reason or "stopping")
        self._stop_everything(reason)

    def on_boot(self) -> None:
        """Called before devices attach; for subclasses."""

    def on_shutdown(self, reason: str) -> None:
        """Called after devices are detached; for subclasses."""

    def __enter__(self) -> Runtime:
        self.boot()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.shutdown(f"{type(error).__name__}: {error}" if error else "")

    # Intents

    def register_goal(self, goal: str, handler: GoalHandler, role: Role) -> None:
        """Let intents for `goal` from `role` upwards be carried out by `handler`.

        Raises:
            DuplicateError: the goal has a handler.
        """
        self._goals.register(goal, handler, role)

    def submit(self, intent: Intent) -> Answer:
        """Carry out an intent, or refuse it; equal keys are carried out once. Never raises.

        It is on record before it is carried out, and so is what came of it before anyone is told.
        """
        return self._goals.submit(intent)

    def _write_goal(self, intent: Intent) -> Value:
        payload = intent.payload
        if not isinstance(payload, Mapping) or "route" not in payload or "value" not in payload:
            raise ComponentError('found no "route" and "value", expected {"route": …, "value": …}')
        id, _, channel = str(payload["route"]).partition(".")
        attachment = self._known_device(id)
        self._lane_of[id].call(
            attachment, lambda: attachment.write(channel, payload["value"]), _ATTACH_WAIT_S
        )
        return payload["value"]

    def _shutdown_goal(self, intent: Intent) -> Value:
        self.request_shutdown(f"asked for by {intent.who or 'somebody'}")
        return None

    # Boot, step by step

    def _boot_and_wait(self) -> None:
        try:
            self.boot()
        except BootError as error:
            if isinstance(error.__cause__, _StopAskedError):
                return
            raise
        self._notifier.ready(f"{self.name} runs")
        beat_s = self._notifier.watchdog_s
        while not self._stop_asked.wait(beat_s / 3 if beat_s else None):
            if self._alive():
                self._notifier.watchdog()

    def _refuse_if_asked_to_stop(self) -> None:
        if self._stop_asked.is_set():
            raise _StopAskedError(f"a shutdown was asked for: {self._stop_reason}")

    def _announce(self) -> None:
        self._publish("booting", {"name": self.name, "boot": self.events.boot})
        self.on_boot()

    def _boot_steps(self) -> list[tuple[str, Callable[[], None]]]:
        steps: list[tuple[str, Callable[[], None]]] = []
        if self._identity is not None:
            identity = self._identity
            steps.append(("identity", lambda: self._publish("identity", identity())))
        steps.append(("on_boot", self._announce))
        for id in self._devices_in_order():
            steps.append((f"device {id}", partial(self._start_device, id)))
        for kind in ("process", "interface"):
            steps += [
                (f"{kind} {name}", reactor.start)
                for name, reactor in self._reactors.items()
                if reactor.kind == kind
            ]
        steps.append(("services", self._supervisor.start_all))
        return steps

    def _devices_in_order(self) -> list[str]:
        # Registration order, except that what a device needs comes before it.
        ordered: list[str] = []

        def place(id: str, path: tuple[str, ...]) -> None:
            if id in path:
                raise ComponentError(f"{' → '.join((*path, id))} need each other in a circle")
            if id in ordered:
                return
            for need in self._known_device(id).place.needs:
                place(need, (*path, id))
            ordered.append(id)

        for id in self._attachments:
            place(id, ())
        return ordered

    def _place_device(
        self, device: Device[Any], id: str, transport: Transport | None, place: Placement
    ) -> Attachment:
        for_bus = transport.name if transport is not None else ""
        device.clock, device.period_s = self.clock, place.period_s
        attachment = Attachment(device, place, self.events, self._device_online, for_bus)
        with self._admin:
            sampler = self._sampler(for_bus or f"device.{id}", transport)
            self._attachments[id], self._lane_of[id] = attachment, sampler
            if self._up:
                sampler.add(attachment)
                self._overseer.watch(tuple(self._samplers.values()))
        return attachment

    def _take_out_device(self, id: str) -> None:
        attachment, sampler = self._attachments.pop(id), self._lane_of.pop(id)
        sampler.remove(attachment, _STOP_WAIT_S)
        with self._admin:
            # A lane that was this device's alone goes with it; a bus stays for who comes next.
            if sampler.transport is None and self._samplers.get(sampler.name) is sampler:
                del self._samplers[sampler.name]
                self._overseer.watch(tuple(self._samplers.values()))
        if sampler.transport is None:
            sampler.stop(_STOP_WAIT_S)

    def _start_device(self, id: str) -> None:
        attachment, sampler = self._attachments.get(id), self._lane_of.get(id)
        if attachment is None or sampler is None:
            return  # removed since boot began
        self._overseer.watch(tuple(self._samplers.values()))
        self._await_first_answer(sampler.add(attachment))
        if attachment.online:
            return
        if attachment.place.if_absent is IfAbsent.FAIL:
            fault = attachment.fault
            raise DeviceError(fault.detail if fault else f"{id} did not answer")
        if attachment.place.if_absent is IfAbsent.IGNORE:
            sampler.forget(attachment)

    def _await_first_answer(self, tried: Signal) -> None:
        # A hung bus is the overseer's to deal with; the boot goes on without an answer.
        until = self.clock.monotonic_ns() + round(_ATTACH_WAIT_S * NS)
        while not tried.wait(_LOOK_S) and self.clock.monotonic_ns() < until:
            self._refuse_if_asked_to_stop()

    def _start_latecomer(self, reactor: Reactor) -> None:
        try:
            reactor.start()
        except BaseException:
            del self._reactors[reactor.name]
            self._disown(reactor.name)
            raise
        if not self._up:  # a shutdown came by before it had started
            reactor.stop(_STOP_WAIT_S)

    # Shutdown, step by step

    def _stop_everything(self, reason: str) -> None:
        with self._admin:
            if self._stopping:
                return
            self._up, self._stopping = False, True
        self._publish("shutting_down", {"reason": reason})
        self._supervisor.stop_all()
        reactors = list(self._reactors.values())
        for kind in ("interface", "process"):
            for reactor in reversed([each for each in reactors if each.kind == kind]):
                reactor.stop(_STOP_WAIT_S)
        self._overseer.stop()
        self._stop_devices()
        try:
            self.on_shutdown(reason)
        finally:
            self._publish("shutdown", {"reason": reason, "exit_code": self._exit_code})
            self._rewind()

    def _stop_devices(self) -> None:
        samplers = reversed(list(self._samplers.values()))
        beside = [lane for sampler in samplers for lane in sampler.stop(_STOP_WAIT_S)]
        until = self.clock.monotonic_ns() + round(_STOP_WAIT_S * NS)
        for lane in beside:  # all at once: buses that hang share one deadline
            lane.join(max(0.0, (until - self.clock.monotonic_ns()) / NS))

    def _rewind(self) -> None:
        # Fresh lanes, and nothing asked for, for a second boot of the same runtime.
        self._last_exit_code, self._exit_code, self._stop_reason = self._exit_code, 0, ""
        self._stop_asked.clear()
        with self._admin:
            self._overseer = Overseer(self.executor)
            self._samplers = {
                name: Sampler(name, self.executor, sampler.transport)
                for name, sampler in self._samplers.items()
            }
            self._lane_of = {id: self._samplers[old.name] for id, old in self._lane_of.items()}
            self.booted = self._stopping = False

    # Small things

    def _watcher_failed(self, path: tuple[str, ...], error: Exception) -> None:
        text = f"{type(error).__name__}: {error}"
        where = ".".join(path)
        self.events.publish(
            SUBSCRIBER_ERROR,
            {"subscriber": "state", "path": where, "error": text},
            source="state",
            detail=f"a watcher failed on state {where}: {text}",
        )

    def _publish(self, word: str, value: Value) -> None:
        self.events.publish(f"runtime.{word}", value, source="runtime")

    def _device_states(self) -> dict[str, str]:
        return {id: str(attachment.state) for id, attachment in self._attachments.items()}

    def _device_online(self, id: str) -> bool:
        attachment = self._attachments.get(id)
        return attachment is not None and attachment.online

    def _known_device(self, id: str) -> Attachment:
        try:
            return self._attachments[id]
        except KeyError:
            known = ", ".join(self._attachments) or "none"
            raise ComponentError(f'no device "{id}"; there is {known}') from None

    def _sampler(self, name: str, transport: Transport | None) -> Sampler:
        sampler = self._samplers.get(name)
        if sampler is not None and sampler.transport is not transport:
            if sampler in self._lane_of.values():
                raise DuplicateError(f'two buses are called "{name}"; each needs a name of its own')
            sampler.stop(0.0)  # the bus was opened anew, and nobody uses the old one any more
            sampler = None
        if sampler is None:
            sampler = self._samplers[name] = Sampler(name, self.executor, transport)
        return sampler

    def _claim(self, name: str, kind: str) -> None:
        if not _NAME.fullmatch(name):
            raise ComponentError(
                f'found {kind} name "{name}", expected a-z 0-9 _ beginning with a letter'
            )
        with self._admin:
            if name in self._names:
                raise DuplicateError(f'"{name}" is taken by a {self._names[name]}')
            self._names[name] = kind

    def _disown(self, name: str) -> None:
        with self._admin:
            del self._names[name]

    def _check_seams(self, store: Store | None, notifier: Notifier | None) -> None:
        self._check_shape(self.executor, ("start_lane", "signal"), "executor")
        clock = getattr(self.executor, "clock", None)
        self._check_shape(clock, ("monotonic_ns", "time_ns", "synchronised", "sleep"), "clock")
        if store is not None:
            methods = ("append", "commit", "first_number", "reserve", "read")
            self._check_shape(store, methods, "store")
        if notifier is not None:
            self._check_shape(notifier, ("ready", "watchdog", "stopping"), "notifier")

    def _check_shape(self, component: object, methods: tuple[str, ...], kind: str) -> None:
        missing = [each for each in methods if not callable(getattr(component, each, None))]
        if missing:
            raise ComponentError(f"{component!r} is no {kind}: it lacks {', '.join(missing)}()")

    def _alive(self) -> bool:
        silent_ns = self.clock.monotonic_ns() - self._overseer.beat_ns
        return not self._attachments or silent_ns < _BEAT_LIMIT_S * NS
