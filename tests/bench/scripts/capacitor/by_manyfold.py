"""manyfold: a capacitor that a consumer thread discharges by demand, history limited to one.

Its other mode, `immediate`, runs the consumer in the producer's thread and so at the consumer's
rate; demand is where the producer is fastest. The consumer must poll: demand given while the
capacitor is empty is forgotten.
"""

import struct
import threading
from typing import Any

from gauge import confirm, option, report
from manyfold import (
    Graph,
    Layer,
    OwnerName,
    Plane,
    RouteRetentionPolicy,
    Schema,
    StreamFamily,
    StreamName,
    Variant,
    route,
)
from pressure import Consumer, rate_and_pause

double = struct.Struct("<d")


def typed(name: str) -> Any:
    return route(
        plane=Plane.Read,
        layer=Layer.Logical,
        owner=OwnerName("air"),
        family=StreamFamily("climate"),
        stream=StreamName(name),
        variant=Variant.Payload,
        schema=Schema("Celsius", 1, double.pack, lambda body: double.unpack(body)[0]),
    )


source, sink, demand = typed("temperature"), typed("temperature_slow"), typed("demand")
graph = Graph()
for each in (source, sink, demand):
    graph.configure_retention(each, RouteRetentionPolicy("latest_only", history_limit=1))
consumer = Consumer()
graph.observe(sink, replay_latest=False).subscribe(consumer.take)
graph.capacitor(source=source, sink=sink, capacity=1, demand=demand, overflow="latest")
ended = threading.Event()


def consume() -> None:
    while not ended.is_set():
        graph.publish(demand, 1.0)


thread = threading.Thread(target=consume, daemon=True)
thread.start()
rate, pause_ms = rate_and_pause(
    lambda value: graph.publish(source, value), consumer, option("seconds", 0.5)
)
ended.set()
thread.join(5)
confirm(consumer.count > 0 and consumer.last.value >= 20.0, "nothing reached the consumer")
report(
    rate.per_second,
    "1/s",
    also={"capacitor_stall": pause_ms},
    does="demand from a consumer thread, history limit 1",
    delivered=consumer.count,
    published=rate.done,
)
