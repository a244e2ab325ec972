"""The runtime under a service manager: finds its plan, speaks sd_notify, lets its peers in."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from leyden.appliance.choosing import ROUTE
from leyden.appliance.judge import judge_in_child
from leyden.appliance.runtime_process import code_version
from leyden.link.client import LinkClient, LinkRefusal
from leyden.storage.lock import FolderLock

SOUND = '[appliance]\nname = "bench"\n\n[device.host]\ndriver = "host"\nevery = "1 s"\n'
BROKEN = SOUND.replace('"1 s"', '"soon"')


class Service:
    """A runtime as a service manager starts it, with the manager's end of NOTIFY_SOCKET."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.config = folder / "appliance.toml"
        self._environment = environment
        self._notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notices.bind(str(folder / "notify"))
        self._notices.settimeout(20)
        self.process: subprocess.Popen[bytes] | None = None
        self.errors = ""

    def start(self) -> None:
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "leyden.appliance.runtime_process", str(self.folder)),
                *("--config", str(self.config)),
            ],
            env={
                **os.environ,
                "NOTIFY_SOCKET": str(self.folder / "notify"),
                "WATCHDOG_USEC": "600000",
                **self._environment,
            },
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def notice(self, word: str) -> str:
        """Return the next notice that says this, whatever came before it."""
        while True:
            text = self._notices.recv(4096).decode()
            if word in text:
                return text

    def stop(self) -> int:
        """Ask for a shutdown; return the exit code, and keep what was said on the way."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=20)
        self.errors += errors.decode()
        return self.process.returncode

    def kill(self) -> None:
        """End it at once, as a crash would."""
        assert self.process is not None
        self.process.kill()
        self.stop()

    def run_once(self) -> dict[str, Any]:
        """Start, wait until it is ready, return what it says of its configuration, and stop it."""
        self.start()
        self.notice("READY=1")
        try:
            with LinkClient(self.folder / "run" / "leyden.sock") as client:
                event = client.latest(ROUTE)
                return dict(msgspec.to_builtins(event))
        finally:
            assert self.stop() == 0

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()
        self._notices.close()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path)
    yield made
    made.close()


@pytest.mark.process
def test_it_says_ready_lives_and_says_that_it_stops(service: Service) -> None:
    service.config.write_text(SOUND)
    service.start()
    assert "STATUS=bench runs" in service.notice("READY=1")
    began = time.monotonic()
    for _ in range(3):
        service.notice("WATCHDOG=1")
    assert time.monotonic() - began < 5  # three beats in each 0.6 s, on however slow a machine
    assert service.stop() == 0
    assert "signal SIGTERM" in service.notice("STOPPING=1")


@pytest.mark.process
def test_a_sound_configuration_is_told_as_an_event_and_judged_once(service: Service) -> None:
    service.config.write_text(SOUND)
    told = service.run_once()
    assert told["value"] == {
        "state": "good", "problem": "", "file": str(service.config), "name": "bench",
        "problems": [],
    }  # fmt: skip
    assert told["quality"] == "good"
    kept = (service.folder / "plan" / "judged.json").stat()
    service.run_once()
    again = (service.folder / "plan" / "judged.json").stat()
    assert (again.st_ino, again.st_mtime_ns) == (kept.st_ino, kept.st_mtime_ns)
    assert service.errors == ""


@pytest.mark.process
def test_a_configuration_that_breaks_later_leaves_the_last_plan_running(service: Service) -> None:
    service.config.write_text(SOUND)
    service.run_once()
    service.config.write_text(BROKEN)
    told = service.run_once()
    assert told["value"]["state"] == "last-good"
    assert (told["quality"], told["reason"]) == ("uncertain", "fallback")
    assert 'device.host.every: found "soon"' in told["value"]["problems"][0]
    assert re.search(r'^runtime: .*"soon".*the plan that ran before is used', service.errors, re.M)


@pytest.mark.process
def test_with_nothing_sound_it_still_comes_up_and_says_why(service: Service) -> None:
    service.config.write_text("no toml at all")
    told = service.run_once()
    assert told["value"]["state"] == "nothing"
    assert "is no TOML" in told["value"]["problems"][0]


@pytest.mark.process
def test_it_never_carries_what_judging_needs(service: Service) -> None:
    service.config.write_text(SOUND)
    service.start()
    service.notice("READY=1")
    assert service.process is not None
    assert "pydantic" not in Path(f"/proc/{service.process.pid}/maps").read_text()


DEADLY = """
import os
from dataclasses import dataclass
from leyden_drivers.host import DEVICE as Host

@dataclass(frozen=True)
class OPTIONS:
    pass

class DEVICE(Host):
    def __init__(self, bus, options):
        super().__init__(bus)

    def probe(self):
        os.abort()
