"""A device, a process and a service of your own, without the rest of the appliance."""

import sys
from dataclasses import dataclass
from typing import Annotated

from leyden import Context, Device, Event, Process, Reading, Runtime, Service, Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Level(Reading):
    level: Annotated[float, Span("%", 0, 100, step=0.1)]


class Tank(Device[Level]):
    reading = Level
    left = 100.0

    def read(self) -> Level:
        self.left -= 9
        return Level(level=self.left)


class Guard(Process):
    name, prefixes = "guard", ("tank.level",)

    def handle(self, ctx: Context, event: Event) -> None:
        if event.value is not None and event.value < 30:
            ctx.runtime.request_shutdown(f"the tank is at {event.value} %")


class Report(Service):
    name, period_s = "report", 0.25

    def tick(self, ctx: Context) -> None:
        if level := ctx.events.latest("tank.level"):
            print(f"{level.route}: {level.value} %, {level.quality.word}")


runtime = Runtime("cellar")
runtime.add_device(Tank(), "tank", every_s=0.1)
runtime.add_process(Guard())
runtime.add_service(Report())
sys.exit(runtime.run())
