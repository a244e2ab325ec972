"""bussdcc 0.42: a runtime with four devices, two processes, an interface and two services.

The framework's runtime has the same interface, so it is measured by this script too.
"""

import importlib
import time

from bussdcc import Device, Process, Service
from gauge import confirm, median, option, report, text_option
from parts import DEVICES, INTERFACE, PERIOD_S, PROCESSES, SERVICES

Runtime = importlib.import_module(text_option("module", "bussdcc")).Runtime
connected: list[str] = []


class Sensor(Device[None]):
    kind = "sensor"

    def connect(self) -> None:
        connected.append(self.id)

    def disconnect(self) -> None:
        connected.remove(self.id)


class Listener(Process):
    def __init__(self, name: str) -> None:
        self.name = name


class Heartbeat(Service):
    interval = PERIOD_S

    def __init__(self, name: str) -> None:
        self.name = name


def cycle() -> float:
    runtime = Runtime()
    for name in DEVICES:
        runtime.devices.attach(Sensor(id=name))
    for name in PROCESSES:
        runtime.processes.register(Listener(name))
    runtime.interfaces.register(Listener(INTERFACE))
    for name in SERVICES:
        runtime.services.register(Heartbeat(name))
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