"""


@pytest.fixture
def deadly_driver(tmp_path: Path) -> Path:
    """A driver whose library takes the whole process with it; returns where it is installed."""
    site = tmp_path / "site"
    info = site / "deadly-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: deadly\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[leyden.drivers]\ndeadly = deadly\n")
    (site / "deadly").mkdir()
    (site / "deadly" / "__init__.py").write_text(DEADLY)
    return site


@pytest.mark.process
def test_a_configuration_that_kills_the_runtime_three_times_has_had_its_chance(
    tmp_path: Path, deadly_driver: Path
) -> None:
    service = Service(tmp_path, PYTHONPATH=str(deadly_driver))
    service.config.write_text(SOUND.replace('"host"', '"deadly"'))
    try:
        for _ in range(3):
            service.start()
            assert service.process is not None
            assert service.process.wait(30) == -signal.SIGABRT
            service.stop()
        told = service.run_once()
    finally:
        service.close()
    assert told["value"]["state"] == "nothing"  # no default configuration on this machine
    assert "was started 3 times in a row" in told["value"]["problems"][0]


@pytest.mark.process
def test_peers_make_the_socket_open_to_the_group_and_nobody_else(tmp_path: Path) -> None:
    service = Service(tmp_path, LEYDEN_LINK_PEERS="65533:viewer, no-such-user:admin")
    service.config.write_text(SOUND)
    try:
        service.start()
        service.notice("READY=1")
        mode = stat.S_IMODE((tmp_path / "run" / "leyden.sock").stat().st_mode)
        assert mode == 0o660
        assert service.stop() == 0
    finally:
        service.close()
    assert 'LEYDEN_LINK_PEERS: found "no-such-user"' in service.errors


@pytest.mark.process
@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user")
def test_a_peer_of_another_user_is_let_in_with_its_role_and_a_stranger_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service(tmp_path, LEYDEN_LINK_PEERS="65533:viewer")
    service.config.write_text(SOUND)
    try:
        service.start()
        service.notice("READY=1")
        # From inside the folder: those above it are closed to other users while tests run.
        monkeypatch.chdir(tmp_path / "run")
        path = Path("leyden.sock")
        path.chmod(0o666)
        assert _role_seen_by(65533, path) == "viewer"
        assert "this user may not use the link" in _role_seen_by(65532, path)
    finally:
        service.close()


def _role_seen_by(uid: int, path: Path) -> str:
    os.seteuid(uid)
    try:
        with LinkClient(path) as client:
            return str(client.hello().role)
    except LinkRefusal as refusal:
        return str(refusal)
    finally:
        os.seteuid(0)


@pytest.mark.process
def test_a_runtime_that_still_holds_the_data_is_named_and_no_reboot_is_asked_for(
    service: Service,
) -> None:
    service.config.write_text(SOUND)
    with FolderLock(service.folder / "run"):
        service.start()
        assert service.process is not None
        assert service.process.wait(30) == 1  # 75 is for one that no signal ends
    service.stop()
    assert f"in use by process {os.getpid()}" in service.errors


@pytest.mark.process
@pytest.mark.parametrize("words", [[], ["data", "--config"], ["data", "--other", "x"]])
def test_arguments_that_make_no_sense_are_answered_with_the_usage(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "leyden.appliance.runtime_process", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 2
    assert "usage: python -m leyden.appliance.runtime_process DATA [--config FILE]" in done.stderr


# The judge


@pytest.mark.process
def test_the_judge_returns_a_plan_or_the_words_that_check_would_say(tmp_path: Path) -> None:
    config = tmp_path / "appliance.toml"
    config.write_text(SOUND)
    verdict = judge_in_child(config)
    assert verdict.plan is not None
    assert [device.id for device in verdict.plan.devices] == ["host"]
    config.write_text(BROKEN)
    verdict = judge_in_child(config)
    assert verdict.plan is None
    assert verdict.problems[0].startswith(f'{config}: device.host.every: found "soon"')


@pytest.mark.process
@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("import os; os.abort()", "ended with -6"),
        ("raise SystemExit('out of paper')", "ended with 1: out of paper"),
        ("print('what?')", "ended with 0"),
        ("import time; time.sleep(60)", "took longer than 2 s"),
    ],
)
def test_a_judge_that_breaks_is_a_problem_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, words: str
) -> None:
    judge = tmp_path / "judge"
    judge.write_text(f"#!{sys.executable}\n{script}\n")
    judge.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(judge))
    (problem,) = judge_in_child(tmp_path / "appliance.toml", timeout_s=2).problems
    assert "could not be judged" in problem
    assert words in problem


def test_a_judge_that_cannot_be_started_is_a_problem_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere"))
    (problem,) = judge_in_child(tmp_path / "appliance.toml").problems
    assert "could not be started: No such file" in problem


def test_the_code_is_named_by_the_images_record_and_else_by_the_package(tmp_path: Path) -> None:
    release = tmp_path / "release.json"
    assert code_version(release)
    release.write_text('{"version":"1","commit":"abc"}')
    assert "abc" in code_version(release)
