"""Whoever has the code that the machine shows becomes its admin: once, whole, and nobody else."""

from __future__ import annotations

import hashlib
import re
import threading
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from panel.conftest import Web
from werkzeug.test import TestResponse

from leyden.kernel import ManualClock, Role
from leyden.link.server import LinkServer
from leyden.panel import passwords as passwords_module
from leyden.panel.app import Panel
from leyden.panel.auth import AuthError, new_token
from leyden.panel.claim import ALPHABET, ClaimedError, Claims, new_code, normalise, write_claim
from leyden.panel.passwords import Passwords
from leyden.panel.settings import Settings
from leyden.storage.files import FILES

PAGES = ["/", "/devices", "/events", "/system", "/channels/air.temperature", "/sign-in"]
MARKED = {"X-Leyden": "1"}
OWN = {"Origin": "http://localhost"}
WORDS = "correct horse battery"


@pytest.fixture
def code(settings: Settings) -> str:
    code = new_code()
    write_claim(settings.auth, code)
    return code


@pytest.fixture
def claims(settings: Settings, clock: ManualClock, code: str) -> Claims:
    del code
    return Claims(settings.auth, Passwords(settings.auth, clock))


def form(code: str, password: str = WORDS, again: str | None = None) -> dict[str, str]:
    return {"code": code, "new": password, "again": password if again is None else again}


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# The code.


def test_a_code_has_sixty_random_bits_and_no_letter_that_reads_as_another() -> None:
    codes = {new_code() for _ in range(500)}
    assert len(codes) == 500
    assert len(ALPHABET) ** 12 == 2**60
    assert not set("ILOU") & set(ALPHABET)
    assert all(re.fullmatch(rf"([{ALPHABET}]{{4}}-){{2}}[{ALPHABET}]{{4}}", each) for each in codes)


@given(st.text(ALPHABET, min_size=12, max_size=12), st.data())
def test_a_code_is_read_however_it_was_copied_down(letters: str, data: st.DataObject) -> None:
    separator = data.draw(st.sampled_from(["", "-", " ", " - ", "\u2013", "\u2011", "\t"]))
    worn = letters.replace("0", data.draw(st.sampled_from("0Oo")))
    worn = worn.replace("1", data.draw(st.sampled_from("1IiLl")))
    typed = separator.join([worn[:4], worn[4:8], worn[8:]])
    assert normalise(typed) == normalise(typed.lower()) == letters


