"""A recorder under a simulated executor, with everything a test wants to look at."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from leyden.eventlog.reader import LogReader
from leyden.eventlog.recorder import REPORTS, Recorder
from leyden.eventlog.schema import About
from leyden.kernel import (
    Event,
    EventStream,
    FrozenDict,
    Gap,
    Route,
    Scan,
    SimulatedExecutor,
    Value,
)
from leyden.storage.files import Files

ABOUT = About(
    boot_id="0f2c", config={"appliance": {"name": "greenhouse"}}, versions={"leyden": "0.1.0"}
)
CHANNELS = tuple(f"air.channel_{i}" for i in range(10))


class Rig:
    """A stream that is recorded in `folder`."""

    def __init__(self, folder: Path, files: Files | None = None, **options: Any) -> None:
        self.folder = folder
        self.executor = SimulatedExecutor()
        self.recorder = Recorder(
            folder, self.executor, files=files or Files(durable=False), **options
        )
        self.stream = EventStream(self.executor, self.recorder)
        self.route = self.stream.declare(Route.of("air.temperature", unit="Cel"))
        for name in CHANNELS:
            self.stream.declare(Route.of(name))
        self.stream.declare(Route.of("air.note", dict))
        for key in REPORTS:
            self.stream.declare_system(key)
        self.reports: list[tuple[str, dict[str, Value]]] = []

    def start(self) -> Rig:
        """Begin to write, under the simulation."""
        self.recorder.start(ABOUT, self.stream.routes, self._report, self.stream.scans)
        return self

    def _report(self, route: str, value: Mapping[str, Value]) -> None:
        self.reports.append((route, dict(value)))
        self.stream.publish(route, value, source="log")

    def publish(self, count: int = 1, first: float = 0.0) -> None:
        """Publish single values."""
        for i in range(count):
            self.stream.publish(self.route, first + i, source="device.air")

    def scan(self, count: int = 1, width: int = 3) -> None:
        """Publish scans of several channels."""
        for i in range(count):
            values = tuple(float(i + j) for j in range(width))
            self.stream.publish_scan(CHANNELS[:width], values, source="device.air")

    def run(self, seconds: float) -> None:
        """Let simulated time pass."""
        self.executor.run_for(seconds)

    def close(self) -> bool:
        """End as a runtime does."""
        done = self.recorder.close()
        self.executor.close()
        return done

    def crash(self, to: Path) -> Path:
        """Return a copy of the folder as a power cut would leave it; the rig itself ends."""
        shutil.copytree(self.folder, to)
        self.executor.close()
        return to

    def told(self, route: str) -> list[dict[str, Value]]:
        """Return what was reported on a route."""
        return [value for key, value in self.reports if key == route]


def numbers(items: Any) -> list[int]:
    """Return every event number in records, or in events, in order."""
    found: list[int] = []
    for item in items:
        if isinstance(item, Event):
            found.append(item.n)
        elif isinstance(item, Scan):
            found.extend(event.n for event in item.events())
    return found


def gaps(items: Any) -> list[Gap]:
    """Return the gaps among `items`."""
    return [item for item in items if isinstance(item, Gap)]


def everything(folder: Path) -> list[Any]:
    """Return all that a fresh reader finds in a folder."""
    return list(LogReader(folder).walk())


def segments(folder: Path) -> list[Path]:
    """Return the segment files of a folder in order."""
    return sorted(folder.glob("*.jsonl"))


def same(one: Value, other: Value) -> bool:
    """Whether two values are equal, types and what is not a number included."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return (math.isnan(one) and math.isnan(other)) or one == other
    if isinstance(one, FrozenDict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)
