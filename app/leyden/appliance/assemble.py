"""Assembly: turns a plan into a running appliance; the one place that knows every part by name."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec

from leyden.appliance import drivers
from leyden.appliance.identity import Identity, IdentityService, discover
from leyden.appliance.plan import BusPlan, DevicePlan, Plan, RoutePlan
from leyden.appliance.words import near, one_of
from leyden.eventlog.clocklog import CLOCK_ROUTE
from leyden.eventlog.keeper import LogKeeper
from leyden.eventlog.recorder import REPORTS, Recorder
from leyden.eventlog.schema import About
from leyden.flow import Graph, through
from leyden.hal.guard import AnyGuard
from leyden.hal.lease import LeasedOutput, LeaseKeeper
from leyden.hal.linux.rig import LinuxRig
from leyden.hal.mock.rig import Rig as MockRig
from leyden.hal.mock.script import courses
from leyden.hal.mock.world import World
from leyden.kernel import (
    BAD,
    GOOD,
    ComponentError,
    Executor,
    IfAbsent,
    Intent,
    Origin,
    Placement,
    Quality,
    Role,
    Route,
    Runtime,
    Schema,
    Store,
    Value,
)

AnyRig: TypeAlias = LinuxRig | MockRig
LEASE_EXPIRED: Final = "output.lease_expired"
_MOCK_SPEEDS = {"i2c": 100_000, "uart": 9600}


@dataclass(frozen=True, slots=True)
class Appliance:
    """Everything that was put together from one plan."""

    plan: Plan
    runtime: Runtime
    graph: Graph
    rig: AnyRig
    recorder: Recorder | None
    identity: Identity

    @property
    def world(self) -> World | None:
        """The modelled world behind mock buses; None on real ones."""
        return self.rig.world if isinstance(self.rig, MockRig) else None

    def close(self) -> None:
        """Take the graph down, drive every output safe and close the log, in this order."""
        self.graph.close()
        self.rig.close()
        if self.recorder is not None:
            self.recorder.close()


class Opening(msgspec.Struct, frozen=True):
    """Something that is told once, while the runtime boots: an event on a route of the system."""

    route: str
    value: Value
    source: str
    quality: Quality = GOOD
    reason: str = ""
    detail: str = ""


class _Runtime(Runtime):
    """A runtime that says, right after who it is, what it found: its log and its openings."""

    def __init__(
        self, *args: Any, recorder: Recorder | None, openings: Iterable[Opening], **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self._recorder = recorder
        self._openings = tuple(openings)
        for each in self._openings:
            self.events.declare_system(each.route)

    def on_boot(self) -> None:
        for route, value in self._recorder.opening_reports() if self._recorder else ():
            self.events.publish(route, value, source="log")
        for each in self._openings:
            self.events.publish(
                each.route, each.value, each.source, each.quality, each.reason, each.detail
            )


def assemble(
    plan: Plan,
    executor: Executor,
    *,
    store: Store | None = None,
    openings: Iterable[Opening] = (),
) -> Appliance:
    """Put an appliance together without starting it.

    Args:
        plan: what it is made of.
        executor: real threads, or a simulation.
        store: where records go; a `Recorder` is also started and looked after.
        openings: what is told at boot, once the log's own reports are.

    Raises:
        LeydenError: a device, route or world that cannot be.
    """
    identity = discover(clock=executor.clock)
    recorder = store if isinstance(store, Recorder) else None
    runtime = _Runtime(
        plan.name,
        executor=executor,
        store=store,
        identity=lambda: identity,
        recorder=recorder,
        openings=openings,
    )
    rig = _rig(plan, runtime)
    for bus in plan.buses:
        _add_bus(rig, bus)
    for device in plan.devices:
        _add_device(runtime, rig, device)
    _refuse_misspelt(rig)
    graph = Graph(runtime.events)
    for route in plan.routes:
        _add_route(graph, route)
    runtime.add_service(IdentityService())
    if isinstance(rig, MockRig):
        runtime.register_goal("world.set", partial(_set_world, rig.world), Role.OPERATOR)
    if recorder is not None:
        _keep_log(runtime, recorder, plan, identity)
    return Appliance(plan, runtime, graph, rig, recorder, identity)


def about(plan: Plan, identity: Identity) -> About:
    """Return what every segment of the log says of program, machine and configuration."""
    versions = {"leyden": metadata.version("leyden"), "python": platform.python_version()}
    return About(identity.boot_id, msgspec.to_builtins(plan), versions)


# Buses and devices


def _rig(plan: Plan, runtime: Runtime) -> AnyRig:
    runtime.events.declare_system(LEASE_EXPIRED)
    keeper = LeaseKeeper(runtime.executor, partial(_lease_expired, runtime))
    if not plan.mock:
        return LinuxRig(runtime.executor, keeper=keeper)
    world = World(runtime.clock)
    world.load(plan.world, Path(plan.folder))
    return MockRig(runtime.executor, world=world, keeper=keeper)


def _lease_expired(runtime: Runtime, output: LeasedOutput) -> None:
    runtime.events.publish_now(
        LEASE_EXPIRED,
        {"output": output.name, "line": output.line, "safe": output.safe},
        source="leases",
        quality=BAD,
        reason="lease_expired",
        detail=f"{output.name} went to its safe value: nobody renewed its lease",
    )


def _add_bus(rig: AnyRig, bus: BusPlan) -> None:
    if isinstance(rig, MockRig):
        _add_mock_bus(rig, bus)
        return
    speed = int(bus.speed) if bus.speed else 0
    match bus.kind:
        case "i2c":
            rig.i2c(bus.name, path=bus.path, speed_hz=speed or _MOCK_SPEEDS["i2c"])
        case "spi":
            rig.spi(bus.name, path=bus.path)
        case "uart":
            rig.uart(bus.name, path=bus.path, speed_bd=speed or _MOCK_SPEEDS["uart"])
        case _:
            rig.gpio(bus.name, chip=bus.path)


def _add_mock_bus(rig: MockRig, bus: BusPlan) -> None:
    speed = int(bus.speed) if bus.speed else 0
    match bus.kind:
        case "i2c":
            rig.i2c(bus.name, speed_hz=speed or _MOCK_SPEEDS["i2c"])
        case "spi":
            rig.spi(bus.name)
        case "uart":
            rig.uart(bus.name, speed_bd=speed or _MOCK_SPEEDS["uart"])
        case _:
            rig.gpio(bus.name)


def _add_device(runtime: Runtime, rig: AnyRig, device: DevicePlan) -> None:
    driver = drivers.load(device.driver)
    options: Any = msgspec.convert(device.options, driver.options)
    bus: AnyGuard | None = rig.buses[device.bus] if device.bus else None
    if isinstance(rig, MockRig) and device.bus:
        _plug(rig, device, driver, options)
    place = Placement(
        device.id,
        period_s=device.period_s,
        check_s=device.check_s,
        if_absent=IfAbsent(device.if_absent),
        label=device.label,
        group=device.group,
        driver=device.driver,
        address=_address(options),
        needs=device.needs,
        normal=device.normal,
        labels=device.labels,
    )
    made = driver.make(bus, options)
    runtime.add_device(made, device.id, transport=bus, place=place)


def _plug(rig: MockRig, device: DevicePlan, driver: drivers.Driver, options: Any) -> None:
    model = driver.model()
    if model is None:
        raise ComponentError(
            f"device {device.id}: driver {driver.name} has no chip model, so --mock cannot run it"
        )
    rig.plug(device.bus, model, device.id, options)


def _address(options: Any) -> str:
    address = getattr(options, "address", None)
    if address is not None:
        return f"{address:#04x}"
    select = getattr(options, "chip_select", None)
    return f"cs{select}" if select is not None else ""


def _refuse_misspelt(rig: AnyRig) -> None:
    if isinstance(rig, MockRig) and (unclaimed := rig.world.unclaimed()):
        known = rig.world.names()
        lines = dict.fromkeys(line for name in unclaimed if (line := _misspelt(name, known)))
        raise ComponentError("\n".join(lines))


def _misspelt(name: str, known: Sequence[str]) -> str:
    """Return what is wrong with a name of the world that no chip has claimed."""
    signal = next((each for each in known if name.startswith(f"{each}.")), "")
    if not signal:
        return f"world.{name}: no chip senses it, expected {one_of(known)}{near(name, known)}"
    word = name.removeprefix(f"{signal}.").partition(".")[0]
    if word in courses():
        return ""  # right by itself; what stands beside it is not
    expected = f"a value or {one_of(courses())}{near(word, courses())}"
    return f'world.{signal}: found "{word}", expected {expected}'


def _set_world(world: World, intent: Intent) -> Value:
    payload = intent.payload
    if not isinstance(payload, Mapping) or not {"name", "value"} <= payload.keys():
        raise ComponentError('found no "name" and "value", expected {"name": …, "value": …}')
    return world.set(str(payload["name"]), payload["value"])


# Routes


def _add_route(graph: Graph, route: RoutePlan) -> None:
    source = graph.resolve(route.source)
    target = Route.of(f"flow.{route.name}", source.route.schema, origin=Origin.DERIVED)
    graph.pipe(route.source, target, through=through(route.through), name=route.name)
    info = graph.resolve(target.key)
    label = route.label or route.name.replace("_", " ").capitalize()
    graph.events.declare(
        info.route, msgspec.structs.replace(info, label=label, group=route.group or "Derived")
    )


# The log


def _keep_log(runtime: Runtime, recorder: Recorder, plan: Plan, identity: Identity) -> None:
    for route in REPORTS:
        runtime.events.declare_system(route)
    runtime.events.declare_system(CLOCK_ROUTE, Schema("json"))
    runtime.add_service(LogKeeper(recorder))
    # Last: whatever is declared by now stands in the first segment's head.
    recorder.start(
        about(plan, identity),
        runtime.events.routes,
        partial(_report, runtime),
        runtime.events.scans,
    )


def _report(runtime: Runtime, route: str, value: Mapping[str, Value]) -> None:
    runtime.events.publish(route, value, source="log")