@given(st.text(max_size=40))
def test_whatever_is_typed_can_be_compared(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


def test_the_file_holds_the_hash_of_the_bare_letters_and_not_the_code(
    settings: Settings, code: str
) -> None:
    content = (settings.auth / "claim.json").read_bytes()
    bare = code.replace("-", "")
    assert msgspec.json.decode(content)["hash"] == hashlib.sha256(bare.encode()).hexdigest()
    assert code.encode() not in content
    assert bare.encode() not in content


# Claiming.


def test_the_right_code_sets_the_password_and_ends_the_claim(
    claims: Claims, settings: Settings, code: str
) -> None:
    assert claims.open()
    assert claims.take(code, WORDS)
    assert not claims.open()
    assert "claim.json" not in files_in(settings.auth)
    assert Passwords(settings.auth, ManualClock()).match(WORDS)


def test_a_wrong_code_changes_nothing(claims: Claims, settings: Settings) -> None:
    before = files_in(settings.auth)
    assert not claims.take(new_code(), WORDS)
    assert claims.open()
    assert files_in(settings.auth) == before


def test_of_many_with_the_right_code_one_gets_in(claims: Claims, code: str) -> None:
    outcomes: list[object] = []

    def take(number: int) -> None:
        try:
            outcomes.append(claims.take(code, f"password of number {number}"))
        except ClaimedError as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=take, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count(True) == 1
    assert outcomes.count("this appliance has been claimed already; sign in") == 5


def test_a_power_cut_after_the_password_leaves_a_claimed_appliance(
    claims: Claims, settings: Settings, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "forget", lambda: False)  # the moment at which the power goes
    assert claims.take(code, WORDS)
    assert {"claim.json", "password.json"} <= files_in(settings.auth)
    again = Claims(settings.auth, Passwords(settings.auth, ManualClock()))
    assert not again.open()
    with pytest.raises(ClaimedError):
        again.take(code, "another password")
    assert again.forget()
    assert "claim.json" not in files_in(settings.auth)


def full(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


def test_on_a_full_disk_nothing_is_claimed_and_the_code_works_on(
    claims: Claims, settings: Settings, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(passwords_module, "write_atomic", full)
        with pytest.raises(AuthError, match="No space left"):
            claims.take(code, WORDS)
    assert claims.open()
    assert "password.json" not in files_in(settings.auth)
    assert claims.take(code, WORDS)


def test_a_disk_that_goes_read_only_in_between_leaves_a_claimed_appliance(
    claims: Claims, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(FILES), "remove", full)
    assert claims.take(code, WORDS)
    assert not claims.open()
    assert not claims.forget()


def test_a_damaged_claim_says_so_and_lets_nobody_in(claims: Claims, settings: Settings) -> None:
    (settings.auth / "claim.json").write_bytes(b"[")
    assert claims.open()
    with pytest.raises(AuthError, match="claim.json is damaged.*factory reset"):
        claims.take("", WORDS)


# The page.


@pytest.mark.parametrize("path", PAGES)
def test_while_nobody_has_claimed_every_page_leads_to_the_claim(
    web: Web, code: str, path: str
) -> None:
    for browser in (web.browser, web.bare):
        answer = browser.get(path)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/claim")


def test_a_session_of_before_the_claim_opens_no_page(web: Web, settings: Settings) -> None:
    web.sign_in(Role.ADMIN)
    write_claim(settings.auth, new_code())
    assert web.browser.get("/devices").headers["Location"] == "/claim"


def test_without_a_claim_there_is_no_page_for_it(web: Web) -> None:
    answer = web.browser.get("/claim")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")


def test_the_claim_signs_in_as_admin(web: Web, code: str) -> None:
    assert "This appliance is new" in web.browser.get("/claim").text
    answer = web.browser.post("/claim", data=form(code), headers=OWN)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert web.browser.get("/").status_code == 200
    assert web.browser.get("/api/v1/session").json == {"role": "admin", "name": "admin"}
    assert web.browser.get("/claim").headers["Location"] == "/"


def test_programs_claim_by_json(web: Web, code: str) -> None:
    body = {"code": code.lower(), "password": WORDS}
    answer = web.browser.post("/claim", json=body, headers=MARKED)
    assert answer.json == {"role": "admin", "name": "admin"}
    late = web.bare.post("/claim", json=body, headers=MARKED)
    assert (late.status_code, late.json["error"]["code"]) == (409, "claimed")  # type: ignore[index]


def test_a_claim_that_comes_too_late_is_told_so(web: Web, code: str) -> None:
    web.bare.post("/claim", data=form(code), headers=OWN)
    late = web.browser.post("/claim", data=form(code), headers=OWN)
    assert late.status_code == 409
    assert "This appliance has been claimed already; sign in" in late.text


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"new": "short", "again": "short"}, "5 characters; it needs at least 10"),
        ({"new": WORDS, "again": "something else"}, "The two passwords differ"),
        ({"new": WORDS}, "The two passwords differ"),
        ({}, "0 characters"),
    ],
)
def test_a_password_that_breaks_a_rule_is_refused_in_words(
    web: Web, code: str, given: dict[str, str], words: str
) -> None:
    answer = web.browser.post("/claim", data={"code": code, **given}, headers=OWN)
    assert answer.status_code == 400
    assert words in answer.text
    assert f'value="{code}"' in answer.text  # what was typed right need not be typed again
    assert WORDS not in answer.text


def test_a_refused_password_tells_nothing_of_the_code(web: Web, code: str) -> None:
    answers = [
        web.browser.post("/claim", data=form(each, "short"), headers=OWN).text.replace(each, "")
        for each in (code, new_code())
    ]
    assert answers[0] == answers[1]


def test_the_code_itself_is_no_password(web: Web, code: str) -> None:
    answer = web.browser.post("/claim", data=form(code, code.lower()), headers=OWN)
    assert answer.status_code == 400
    assert "choose a password" in answer.text


def test_wrong_codes_are_slowed_down_with_words(web: Web, code: str, clock: ManualClock) -> None:
    def claim(text: str) -> TestResponse:
        return web.bare.post("/claim", data=form(text), headers=OWN)

    assert [claim(new_code()).status_code for _ in range(4)] == [401, 401, 401, 429]
    limited = claim(code)
    assert limited.status_code == 429
    assert limited.headers["Retry-After"] == "60"
    assert "Too many wrong codes lately; wait 60 s" in limited.text
    clock.advance(61)
    assert claim(code).status_code == 303


