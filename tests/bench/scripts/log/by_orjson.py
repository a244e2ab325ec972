"""orjson and a buffered file: what writing the same lines costs when nothing else is done.

A bound, not a log: no order, no checksum, no latest value, one fsync at the end of each chunk.
"""

import itertools
import os
import tempfile
import time
from pathlib import Path

import orjson
from gauge import Rate, confirm, option, readings, report, text_option

BURST = 100_000  # as large as Leyden's at most

path = Path(tempfile.mkdtemp(dir=text_option("folder") or None)) / "events.jsonl"
file = path.open("wb")
numbers = itertools.count(1)


def log(count: int) -> None:
    write, dumps, now = file.write, orjson.dumps, time.monotonic_ns
    for value, n in zip(readings(count), numbers, strict=False):
        write(dumps({"n": n, "m": now(), "r": "air.temperature", "v": value}) + b"\n")
    file.flush()
    os.fsync(file.fileno())


rate = Rate(log, option("seconds", 1.0), most=BURST)
file.close()
with path.open("rb") as written:
    lines = sum(1 for _ in written)
confirm(lines == rate.done, f"{lines} of {rate.done} events are in the file")
report(
    rate.per_second,
    "1/s",
    also={"log_bytes": path.stat().st_size / lines},
    does="dictionary to bytes to a buffered file, one fsync; no checksum",
)
