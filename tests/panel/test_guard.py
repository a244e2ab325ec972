"""The door lets in who calls the panel by its own name; the guard knows who that is."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from panel.conftest import Web

from leyden.kernel import ManualClock, Role
from leyden.panel.guard import Hosts, same_origin


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8080",
        "LOCALHOST:8080",
        "127.0.0.1:8080",
        "127.8.8.8",
        "[::1]:8080",
        "[::ffff:127.0.0.1]",
        "192.168.1.5",
        "203.0.113.7:8443",
        "[2001:db8::1]:443",
        "greenhouse.example:8080",
        "greenhouse.example.",
        socket.gethostname(),
        socket.gethostname() + ".local:80",
    ],
)
def test_own_names_and_every_address_are_let_in(web: Web, host: str) -> None:
    assert web.get("/healthz", None, headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "localhost.evil.example",
        "greenhouse.example.evil.example",
        "leyden-1a2b.evil.example",
        "192.168.1.5.evil.example",
        "3232235781",
        "0x7f.1",
        "[::1",
        "user@localhost.evil.example",
        "127.0.0.1.evil.example",
        "\x00",
        "é",
    ],
)
@pytest.mark.parametrize("path", ["/healthz", "/", "/api/v1/latest", "/socket.io/", "/static/x"])
def test_foreign_names_are_turned_away_before_anything_looks(
    web: Web, host: str, path: str
) -> None:
    answer = web.get(path, headers={"Host": host})
    assert answer.status_code == 403
    assert answer.json["error"]["code"] == "foreign_host"  # type: ignore[index]


@given(st.text(max_size=60))
def test_any_origin_is_ours_or_not(text: str) -> None:
    assert same_origin({"HTTP_HOST": "localhost", "HTTP_ORIGIN": text}, missing=True) is False


def test_a_cookie_that_is_no_text_is_nobodys(web: Web) -> None:
    answer = web.bare.get("/sign-in", headers={"Cookie": "leyden_8080=\xff\xfe"})
    assert answer.status_code == 200


@given(st.text(max_size=60))
def test_any_host_header_is_let_in_or_turned_away(text: str) -> None:
    assert Hosts().allows({"HTTP_HOST": text}) in {True, False}


def test_a_name_that_the_machine_is_given_late_is_ours_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hosts = Hosts()
    assert not hosts.allows({"HTTP_HOST": "leyden-1a2b.local"})
    monkeypatch.setattr(socket, "gethostname", lambda: "Leyden-1A2B")
    assert hosts.allows({"HTTP_HOST": "leyden-1a2b.local"})
    assert hosts.allows({"HTTP_HOST": "LEYDEN-1a2b:443"})


@pytest.mark.parametrize(("scheme", "own"), [("http", True), ("https", False)])
def test_an_encrypted_page_is_not_asked_by_one_that_is_not(scheme: str, own: bool) -> None:
    environ = {
        "HTTP_HOST": "localhost",
        "HTTP_ORIGIN": "http://localhost",
        "wsgi.url_scheme": scheme,
    }
    assert same_origin(environ, missing=True) is own


@pytest.mark.parametrize(
    ("origin", "own"),
    [
        ("http://localhost:8080", True),
        ("https://localhost:8080", True),
        ("http://localhost", False),
        ("http://localhost:8081", False),
        ("http://evil.example", False),
        ("file://localhost:8080", False),
        ("null", False),
        ("", False),
        ("http://[", False),
        ("http://[::1", False),
        ("http://a]b", False),
    ],
)
def test_a_page_is_ours_when_it_was_loaded_from_here(origin: str, own: bool) -> None:
    environ = {"HTTP_HOST": "localhost:8080", "HTTP_ORIGIN": origin}
    assert same_origin(environ, missing=True) is own


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/sign-in",
        "/nothing",
        "/healthz",
        "/api/v1/latest",
        "/api/v1/nothing",
        "/socket.io/",
        "/static/x/y.js",
    ],
)
def test_every_answer_carries_the_security_headers(web: Web, path: str) -> None:
    headers = web.get(path, None).headers
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'self';")
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"


def test_without_a_token_nothing_is_told(web: Web) -> None:
    answer = web.get("/api/v1/latest", None)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json["error"]["code"] == "unauthorised"  # type: ignore[index]


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Basic YTpi", "ley_x", "Bearer ley_\x7f"])
def test_what_is_no_bearer_token_is_refused(web: Web, header: str) -> None:
    answer = web.get("/api/v1/latest", None, headers={"Authorization": header})
    assert answer.status_code == 401


def test_the_word_bearer_may_be_written_as_people_like(web: Web) -> None:
    header = {"Authorization": f"bEARER  {web.token()} "}
    assert web.get("/api/v1/latest", None, headers=header).status_code == 200


def test_after_three_wrong_tokens_further_ones_wait_and_right_ones_do_not(
    web: Web, clock: ManualClock
) -> None:
    wrong = {"Authorization": "Bearer ley_wrong"}
    codes = [web.get("/api/v1/latest", None, headers=wrong).status_code for _ in range(5)]
    assert codes == [401, 401, 401, 429, 429]
    limited = web.get("/api/v1/latest", None, headers=wrong)
    assert limited.headers["Retry-After"] == "60"
    assert "wait 60 s" in limited.json["error"]["message"]  # type: ignore[index]
    assert web.get("/api/v1/latest").status_code == 200
    clock.advance(61)
    assert web.get("/api/v1/latest", None, headers=wrong).status_code == 401


def test_a_change_asked_for_with_a_cookie_needs_the_panels_own_header(web: Web) -> None:
    web.sign_in(Role.OPERATOR)
    intent = {"goal": "world.set", "payload": {}}
    bare = web.browser.post("/api/v1/intents", json=intent)
    assert bare.status_code == 403
    assert bare.json["error"]["code"] == "cross_site"  # type: ignore[index]
    marked = web.browser.post("/api/v1/intents", json=intent, headers={"X-Leyden": "1"})
    assert marked.status_code == 200
    foreign = {"X-Leyden": "1", "Origin": "http://evil.example"}
    assert web.browser.post("/api/v1/intents", json=intent, headers=foreign).status_code == 403


def test_a_change_asked_for_with_a_token_needs_no_header(web: Web) -> None:
    intent = {"goal": "world.set", "payload": {}}
    assert web.post("/api/v1/intents", Role.OPERATOR, json=intent).status_code == 200
