"""An unpaced producer against a slow consumer: how fast it goes and how long it ever stands still.

The producer publishes as fast as it can in the main thread. Its longest pause is measured against a
consumer a hundred times slower than that of the rate, so that a producer which waits for its
consumer cannot be mistaken for one that the operating system preempted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from gauge import Rate, readings

QUICK_S = 0.001  # the consumer of the rate
SLOW_S = 0.1  # the consumer of the pause


class Consumer:
    """Takes this long for each item; counts what it is given and when it is busy."""

    def __init__(self) -> None:
        self.takes_s = QUICK_S
        self.count = 0
        self.last: Any = None
        self.rested = threading.Event()  # set while no item is being worked on
        self.rested.set()

    def take(self, item: Any) -> None:
        """Work on one item."""
        self.rested.clear()
        self.count += 1
        self.last = item
        time.sleep(self.takes_s)
        self.rested.set()


def rate_and_pause(
    publish: Callable[[float], Any], consumer: Consumer, seconds: float
) -> tuple[Rate, float]:
    """Return the producer's rate beside a 1 ms consumer, and its longest pause in milliseconds."""

    def produce(count: int) -> None:
        for value in readings(count):
            publish(value)

    rate = Rate(produce, seconds)
    consumer.takes_s = SLOW_S
    return rate, longest_pause_ms(publish, max(3 * SLOW_S, seconds / 2))


def longest_pause_ms(publish: Callable[[float], Any], seconds: float) -> float:
    """Publish for so many seconds; return the longest single call in milliseconds."""
    longest, now = 0.0, time.perf_counter()
    end = now + seconds
    while now < end:
        publish(20.0)
        before, now = now, time.perf_counter()
        longest = max(longest, now - before)
    return longest * 1000
