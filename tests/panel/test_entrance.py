"""People come in by password as well as by token; a new password shows everybody else out."""

from __future__ import annotations

from pathlib import Path

import argon2
import pytest
from panel.conftest import Web
from werkzeug.test import Client, TestResponse

from leyden.kernel import ManualClock, Role
from leyden.panel import passwords as passwords_module
from leyden.panel.app import Panel
from leyden.panel.auth import Principal, new_token
from leyden.panel.passwords import Passwords
from leyden.panel.settings import Settings

MARKED = {"X-Leyden": "1"}
OWN = {"Origin": "http://localhost"}
WORDS = "correct horse battery"
NEW = "four words make one"


@pytest.fixture
def password(settings: Settings, clock: ManualClock) -> Passwords:
    found = Passwords(settings.auth, clock)
    found.replace(WORDS)
    return found


def sign_in(client: Client, secret: str = WORDS) -> TestResponse:
    return client.post("/sign-in", data={"password": secret, "next": "/devices"}, headers=OWN)


def change(client: Client, new: str = NEW, again: str = "", **more: str) -> TestResponse:
    body = {"new": new, "again": again or new, **more}
    return client.post("/password", data=body, headers=OWN)


def code_of(answer: TestResponse) -> tuple[int, str]:
    assert answer.json is not None
    return answer.status_code, answer.json["error"]["code"]


# Signing in.


def test_the_password_signs_in_as_admin_and_leads_back(web: Web, password: Passwords) -> None:
    answer = sign_in(web.browser)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/devices")
    assert web.browser.get("/api/v1/session").json == {"role": "admin", "name": "admin"}


def test_programs_sign_in_by_password_as_json(web: Web, password: Passwords) -> None:
    answer = web.browser.post("/sign-in", json={"password": WORDS}, headers=MARKED)
    assert answer.json == {"role": "admin", "name": "admin"}
    wrong = web.bare.post("/sign-in", json={"password": "wrong"}, headers=MARKED)
    assert code_of(wrong) == (401, "wrong_password")


def test_either_a_token_or_a_password_and_not_both(web: Web, password: Passwords) -> None:
    for body in ({}, {"token": "x", "password": "y"}, {"token": "", "password": ""}):
        answer = web.bare.post("/sign-in", json=body, headers=MARKED)
        assert code_of(answer) == (400, "bad_request")


def test_a_token_goes_into_the_same_field(
    web: Web, settings: Settings, password: Passwords
) -> None:
    token = new_token(settings.auth, Role.VIEWER, name="wall", one_time=True)
    assert sign_in(web.browser, f" {token}\n").status_code == 303
    assert web.browser.get("/api/v1/session").json == {"role": "viewer", "name": "wall"}
    again = sign_in(web.bare, token)
    assert again.status_code == 401
    assert "This password or token is wrong" in again.text


def test_the_form_asks_for_what_there_is(web: Web, settings: Settings, clock: ManualClock) -> None:
    before = web.browser.get("/sign-in").text
    assert "<label>Token<" in before
    assert "password" not in before.replace('type="password"', "").replace("current-password", "")
    Passwords(settings.auth, clock).replace(WORDS)
    assert "<label>Password or token<" in web.browser.get("/sign-in").text


def test_a_one_time_link_works_beside_a_password(
    web: Web, settings: Settings, password: Passwords
) -> None:
    assert web.sign_in(Role.ENGINEER).json == {"role": "engineer", "name": "anna"}


def test_the_password_is_no_bearer_token(web: Web, password: Passwords) -> None:
    for secret in (WORDS, password.proof()):
        answer = web.bare.get("/api/v1/latest", headers={"Authorization": f"Bearer {secret}"})
        assert answer.status_code == 401


def test_a_wrong_password_is_refused_in_words_and_never_shown_again(
    web: Web, password: Passwords
) -> None:
    answer = sign_in(web.browser, "hunter2hunter2")
    assert answer.status_code == 401
    assert "This password or token is wrong" in answer.text
    assert "hunter2" not in answer.text


