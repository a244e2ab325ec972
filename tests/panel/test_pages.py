"""Pages are for people who have signed in; signing in takes a token, a one-time one only once."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from panel.conftest import Web
from werkzeug.test import TestResponse

from leyden.kernel import ManualClock, Role
from leyden.link.server import LinkServer
from leyden.panel.app import Panel
from leyden.panel.assets import Assets
from leyden.panel.auth import Principal, new_token
from leyden.panel.settings import Settings

PAGES = ["/", "/devices", "/events", "/system", "/channels/air.temperature"]
MARKED = {"X-Leyden": "1"}


def one_time(settings: Settings) -> str:
    return new_token(settings.auth, Role.OPERATOR, name="link", one_time=True)


def cookie_of(answer: TestResponse) -> str:
    return answer.headers.get("Set-Cookie", "")


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_the_one_document(web: Web, path: str) -> None:
    web.sign_in()
    answer = web.browser.get(path)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert 'id="panel"' in answer.text
    assert "greenhouse" in answer.text


@pytest.mark.parametrize("path", PAGES)
def test_without_a_session_a_page_leads_to_signing_in_and_back(web: Web, path: str) -> None:
    answer = web.browser.get(path)
    assert answer.status_code == 303
    wanted = "/sign-in" if path == "/" else f"/sign-in?next={path}"
    assert answer.headers["Location"] == wanted


def test_a_bearer_token_is_for_programs_and_opens_no_page(web: Web) -> None:
    assert web.get("/").status_code == 303


def test_no_page_has_script_or_style_of_its_own_or_asks_elsewhere(web: Web) -> None:
    pages = [web.browser.get("/sign-in").text, web.browser.get("/nothing").text]
    web.sign_in()
    pages.append(web.browser.get("/").text)
    for page in pages:
        assert not re.search(r"<script(?![^>]*\ssrc=)[^>]*>", page)
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", page)
        assert not re.search(r"(src|href|action)=\"(https?:)?//", page)


def test_every_file_a_page_names_is_there_and_kept_for_good(web: Web) -> None:
    web.sign_in()
    page = web.browser.get("/").text
    names = re.findall(r"(?:src|href)=\"(/static/[^\"]+)\"", page)
    assert len(names) > 3
    for name in names:
        answer = web.bare.get(name)
        assert answer.status_code == 200, name
        assert "immutable" in answer.headers["Cache-Control"]


def test_a_one_time_token_opens_one_session(web: Web, settings: Settings) -> None:
    token = one_time(settings)
    first = web.browser.post("/sign-in", data={"token": token}, headers=MARKED)
    assert (first.status_code, first.headers["Location"]) == (303, "/")
    assert web.browser.get("/").status_code == 200
    again = web.bare.post("/sign-in", data={"token": token}, headers=MARKED)
    assert again.status_code == 401
    assert "used up" in again.text
    assert not cookie_of(again)


def test_looking_at_the_link_does_not_use_it_up(web: Web, settings: Settings) -> None:
    token = one_time(settings)
    for path in (f"/sign-in?token={token}", "/sign-in", f"/sign-in?next=/&token={token}"):
        web.bare.get(path)
        web.bare.open(path, method="HEAD")
    assert web.browser.post("/sign-in", data={"token": token}, headers=MARKED).status_code == 303


def test_the_cookie_is_for_this_panel_and_no_script(web: Web) -> None:
    cookie = cookie_of(web.sign_in())
    assert cookie.startswith("leyden_8080=")
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Path=/" in cookie


def test_programs_sign_in_by_json(web: Web) -> None:
    answer = web.sign_in(Role.ADMIN)
    assert answer.json == {"role": "admin", "name": "anna"}
    assert web.browser.get("/api/v1/session").json == {"role": "admin", "name": "anna"}


def test_a_pasted_bearer_token_signs_in_as_often_as_needed(web: Web) -> None:
    for _ in range(2):
        answer = web.bare.post("/sign-in", data={"token": f" {web.token()}\n"}, headers=MARKED)
        assert answer.status_code == 303


@pytest.mark.parametrize(
    ("target", "goes_to"),
    [
        ("/devices", "/devices"),
        ("/channels/air.temperature?span=1h", "/channels/air.temperature?span=1h"),
        ("", "/"),
        ("devices", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("/sign-in", "/"),
        ("/a\r\nSet-Cookie: x=y", "/"),
    ],
)
def test_signing_in_leads_back_to_a_page_of_ours_only(
    web: Web, settings: Settings, target: str, goes_to: str
) -> None:
    form = {"token": one_time(settings), "next": target}
    answer = web.browser.post("/sign-in", data=form, headers=MARKED)
    assert answer.headers["Location"] == goes_to


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"token":1}', b'{"token":"x","a":1}'])
def test_a_sign_in_that_is_none_is_refused(web: Web, body: bytes) -> None:
    answer = web.bare.post("/sign-in", data=body, content_type="application/json", headers=MARKED)
    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["error"]["code"] == "bad_request"


def test_guessing_is_slowed_down(web: Web) -> None:
    codes = [
        web.bare.post("/sign-in", data={"token": "ley_x"}, headers=MARKED).status_code
        for _ in range(5)
    ]
    assert codes == [401, 401, 401, 429, 429]


def test_another_sites_form_signs_nobody_in_or_out(web: Web, settings: Settings) -> None:
    web.sign_in()
    foreign = {"Origin": "http://evil.example"}
    token = {"token": one_time(settings)}
    assert web.bare.post("/sign-in", data=token, headers=foreign).status_code == 403
    assert web.bare.post("/sign-in", data=token).status_code == 403
    assert web.browser.post("/sign-out", headers=foreign).status_code == 403
    assert web.browser.post("/sign-out").status_code == 403
    assert web.browser.get("/").status_code == 200


def test_our_own_form_needs_no_script(web: Web, settings: Settings) -> None:
    own = {"Origin": "http://localhost"}
    token = {"token": one_time(settings)}
    assert web.browser.post("/sign-in", data=token, headers=own).status_code == 303
    out = web.browser.post("/sign-out", headers=own)
    assert (out.status_code, out.headers["Location"]) == (303, "/sign-in")
    assert web.browser.get("/").status_code == 303


def test_signing_out_by_the_api_ends_session_and_live_view(web: Web, panel: Panel) -> None:
    web.sign_in()
    session = panel.guard.session({"HTTP_COOKIE": _cookies(web)})
    assert session is not None
    ended: list[bool] = []
    panel.hub.open(session, lambda *_: None, lambda: ended.append(True))
    assert web.browser.post("/api/v1/sign-out", headers=MARKED).json == {"ok": True}
    assert ended == [True]
    assert web.browser.get("/api/v1/session").status_code == 401


def test_a_session_ends_by_itself(web: Web, clock: ManualClock) -> None:
    web.sign_in()
    assert web.browser.get("/").status_code == 200
    clock.advance(8 * 3600 + 1)
    assert web.browser.get("/").status_code == 303
    assert web.browser.get("/api/v1/latest").status_code == 401


def test_a_signed_in_browser_skips_the_form(web: Web) -> None:
    web.sign_in()
    assert web.browser.get("/sign-in?next=/devices").headers["Location"] == "/devices"


def test_a_full_panel_says_so(web: Web, panel: Panel) -> None:
    web.sign_in()
    who = Principal("x", Role.VIEWER, session="s")
    for _ in range(24):
        panel.hub.open(who, lambda *_: None, lambda: None)
    answer = web.browser.get("/")
    assert answer.status_code == 503
    assert "The panel is full" in answer.text


def test_pages_are_served_while_the_runtime_is_away(web: Web, runtime: LinkServer) -> None:
    runtime.stop()
    web.sign_in()
    assert web.browser.get("/").status_code == 200


def test_a_page_that_is_not_there_says_so_in_words(web: Web) -> None:
    answer = web.browser.get("/nothing")
    assert answer.status_code == 404
    assert answer.content_type.startswith("text/html")
    assert "Nothing here" in answer.text


def test_a_page_that_fails_says_so_in_words(
    web: Web, panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(panel.guard, "session", fail)
    answer = web.browser.get("/")
    assert answer.status_code == 500
    assert answer.content_type.startswith("text/html")


# The panel's own files.


@pytest.mark.parametrize(
    "name",
    [
        "../server.py",
        "..%2fserver.py",
        "%2e%2e/server.py",
        "js/../../server.py",
        "/etc/passwd",
        "nothing.js",
        "js",
        "",
    ],
)
def test_no_other_file_is_served(web: Web, panel: Panel, name: str) -> None:
    version = _version(panel)
    assert web.bare.get(f"/static/{version}/{name}").status_code in {308, 404}


def test_files_of_another_version_are_not_served_as_this_one(web: Web) -> None:
    assert web.bare.get("/static/0123456789ab/js/main.js").status_code == 404


def test_a_file_is_sent_packed_to_who_can_unpack_it(web: Web, panel: Panel) -> None:
    url = f"/static/{_version(panel)}/js/main.js"
    plain = web.bare.get(url)
    packed = web.bare.get(url, headers={"Accept-Encoding": "gzip, br"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.headers["Vary"] == "Accept-Encoding"
    assert gzip.decompress(packed.data) == plain.data
    assert len(packed.data) < len(plain.data)
    refused = web.bare.get(url, headers={"Accept-Encoding": "gzip;q=0"})
    assert "Content-Encoding" not in refused.headers


def test_a_file_that_is_known_is_not_sent_again(web: Web, panel: Panel) -> None:
    url = f"/static/{_version(panel)}/js/main.js"
    tag = web.bare.get(url).headers["ETag"]
    again = web.bare.get(url, headers={"If-None-Match": tag})
    assert (again.status_code, again.data) == (304, b"")


def test_a_changed_file_changes_the_version(tmp_path: Path) -> None:
    (tmp_path / "js").mkdir()
    (tmp_path / "js" / "a.js").write_text("export {}")
    (tmp_path / "notes.md").write_text("not for browsers")
    first = Assets(tmp_path)
    assert first.get("notes.md") is None
    small = first.get("js/a.js")
    assert small is not None
    assert (small.body, small.packed) == (b"export {}", None)
    (tmp_path / "js" / "a.js").write_text("export { }")
    assert Assets(tmp_path).version != first.version


def _version(panel: Panel) -> str:
    with panel.app.test_request_context():
        return panel.app.url_for("static", filename="js/main.js").split("/")[2]


def _cookies(web: Web) -> str:
    cookie = web.browser.get_cookie("leyden_8080")
    assert cookie is not None
    return f"leyden_8080={cookie.value}"
