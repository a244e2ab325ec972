"""Leyden: a line from a route through a capacitor to a handler, which is the slow consumer.

The handler runs in the capacitor's own lane and gets the newest value whenever it has returned.
"""

from gauge import confirm, option, report
from pressure import Consumer, rate_and_pause

from leyden.flow import Capacitor, Graph
from leyden.kernel import EventStream, Route

stream = EventStream()
temperature = stream.declare(Route.of("air.temperature", unit="Cel"))
graph = Graph(stream)
consumer = Consumer()
capacitor = Capacitor(keep=1, overflow="latest")
graph.pipe(temperature, consumer.take, through=(capacitor,))

rate, pause_ms = rate_and_pause(
    lambda value: stream.publish(temperature, value), consumer, option("seconds", 0.5)
)
counters = capacitor.counters()
graph.close()
confirm(consumer.count > 0 and consumer.last.value >= 20.0, "nothing reached the consumer")
confirm(counters.entered >= rate.done, "the capacitor did not see every event")
confirm(
    counters.entered == counters.out + counters.dropped + counters.coalesced + counters.held,
    f"the capacitor's figures do not add up: {counters}",
)
report(
    rate.per_second,
    "1/s",
    also={"capacitor_stall": pause_ms},
    does="line to a handler, keeps the newest",
    delivered=consumer.count,
    published=rate.done,
)
