"""bussdcc 0.21: a runtime that logs as many readings as the greenhouse has, to its JSONL sink."""

import math
import tempfile
import time

from bussdcc import Runtime
from bussdcc.context import ContextProtocol
from bussdcc.runtime import JsonlSink
from bussdcc.service import Service
from gauge import confirm, option, report, rss_mb, text_option
from parts import GREENHOUSE


class Sampler(Service):
    name = "sampler"
    interval = 1.0
    ticks = 0

    def tick(self, ctx: ContextProtocol) -> None:
        self.ticks += 1
        for channel in GREENHOUSE:
            value = round(20.0 + math.sin(time.monotonic()), 2)
            ctx.state.set(channel, value)
            ctx.events.emit(channel, value=value)


sampler = Sampler()
runtime = Runtime()
runtime.add_sink(JsonlSink(tempfile.mkdtemp(dir=text_option("folder") or None)))
runtime.register_service(sampler)
runtime.boot()
time.sleep(option("seconds", 3.0))
memory = rss_mb()
runtime.shutdown()
confirm(sampler.ticks >= 1, "the service never ran")
report(memory, "MB", does=f"runtime, JSONL sink, {len(GREENHOUSE)} readings a second")