def test_many_addresses_are_slowed_down_together(web: Web, code: str) -> None:
    def claim(number: int) -> int:
        address = {"REMOTE_ADDR": f"192.0.2.{number}"}
        body = form(new_code())
        return web.bare.post(
            "/claim", data=body, headers=OWN, environ_overrides=address
        ).status_code

    assert [claim(number) for number in range(12)] == [401] * 10 + [429] * 2


def test_another_sites_form_claims_nothing(web: Web, code: str) -> None:
    for headers in ({}, {"Origin": "http://evil.example"}, {"Origin": "null"}):
        assert web.bare.post("/claim", data=form(code), headers=headers).status_code == 403
    body = {"code": code, "password": WORDS}
    assert web.bare.post("/claim", json=body).status_code == 403
    assert web.browser.get("/").headers["Location"] == "/claim"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"code":1}', b'{"code":"x"}', b'{"code":"x","password":"y","z":1}']
)
def test_a_claim_that_is_none_is_refused(web: Web, code: str, body: bytes) -> None:
    answer = web.bare.post("/claim", data=body, content_type="application/json", headers=MARKED)
    assert answer.status_code == 400
    assert answer.json["error"]["code"] == "bad_request"  # type: ignore[index]


def test_on_a_full_disk_the_page_says_that_nothing_has_changed(
    web: Web, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(passwords_module, "write_atomic", full)
        answer = web.browser.post("/claim", data=form(code), headers=OWN)
    assert answer.status_code == 507
    assert "No space left on device; nothing has changed, the code still works" in answer.text
    assert web.browser.post("/claim", data=form(code), headers=OWN).status_code == 303


def test_bearer_tokens_work_before_the_claim_as_after(web: Web, code: str) -> None:
    assert web.get("/api/v1/latest").status_code == 200
    assert web.get("/healthz", None).status_code == 200
    assert web.get("/health", None).status_code == 200


def test_a_one_time_token_signs_programs_in_before_the_claim(web: Web, code: str) -> None:
    assert web.sign_in().status_code == 200
    assert web.browser.get("/api/v1/latest").status_code == 200


def test_the_claim_works_while_the_runtime_is_away(
    web: Web, code: str, runtime: LinkServer
) -> None:
    runtime.stop()
    assert web.browser.get("/claim").status_code == 200
    assert web.browser.post("/claim", data=form(code), headers=OWN).status_code == 303


def test_no_log_holds_code_or_password(
    web: Web, code: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    web.bare.post("/claim", data=form(code, "hunter2hunter2", "x"), headers=OWN)
    monkeypatch.setattr(passwords_module, "write_atomic", full)
    web.bare.post("/claim", data=form(code, "hunter2hunter2"), headers=OWN)
    monkeypatch.setattr(Claims, "take", _explode)
    web.bare.post("/claim", data=form(code, "hunter2hunter2"), headers=OWN)
    assert "failed" in caplog.text
    assert "hunter2" not in caplog.text
    assert code not in caplog.text


def _explode(*_: object) -> bool:
    raise ZeroDivisionError


def test_what_a_power_cut_left_is_swept_out_when_the_panel_starts(
    settings: Settings, runtime: LinkServer, clock: ManualClock, code: str
) -> None:
    Passwords(settings.auth, clock).replace(WORDS)
    assert "claim.json" in files_in(settings.auth)
    Panel(settings, clock).close()
    assert "claim.json" not in files_in(settings.auth)


def test_a_password_that_comes_with_the_card_leaves_nothing_to_claim(
    web: Web, settings: Settings, code: str, clock: ManualClock
) -> None:
    Passwords(settings.auth, clock).replace(WORDS)
    assert web.browser.get("/").headers["Location"] == "/sign-in"
    assert web.browser.post("/claim", data=form(code), headers=OWN).status_code == 409


def test_an_admins_token_that_sets_a_password_ends_the_claim(
    web: Web, settings: Settings, code: str
) -> None:
    token = new_token(settings.auth, Role.ADMIN)
    headers = {"Authorization": f"Bearer {token}"}
    assert web.bare.post("/api/v1/password", json={"new": WORDS}, headers=headers).json == {
        "ok": True
    }
    assert "claim.json" not in files_in(settings.auth)
    assert web.bare.post("/claim", data=form(code), headers=OWN).status_code == 409
