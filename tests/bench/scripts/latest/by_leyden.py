"""Leyden: the newest event of a route, with number, time, quality and reason."""

from gauge import Rate, confirm, option, report

from leyden.kernel import EventStream, Route

stream = EventStream()
temperature = stream.declare(Route.of("air.temperature", unit="Cel"))
stream.publish(temperature, 20.5)


def read(count: int) -> None:
    latest = stream.latest
    for _ in range(count):
        latest("air.temperature")


rate = Rate(read, option("seconds", 0.5), cpu=True)
found = stream.latest("air.temperature")
confirm(found is not None and found.value == 20.5, "the value is not there")
report(rate.per_second, "1/s", does="whole event")
