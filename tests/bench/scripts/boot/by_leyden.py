"""Leyden: a runtime with four devices, two processes, an interface and two services.

Its devices are probed, started and read once before `boot` returns; those of the others connect.
"""

import time
from dataclasses import dataclass
from typing import Annotated

from gauge import confirm, median, option, report
from parts import DEVICES, INTERFACE, PERIOD_S, PROCESSES, SERVICES

from leyden.kernel import (
    Context,
    Device,
    Event,
    Interface,
    Process,
    Reading,
    Runtime,
    Service,
    Span,
)

started: list[str] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class Climate(Reading):
    temperature: Annotated[float, Span("Cel", -40, 85)]


class Sensor(Device[Climate]):
    reading = Climate

    def __init__(self, id: str) -> None:
        self.id = id

    def start(self) -> None:
        started.append(self.id)

    def read(self) -> Climate:
        return Climate(temperature=20.5)

    def stop(self) -> None:
        started.remove(self.id)


class Listener(Process):
    def __init__(self, name: str) -> None:
        self.name = name

    def handle(self, ctx: Context, event: Event) -> None:
        """Take every event, as the others' processes do."""


class Face(Interface):
    name = INTERFACE


class Heartbeat(Service):
    period_s = PERIOD_S

    def __init__(self, name: str) -> None:
        self.name = name


def cycle() -> float:
    runtime = Runtime()
    for name in DEVICES:
        runtime.add_device(Sensor(name), name, every_s=PERIOD_S)
    for name in PROCESSES:
        runtime.add_process(Listener(name))
    runtime.add_interface(Face())
    for name in SERVICES:
        runtime.add_service(Heartbeat(name))
    start = time.perf_counter()
    runtime.boot()
    confirm(started == list(DEVICES), "not every device has started")
    runtime.shutdown()
    took = time.perf_counter() - start
    confirm(not started, "a device has not stopped")
    return took * 1000


cycle()  # the first pays for what Python loads late
report(
    median([cycle() for _ in range(int(option("cycles", 20)))]),
    "ms",
    does="4 devices, 2 processes, 1 interface, 2 services",
)
