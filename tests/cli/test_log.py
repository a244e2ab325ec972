"""`leyden log tail`: a log read from its files, for people and for programs."""

from __future__ import annotations

import datetime
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cli.conftest import Call

from leyden.appliance.assemble import assemble
from leyden.appliance.config import load
from leyden.eventlog.recorder import Recorder
from leyden.kernel import SimulatedExecutor

CONFIG = """
[appliance]
name = "bench"
[bus.i2c1]
kind = "i2c"
[device.air]
driver = "bme280"
bus = "i2c1"
[world]
"air.temperature" = 21.5
"""
START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def record(
    data: Path, seconds: float, *, synchronised: bool = True, broken_after: float = 0.0
) -> None:
    """Run a small appliance for some simulated seconds and leave its log in `data`."""
    config = data.parent / "bench.toml"
    config.write_text(CONFIG)
    executor = SimulatedExecutor()
    executor.manual_clock.set_wall(round(START.timestamp() * 1e9), synchronised=synchronised)
    appliance = assemble(load(config, mock=True), executor, store=Recorder(data / "log", executor))
    appliance.runtime.boot()
    executor.run_for(broken_after or seconds)
    if broken_after:
        assert appliance.world is not None
        appliance.world.set("air.present", False)
        executor.run_for(seconds - broken_after)
    appliance.runtime.shutdown("the test is over")
    appliance.close()
    executor.close()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    record(folder, 10)
    return folder


def test_the_newest_events_come_oldest_first(leyden: Call, data: Path) -> None:
    result = leyden("log", "tail", "--data", data)
    assert (result.code, result.err) == (0, "")
    assert len(result.lines) == 20
    numbers = [int(line[24:34]) for line in result.lines]
    assert numbers == sorted(numbers)
    assert "runtime.shutdown" in result.lines[-1]


def test_a_line_has_time_number_route_value_and_unit(leyden: Call, data: Path) -> None:
    (line,) = leyden("log", "tail", "-n", 1, "--route", "air.humidity", "--data", data).lines
    assert line.startswith(" 2026-01-01 00:00:10.")
    result = leyden("log", "tail", "-n", 2, "--route", "air.temperature", "--data", data)
    assert re.fullmatch(
        r" 2026-01-01 00:00:\d\d\.\d{3} +\d+  air\.temperature {10} +21\.5 °C", result.lines[0]
    )


def test_a_bad_value_is_marked_with_its_reason_in_words(leyden: Call, tmp_path: Path) -> None:
    record(tmp_path / "data", 20, broken_after=5)
    result = leyden("log", "tail", "-n", 300, "--route", "air.temperature", "--data", "data")
    assert any("✕ -" in line and "no answer from 0x76" in line for line in result.lines)


@pytest.mark.parametrize("count", [0, 1, 7])
def test_as_many_events_as_wanted(count: int, leyden: Call, data: Path) -> None:
    assert len(leyden("log", "tail", "-n", count, "--data", data).lines) == count


def test_only_the_wanted_routes(leyden: Call, data: Path) -> None:
    lines = leyden("log", "tail", "--route", "air.", "--data", data).lines
    assert len(lines) == 20
    assert all("  air." in line for line in lines)


def test_programs_get_one_object_a_line(leyden: Call, data: Path) -> None:
    result = leyden("log", "tail", "--json", "-n", 3, "--route", "air.temperature", "--data", data)
    rows = [json.loads(line) for line in result.lines]
    assert [row["route"] for row in rows] == ["air.temperature"] * 3
    good = rows[0]
    assert (good["value"], good["quality"], good["boot"]) == (21.5, "good", 1)
    assert good["time"].startswith("2026-01-01T00:00:")
    assert "time_trusted" not in good


def test_a_time_from_a_clock_nobody_had_set_is_marked(leyden: Call, tmp_path: Path) -> None:
    record(tmp_path / "data", 3, synchronised=False)
    (line,) = leyden("log", "tail", "-n", 1, "--data", "data").lines
    assert line.startswith("~2026-01-01 00:00:03.")
    (row,) = leyden("log", "tail", "-n", 1, "--json", "--data", "data").lines
    assert json.loads(row)["time_trusted"] is False


