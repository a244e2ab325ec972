"""The panel's process as a card starts it: sockets passed to it, encrypted, watched over."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from link.backend import MemoryBackend
from panel.certificates import Maker
from panel.live_client import LiveClient
from panel.passing import start_panel
from panel.test_server import wait_until

from leyden.kernel import Role
from leyden.link.server import LinkServer
from leyden.panel import listening
from leyden.panel.auth import new_token
from leyden.panel.listening import take_listeners
from leyden.panel.settings import ServeError

# Which sockets are taken.


def passed(monkeypatch: pytest.MonkeyPatch, *sockets: socket.socket, **more: str) -> dict[str, str]:
    """The environment of a process that was passed these sockets."""
    first = sockets[0].fileno()
    assert [each.fileno() for each in sockets] == list(range(first, first + len(sockets)))
    monkeypatch.setattr(listening, "_FIRST_FD", first)
    count = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(sockets))}
    return {**count, **more}


def two_in_a_row() -> tuple[socket.socket, socket.socket]:
    """Two listening sockets whose descriptors follow each other."""
    made: list[socket.socket] = []
    while len(made) < 2 or made[-1].fileno() != made[-2].fileno() + 1:
        made.append(socket.create_server(("127.0.0.1", 0)))
    for spare in made[:-2]:
        spare.close()
    return made[-2], made[-1]


def test_sockets_are_told_apart_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    secure, plain = two_in_a_row()
    ports = [each.getsockname()[1] for each in (secure, plain)]
    environ = passed(monkeypatch, secure, plain, LISTEN_FDNAMES="https:http", KEPT="x")
    for each in (secure, plain):
        each.detach()
    found = take_listeners(environ)
    assert [each.getsockname()[1] for each in (*found.secure, *found.plain)] == ports
    assert (found.port, found.https_port) == (ports[0], ports[0])
    assert found.describe() == f"serving http at port {ports[1]} and https at port {ports[0]}"
    assert environ == {"KEPT": "x"}
    for each in (*found.secure, *found.plain):
        each.close()


@pytest.mark.parametrize("names", ["", "http", "http:https:http", "http:leyden-panel.socket", ":"])
def test_sockets_that_cannot_be_told_apart_are_refused_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, names: str
) -> None:
    secure, plain = two_in_a_row()
    with secure, plain, pytest.raises(ServeError, match="FileDescriptorName=") as error:
        take_listeners(passed(monkeypatch, secure, plain, LISTEN_FDNAMES=names))
    assert error.value.exit_code == 2


def test_sockets_for_another_process_are_none_of_ours() -> None:
    environ = {
        "LISTEN_PID": "1",
        "LISTEN_FDS": "1",
        "LISTEN_FDNAMES": "http",
        "LEYDEN_PORT": "0",
    }
    found = take_listeners(environ)
    assert len(found.plain) == 1
    assert (found.secure, found.https_port) == ((), 0)
    assert environ == {"LEYDEN_PORT": "0"}
    found.plain[0].close()


def test_what_is_no_socket_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        monkeypatch.setattr(listening, "_FIRST_FD", file.fileno())
        environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "http"}
        with pytest.raises(ServeError, match="LISTEN_FDS names .*no socket"):
            take_listeners(environ)


# From here on with a real process.


class Card:
    """The panel as on a card: its sockets are another's and outlive it."""

    def __init__(self, folder: Path, backend: MemoryBackend, stack: ExitStack) -> None:
        self.auth = folder / "auth"
        self.identity = Maker(folder / "identity")
        self.identity.renew()
        self.folder = folder
        link = LinkServer(folder / "leyden.sock", backend)
        link.start()
        stack.callback(link.stop)
        self.secure = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.plain = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.port: int = self.secure.getsockname()[1]
        self.plain_port: int = self.plain.getsockname()[1]
        self.manager = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        self.manager.bind(str(folder / "notify"))
        self.manager.settimeout(15.0)
        self.log = folder / "panel.log"
        self.headers = {"Authorization": f"Bearer {new_token(self.auth, Role.VIEWER)}"}
        self.process: subprocess.Popen[bytes] | None = None
        stack.callback(self.end)

    def start(self) -> Card:
        environ = {
            "LEYDEN_SOCKET": str(self.folder / "leyden.sock"),
            "LEYDEN_AUTH": str(self.auth),
            "LEYDEN_TLS": str(self.identity.folder),
            "NOTIFY_SOCKET": str(self.folder / "notify"),
        }
        with self.log.open("ab") as log:
            self.process = start_panel(
                environ, (("https", self.secure), ("http", self.plain)), stdout=log, stderr=log
            )
        return self

    def end(self) -> None:
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(10.0)

    def told(self) -> str:
        """What the service manager is told next."""
        return self.manager.recv(4096).decode()

    def ask(self, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Ask over TLS."""
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=10.0, context=_trusting()
        )
        return _asked(connection, path, headers)

    def ask_plainly(self, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.plain_port, timeout=10.0)
        return _asked(connection, path, headers)

    def serial(self) -> int:
        """The serial number of the certificate that is served."""
        from cryptography import x509

        with socket.create_connection(("127.0.0.1", self.port), 10.0) as raw:
            context = _trusting()
            with context.wrap_socket(raw) as tls:
                der = tls.getpeercert(binary_form=True)
        assert der is not None
        return x509.load_der_x509_certificate(der).serial_number


def _trusting() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _asked(
    connection: http.client.HTTPConnection, path: str, headers: dict[str, str]
) -> tuple[int, dict[str, str], bytes]:
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


@pytest.fixture
def card(tmp_path: Path, backend: MemoryBackend) -> Iterator[Card]:
    with ExitStack() as stack:
        yield Card(tmp_path, backend, stack)


@pytest.mark.process
def test_it_is_ready_when_it_serves_and_says_each_second_that_it_lives(card: Card) -> None:
    card.start()
    first = card.told()
    assert first == (
        f"READY=1\nSTATUS=serving http at port {card.plain_port} and https at port {card.port}"
    )
    assert [card.told(), card.told()] == ["WATCHDOG=1"] * 2
    assert card.ask("/healthz")[0] == 200
    assert card.process is not None
    card.process.terminate()
    while (last := card.told()) == "WATCHDOG=1":
        pass
    assert last == "STOPPING=1\nSTATUS=the panel stops"
    assert card.process.wait(5.0) == 0
    assert card.log.read_text() == ""


@pytest.mark.process
def test_its_own_authority_vouches_for_it(card: Card) -> None:
    card.start()
    trusted = ssl.create_default_context(cafile=str(card.identity.folder / "ca.pem"))
    connection = http.client.HTTPSConnection("localhost", card.port, timeout=10.0, context=trusted)
    assert _asked(connection, "/healthz", {})[0] == 200


@pytest.mark.process
def test_a_plain_request_is_led_to_tls_but_for_health_and_authority(card: Card) -> None:
    card.start()
    status, headers, _ = card.ask_plainly("/devices")
    assert (status, headers["Location"]) == (308, f"https://127.0.0.1:{card.port}/devices")
    assert card.ask_plainly("/health")[0] == 200
    assert card.ask_plainly("/leyden-ca.crt")[2] == (card.identity.folder / "ca.pem").read_bytes()
    assert card.ask_plainly("/", Host="evil.example")[0] == 403


@pytest.mark.process
def test_a_renewed_certificate_is_served_without_a_restart(card: Card) -> None:
    card.start()
    before = card.serial()
    serial = card.identity.renew()
    assert before != serial
    assert card.serial() == serial


@pytest.mark.process
@pytest.mark.parametrize("broken", ["leaf.pem", "leaf.key", "all"])
def test_with_broken_certificates_it_is_reached_in_the_clear_and_mends_itself(
    card: Card, broken: str
) -> None:
    for path in card.identity.folder.iterdir():
        if broken in (path.name, "all"):
            path.unlink()
    card.start()
    status, _, body = card.ask_plainly("/sign-in")
    assert status == 200
    assert b"This connection is not encrypted" in body
    assert card.ask_plainly("/api/v1/latest", **card.headers)[0] == 200
    assert card.ask_plainly("/health")[0] == 200
    with pytest.raises((ssl.SSLError, ConnectionError)):
        card.ask("/healthz")
    card.identity.renew()
    assert card.ask("/healthz")[0] == 200
    assert card.ask_plainly("/sign-in")[0] == 308


@pytest.mark.process
def test_views_over_tls_miss_nothing_and_end_with_the_panel(
    card: Card, backend: MemoryBackend
) -> None:
    card.start()
    card.told()
    with ExitStack() as stack:
        views = [
            stack.enter_context(LiveClient(card.port, card.headers, encrypted=True))
            for _ in range(5)
        ]
        for view in views:
            view.connect().subscribe(0)
        for number in range(2000):
            backend.publish("device.air", {"count": number})  # of these none is spared
        for view in views:
            assert view.wait_for(lambda v: v.last == backend.head)
            assert view.numbers() == list(range(1, backend.head + 1))
        assert card.process is not None
        card.process.send_signal(signal.SIGTERM)
        assert card.process.wait(4.0) == 0
        for view in views:
            assert view.ended.wait(2.0)
    assert card.log.read_text() == ""


@pytest.mark.process
def test_sockets_wait_for_a_panel_that_is_started_again(card: Card) -> None:
    card.start()
    card.told()
    assert card.process is not None
    card.process.kill()
    card.process.wait()
    with socket.create_connection(("127.0.0.1", card.plain_port), 10.0) as early:
        early.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        card.start()
        assert early.recv(100).startswith(b"HTTP/1.1 200 ")


HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"  # a greeting that stops short


@pytest.mark.process
@pytest.mark.parametrize("said", [b"", HELLO, b"GET / HTTP/1.1\r\n\r\n"])
def test_a_hundred_peers_that_dawdle_over_tls_hold_up_nobody_for_long(
    card: Card, said: bytes
) -> None:
    card.start()
    card.told()
    with ExitStack() as stack:
        for _ in range(100):
            peer = stack.enter_context(socket.create_connection(("127.0.0.1", card.port), 10.0))
            peer.sendall(said)
        wait_until(lambda: _healthy(card), "an answer", 5.0)


@pytest.mark.process
def test_browsers_that_connect_ahead_of_need_take_no_place(card: Card) -> None:
    """Keys agreed on, nothing asked: more such connections than there are threads."""
    card.start()
    card.told()
    with ExitStack() as stack:
        ahead = []
        for _ in range(60):
            raw = socket.create_connection(("127.0.0.1", card.port), 10.0)
            ahead.append(stack.enter_context(_trusting().wrap_socket(raw)))
        assert card.ask("/healthz")[0] == 200
        ahead[7].sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert ahead[7].recv(100).startswith(b"HTTP/1.1 200 ")


@pytest.mark.process
def test_a_connection_over_tls_is_used_again(card: Card) -> None:
    card.start()
    connection = http.client.HTTPSConnection(
        "127.0.0.1", card.port, timeout=10.0, context=_trusting()
    )
    connection.connect()
    local = connection.sock.getsockname()
    for _ in range(5):
        connection.request("GET", "/healthz")
        assert connection.getresponse().read().startswith(b'{"status":"ok"')
        assert connection.sock.getsockname() == local
    connection.close()


def _healthy(card: Card) -> Any:
    try:
        return card.ask("/healthz")[0] == 200
    except OSError:
        return False
