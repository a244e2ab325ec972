"""bussdcc-framework: a runtime with JSONL sink and its web interface, as many readings a second.

The web interface is part of the process here; Leyden's panel is a process of its own.
"""

import math
import socket
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass

from bussdcc import ContextProtocol, Message, Service
from bussdcc_framework.interface.web import WebInterface
from bussdcc_framework.io.jsonl import JsonlSink
from bussdcc_framework.runtime import Runtime
from gauge import confirm, option, report, rss_mb, text_option
from parts import GREENHOUSE


@dataclass(slots=True, frozen=True)
class Measured(Message):
    channel: str
    value: float


class Sampler(Service):
    name = "sampler"
    interval = 1.0
    ticks = 0

    def tick(self, ctx: ContextProtocol) -> None:
        self.ticks += 1
        for channel in GREENHOUSE:
            value = round(20.0 + math.sin(time.monotonic()), 2)
            ctx.state.set(channel, value)
            ctx.emit(Measured(channel, value))


def free_port() -> int:
    """A port of the loopback interface that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answered(port: int) -> bool:
    """Whether the web interface answers, which it does with 404 as no route is registered."""
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)
    except urllib.error.HTTPError as error:
        return error.code == 404
    return True


port = free_port()
sampler = Sampler()
runtime = Runtime()
runtime.add_sink(JsonlSink(tempfile.mkdtemp(dir=text_option("folder") or None)))
runtime.services.register(sampler)
runtime.interfaces.register(WebInterface("bench", port=port))
runtime.boot()
time.sleep(option("seconds", 3.0))
confirm(answered(port), "the web interface does not answer")
memory = rss_mb()
runtime.shutdown()
confirm(sampler.ticks >= 1, "the service never ran")
report(memory, "MB", does=f"runtime, web, JSONL sink, {len(GREENHOUSE)} readings a second")
