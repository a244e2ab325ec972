"""The rig's client of the panel believes nobody but the appliance it was told of."""

from __future__ import annotations

import datetime
import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from leyden_hil.errors import TargetError
from leyden_hil.panel import Panel

NAME = "rig.local"
EVENTS = [{"n": n, "route": "runtime.booted"} for n in range(1, 6)]


def certificate(folder: Path, name: str) -> tuple[Path, str]:
    """Return a file with key and certificate of a name, and the certificate alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    text = made.public_bytes(serialization.Encoding.PEM).decode()
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    path = folder / f"{name}.pem"
    path.write_text(secret + text)
    return path, text


class Fake(BaseHTTPRequestHandler):
    """Answers as the panel does, as far as the client asks."""

    authority = ""
    heard: list[tuple[str, str, dict[str, str], bytes]]

    def do_GET(self) -> None:
        self.heard.append(("GET", self.path, dict(self.headers.items()), b""))
        if self.path == "/leyden-ca.crt":
            return self.say(200, self.authority.encode())
        if self.path == "/health":
            return self.say(200, b'{"status": "ok"}')
        if self.path.startswith("/api/v1/events"):
            after = int(self.path.partition("after=")[2].partition("&")[0])
            page = EVENTS[after : after + 2]
            following = page[-1]["n"] if page else after
            return self.tell({"events": page, "next": following, "gaps": [], "head": 5})
        if "rig-session" not in self.headers.get("Cookie", ""):
            return self.say(401, b"{}")
        return self.tell({"role": "admin"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.heard.append(("POST", self.path, dict(self.headers.items()), body))
        if json.loads(body).get("password") == "right":
            return self.say(200, b"{}", **{"Set-Cookie": "rig-session=1; Secure; Path=/"})
        return self.say(401, b'{"error": {"code": "wrong_password"}}')

    def tell(self, what: Any) -> None:
        self.say(200, json.dumps(what).encode())

    def say(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # as the base has it
        return


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[tuple[type[Fake], dict[str, int]]]:
    path, text = certificate(tmp_path, NAME)
    handler = type("Handler", (Fake,), {"authority": text, "heard": []})
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trust.load_cert_chain(path)
    servers = {"http": HTTPServer(("127.0.0.1", 0), handler)}
    servers["https"] = HTTPServer(("127.0.0.1", 0), handler)
    servers["https"].socket = trust.wrap_socket(servers["https"].socket, server_side=True)
    threads = [threading.Thread(target=server.serve_forever) for server in servers.values()]
    for thread in threads:
        thread.start()
    yield handler, {name: server.server_port for name, server in servers.items()}
    for server in servers.values():
        server.shutdown()
        server.server_close()
    for thread in threads:
        thread.join()


def test_it_asks_under_the_appliances_name_and_keeps_its_session(
    fake: tuple[type[Fake], dict[str, int]],
) -> None:
    handler, doors = fake
    panel = Panel("127.0.0.1", doors, NAME)
    with pytest.raises(TargetError, match="401"):
        panel.data("/api/v1/session")
    panel.sign_in("right")
    assert panel.data("/api/v1/session") == {"role": "admin"}
    assert {headers["Host"] for _, _, headers, _ in handler.heard} == {NAME}
    assert handler.heard[-1][2]["Cookie"] == "rig-session=1"
    with pytest.raises(TargetError, match="401"):
        Panel("127.0.0.1", doors, NAME).sign_in("wrong")


def test_it_refuses_another_name_and_another_authority(
    fake: tuple[type[Fake], dict[str, int]], tmp_path: Path
) -> None:
    _, doors = fake
    with pytest.raises(TargetError, match="mismatch|not valid for"):
        Panel("127.0.0.1", doors, "other.local").get("/health")
    _, foreign = certificate(tmp_path, "foreign.local")
    with pytest.raises(TargetError, match="certificate verify failed"):
        Panel("127.0.0.1", doors, NAME, foreign).get("/health")


def test_all_pages_of_events_are_read(fake: tuple[type[Fake], dict[str, int]]) -> None:
    panel = Panel("127.0.0.1", fake[1], NAME)
    assert panel.events() == EVENTS
    assert panel.events(3) == EVENTS[3:]


def test_a_panel_that_is_not_there_is_waited_for_and_told_of(
    fake: tuple[type[Fake], dict[str, int]],
) -> None:
    there = Panel("127.0.0.1", fake[1], NAME)
    assert there.health() == {"status": "ok"}
    assert there.wait(5) < 5
    nobody = Panel("127.0.0.1", {"http": 1, "https": 1}, NAME)
    assert nobody.health() is None
    with pytest.raises(TargetError, match="not so after 0 s: the panel answers"):
        nobody.wait(0)
