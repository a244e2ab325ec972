"""Tokens are secrets shown once; a one-time token signs in once, for a while."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import msgspec
import pytest

from leyden.kernel import NS, ManualClock, Role
from leyden.panel import auth
from leyden.panel.auth import (
    AuthError,
    Keyring,
    Principal,
    list_tokens,
    new_token,
    revoke,
    rotate,
    sign_in_path,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "auth"


@pytest.fixture
def ring(folder: Path, clock: ManualClock) -> Keyring:
    return Keyring(folder, clock)


def test_a_token_proves_its_role_and_name(folder: Path, ring: Keyring) -> None:
    text = new_token(folder, Role.OPERATOR, name="bench")
    assert text.startswith("ley_")
    assert len(text) == 47
    found = ring.verify(text)
    assert found is not None
    assert (found.name, found.role) == ("bench", Role.OPERATOR)


@pytest.mark.parametrize("text", ["", "ley_", "ley_" + "x" * 43, "\x00", "\udcff", "é" * 50])
def test_what_is_no_token_proves_nothing(folder: Path, ring: Keyring, text: str) -> None:
    new_token(folder, Role.ADMIN)
    assert ring.verify(text) is None
    assert ring.consume(text) is None


def test_the_file_holds_no_token_and_only_the_owner_reads_it(folder: Path) -> None:
    text = new_token(folder, Role.ADMIN)
    path = folder / "tokens.json"
    assert text.encode() not in path.read_bytes()
    assert text[4:].encode() not in path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_list_names_every_token_and_none_of_their_texts(folder: Path) -> None:
    new_token(folder, Role.VIEWER, name="wall display")
    new_token(folder, Role.ADMIN)
    assert [(t.name, t.role) for t in list_tokens(folder)] == [
        ("wall display", Role.VIEWER),
        ("admin token", Role.ADMIN),
    ]


def test_a_one_time_token_is_no_bearer_token(folder: Path, ring: Keyring) -> None:
    text = new_token(folder, Role.VIEWER, one_time=True)
    assert ring.verify(text) is None


def test_a_one_time_token_signs_in_once(folder: Path, ring: Keyring) -> None:
    text = new_token(folder, Role.OPERATOR, name="link", one_time=True)
    assert ring.consume(text) == Principal("link", Role.OPERATOR)
    assert ring.consume(text) is None
    assert list_tokens(folder) == ()


def test_of_many_at_once_one_gets_in(folder: Path, ring: Keyring) -> None:
    text = new_token(folder, Role.VIEWER, one_time=True)
    found: list[Principal | None] = []
    threads = [threading.Thread(target=lambda: found.append(ring.consume(text))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([each for each in found if each is not None]) == 1


def test_a_one_time_token_is_spent_even_when_the_disk_takes_nothing(
    folder: Path, ring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = new_token(folder, Role.VIEWER, one_time=True)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(auth, "write_atomic", full)
    assert ring.consume(text) is not None
    assert ring.consume(text) is None


def test_a_one_time_token_is_worthless_after_a_quarter_of_an_hour(
    folder: Path, ring: Keyring, clock: ManualClock
) -> None:
    text = new_token(folder, Role.VIEWER, one_time=True, clock=clock)
    clock.advance(15 * 60 - 1)
    other = new_token(folder, Role.VIEWER, one_time=True, clock=clock)
    clock.advance(2)
    assert ring.consume(text) is None
    assert ring.consume(other) is not None


def test_setting_the_clock_neither_ends_nor_prolongs_a_one_time_token(
    folder: Path, ring: Keyring, clock: ManualClock
) -> None:
    clock.set_wall(0)
    text = new_token(folder, Role.VIEWER, one_time=True, clock=clock)
    clock.set_wall(1_767_225_600 * NS)
    assert ring.consume(text) is not None
    late = new_token(folder, Role.VIEWER, one_time=True, clock=clock)
    clock.advance(15 * 60 + 1)
    clock.set_wall(0)
    assert ring.consume(late) is None


def test_a_one_time_token_ends_with_the_boot(
    folder: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = new_token(folder, Role.VIEWER, one_time=True, clock=clock)
    monkeypatch.setattr(auth, "boot_id", lambda: "another boot")
    assert Keyring(folder, clock).consume(text) is None


def test_tokens_that_are_over_are_swept_out_when_one_is_made(
    folder: Path, clock: ManualClock
) -> None:
    new_token(folder, Role.VIEWER, one_time=True, clock=clock)
    clock.advance(16 * 60)
    new_token(folder, Role.VIEWER, name="new", clock=clock)
    assert [token.name for token in list_tokens(folder)] == ["new"]


def test_a_revoked_token_is_worthless_at_once(folder: Path, ring: Keyring) -> None:
    text = new_token(folder, Role.VIEWER)
    assert ring.verify(text) is not None
    revoke(folder, list_tokens(folder)[0].id)
    assert ring.verify(text) is None


def test_a_rotated_token_keeps_its_role_under_a_new_text(folder: Path, ring: Keyring) -> None:
    old = new_token(folder, Role.ENGINEER, name="bridge")
    held = ring.verify(old)
    assert held is not None
    new = rotate(folder, list_tokens(folder)[0].id)
    assert ring.verify(old) is None
    assert not ring.holds(held.token)
    found = ring.verify(new)
    assert found is not None
    assert (found.name, found.role) == ("bridge", Role.ENGINEER)


@pytest.mark.parametrize("change", [revoke, rotate])
def test_an_unknown_id_is_refused_with_those_there_are(folder: Path, change: object) -> None:
    new_token(folder, Role.VIEWER)
    known = list_tokens(folder)[0].id
    with pytest.raises(AuthError, match=known):
        change(folder, "nothing")  # type: ignore[operator]


def test_another_process_may_add_a_token_at_any_time(folder: Path, ring: Keyring) -> None:
    first = new_token(folder, Role.VIEWER)
    assert ring.verify(first) is not None
    second = new_token(folder, Role.VIEWER)
    assert ring.verify(second) is not None


def test_many_writers_lose_no_token(folder: Path) -> None:
    threads = [threading.Thread(target=new_token, args=(folder, Role.VIEWER)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({token.id for token in list_tokens(folder)}) == 12


def test_a_damaged_file_lets_nobody_in_and_is_named(folder: Path, ring: Keyring) -> None:
    text = new_token(folder, Role.VIEWER)
    (folder / "tokens.json").write_bytes(b"[{")
    assert ring.verify(text) is None
    with pytest.raises(AuthError, match=r"tokens\.json is damaged.*leyden token new"):
        list_tokens(folder)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AuthError, match="Not a directory"):
        new_token(tmp_path / "file" / "auth", Role.VIEWER)


def test_a_role_may_be_given_as_a_word_and_must_be_one(folder: Path) -> None:
    new_token(folder, "operator")  # type: ignore[arg-type]
    assert list_tokens(folder)[0].role is Role.OPERATOR
    with pytest.raises(ValueError, match="root"):
        new_token(folder, "root")  # type: ignore[arg-type]


def test_the_link_keeps_its_token_from_the_server_log() -> None:
    path, _, fragment = sign_in_path("ley_abc").partition("#")
    assert (path, fragment) == ("/sign-in", "token=ley_abc")


def test_the_file_is_read_again_only_when_it_changed(
    folder: Path, ring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = new_token(folder, Role.VIEWER)
    assert ring.verify(text) is not None

    def fail(_: Path) -> list[object]:
        raise AssertionError("read again")

    monkeypatch.setattr(auth, "_load", fail)
    assert ring.verify(text) is not None
    assert (folder / "tokens.json").stat().st_size > 0
    assert msgspec.json.decode((folder / "tokens.json").read_bytes())[0]["role"] == "viewer"


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("5b0ac4a1e3b84e0d9cd0e3f1a2b3c4d5", "5b0ac4a1-e3b8-4e0d-9cd0-e3f1a2b3c4d5"),
        ("5b0ac4a1-e3b8-4e0d-9cd0-e3f1a2b3c4d5\n", ""),
        ("", ""),
        ("nonsense", ""),
    ],
)
def test_a_process_without_the_kernels_files_is_told_which_boot_this_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, told: str, expected: str
) -> None:
    monkeypatch.setattr(auth, "_BOOT_ID", tmp_path / "hidden")
    monkeypatch.setenv("LEYDEN_BOOT_ID", told)
    assert auth.boot_id.__wrapped__() == expected


def test_told_or_read_it_is_the_same_boot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    read = auth.boot_id.__wrapped__()
    monkeypatch.setattr(auth, "_BOOT_ID", tmp_path / "hidden")
    monkeypatch.setenv("LEYDEN_BOOT_ID", read.replace("-", ""))
    assert auth.boot_id.__wrapped__() == read