def test_guessing_a_password_waits_even_for_the_right_one(
    web: Web, password: Passwords, clock: ManualClock
) -> None:
    codes = [sign_in(web.bare, f"guess number {number}").status_code for number in range(4)]
    assert codes == [401, 401, 401, 429]
    limited = sign_in(web.bare)
    assert (limited.status_code, limited.headers["Retry-After"]) == (429, "60")
    assert "Too many wrong passwords lately; wait 60 s" in limited.text
    clock.advance(61)
    assert sign_in(web.bare).status_code == 303


def test_many_addresses_guess_no_faster_and_lock_no_known_one_out(
    web: Web, password: Passwords
) -> None:
    def at(address: str, secret: str) -> int:
        place = {"REMOTE_ADDR": address}
        body = {"password": secret}
        return web.bare.post(
            "/sign-in", data=body, headers=OWN, environ_overrides=place
        ).status_code

    assert at("10.0.0.5", WORDS) == 303
    codes = [at(f"192.0.2.{number}", "guess") for number in range(12)]
    assert codes == [401] * 10 + [429] * 2
    assert at("10.0.0.5", WORDS) == 303
    assert at("10.0.0.6", WORDS) == 429


def test_while_limited_nothing_is_hashed(
    web: Web, password: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        sign_in(web.bare, f"guess number {number}")

    def fail(*_: object) -> bool:
        raise AssertionError("hashed")

    monkeypatch.setattr(argon2.PasswordHasher, "verify", fail)
    assert sign_in(web.bare).status_code == 429


def test_more_at_once_than_can_be_checked_are_told_to_come_back(
    web: Web, password: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object, **__: object) -> bool:
        raise TimeoutError

    monkeypatch.setattr(Passwords, "match", busy)
    answer = web.bare.post("/sign-in", json={"password": WORDS}, headers=MARKED)
    assert code_of(answer) == (503, "busy")
    assert answer.headers["Retry-After"] == "2"


def test_no_log_holds_a_password(
    web: Web, password: Passwords, caplog: pytest.LogCaptureFixture
) -> None:
    sign_in(web.bare, "hunter2hunter2")
    sign_in(web.browser)
    change(web.browser, "hunter2hunter2", current="hunter2hunter2")
    assert "hunter2" not in caplog.text
    assert WORDS not in caplog.text


# Changing it.


def test_a_new_password_keeps_who_changed_it_and_signs_out_the_rest(
    web: Web, panel: Panel, settings: Settings, password: Passwords
) -> None:
    others = [Client(panel), Client(panel), Client(panel)]
    sign_in(others[0])
    link = new_token(settings.auth, Role.OPERATOR, one_time=True)
    others[1].post("/sign-in", json={"token": link}, headers=MARKED)
    others[2].post("/sign-in", json={"token": web.token()}, headers=MARKED)
    sign_in(web.browser)
    answer = change(web.browser, current=WORDS)
    assert "The password is changed" in answer.text
    found = [each.get("/api/v1/session").status_code for each in (web.browser, *others)]
    assert found == [200, 401, 401, 200]  # what a standing token opened, the token ends
    assert sign_in(web.bare).status_code == 401
    assert sign_in(web.bare, NEW).status_code == 303


def test_live_views_of_who_is_signed_out_end(web: Web, panel: Panel, password: Passwords) -> None:
    sign_in(web.browser)
    ended = []
    for session in _sessions(panel):
        panel.hub.open(session, lambda *_: None, lambda: ended.append(True))
    other = Client(panel)
    sign_in(other)
    change(other, current=WORDS)
    assert ended == [True]


def _sessions(panel: Panel) -> list[Principal]:
    return [each.principal() for each in panel.guard.sessions._by_hash.values()]


def test_the_present_password_is_asked_for_and_guessing_it_is_slowed_down(
    web: Web, password: Passwords
) -> None:
    sign_in(web.browser)
    assert "Present password" in web.browser.get("/password").text
    for status in (403, 403, 403, 429):
        answer = change(web.browser, current="a wrong password")
        assert answer.status_code == status
    assert "Too many wrong passwords" in answer.text
    assert password.match(WORDS)


def test_a_wrong_present_password_is_told(web: Web, password: Passwords) -> None:
    sign_in(web.browser)
    assert "The current password is wrong" in change(web.browser, current="wrong").text
    assert web.browser.get("/api/v1/session").status_code == 200


def test_an_admin_who_came_by_a_link_has_no_present_password_to_say(
    web: Web, password: Passwords
) -> None:
    web.sign_in(Role.ADMIN)  # how a forgotten password is replaced
    assert "Present password" not in web.browser.get("/password").text
    assert change(web.browser).status_code == 200
    assert password.match(NEW)
    assert web.browser.get("/api/v1/session").json == {"role": "admin", "name": "admin"}


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR, Role.ENGINEER])
def test_only_the_admin_changes_the_password(web: Web, password: Passwords, role: Role) -> None:
    web.sign_in(role)
    assert web.browser.get("/password").status_code == 403
    assert change(web.browser).status_code == 403
    assert code_of(web.post("/api/v1/password", role, json={"new": NEW})) == (403, "forbidden")
    assert password.match(WORDS)


