"""What must hold when processes are killed, stopped, started twice or refused their places."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from appliance.running import Running, alive, eventually, gone

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    with Running(tmp_path) as started:
        yield started.connect()


def test_one_command_brings_a_live_panel_and_ctrl_c_ends_it_within_five_seconds(
    running: Running,
) -> None:
    health = running.health()
    assert set(health) >= {"status", "version", "n", "uptime_s"}
    good = eventually(
        lambda: running.latest("air.temperature").get("quality") == "good", 10, "a good value"
    )
    assert good
    pids = [running.pid(name) for name in ("supervisor", "runtime", "panel")]
    assert all(alive(pid) for pid in pids)
    assert pids[0] == running.process.pid
    code, took = running.interrupt()
    assert code == 0
    assert took < 5
    assert not any(alive(pid) for pid in pids)
    assert not list((running.data / "run").glob("*.pid"))


def test_sigterm_stops_it_too_and_a_second_run_goes_on_numbering(tmp_path: Path) -> None:
    with Running(tmp_path) as first:
        first.connect()
        eventually(lambda: first.health()["n"] > 50, 20, "fifty events")
        last = first.health()["n"]
        assert first.interrupt(signal.SIGTERM)[0] == 0
    with Running(tmp_path) as second:
        second.connect()
        events, gaps = second.events()
        numbers = [event["n"] for event in events]
        assert numbers == sorted(set(numbers))
        assert second.health()["n"] > last
        assert gaps == []  # an orderly stop leaves none
        boots = [event for event in events if event["route"] == "runtime.identity"]
        assert len(boots) == 2


def test_a_killed_runtime_is_back_within_five_seconds_and_no_number_repeats(
    running: Running,
) -> None:
    eventually(lambda: running.health()["n"] > 60, 20, "some events")
    before, _ = running.events()
    pid = running.pid("runtime")
    killed = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: running.pid("runtime") not in (0, pid), 5, "another runtime")
    eventually(
        lambda: (
            running.latest("air.temperature").get("n", 0) > before[-1]["n"] + 1000
            and running.latest("air.temperature").get("quality") == "good"
        ),
        5,
        "sampling to be back",
    )
    assert time.monotonic() - killed < 5
    after, gaps = running.events()
    numbers = [event["n"] for event in after]
    assert numbers == sorted(set(numbers))
    kept = {event["n"] for event in before} - set(numbers)
    lost_from = min(kept, default=None)
    if lost_from is not None:  # only the last second may be missing
        lost_times = [event["mono"] for event in before if event["n"] in kept]
        assert (before[-1]["mono"] - min(lost_times)) / 1e9 <= 1.0
    assert gaps
    assert any(event["route"] == "log.gap" for event in after)


def test_a_killed_panel_does_not_disturb_sampling_and_nothing_is_missing(running: Running) -> None:
    eventually(lambda: running.health()["n"] > 30, 20, "some events")
    start = running.health()["n"]
    pid = running.pid("panel")
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: running.pid("panel") not in (0, pid), 5, "another panel")
    eventually(lambda: running.health().get("n", 0) > start + 60, 20, "events to go on")
    events, gaps = running.events(after=start, route="air.temperature")
    assert gaps == []
    times = [event["mono"] / 1e9 for event in events]
    steps = [b - a for a, b in itertools.pairwise(times)]
    assert max(steps) < 0.5  # the period is 0.1 s; a loaded machine may be late, not stopped
    whole, _ = running.events(after=start)
    numbers = [event["n"] for event in whole]
    assert numbers == list(range(start + 1, numbers[-1] + 1))


def test_children_end_with_a_killed_supervisor(running: Running) -> None:
    pids = [running.pid(name) for name in ("runtime", "panel")]
    running.process.kill()
    for pid in pids:
        eventually(partial(gone, pid), 15, "a child to end")
    with Running(running.config.parent) as again:  # and the data directory is free at once
        again.connect()


def test_a_runtime_that_hangs_is_ended_and_started_again(running: Running) -> None:
    pid = running.pid("runtime")
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: running.pid("runtime") not in (0, pid), 20, "another runtime")
    assert not alive(pid)
    eventually(lambda: running.health().get("status") == "ok", 20, "health")


def test_a_second_start_is_refused_and_names_the_first(running: Running) -> None:
    again = running.command("run", str(running.config), "--mock", "--port", "0")
    assert again.returncode == 1
    assert str(running.process.pid) in again.stderr
    assert running.health()["status"] == "ok"


def test_a_taken_port_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with Running(tmp_path, "--port", str(port)) as refused:
            assert refused.process.wait(20) == 1
            line = refused.line("cannot listen")
    assert f"127.0.0.1:{port}" in line
    assert "--port" in line


def test_a_data_directory_that_cannot_be_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file stands in the way")
    with Running(tmp_path) as refused:
        assert refused.process.wait(20) == 1
        assert "data" in refused.line("leyden: ")


def test_an_unplugged_chip_turns_bad_with_words_and_comes_back_by_itself(running: Running) -> None:
    eventually(
        lambda: running.latest("air.temperature").get("quality") == "good", 10, "a good value"
    )
    assert running.command("world", "set", "air.present", "false").returncode == 0
    unplugged = time.monotonic()
    bad = eventually(
        lambda: (row := running.latest("air.temperature"))["quality"] == "bad" and row,
        4,
        "a bad value",
    )
    assert time.monotonic() - unplugged <= 2.5  # max(3 periods, 2 s), and the time to ask
    assert bad["value"] is None
    assert isinstance(bad["last_value"], float)
    assert "no answer from 0x76 on i2c1" in bad["detail"]
    assert running.latest("vent.state")["quality"] == "good"
    assert running.command("world", "set", "air.present", "true").returncode == 0
    eventually(
        lambda: running.latest("air.temperature")["quality"] == "good", 8, "good without a restart"
    )


def test_a_critical_failure_exits_the_runtime_and_it_is_started_afresh(running: Running) -> None:
    # The supervisor's part of the promise: whatever ends the runtime, a new one takes over.
    pid = running.pid("runtime")
    os.kill(pid, signal.SIGABRT)
    line = running.line("runtime was killed by SIGABRT", 10)
    assert "starting again in 0.2 s" in line
    eventually(lambda: running.health().get("status") == "ok", 15, "health")
