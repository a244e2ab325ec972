"""The panel's process starts or says why not, survives what its peers do, and ends when told to."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from link.backend import MemoryBackend
from panel.live_client import LiveClient

from leyden.kernel import ManualClock, Notifier, Role
from leyden.link.server import LinkServer
from leyden.panel.auth import new_token
from leyden.panel.listening import listen
from leyden.panel.settings import ServeError, Settings, read_settings
from leyden.panel.worker import CROWDED, CROWDED_HEAD_S, HEAD_S, REQUEST_S, PanelWorker

PLACES = {"LEYDEN_SOCKET": "/run/leyden.sock", "LEYDEN_AUTH": "/data/auth"}


def test_the_environment_is_read() -> None:
    environ = {**PLACES, "LEYDEN_HOSTS": "greenhouse.lan, panel.example ,"}
    assert read_settings(environ, 8123) == Settings(
        Path("/run/leyden.sock"), Path("/data/auth"), 8123, ("greenhouse.lan", "panel.example")
    )


@pytest.mark.parametrize("missing", ["LEYDEN_SOCKET", "LEYDEN_AUTH"])
def test_what_is_missing_is_named(missing: str) -> None:
    environ = {name: value for name, value in PLACES.items() if name != missing}
    with pytest.raises(ServeError, match=f"{missing} must be set") as error:
        read_settings(environ, 8080)
    assert error.value.exit_code == 2


def test_it_binds_to_loopback_unless_told_otherwise() -> None:
    with listen({"LEYDEN_PORT": "0"}) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"
        assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 20_000


def test_it_can_listen_on_ipv6() -> None:
    with listen({"LEYDEN_PORT": "0", "LEYDEN_HOST": "::1"}) as listener:
        assert listener.getsockname()[0] == "::1"


def test_an_inherited_socket_is_used() -> None:
    parent = socket.create_server(("127.0.0.1", 0))
    address = parent.getsockname()
    with listen({"LEYDEN_LISTEN_FD": str(parent.detach())}) as listener:
        assert listener.getsockname() == address


@pytest.mark.parametrize("number", ["x", "-1", "99999"])
def test_a_descriptor_that_is_none_is_refused(number: str) -> None:
    with pytest.raises(ServeError, match="no socket") as error:
        listen({"LEYDEN_LISTEN_FD": number})
    assert error.value.exit_code == 2


def test_a_socket_that_does_not_listen_is_refused() -> None:
    with socket.socket() as idle:
        number = str(os.dup(idle.fileno()))
    with pytest.raises(ServeError, match="does not listen"):
        listen({"LEYDEN_LISTEN_FD": number})


@pytest.mark.parametrize("port", ["http", "-1", "65536", ""])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    with pytest.raises(ServeError, match="expected a number up to 65535"):
        listen({"LEYDEN_PORT": port})


def test_a_taken_port_is_told_with_the_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ServeError, match=rf"127\.0\.0\.1:{port}.*LEYDEN_PORT") as error:
            listen({"LEYDEN_PORT": str(port)})
    assert error.value.exit_code == 1


def test_an_address_of_another_machine_is_told() -> None:
    with pytest.raises(ServeError, match=r"cannot listen on 192\.0\.2\.1:8080"):
        listen({"LEYDEN_HOST": "192.0.2.1", "LEYDEN_PORT": "8080"})


class _Connection:
    def __init__(self) -> None:
        self.sock, self.other = socket.socketpair()


class _Pages:
    closed = 0

    def close(self) -> None:
        self.closed += 1


def worker_at(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> PanelWorker:
    monkeypatch.setattr("gunicorn.workers.base.Worker.notify", lambda _: None)
    worker = PanelWorker.__new__(PanelWorker)
    worker._clock, worker._busy, worker._reading = clock, {}, {}
    worker._hung_up = False
    worker.alive, worker.wsgi = True, _Pages()
    worker.app = SimpleNamespace(notifier=Notifier({}))
    return worker


def test_a_request_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    worker, slow, quick = worker_at(clock, monkeypatch), _Connection(), _Connection()
    worker._busy[slow] = clock.monotonic_ns()
    clock.advance(REQUEST_S - 1)
    worker._busy[quick] = clock.monotonic_ns()
    clock.advance(2)
    worker.notify()
    assert slow.other.recv(1) == b""
    assert list(worker._busy) == [quick]
    for connection in (slow, quick):
        connection.sock.close()
        connection.other.close()


@pytest.mark.parametrize(("peers", "patience_s"), [(3, HEAD_S), (CROWDED + 1, CROWDED_HEAD_S)])
def test_the_more_dawdle_over_a_head_the_shorter_they_may(
    monkeypatch: pytest.MonkeyPatch, peers: int, patience_s: float
) -> None:
    clock = ManualClock()
    worker, dawdlers = worker_at(clock, monkeypatch), [_Connection() for _ in range(peers)]
    worker._reading = dict.fromkeys(dawdlers, clock.monotonic_ns())
    clock.advance(patience_s - 0.1)
    worker.notify()
    assert len(worker._reading) == peers
    clock.advance(0.2)
    worker.notify()
    assert worker._reading == {}
    for each in dawdlers:
        assert each.other.recv(1) == b""
        each.sock.close()
        each.other.close()


def test_a_worker_that_ends_hangs_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = worker_at(ManualClock(), monkeypatch)
    worker.notify()
    assert worker.wsgi.closed == 0
    worker.alive = False
    worker.notify()
    worker.notify()
    assert worker.wsgi.closed == 1


def test_asking_for_a_token_loads_no_web_server() -> None:
    code = (
        "import sys, leyden.panel.auth, leyden.link.client, leyden.link.server\n"
        "print([m for m in ('flask', 'gunicorn', 'werkzeug', 'socketio') if m in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert found.stdout.strip() == "[]"


def test_the_watching_process_loads_no_flask() -> None:
    code = (
        "import sys, leyden.panel.server, leyden.panel.worker\n"
        "print([m for m in ('flask', 'flask_socketio', 'jinja2') if m in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert found.stdout.strip() == "[]"


# From here on with a real process.


class Served:
    """The panel's process over a link to the memory backend."""

    def __init__(self, folder: Path, backend: MemoryBackend, stack: ExitStack) -> None:
        self.auth = folder / "auth"
        link = LinkServer(folder / "leyden.sock", backend)
        link.start()
        stack.callback(link.stop)
        self.listener = socket.create_server(("127.0.0.1", 0))
        stack.callback(self.listener.close)
        self.port: int = self.listener.getsockname()[1]
        self.environ = {
            **os.environ,
            "LEYDEN_SOCKET": str(folder / "leyden.sock"),
            "LEYDEN_AUTH": str(self.auth),
            "LEYDEN_LISTEN_FD": str(self.listener.fileno()),
        }
        self.headers = {"Authorization": f"Bearer {new_token(self.auth, Role.VIEWER)}"}
        self.log = folder / "panel.log"
        self.process = self.start()
        stack.callback(self.end)

    def start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "leyden.panel.server"],
                env=self.environ,
                pass_fds=[self.listener.fileno()],
                stderr=log,
                stdout=log,
            )
        wait_until(lambda: self.status("/healthz") == 200, "the panel to answer")
        return process

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(10.0)

    def status(self, path: str, headers: dict[str, str] | None = None) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5.0)
        try:
            connection.request("GET", path, headers=headers or {})
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()

    def worker(self) -> int:
        """The process that serves."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return int(path.read_text().split()[0])

    def raw(self, data: bytes) -> socket.socket:
        peer = socket.create_connection(("127.0.0.1", self.port), 10.0)
        peer.sendall(data)
        return peer

    def view(self, **more: Any) -> LiveClient:
        return LiveClient(self.port, self.headers, **more)


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = 15.0) -> None:
    pause = threading.Event()
    for _ in range(round(timeout_s / 0.05)):
        if condition():
            return
        pause.wait(0.05)
    pytest.fail(f"waited {timeout_s} s for {what}")


@pytest.fixture
def served(tmp_path: Path, backend: MemoryBackend) -> Iterator[Served]:
    with ExitStack() as stack:
        yield Served(tmp_path, backend, stack)


def run_once(environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "leyden.panel.server"],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.process
def test_a_taken_port_is_one_clear_line_and_exit_code_1() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        found = run_once({**PLACES, "LEYDEN_PORT": port})
    assert found.returncode == 1
    assert found.stderr == (
        f"panel: cannot listen on 127.0.0.1:{port}: Address already in use; "
        "stop what uses it or choose another with LEYDEN_PORT\n"
    )


@pytest.mark.process
def test_a_missing_setting_is_one_clear_line_and_exit_code_2() -> None:
    environ = {"LEYDEN_PORT": "0", "LEYDEN_SOCKET": "", "LEYDEN_AUTH": ""}
    found = run_once(environ)
    assert found.returncode == 2
    assert found.stderr == (
        "panel: LEYDEN_SOCKET and LEYDEN_AUTH must be set; `leyden run` does that\n"
    )


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_within_three_seconds_with_everybody_watching(
    served: Served, number: signal.Signals
) -> None:
    with ExitStack() as stack:
        views = [stack.enter_context(served.view()).connect().subscribe(None) for _ in range(5)]
        kept = http.client.HTTPConnection("127.0.0.1", served.port, timeout=5.0)
        stack.callback(kept.close)
        kept.request("GET", "/healthz")
        kept.getresponse().read()
        for view in views:
            assert view.wait_for(lambda v: v.frames)
        served.process.send_signal(number)
        assert served.process.wait(3.0) == 0
        for view in views:
            assert view.ended.wait(2.0)
    assert served.log.read_text() == ""


@pytest.mark.process
def test_a_killed_worker_is_replaced_and_views_miss_nothing(
    served: Served, backend: MemoryBackend, publishing: threading.Event
) -> None:
    with served.view() as view:
        view.connect().subscribe(0)
        assert view.wait_for(lambda v: (v.last or 0) > 50)
        os.kill(served.worker(), signal.SIGKILL)
        assert view.ended.wait(5.0)
        seen = view.numbers()
        after = view.last
    wait_until(lambda: served.status("/healthz") == 200, "the panel to come back")
    publishing.set()
    with served.view() as view:
        view.connect().subscribe(after)
        assert view.wait_for(lambda v: v.last == backend.head)
        seen += view.numbers()
    assert seen == list(range(1, backend.head + 1))


@pytest.mark.process
def test_killing_the_watching_process_ends_the_worker_and_a_new_one_takes_over(
    served: Served,
) -> None:
    worker = served.worker()
    served.process.kill()
    served.process.wait()
    wait_until(lambda: not Path(f"/proc/{worker}").exists(), "the worker to end")
    served.process = served.start()
    assert served.status("/api/v1/latest", served.headers) == 200


@pytest.mark.process
def test_a_session_outlives_the_process(served: Served) -> None:
    token = new_token(served.auth, Role.OPERATOR, name="anna", one_time=True)
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=5.0)
    body = json.dumps({"token": token})
    connection.request(
        "POST", "/sign-in", body, {"Content-Type": "application/json", "X-Leyden": "1"}
    )
    cookie = connection.getresponse().headers["Set-Cookie"].partition(";")[0]
    connection.close()
    os.kill(served.worker(), signal.SIGKILL)
    wait_until(lambda: served.status("/healthz") == 200, "the panel to come back")
    assert served.status("/api/v1/session", {"Cookie": cookie}) == 200


@pytest.mark.process
@pytest.mark.parametrize("said", [b"", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"])
def test_a_hundred_peers_that_dawdle_hold_up_nobody_for_long(served: Served, said: bytes) -> None:
    peers = [served.raw(said) for _ in range(100)]
    wait_until(lambda: served.status("/healthz") == 200, "an answer", 5.0)
    for peer in peers:
        peer.close()


@pytest.mark.process
@pytest.mark.parametrize(
    "said",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"A: b\r\n" * 200 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n",
        b"POST /sign-in HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
    ],
)
def test_what_is_no_http_is_answered_in_json(served: Served, said: bytes) -> None:
    with served.raw(said) as peer, peer.makefile("rb") as answer:
        head, _, body = answer.read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["error"]["code"] == "bad_request"
    assert served.status("/healthz") == 200


@pytest.mark.process
def test_a_name_of_another_machine_is_refused_and_an_address_is_not(served: Served) -> None:
    assert served.status("/healthz", {"Host": f"127.0.0.1:{served.port}"}) == 200
    assert served.status("/healthz", {"Host": "192.0.2.7"}) == 200
    assert served.status("/healthz", {"Host": "evil.example"}) == 403


@pytest.mark.process
def test_twenty_four_views_fit_in_eighty_megabytes(
    served: Served, backend: MemoryBackend, publishing: threading.Event
) -> None:
    with ExitStack() as stack:
        views = [stack.enter_context(served.view()).connect().subscribe(0) for _ in range(24)]
        for view in views:
            assert view.wait_for(lambda v: (v.last or 0) >= 1_000, 30.0)
        publishing.set()
        status = Path(f"/proc/{served.worker()}/status").read_text()
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    assert int(resident.split()[1]) < 80 * 1024
