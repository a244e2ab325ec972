"""The panel encrypts with what it is given, and is reached all the same where that is broken."""

from __future__ import annotations

import select
import shutil
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from panel.certificates import Maker
from panel.conftest import Web

from leyden.kernel import ManualClock, Role
from leyden.link.server import LinkServer
from leyden.panel.app import Panel
from leyden.panel.settings import Settings
from leyden.panel.tls import Certificates, TlsSocket

HTTPS = "https://localhost:8443"
HTTP = "http://localhost:8080"


@pytest.fixture
def maker(tmp_path: Path) -> Maker:
    maker = Maker(tmp_path / "identity")
    maker.renew()
    return maker


@pytest.fixture
def certificates(maker: Maker) -> Certificates:
    return Certificates(maker.folder)


# Certificates.


def test_what_fits_together_is_used(certificates: Certificates) -> None:
    context = certificates.context()
    assert context is not None
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert certificates.problem() == ""
    assert certificates.wanted


def test_without_a_folder_nothing_is_wanted_and_nothing_wrong() -> None:
    none = Certificates(None)
    assert (none.context(), none.problem(), none.authority(), none.wanted) == (
        None,
        "",
        None,
        False,
    )


def _truncate(folder: Path) -> None:
    for name in ("leaf.pem", "leaf.key"):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])