def test_damage_is_a_gap_and_never_silence(leyden: Call, data: Path) -> None:
    (segment,) = (data / "log").glob("*.jsonl")
    text = segment.read_bytes()
    at = text.index(b"21.5")
    segment.write_bytes(text[:at] + b"99.5" + text[at + 4 :])
    people = leyden("log", "tail", "-n", 500, "--data", data)
    assert "99.5" not in people.out
    assert re.search(r"… \d+ events are missing \(\d+ to \d+\): damaged on disk", people.out)
    programs = leyden("log", "tail", "-n", 500, "--json", "--data", data)
    gaps = [row["gap"] for row in map(json.loads, programs.lines) if "gap" in row]
    assert gaps[0]["reason"] == "damaged on disk"


def test_a_second_boot_is_read_on_from_the_first(leyden: Call, data: Path) -> None:
    record(data, 2)
    lines = leyden("log", "tail", "-n", 1000, "--json", "--data", data).lines
    rows = [json.loads(line) for line in lines]
    assert {row["boot"] for row in rows if "boot" in row} == {1, 2}
    assert not any("gap" in row for row in rows)


def test_a_directory_without_a_log_is_an_error_in_words(leyden: Call, tmp_path: Path) -> None:
    result = leyden("log", "tail", "--data", tmp_path)
    assert (result.code, result.out) == (1, "")
    assert result.err == (
        f"leyden log: there is no log in {tmp_path}/log; name the data directory with --data\n"
    )


def test_a_log_of_somebody_else_is_an_error_in_words(
    leyden: Call, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As the system would say to a user who is not root and not the owner.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    result = leyden("log", "tail", "--data", data)
    assert (result.code, result.out) == (1, "")
    assert "this user may not read" in result.err


@pytest.mark.parametrize("count", ["-1", "many", "2.5"])
def test_a_wrong_number_is_refused(count: str, leyden: Call, data: Path) -> None:
    result = leyden("log", "tail", f"-n={count}", "--data", data)
    assert result.code == 2
    assert "expected a whole number" in result.err


class Following:
    """`leyden log tail --follow` in a process of its own."""

    def __init__(self, data: Path, *words: str) -> None:
        # A shell that started us in the background has SIGINT ignored; a person's has not.
        code = (
            "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
            "from leyden.cli.main import main\n"
            "sys.exit(main(sys.argv[1:]))"
        )
        command = ["log", "tail", "--follow", "--data", str(data), *words]
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TZ": "UTC"},
        )

    def __enter__(self) -> Following:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


@pytest.mark.process
def test_following_shows_what_is_written_later_once_and_dates_it(data: Path) -> None:
    with Following(data, "-n", "1", "--json", "--route", "runtime.") as tail:
        first = json.loads(tail.line())
        assert first["route"] == "runtime.shutdown"
        record(data, 1)  # another boot, whose clock the reader has not seen yet
        routes = [json.loads(tail.line()) for _ in range(4)]
    assert [row["route"] for row in routes] == [
        "runtime.identity", "runtime.booting", "runtime.booted", "runtime.shutting_down",
    ]  # fmt: skip
    assert all(row["boot"] == 2 and row["time"].startswith("2026-01-01") for row in routes)


@pytest.mark.process
def test_ctrl_c_ends_following_with_130(data: Path) -> None:
    with Following(data, "-n", "1") as tail:
        assert "runtime.shutdown" in tail.line()
        tail.process.send_signal(signal.SIGINT)
        out, err = tail.process.communicate(timeout=20)
        assert (tail.process.returncode, out, err) == (130, "", "")


@pytest.mark.process
def test_a_reader_that_goes_away_ends_following_without_a_word(data: Path) -> None:
    with Following(data, "-n", "1") as tail:
        tail.line()
        assert tail.process.stdout is not None
        tail.process.stdout.close()
        record(data, 1)
        assert tail.process.stderr is not None
        assert tail.process.stderr.read() == ""
        assert tail.process.wait(20) == 0
        tail.process.stdout = None
