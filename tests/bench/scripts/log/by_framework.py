"""bussdcc-framework: its JSONL sink behind the context's emit, then one fsync.

The sink never syncs by itself and carries no checksum; the sync at the end of each chunk is added
here so that the figure means "on disk" for everyone.
"""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bussdcc import Message
from bussdcc_framework.io.jsonl import JsonlSink
from bussdcc_framework.runtime import Runtime
from gauge import Rate, confirm, option, readings, report, text_option


@dataclass(slots=True, frozen=True)
class AirTemperature(Message):
    value: float


root = Path(tempfile.mkdtemp(dir=text_option("folder") or None))
sink = JsonlSink(root)
runtime = Runtime()
runtime.add_sink(sink)
runtime.boot()


def log(count: int) -> None:
    emit = runtime.ctx.emit
    for value in readings(count):
        emit(AirTemperature(value))
    assert sink._file is not None
    os.fsync(sink._file.fileno())


rate = Rate(log, option("seconds", 1.0))
runtime.shutdown()
lines = [line for file in root.rglob("*.jsonl") for line in file.open() if "AirTemp" in line]
confirm(len(lines) == rate.done, f"{len(lines)} of {rate.done} events are in the log")
report(
    rate.per_second,
    "1/s",
    also={"log_bytes": sum(map(len, lines)) / len(lines)},
    does="JSONL sink, fsync added; time, class path, value; no checksum",
)
