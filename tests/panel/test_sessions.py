"""Sessions end by themselves, by signing out and with their token; wrong tokens are counted."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from leyden.kernel import NS, ManualClock, Role
from leyden.panel import auth, sessions
from leyden.panel.auth import Keyring, Principal, list_tokens, new_token, revoke
from leyden.panel.sessions import Sessions

ANNA = Principal("anna", Role.OPERATOR)
HOUR = 3600.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "auth"
    folder.mkdir()
    return folder


def opened(folder: Path, clock: ManualClock) -> Sessions:
    return Sessions(folder, Keyring(folder, clock).holds, clock)


def test_a_cookie_names_its_session(folder: Path, clock: ManualClock) -> None:
    all_of_them = opened(folder, clock)
    cookie = all_of_them.open(ANNA)
    found = all_of_them.find(cookie)
    assert found is not None
    assert (found.name, found.role) == ("anna", Role.OPERATOR)
    assert all_of_them.stands(found.session)
    assert all_of_them.find(cookie + "x") is None
    assert all_of_them.find("") is None


def test_a_session_survives_a_restart_of_the_panel(folder: Path, clock: ManualClock) -> None:
    cookie = opened(folder, clock).open(ANNA)
    assert opened(folder, clock).find(cookie) is not None


def test_the_file_holds_no_cookie_and_only_the_owner_reads_it(
    folder: Path, clock: ManualClock
) -> None:
    cookie = opened(folder, clock).open(ANNA)
    path = folder / "sessions.json"
    assert cookie.encode() not in path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_idle_session_ends_after_eight_hours(folder: Path, clock: ManualClock) -> None:
    all_of_them = opened(folder, clock)
    cookie = all_of_them.open(ANNA)
    clock.advance(8 * HOUR - 1)
    assert all_of_them.find(cookie) is not None
    clock.advance(8 * HOUR - 1)
    assert all_of_them.find(cookie) is not None
    clock.advance(8 * HOUR + 1)
    assert all_of_them.find(cookie) is None


def test_watching_is_no_sign_of_life(folder: Path, clock: ManualClock) -> None:
    all_of_them = opened(folder, clock)
    cookie = all_of_them.open(ANNA)
    found = all_of_them.find(cookie)
    assert found is not None
    clock.advance(5 * HOUR)
    assert all_of_them.stands(found.session)
    clock.advance(5 * HOUR)
    assert not all_of_them.stands(found.session)


def test_a_busy_session_ends_after_a_week(folder: Path, clock: ManualClock) -> None:
    all_of_them = opened(folder, clock)
    cookie = all_of_them.open(ANNA)
    for _ in range(7 * 24 - 1):
        clock.advance(HOUR)
        assert all_of_them.find(cookie) is not None
    clock.advance(HOUR)
    assert all_of_them.find(cookie) is None


def test_setting_the_clock_ends_no_session(folder: Path, clock: ManualClock) -> None:
    clock.set_wall(0)
    all_of_them = opened(folder, clock)
    cookie = all_of_them.open(ANNA)
    clock.set_wall(1_767_225_600 * NS)
    assert all_of_them.find(cookie) is not None


def test_after_a_reboot_the_wall_clock_decides(
    folder: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    cookie = opened(folder, clock).open(ANNA)
    monkeypatch.setattr(auth, "boot_id", lambda: "another boot")
    too_late = ManualClock(0, clock.time_ns() + round(9 * HOUR * NS))
    assert opened(folder, too_late).find(cookie) is None
    in_time = ManualClock(0, clock.time_ns() + round(7 * HOUR * NS))
    assert opened(folder, in_time).find(cookie) is not None


def test_signing_out_ends_it_for_good(folder: Path, clock: ManualClock) -> None:
    all_of_them = opened(folder, clock)
    cookie = all_of_them.open(ANNA)
    found = all_of_them.find(cookie)
    assert found is not None
    all_of_them.end(found.session)
    assert all_of_them.find(cookie) is None
    assert opened(folder, clock).find(cookie) is None


def test_a_session_ends_with_the_token_it_was_opened_with(folder: Path, clock: ManualClock) -> None:
    ring = Keyring(folder, clock)
    text = new_token(folder, Role.VIEWER)
    principal = ring.consume(text)
    assert principal is not None
    all_of_them = Sessions(folder, ring.holds, clock)
    cookie = all_of_them.open(principal)
    assert all_of_them.find(cookie) is not None
    revoke(folder, list_tokens(folder)[0].id)
    assert all_of_them.find(cookie) is None


def test_the_oldest_session_makes_room_for_the_sixty_fifth(
    folder: Path, clock: ManualClock
) -> None:
    all_of_them = opened(folder, clock)
    cookies = [all_of_them.open(ANNA) for _ in range(65)]
    assert all_of_them.find(cookies[0]) is None
    assert all(all_of_them.find(cookie) for cookie in cookies[1:])


def test_a_damaged_file_signs_everybody_out(folder: Path, clock: ManualClock) -> None:
    cookie = opened(folder, clock).open(ANNA)
    (folder / "sessions.json").write_bytes(b"\x00\x00")
    assert opened(folder, clock).find(cookie) is None


def test_on_a_full_disk_people_can_still_sign_in(
    folder: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sessions, "write_atomic", full)
    reports: list[str] = []
    all_of_them = Sessions(folder, Keyring(folder, clock).holds, clock, reports.append)
    assert all_of_them.find(all_of_them.open(ANNA)) is not None
    assert "will not survive a restart" in reports[0]
    assert "No space left" in reports[0]
