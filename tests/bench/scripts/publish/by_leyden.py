"""Leyden: a declared route through the event stream, everything on.

Lock, sequence number, monotonic time, quality, cause, store, latest value and one order for all
subscribers; no part of the stream is replaced or switched off. The figure is that of `publish`,
which everybody calls; the function that `publisher` binds to one route is faster and only noted.
"""

from gauge import Rate, Seen, confirm, option, readings, report

from leyden.kernel import Delivery, EventStream, Route

subscribers = [Seen() for _ in range(int(option("subscribers", 1)))]
stream = EventStream()
temperature = stream.declare(Route.of("air.temperature", unit="Cel"))
for number, each in enumerate(subscribers):
    stream.subscribe(each.take, name=f"seen_{number}", delivery=Delivery.INLINE)
before = stream.head


def publish(count: int) -> None:
    send = stream.publish
    for value in readings(count):
        send(temperature, value)


def publish_bound(count: int) -> None:
    send = stream.publisher(temperature)
    for value in readings(count):
        send(value)


seconds = option("seconds", 0.5)
rate = Rate(publish, seconds, cpu=True)
bound = Rate(publish_bound, seconds / 3, cpu=True)
done = rate.done + bound.done
latest = stream.latest("air.temperature")
assert latest is not None
confirm(stream.head - before == done, "sequence numbers and publications differ")
for each in subscribers:
    confirm(each.count == done, f"{each.count} of {done} events arrived")
    confirm(each.last is latest and latest.value >= 20.0, "the value did not arrive")
report(
    rate.per_second,
    "1/s",
    does="event stream with memory store; event has n, time, quality, …",
    by_publisher=round(bound.per_second),
)
