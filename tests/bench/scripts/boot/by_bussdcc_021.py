"""bussdcc 0.21: a runtime with four devices, two processes, an interface and two services."""

import time

from bussdcc import Runtime
from bussdcc.context import ContextProtocol
from bussdcc.device import Device
from bussdcc.event import Event
from bussdcc.process import Process
from bussdcc.service import Service
from gauge import confirm, median, option, report
from parts import DEVICES, INTERFACE, PERIOD_S, PROCESSES, SERVICES

connected: list[str] = []


class Sensor(Device):
    kind = "sensor"

    def connect(self) -> None:
        connected.append(self.id)

    def disconnect(self) -> None:
        connected.remove(self.id)


class Listener(Process):
    def __init__(self, name: str) -> None:
        self.name = name

    def handle_event(self, ctx: ContextProtocol, evt: Event) -> None:
        pass


class Heartbeat(Service):
    interval = PERIOD_S

    def __init__(self, name: str) -> None:
        self.name = name

    def tick(self, ctx: ContextProtocol) -> None:
        pass


def cycle() -> float:
    runtime = Runtime()
    for name in DEVICES:
        runtime.attach_device(Sensor(id=name))
    for name in PROCESSES:
        runtime.register_process(Listener(name))
    runtime.register_interface(Listener(INTERFACE))
    for name in SERVICES:
        runtime.register_service(Heartbeat(name))
    start = time.perf_counter()
    runtime.boot()
    confirm(connected == list(DEVICES), "not every device is connected")
    runtime.shutdown()
    took = time.perf_counter() - start
    confirm(not connected, "a device is still connected")
    return took * 1000


cycle()  # the first pays for what Python loads late
report(
    median([cycle() for _ in range(int(option("cycles", 20)))]),
    "ms",
    does="4 devices, 2 processes, 1 interface, 2 services",
)
