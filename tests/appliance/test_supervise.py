"""The supervisor's own troubles: children that do not read, a system that is out of everything."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from appliance.running import Running, alive, eventually

from leyden.appliance import supervise
from leyden.appliance.folders import Folders
from leyden.appliance.plan import Plan, encode
from leyden.appliance.supervise import _Child, _listen, _Supervisor
from leyden.kernel import NS, LeydenError, ManualClock
from leyden.panel.auth import AuthError
from leyden.storage.lock import FolderLock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(start_ns=NS)


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    made = Folders(tmp_path)
    made.make()
    return made


@pytest.fixture
def supervisor(folders: Folders, clock: ManualClock) -> Iterator[_Supervisor]:
    made = _Supervisor(Plan("bench"), folders, clock)
    yield made
    made._stop_all()
    made._close()


def child(code: str, stdin: bytes | None = None) -> _Child:
    return _Child("runtime", [sys.executable, "-c", code], {}, stdin)


def refuse(*_: Any, **__: Any) -> Any:
    raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))


@pytest.mark.process
def test_a_plan_larger_than_any_pipe_is_handed_over_without_waiting_for_the_child(
    supervisor: _Supervisor, folders: Folders, clock: ManualClock
) -> None:
    echo = folders.data / "echo"
    deaf = child("import time; time.sleep(60)", b"x" * 4_000_000)
    supervisor._children = [deaf]
    supervisor._start(deaf, clock.monotonic_ns())  # written into a pipe, this would not return
    assert deaf.running()
    reader = child(
        f"import sys; open({str(echo)!r}, 'wb').write(sys.stdin.buffer.read())", b"y" * 4_000_000
    )
    supervisor._start(reader, clock.monotonic_ns())
    assert reader.process is not None
    assert reader.process.wait(20) == 0
    assert echo.read_bytes() == b"y" * 4_000_000


def test_a_child_that_cannot_be_started_is_tried_again_with_a_growing_pause(
    supervisor: _Supervisor,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(subprocess, "Popen", refuse)
    runtime = child("")
    for _ in range(3):
        supervisor._tend(runtime)
        supervisor._tend(runtime)  # not due: nothing is tried
        clock.advance_to(runtime.due_ns)
    assert runtime.starts == 3
    said = capsys.readouterr().err.splitlines()
    assert said == [
        f"leyden: runtime cannot be started: Cannot allocate memory; starting again in {pause} s"
        for pause in ("0.2", "0.4", "0.8")
    ]


def test_a_crash_loop_slows_down_to_half_a_minute_and_a_long_life_forgets_it(
    supervisor: _Supervisor, clock: ManualClock, capsys: pytest.CaptureFixture[str]
) -> None:
    class Ended:
        returncode = -11

        def poll(self) -> int:
            return -11

    runtime = child("")
    pauses: list[float] = []
    for life_s in [1.0] * 10 + [61.0]:
        runtime.process = Ended()  # type: ignore[assignment]  # all that is asked of it
        runtime.starts, runtime.started_ns = runtime.starts + 1, clock.monotonic_ns()
        clock.advance(life_s)
        supervisor._ended(runtime, clock.monotonic_ns())
        pauses.append((runtime.due_ns - clock.monotonic_ns()) / NS)
        clock.advance_to(runtime.due_ns)
    assert pauses == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30, 0.2])
    assert "was killed by SIGSEGV" in capsys.readouterr().err


def test_a_number_that_cannot_be_noted_keeps_no_child_from_starting(
    supervisor: _Supervisor, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Folders, "note_pid", refuse)
    runtime = child("import time; time.sleep(60)")
    supervisor._children = [runtime]
    supervisor._start(runtime, clock.monotonic_ns())
    assert runtime.running()


def test_a_terminal_that_is_gone_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as gone:
        monkeypatch.setattr(sys, "stdout", gone)
        monkeypatch.setattr(sys, "stderr", gone)
        supervise.say("hello")
        supervise.complain("nobody hears this")
        os.dup2(os.open(os.devnull, os.O_WRONLY), writer)  # what is left in the buffer goes there


def test_a_runtime_that_says_nothing_is_ended_and_one_that_speaks_is_not(
    supervisor: _Supervisor, clock: ManualClock
) -> None:
    class Living:
        killed = False

        def kill(self) -> None:
            self.killed = True

        def poll(self) -> None:
            return None

        def terminate(self) -> None:
            self.killed = True

        def wait(self, timeout: float | None = None) -> int:
            return 0

    runtime, process = child(""), Living()
    runtime.process = process  # type: ignore[assignment]  # all that is asked of it
    runtime.started_ns = clock.monotonic_ns()
    supervisor._children = [runtime]
    for _ in range(8):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaker:
            speaker.sendto(b"WATCHDOG=1", f"\0{supervisor._notice_name[1:]}")
        clock.advance(9)
        supervisor._take_notices()
        supervisor._tend(runtime)
    assert not process.killed
    clock.advance(10.1)
    supervisor._tend(runtime)
    assert process.killed


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_port_of_nought_is_any_and_an_address_may_be_of_either_kind(host: str) -> None:
    if host == "::1" and not _has_ipv6():
        pytest.skip("this machine has no IPv6 loopback")
    with _listen(host, 0) as listener:
        assert listener.getsockname()[0] == host
        assert listener.getsockname()[1] > 0


def test_a_host_that_is_none_is_said_with_the_remedy() -> None:
    with pytest.raises(LeydenError, match=r"cannot listen on no.such.host.invalid:0: .*--port"):
        _listen("no.such.host.invalid", 0)


@pytest.mark.process
@pytest.mark.timeout(60)
def test_a_second_runtime_on_one_data_directory_waits_and_then_names_the_first(
    folders: Folders,
) -> None:
    command = [sys.executable, "-m", "leyden.appliance.runtime_process", str(folders.data)]
    with FolderLock(folders.run):
        done = subprocess.run(
            command, input=encode(Plan("bench")), capture_output=True, timeout=40, check=False
        )
    assert done.returncode == 1
    assert f"in use by process {os.getpid()}" in done.stderr.decode()
    assert not list(folders.data.glob("log/*.jsonl"))


@pytest.mark.process
@pytest.mark.timeout(60)
def test_ctrl_c_while_everything_starts_ends_in_order(tmp_path: Path) -> None:
    with Running(tmp_path) as started:
        started.line("stop with Ctrl-C")  # the children have only just been made
        runtime = eventually(lambda: started.pid("runtime") or None, 10, "a runtime")
        code, took = started.interrupt()
        assert (code, alive(runtime)) == (0, False)
        assert took < 5
        started.line("stopped: signal SIGINT")


def test_a_runtime_that_had_come_up_is_never_waited_for_long(
    supervisor: _Supervisor, clock: ManualClock
) -> None:
    pauses: list[float] = []
    runtime = child("")
    for _ in range(8):
        gone = subprocess.Popen([sys.executable, "-c", ""])
        gone.wait()
        runtime.process, runtime.starts = gone, runtime.starts + 1
        runtime.started_ns = runtime.beat_ns = clock.monotonic_ns()
        supervisor._ended(runtime, clock.monotonic_ns())
        pauses.append((runtime.due_ns - clock.monotonic_ns()) / NS)
    assert pauses == pytest.approx([0.2, 0.4, 0.8, 1.6, 2, 2, 2, 2])


@pytest.mark.parametrize("network", [True, False])
def test_the_link_of_a_panel_for_the_whole_network_leads_to_an_address_of_this_machine(
    supervisor: _Supervisor,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    network: bool,
) -> None:
    monkeypatch.setitem(supervise._ELSEWHERE, socket.AF_INET, ("127.0.0.9", "127.0.0.1"))
    with _listen("0.0.0.0", 0) as listener:  # noqa: S104 - for a moment, to see what is said
        if not network:
            monkeypatch.setattr(socket, "socket", refuse)
        supervisor._greet(listener)
        port = listener.getsockname()[1]
    assert f"panel: http://127.0.0.1:{port}/sign-in#token=" in capsys.readouterr().out


def test_a_disk_that_takes_no_token_keeps_no_appliance_from_starting(
    supervisor: _Supervisor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: Any, **__: Any) -> str:
        raise AuthError("cannot write tokens.json: No space left on device")

    monkeypatch.setattr(supervise, "new_token", full)
    with _listen("127.0.0.1", 0) as listener:
        supervisor._greet(listener)
        port = listener.getsockname()[1]
    said = capsys.readouterr()
    assert f"panel: http://127.0.0.1:{port}; when that is mended: leyden token new" in said.out
    assert "no link that signs in: cannot write tokens.json: No space left" in said.err


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.process
@pytest.mark.timeout(60)
def test_a_disk_that_is_full_keeps_no_killed_runtime_from_coming_back(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(small)],
        capture_output=True,
        check=False,
    )
    if made.returncode != 0:
        pytest.skip("only root may make a small disk here")
    try:
        with Running(small) as running:
            running.connect()
            _fill(small / "filler")
            before = running.pid("runtime")
            os.kill(before, 9)
            running.line("starting again in 0.2 s")
            eventually(lambda: running.health().get("status"), 20, "a runtime that answers")
            assert running.process.poll() is None
            assert running.interrupt()[0] == 0
    finally:
        subprocess.run(["umount", str(small)], check=True)


def _fill(path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    with pytest.raises(OSError, match="No space left"):
        _write_for_ever(descriptor)
    os.close(descriptor)


def _write_for_ever(descriptor: int) -> None:
    while os.write(descriptor, bytes(65_536)):
        pass
