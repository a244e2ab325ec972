"""zu-core: events through its bus with the memory sink it comes with."""

import asyncio
from uuid import uuid4

from gauge import Rate, Seen, confirm, option, readings, report
from zu_core import Event, EventBus  # type: ignore[import-untyped]  # it ships no types

subscribers = [Seen() for _ in range(int(option("subscribers", 1)))]
bus = EventBus()
for each in subscribers:
    bus.subscribe(each.take)
trace, task = uuid4(), uuid4()


async def publish(count: int) -> None:
    for value in readings(count):
        event = Event(
            trace_id=trace,
            task_id=task,
            type="data.air.temperature",
            source="air",
            payload={"value": value},
        )
        await bus.publish(event)


with asyncio.Runner() as runner:
    rate = Rate(lambda count: runner.run(publish(count)), option("seconds", 0.5), cpu=True)
    stored = runner.run(bus.count())
confirm(stored == rate.done, f"{stored} of {rate.done} events were stored")
for each in subscribers:
    confirm(each.count == rate.done, f"{each.count} of {rate.done} events arrived")
    confirm(each.last.payload["value"] >= 20.0, "the value did not arrive")
report(rate.per_second, "1/s", does="bus with memory sink; event has ids, time, source, payload")
