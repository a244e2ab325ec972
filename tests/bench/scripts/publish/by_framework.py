"""bussdcc-framework 0.34 on bussdcc 0.40: its runtime, booted, without sinks."""

from dataclasses import dataclass

from bussdcc import Message
from bussdcc_framework.runtime import Runtime
from gauge import Rate, Seen, confirm, option, readings, report


@dataclass(slots=True, frozen=True)
class AirTemperature(Message):
    value: float


subscribers = [Seen() for _ in range(int(option("subscribers", 1)))]
runtime = Runtime()
for each in subscribers:
    runtime.events.subscribe(AirTemperature, each.take)
runtime.boot()


def publish(count: int) -> None:
    emit = runtime.ctx.emit
    for value in readings(count):
        emit(AirTemperature(value))


rate = Rate(publish, option("seconds", 0.5), cpu=True)
runtime.shutdown()
for each in subscribers:
    confirm(each.count == rate.done, f"{each.count} of {rate.done} events arrived")
    confirm(each.last.payload.value >= 20.0, "the value did not arrive")
report(rate.per_second, "1/s", does="booted runtime; typed message and time")
