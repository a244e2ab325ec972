"""bussdcc 0.42: a typed message through the context of a runtime that is not booted.

Booted, the runtime would subscribe a dispatcher of its own; this is the faster way.
"""

from dataclasses import dataclass

from bussdcc import Event, Message, Runtime
from gauge import Rate, Seen, confirm, option, readings, report


@dataclass(slots=True, frozen=True)
class AirTemperature(Message):
    value: float


subscribers = [Seen() for _ in range(int(option("subscribers", 1)))]
context = Runtime().ctx
for each in subscribers:
    context.events.subscribe(AirTemperature, each.take)


def publish(count: int) -> None:
    emit = context.emit
    for value in readings(count):
        emit(AirTemperature(value))


rate = Rate(publish, option("seconds", 0.5), cpu=True)
for each in subscribers:
    confirm(each.count == rate.done, f"{each.count} of {rate.done} events arrived")
    confirm(isinstance(each.last, Event) and each.last.payload.value >= 20.0, "no value arrived")
report(rate.per_second, "1/s", does="event bus; typed message and time")