def test_programs_change_it_by_the_api(web: Web, password: Passwords) -> None:
    sign_in(web.browser)
    answer = web.post("/api/v1/password", Role.ADMIN, json={"new": NEW})
    assert answer.json == {"ok": True}
    assert password.match(NEW)
    assert web.browser.get("/api/v1/session").status_code == 401
    weak = web.post("/api/v1/password", Role.ADMIN, json={"new": "short"})
    assert code_of(weak) == (400, "weak_password")


def test_a_change_needs_the_panels_own_page(web: Web, password: Passwords) -> None:
    sign_in(web.browser)
    body = {"new": NEW, "again": NEW, "current": WORDS}
    for headers in ({}, {"Origin": "http://evil.example"}, MARKED):
        assert web.browser.post("/password", data=body, headers=headers).status_code == 403
    api = {"new": NEW, "current": WORDS}
    assert code_of(web.browser.post("/api/v1/password", json=api)) == (403, "cross_site")
    assert password.match(WORDS)


def test_without_a_session_the_page_leads_to_signing_in_and_back(
    web: Web, password: Passwords
) -> None:
    assert web.browser.get("/password").headers["Location"] == "/sign-in?next=/password"
    assert change(web.browser).headers["Location"] == "/sign-in?next=/password"


@pytest.mark.parametrize(
    ("new", "again", "words"),
    [("short", "", "needs at least 10"), (NEW, "other words", "The two passwords differ")],
)
def test_a_new_password_that_breaks_a_rule_is_refused_in_words(
    web: Web, password: Passwords, new: str, again: str, words: str
) -> None:
    sign_in(web.browser)
    answer = change(web.browser, new, again, current=WORDS)
    assert answer.status_code == 400
    assert words in answer.text


def test_on_a_full_disk_the_old_password_holds_and_nobody_is_signed_out(
    web: Web, panel: Panel, password: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Client(panel)
    sign_in(other)
    sign_in(web.browser)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(passwords_module, "write_atomic", full)
    answer = change(web.browser, current=WORDS)
    assert answer.status_code == 507
    assert "nothing has changed, the old password still holds" in answer.text
    assert other.get("/api/v1/session").status_code == 200
    assert password.match(WORDS)


def test_a_password_that_came_by_another_way_ends_sessions_of_the_old_one(
    web: Web, settings: Settings, password: Passwords, clock: ManualClock
) -> None:
    sign_in(web.browser)
    Passwords(settings.auth, clock).replace(NEW)
    assert web.browser.get("/api/v1/session").status_code == 401


def test_a_session_by_password_outlives_the_panel(
    web: Web, panel: Panel, settings: Settings, password: Passwords, clock: ManualClock
) -> None:
    sign_in(web.browser)
    cookie = web.browser.get_cookie("leyden_8080")
    assert cookie is not None
    again = Panel(settings, clock)
    try:
        found = Client(again, use_cookies=False).get(
            "/api/v1/session", headers={"Cookie": f"leyden_8080={cookie.value}"}
        )
        assert found.status_code == 200
    finally:
        again.close()


def test_nothing_in_the_auth_directory_holds_a_secret(
    web: Web, settings: Settings, password: Passwords
) -> None:
    sign_in(web.browser)
    cookie = web.browser.get_cookie("leyden_8080")
    assert cookie is not None
    for path in _files(settings.auth):
        assert WORDS.encode() not in path.read_bytes()
        assert cookie.value.encode() not in path.read_bytes()


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_file()]
