"""Leyden: how much memory grows over a simulated day at 100 samples a second.

Ten devices of ten channels are read every second; each has a queued subscriber on one channel and a
line through a capacitor from another. `seconds` is simulated. Growth counts from a third of that
time on, when every ring has filled: the store's holds 10 000 records, a thousand seconds.
"""

import time

from gauge import Seen, confirm, option, report, rss_mb
from rooms import Rack

from leyden.flow import Capacitor, Graph
from leyden.kernel import Runtime, SimulatedExecutor

DEVICES, PERIOD_S, WARM_UP = 10, 1.0, 1 / 3

executor = SimulatedExecutor()
runtime = Runtime(executor=executor)
graph, seen = Graph(runtime.events), Seen()
for number in range(DEVICES):
    runtime.add_device(Rack(number), f"rack_{number}", every_s=PERIOD_S)
runtime.boot()
for number in range(DEVICES):
    graph.observe(f"rack_{number}.slot_0", seen.take)
    graph.pipe(f"rack_{number}.slot_1", seen.take, through=(Capacitor(overflow="latest"),))

simulated_s = option("seconds", 3600)
executor.run_for(simulated_s * WARM_UP)
before_mb, before, counted = rss_mb(), runtime.events.head, seen.count
start = time.perf_counter()
executor.run_for(simulated_s * (1 - WARM_UP))
took_s = time.perf_counter() - start
after_mb, samples, counted = rss_mb(), runtime.events.head - before, seen.count - counted
graph.close()
runtime.shutdown()
executor.close()

expected = DEVICES * simulated_s * (1 - WARM_UP) / PERIOD_S
confirm(abs(samples / expected / 10 - 1) < 0.01, f"{samples} samples, expected {10 * expected:.0f}")
confirm(abs(counted / expected / 2 - 1) < 0.01, f"{counted} arrived, expected {2 * expected:.0f}")
report(
    max(0.0, after_mb - before_mb),
    "MB",
    does=f"{simulated_s:g} simulated s, {samples} samples, {counted} subscribed to",
    resident_mb=round(after_mb, 1),
    simulated_per_real_s=round(simulated_s * (1 - WARM_UP) / took_s),
)
