"""zu-core: the last event of a task in its session store, one task standing for one channel."""

import asyncio
from uuid import uuid4

from gauge import Rate, confirm, option, report
from zu_core import Event, EventBus, SessionStore  # type: ignore[import-untyped]  # it ships no types

bus, sessions = EventBus(), SessionStore()
bus.subscribe(sessions)
channel = uuid4()
event = Event(
    trace_id=uuid4(),
    task_id=channel,
    type="data.air.temperature",
    source="air",
    payload={"value": 20.5},
)
asyncio.run(bus.publish(event))


def read(count: int) -> None:
    last = sessions.last
    for _ in range(count):
        last(channel)


rate = Rate(read, option("seconds", 0.5), cpu=True)
found = sessions.last(channel)
confirm(found is not None and found.payload["value"] == 20.5, "the value is not there")
report(rate.per_second, "1/s", does="last event of a task")
