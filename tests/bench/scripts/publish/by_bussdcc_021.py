"""bussdcc 0.21: named events with keyword data, through its event engine."""

from bussdcc.clock import SystemClock
from bussdcc.event import EventEngine
from gauge import Rate, Seen, confirm, option, readings, report

subscribers = [Seen() for _ in range(int(option("subscribers", 1)))]
events = EventEngine(clock=SystemClock())
for each in subscribers:
    events.subscribe(each.take)


def publish(count: int) -> None:
    emit = events.emit
    for value in readings(count):
        emit("air.temperature", value=value)


rate = Rate(publish, option("seconds", 0.5), cpu=True)
for each in subscribers:
    confirm(each.count == rate.done, f"{each.count} of {rate.done} events arrived")
    confirm(each.last.data["value"] >= 20.0, "the value did not arrive")
report(rate.per_second, "1/s", does="event engine; event has time, name, data")