BREAKS: dict[str, tuple[Callable[[Maker], object], str]] = {
    "no leaf": (lambda m: (m.folder / "leaf.pem").unlink(), "there is no leaf.pem"),
    "no key": (lambda m: (m.folder / "leaf.key").unlink(), "there is no leaf.key"),
    "no folder": (
        lambda m: shutil.rmtree(m.folder),
        "there is no leaf.pem and no leaf.key",
    ),
    "another key": (lambda m: m.write_key(), "leaf.key does not belong to leaf.pem"),
    "cut short": (lambda m: _truncate(m.folder), "leaf.pem or leaf.key is damaged"),
    "empty": (lambda m: (m.folder / "leaf.pem").write_bytes(b""), "is damaged"),
    "a locked key": (lambda m: m.lock_key(), "it is locked by a pass phrase"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_what_does_not_fit_is_told_and_not_used(maker: Maker, name: str) -> None:
    break_it, words = BREAKS[name]
    break_it(maker)
    certificates = Certificates(maker.folder)
    assert certificates.context() is None
    assert words in certificates.problem()


def test_a_renewed_leaf_is_used_from_the_next_connection_on(
    maker: Maker, certificates: Certificates
) -> None:
    before = certificates.context()
    assert certificates.context() is before
    maker.renew()
    after = certificates.context()
    assert after is not None
    assert after is not before


@pytest.mark.parametrize("name", BREAKS)
def test_a_leaf_that_breaks_later_leaves_the_former_one_in_use(
    maker: Maker, certificates: Certificates, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = certificates.context()
    BREAKS[name][0](maker)
    for _ in range(3):
        assert certificates.context() is before
        assert certificates.problem() == ""
    assert caplog.text.count("the former certificate is used on") == 1


@pytest.mark.parametrize("name", [name for name in BREAKS if name != "no folder"])
def test_what_is_mended_is_used_without_a_restart(maker: Maker, name: str) -> None:
    BREAKS[name][0](maker)
    certificates = Certificates(maker.folder)
    assert certificates.context() is None
    maker.renew()
    assert certificates.context() is not None


def test_the_authority_is_shown_by_its_fingerprint(
    maker: Maker, certificates: Certificates
) -> None:
    from cryptography.hazmat.primitives import hashes

    authority = certificates.authority()
    assert authority is not None
    expected = maker.authority.fingerprint(hashes.SHA256()).hex().upper()
    assert authority.fingerprint.replace(":", "") == expected
    assert authority.fingerprint.count(":") == 31


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\xff\xfe", None])
def test_an_authority_that_is_none_is_not_shown(maker: Maker, content: bytes | None) -> None:
    path = maker.folder / "ca.pem"
    path.unlink() if content is None else path.write_bytes(content)
    assert Certificates(maker.folder).authority() is None


# Connections.


class Pair:
    """A connection over TLS: `here` is the panel's end, `there` a browser's."""

    def __init__(self, context: ssl.SSLContext, stack: ExitStack) -> None:
        raw_here, raw_there = socket.socketpair()
        self.here = TlsSocket.serving(raw_here, context)
        trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        shaking = threading.Thread(target=self.here.handshake)
        shaking.start()
        self.there = trusting.wrap_socket(raw_there, suppress_ragged_eofs=False)
        shaking.join()
        self.there.settimeout(10.0)
        stack.callback(self.here.close)
        stack.callback(self.there.close)


@pytest.fixture
def pair(certificates: Certificates) -> Iterator[Pair]:
    context = certificates.context()
    assert context is not None
    with ExitStack() as stack:
        yield Pair(context, stack)


def test_what_is_said_at_one_end_is_heard_at_the_other(pair: Pair) -> None:
    assert pair.here.send(b"from here") == 9
    assert pair.there.recv(100) == b"from here"
    pair.there.sendall(b"from there")
    assert pair.here.recv(4) == b"from"
    assert pair.here.recv(100) == b" there"
    assert pair.there.version() == "TLSv1.3"
    assert pair.there.selected_alpn_protocol() is None


def test_one_thread_reads_while_others_write(pair: Pair) -> None:
    """Two megabytes each way at once, in records of all sizes, and each message whole."""
    heard_here, heard_there = bytearray(), bytearray()
    messages = [bytes([number]) * (number * 521 + 1) for number in range(1, 90)]
    whole = sum(map(len, messages))

    def read_here() -> None:
        while len(heard_here) < whole:
            heard_here.extend(pair.here.recv(4096))

    def write_here(some: list[bytes]) -> None:
        for message in some:
            pair.here.sendall(message)

    threads = [
        threading.Thread(target=read_here),
        threading.Thread(target=write_here, args=(messages[::2],)),
        threading.Thread(target=write_here, args=(messages[1::2],)),
    ]
    for thread in threads:
        thread.start()
    # The other side is Python's own socket, which two threads must not use at once: one does both.
    pair.there.setblocking(False)
    to_say = b"".join(messages)
    while len(heard_there) < whole or to_say:
        with suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
            heard_there.extend(pair.there.recv(1 << 14))  # a whole record: nothing stays behind
        with suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
            to_say = to_say[pair.there.send(to_say[:16384]) :] if to_say else to_say
        select.select([pair.there], [pair.there] if to_say else [], [], 0.01)
    for thread in threads:
        thread.join()
    assert heard_here == b"".join(messages)
    for message in messages:  # in whatever order, but not mixed with another
        assert bytes([message[0]]) * len(message) in heard_there


def test_a_reader_that_waits_is_let_go_by_hanging_up(pair: Pair) -> None:
    heard: list[bytes] = []
    reader = threading.Thread(target=lambda: heard.append(pair.here.recv(10)))
    reader.start()
    pair.here.shutdown(socket.SHUT_RDWR)
    reader.join(5.0)
    assert heard == [b""]


def test_the_end_is_said_so_that_nothing_can_be_cut_off_unnoticed(pair: Pair) -> None:
    pair.here.sendall(b"all of it")
    pair.here.close()
    assert pair.there.recv(100) == b"all of it"
    assert pair.there.recv(100) == b""


def test_the_other_end_may_go_without_a_word(pair: Pair) -> None:
    pair.there.close()
    with suppress(ConnectionResetError):  # where it had not read all, the kernel says it so
        assert pair.here.recv(10) == b""
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        pair.here.sendall(b"x" * 10_000_000)


def test_garbage_in_the_middle_is_the_end_of_the_connection(pair: Pair) -> None:
    socket.socket.send(pair.there, b"\x17\x03\x03\x00\x20" + b"garbage" * 8)
    with pytest.raises(ConnectionResetError, match="no TLS"):
        pair.here.recv(10)


def test_a_wait_can_be_forbidden_and_limited(pair: Pair) -> None:
    pair.here.setblocking(False)
    assert pair.here.gettimeout() == 0.0
    with pytest.raises(BlockingIOError):
        pair.here.recv(1)
    pair.here.settimeout(0.01)
    with pytest.raises(TimeoutError):
        pair.here.recv(1)
    pair.here.setblocking(True)
    assert pair.here.gettimeout() is None


def test_a_connection_that_was_given_up_says_so(pair: Pair) -> None:
    pair.here.close()
    pair.here.close()
    assert pair.here.fileno() == -1
    with pytest.raises(OSError, match="Bad file descriptor"):
        pair.here.recv(1)
    with pytest.raises(OSError, match="Bad file descriptor"):
        pair.here.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    "said", [b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\x16\x03\x01", b"", b"\x00" * 100]
)
def test_who_speaks_no_tls_is_refused(certificates: Certificates, said: bytes) -> None:
    context = certificates.context()
    assert context is not None
    here, there = socket.socketpair()
    there.sendall(said)
    there.shutdown(socket.SHUT_WR)
    wrapped = TlsSocket.serving(here, context)
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        wrapped.handshake()
    wrapped.close()
    there.close()


def test_older_ways_of_encrypting_are_refused(certificates: Certificates) -> None:
    context = certificates.context()
    assert context is not None
    here, there = socket.socketpair()
    wrapped = TlsSocket.serving(here, context)
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    errors: list[OSError] = []

    def shake() -> None:
        try:
            wrapped.handshake()
        except OSError as error:
            errors.append(error)
        wrapped.close()

    thread = threading.Thread(target=shake)
    thread.start()
    with pytest.raises(ssl.SSLError):
        old.wrap_socket(there)
    thread.join()
    there.close()
    assert len(errors) == 1


# What lies in the clear.


@pytest.fixture
def card(
    settings: Settings, runtime: LinkServer, clock: ManualClock, maker: Maker
) -> Iterator[Callable[[int], Web]]:
    """Starts a panel with an encrypted port."""
    panels: list[Panel] = []

    def start(https_port: int = 8443) -> Web:
        places = Settings(
            settings.socket, settings.auth, https_port, ("leyden-1a2b.local",), maker.folder,
            https_port,
        )  # fmt: skip
        panels.append(Panel(places, clock))
        return Web(panels[-1], settings.auth)

    yield start
    for panel in panels:
        panel.close()


@pytest.mark.parametrize(
    ("host", "path", "port", "location"),
    [
        ("localhost", "/", 443, "https://localhost/"),
        ("localhost:80", "/devices", 443, "https://localhost/devices"),
        ("LEYDEN-1a2b.local", "/", 443, "https://leyden-1a2b.local/"),
        ("192.168.1.5", "/api/v1/latest", 8443, "https://192.168.1.5:8443/api/v1/latest"),
        ("[2001:db8::7]:80", "/", 443, "https://[2001:db8::7]/"),
        ("localhost", "/events?route=air.&limit=5", 443, "https://localhost/events?route=air.&limit=5"),
        ("localhost", "/channels/a%2Fb%20c%C3%A9", 443, "https://localhost/channels/a/b%20c%C3%A9"),
    ],
)  # fmt: skip
def test_a_plain_request_is_led_to_the_encrypted_port(
    card: Callable[[int], Web], host: str, path: str, port: int, location: str
) -> None:
    answer = card(port).get(path, None, headers={"Host": host})
    assert answer.status_code == 308
    assert answer.headers["Location"] == location
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.data == b""


@pytest.mark.parametrize("path", ["/", "/health", "/leyden-ca.crt", "/api/v1/latest"])
def test_a_foreign_name_is_led_nowhere(card: Callable[[int], Web], path: str) -> None:
    for host in ("evil.example", "leyden-1a2b.local.evil.example", ""):
        answer = card(443).get(path, None, headers={"Host": host})
        assert answer.status_code == 403
        assert "Location" not in answer.headers


def test_health_and_authority_lie_in_the_clear_and_nothing_else_does(
    card: Callable[[int], Web], maker: Maker
) -> None:
    web = card(443)
    assert web.get("/health", None).json["status"] == "ok"  # type: ignore[index]
    answer = web.get("/leyden-ca.crt", None)
    assert answer.data == (maker.folder / "ca.pem").read_bytes()
    assert answer.headers["Content-Type"] == "application/x-x509-ca-cert"
    assert "leyden-ca.crt" in answer.headers["Content-Disposition"]
    rules = {rule.rule for rule in web.panel.app.url_map.iter_rules() if "<" not in rule.rule}
    for path in rules - {"/health", "/leyden-ca.crt"}:
        assert web.get(path, None).status_code == 308, path
    assert web.get("/socket.io/?EIO=4", None).status_code == 308
    assert web.get("/healthz", None).status_code == 308


@pytest.mark.parametrize("path", ["/sign-in", "/claim", "/api/v1/intents"])
def test_what_was_sent_in_the_clear_is_not_sent_on(card: Callable[[int], Web], path: str) -> None:
    answer = card(443).post(path, None, data={"password": "hunter2hunter2"})
    assert answer.status_code == 403
    assert answer.json["error"]["code"] == "not_encrypted"  # type: ignore[index]
    assert "use https://localhost" in answer.json["error"]["message"]  # type: ignore[index]


def test_a_token_sent_in_the_clear_is_refused_so_that_somebody_notices(
    card: Callable[[int], Web],
) -> None:
    answer = card(443).get("/api/v1/latest", Role.VIEWER)
    assert (answer.status_code, answer.json["error"]["code"]) == (403, "not_encrypted")  # type: ignore[index]


def test_over_tls_everything_is_there_and_the_cookie_stays_there(
    card: Callable[[int], Web],
) -> None:
    web = card(443)
    token = web.token(Role.OPERATOR)
    answer = web.browser.post(
        "/sign-in", json={"token": token}, headers={"X-Leyden": "1"}, base_url=HTTPS
    )
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-leyden_443=")
    for part in ("Secure", "HttpOnly", "SameSite=Strict", "Path=/"):
        assert part in cookie
    assert "Domain" not in cookie
    assert web.browser.get("/", base_url=HTTPS).status_code == 200
    assert "Strict-Transport-Security" not in answer.headers


def test_where_certificates_are_broken_everything_is_there_in_the_clear(
    card: Callable[[int], Web], maker: Maker
) -> None:
    maker.write_key()
    web = card(443)
    assert web.get("/api/v1/latest", Role.VIEWER).status_code == 200
    page = web.browser.get("/sign-in")
    assert page.status_code == 200
    assert "leaf.key does not belong to leaf.pem" in page.text
    answer = web.sign_in()
    assert answer.headers["Set-Cookie"].startswith("leyden_443=")
    assert "Secure" not in answer.headers["Set-Cookie"]
    assert web.browser.get("/").status_code == 200
    assert web.get("/health", None).status_code == 200
    maker.renew()
    assert web.get("/api/v1/latest", None).status_code == 308


def test_without_an_encrypted_port_nothing_is_led_anywhere(
    settings: Settings, runtime: LinkServer, clock: ManualClock, maker: Maker
) -> None:
    panel = Panel(Settings(settings.socket, settings.auth, 8080, (), maker.folder), clock)
    try:
        assert Web(panel, settings.auth).get("/healthz", None).status_code == 200
    finally:
        panel.close()


def test_a_panel_without_certificates_has_no_authority(web: Web) -> None:
    assert web.get("/leyden-ca.crt", None).status_code == 404
    assert "not encrypted" not in web.browser.get("/sign-in").text
