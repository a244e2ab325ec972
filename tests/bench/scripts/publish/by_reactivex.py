"""reactivex: a subject that is handed a frozen reading; no order, log or latest behind it."""

import time
from dataclasses import dataclass

from gauge import Rate, Seen, confirm, option, readings, report
from reactivex import Subject


@dataclass(slots=True, frozen=True)
class Reading:
    route: str
    value: float
    mono: int


subscribers = [Seen() for _ in range(int(option("subscribers", 1)))]
subject: Subject[Reading] = Subject()
for each in subscribers:
    subject.subscribe(each.take)


def publish(count: int) -> None:
    send, now = subject.on_next, time.monotonic_ns
    for value in readings(count):
        send(Reading("air.temperature", value, now()))


rate = Rate(publish, option("seconds", 0.5), cpu=True)
for each in subscribers:
    confirm(each.count == rate.done, f"{each.count} of {rate.done} events arrived")
    confirm(each.last.value >= 20.0, "the value did not arrive")
report(rate.per_second, "1/s", does="subject; reading has route, value, time")
