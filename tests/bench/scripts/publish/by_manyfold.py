"""manyfold: a typed route with its history limited to one, which is where it is fastest."""

import struct

from gauge import Rate, Seen, confirm, option, readings, report
from manyfold import (
    Graph,
    Layer,
    OwnerName,
    Plane,
    RouteRetentionPolicy,
    Schema,
    StreamFamily,
    StreamName,
    TypedRoute,
    Variant,
    route,
)

double = struct.Struct("<d")
temperature: TypedRoute[float] = route(
    plane=Plane.Read,
    layer=Layer.Logical,
    owner=OwnerName("air"),
    family=StreamFamily("climate"),
    stream=StreamName("temperature"),
    variant=Variant.Payload,
    schema=Schema("Celsius", 1, double.pack, lambda body: double.unpack(body)[0]),
)
graph = Graph()
graph.configure_retention(temperature, RouteRetentionPolicy("latest_only", history_limit=1))
subscribers = [Seen() for _ in range(int(option("subscribers", 1)))]
for each in subscribers:
    graph.observe(temperature, replay_latest=False).subscribe(each.take)


def publish(count: int) -> None:
    send = graph.publish
    for value in readings(count):
        send(temperature, value)


rate = Rate(publish, option("seconds", 0.5), cpu=True)
for each in subscribers:
    confirm(each.count == rate.done, f"{each.count} of {rate.done} events arrived")
    confirm(each.last.value >= 20.0, "the value did not arrive")
report(rate.per_second, "1/s", does="graph, history limit 1; typed envelope with sequence")
