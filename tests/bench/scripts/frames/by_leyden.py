"""Leyden: scan frames of ten channels into the log, with their size a sample and their rate.

The samples are those of a device read once a second: a step of 0.01, all good. The size covers the
frames' lines; heads and trailers are a constant of the segment and are noted beside it.
"""

import math
from pathlib import Path

from gauge import Rate, confirm, option, report, text_option

from leyden.eventlog.reader import LogReader
from leyden.eventlog.recorder import Recorder
from leyden.eventlog.schema import About
from leyden.kernel import EventStream, Route, SystemExecutor

CHANNELS = 10
BURST = 20_000  # frames; see the log's script

folder = Path(text_option("folder", ".")) / "log"
executor = SystemExecutor()
recorder = Recorder(folder, executor)
stream = EventStream(executor, recorder)
routes = tuple(stream.declare(Route.of(f"air.channel_{i}")).key for i in range(CHANNELS))
recorder.start(About(), stream.routes, stream.publish)
readings = [
    tuple(round(55 + 45 * math.sin(0.7 * i + channel), 2) for channel in range(CHANNELS))
    for i in range(1000)
]


def log(count: int) -> None:
    send = stream.publish_scan
    for i in range(count):
        send(routes, readings[i % 1000], source="device.air")
    confirm(recorder.commit(stream.head, 10.0), "the log was not on disk within 10 s")


rate = Rate(log, option("seconds", 1.0), most=BURST)
confirm(recorder.close(), "the log was not closed in time")
samples = rate.done * CHANNELS
events = sum(1 for _ in LogReader(folder).events(prefix="air."))
confirm(events == samples, f"{events} of {samples} samples are in the log")
lines = [line for file in folder.glob("*.jsonl") for line in file.read_bytes().splitlines(True)]
frames = [line for line in lines if line.startswith(b'{"n":')]
confirm(len(frames) == rate.done, f"{len(frames)} frames for {rate.done} readings")
report(
    sum(map(len, frames)) / samples,
    "By",
    also={"frames_rate": rate.per_second * CHANNELS},
    does=f"{CHANNELS} channels with two decimals a frame, all good",
    with_heads_and_trailers=round(sum(map(len, lines)) / samples, 2),
)
