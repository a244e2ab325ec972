"""A real writer is killed, again and again; the log goes on where it was, and no number returns."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from eventlog.rig import everything, gaps, numbers

from leyden.eventlog.reader import LogReader
from leyden.kernel import Gap

WRITER = """
import sys
from pathlib import Path
from leyden.eventlog.recorder import Recorder, REPORTS
from leyden.eventlog.schema import About
from leyden.kernel import EventStream, Route, SystemExecutor

executor = SystemExecutor()
recorder = Recorder(Path(sys.argv[1]), executor)
stream = EventStream(executor, recorder)
route = stream.declare(Route.of("air.temperature", unit="Cel"))
pair = tuple(stream.declare(Route.of(f"air.channel_{i}")).key for i in range(2))
for key in REPORTS:
    stream.declare_system(key)
recorder.start(About(), stream.routes, stream.publish)
stream.publish_now(route, 0.0)
print(recorder.boot, recorder.first_number(), flush=True)
while True:
    stream.publish(route, 1.0)
    stream.publish_scan(pair, (2.0, 3.0))
    event = stream.publish_now(route, 4.0)
    if recorder.commit(event.n, 5.0):
        print(event.n, flush=True)
    executor.clock.sleep(0.002)
"""


def write_and_kill(folder: Path, lines: int) -> list[list[int]]:
    """Run a writer, read so many of its lines, kill it; return what it printed."""
    child = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    try:
        printed = [child.stdout.readline() for _ in range(lines)]
    finally:
        os.kill(child.pid, signal.SIGKILL)
        rest, _ = child.communicate()
    whole = [line for line in [*printed, *rest.splitlines(keepends=True)] if line.endswith("\n")]
    return [[int(word) for word in line.split()] for line in whole]


@pytest.mark.process
def test_a_writer_killed_at_any_moment_loses_nothing_it_had_committed(tmp_path: Path) -> None:
    used: set[int] = set()
    for boot in range(1, 6):
        (said_boot, first), *committed = write_and_kill(tmp_path, 1 + 9 * boot)
        assert said_boot == boot
        assert first > max(used, default=0)
        found = [item for item in LogReader(tmp_path).walk() if not isinstance(item, Gap)]
        logged = set(numbers(found))
        for (number,) in committed:
            assert set(range(first, number + 1)) <= logged
        fresh = {n for n in logged if n >= first}
        assert fresh == set(range(first, max(fresh) + 1))
        assert not fresh & used
        used |= fresh
    found = everything(tmp_path)
    assert set(numbers(found)) == used
    assert len(gaps(found)) == 4
    assert {item.boot for item in found if not isinstance(item, Gap)} == {1, 2, 3, 4, 5}
