"""manyfold: the latest envelope of a typed route, its value decoded."""

import struct

from gauge import Rate, confirm, option, report
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
graph.publish(temperature, 20.5)


def read(count: int) -> None:
    latest = graph.latest
    for _ in range(count):
        latest(temperature)


rate = Rate(read, option("seconds", 0.5), cpu=True)
found = graph.latest(temperature)
confirm(found is not None and found.value == 20.5, "the value is not there")
report(rate.per_second, "1/s", does="typed envelope, decoded")
