"""Leyden: a simulated hour of twenty devices and forty routes, run twice to one digest.

The devices' mean period is 10 s. The digest covers every record in order: number, time, route and
value; two runs that differ anywhere end in an error, not in a figure.
"""

import hashlib
import time

import msgspec
from gauge import confirm, option, report
from rooms import Room

from leyden.kernel import MemoryStore, Record, Runtime, SimulatedExecutor

PERIODS_S = (5.0, 8.0, 10.0, 12.0, 15.0)  # four devices each; mean 10 s
DEVICES = 20


class DigestStore(MemoryStore):
    """A memory store that digests what it is given."""

    def __init__(self) -> None:
        super().__init__(capacity=1000)
        self.digest = hashlib.sha256()
        self.records = 0
        self._keep = self.append
        self._encode = msgspec.json.Encoder().encode
        self.append = self._digested

    def _digested(self, record: Record) -> None:
        self.digest.update(self._encode(record))
        self.records += 1
        self._keep(record)


def simulate(seconds: float) -> DigestStore:
    executor, store = SimulatedExecutor(), DigestStore()
    runtime = Runtime(executor=executor, store=store)
    for number in range(DEVICES):
        period = PERIODS_S[number % len(PERIODS_S)]
        runtime.add_device(Room(number), f"room_{number}", every_s=period)
    runtime.boot()
    executor.run_for(seconds)
    runtime.shutdown()
    executor.close()
    return store


hour_s = option("hour", 3600)
took: list[float] = []
stores: list[DigestStore] = []
for _ in range(2):
    start = time.perf_counter()
    stores.append(simulate(hour_s))
    took.append(time.perf_counter() - start)
first, second = stores
confirm(first.digest.digest() == second.digest.digest(), "two runs gave two digests")
confirm(first.records > DEVICES * hour_s / 10, f"only {first.records} records in an hour")
report(
    max(took),
    "s",
    does=f"{DEVICES} devices, {2 * DEVICES} routes",
    records=first.records,
    digest=first.digest.hexdigest()[:16],
)
