"""bussdcc 0.21: the JSONL sink of its runtime, then one fsync, which the sink never does."""

import os
import tempfile
from pathlib import Path

from bussdcc import Runtime
from bussdcc.runtime import JsonlSink
from gauge import Rate, confirm, option, readings, report, text_option

root = Path(tempfile.mkdtemp(dir=text_option("folder") or None))
sink = JsonlSink(root)
runtime = Runtime()
runtime.add_sink(sink)
runtime.boot()


def log(count: int) -> None:
    emit = runtime.events.emit
    for value in readings(count):
        emit("air.temperature", value=value)
    assert sink._file is not None
    os.fsync(sink._file.fileno())


rate = Rate(log, option("seconds", 1.0))
runtime.shutdown()
lines = [line for file in root.rglob("*.jsonl") for line in file.open() if "air.temp" in line]
confirm(len(lines) == rate.done, f"{len(lines)} of {rate.done} events are in the log")
report(
    rate.per_second,
    "1/s",
    also={"log_bytes": sum(map(len, lines)) / len(lines)},
    does="JSONL sink, fsync added; time, name, value; no checksum",
)
