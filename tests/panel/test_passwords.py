"""A password is kept as a hash that the smallest board can check, and ends what it opened."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import argon2
import msgspec
import pytest

from leyden.kernel import ManualClock
from leyden.panel import passwords as module
from leyden.panel.auth import AuthError
from leyden.panel.passwords import (
    PasswordError,
    Passwords,
    check_hash,
    hash_password,
    require_good,
    write_password_hash,
)

WORDS = "correct horse battery"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "auth"


@pytest.fixture
def passwords(folder: Path, clock: ManualClock) -> Passwords:
    found = Passwords(folder, clock)
    found.replace(WORDS)
    return found


def test_the_password_matches_and_another_does_not(passwords: Passwords) -> None:
    assert passwords.match(WORDS)
    for other in ("", "correct horse batterx", WORDS + " ", WORDS.upper(), "x" * 5000):
        assert not passwords.match(other)


def test_the_hash_costs_what_was_chosen_and_no_more() -> None:
    found = argon2.extract_parameters(hash_password(WORDS))
    assert found.type is argon2.Type.ID
    assert (found.memory_cost, found.time_cost, found.parallelism) == (19 * 1024, 2, 1)


def test_the_file_holds_no_password_and_only_the_owner_reads_it(
    folder: Path, passwords: Passwords
) -> None:
    path = folder / "password.json"
    content = path.read_bytes()
    assert b"horse" not in content
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert msgspec.json.decode(content)["set"] == "2026-01-01T00:00:00.000Z"
    assert passwords.exist()


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("", "0 characters; it needs at least 10"),
        ("ninechars", "9 characters; it needs at least 10, for instance four words"),
        ("x" * 1025, "1025 characters; at most 1024"),
    ],
)
def test_too_short_and_too_long_are_refused_with_the_rule(password: str, words: str) -> None:
    with pytest.raises(PasswordError, match=words):
        require_good(password)
    with pytest.raises(PasswordError, match=words):
        hash_password(password)


def test_letters_are_counted_and_not_their_bytes() -> None:
    require_good("äöüßéèêçñå")
    with pytest.raises(PasswordError):
        require_good("äöüßéèêçñ")


def test_a_password_typed_composed_or_decomposed_is_the_same(
    passwords: Passwords, folder: Path
) -> None:
    passwords.replace("caf\u00e9 au lait")
    assert passwords.match("cafe\u0301 au lait")


@pytest.mark.parametrize("password", ["\ud800" * 12, "\x00" * 12, "🌱" * 12])
def test_whatever_can_be_typed_can_be_a_password(passwords: Passwords, password: str) -> None:
    passwords.replace(password)
    assert passwords.match(password)
    assert not passwords.match(WORDS)


def test_a_proof_stands_until_the_password_changes(passwords: Passwords) -> None:
    proof = passwords.proof()
    assert passwords.holds(proof)
    passwords.replace(WORDS)  # even to the same: its salt is another
    assert not passwords.holds(proof)
    assert passwords.holds(passwords.proof())
    assert not passwords.holds("")


def test_without_a_file_nothing_matches_and_nothing_stands(
    folder: Path, clock: ManualClock
) -> None:
    passwords = Passwords(folder, clock)
    assert not passwords.exist()
    assert passwords.proof() == ""
    assert not passwords.match(WORDS)
    assert not passwords.holds("password:")


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[1]", b'{"hash":"x","set":""}', b'{"hash":"$argon2id$v=19$m=1"}']
)
def test_a_damaged_file_lets_nobody_in_and_is_no_invitation(
    folder: Path, passwords: Passwords, content: bytes
) -> None:
    (folder / "password.json").write_bytes(content)
    assert not passwords.match(WORDS)
    assert passwords.proof() == ""
    assert passwords.exist()


def test_a_password_set_elsewhere_is_taken_note_of_at_once(
    folder: Path, passwords: Passwords
) -> None:
    proof = passwords.proof()
    write_password_hash(folder, hash_password("another four words"))
    assert passwords.match("another four words")
    assert not passwords.match(WORDS)
    assert not passwords.holds(proof)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "that is none; expected an argon2id hash"),
        ("secret", "that is none"),
        ("$argon2id$v=19$m=19456,t=2,p=1$", "that is none"),
        ("$2b$12$abcdefghijklmnopqrstuv", "that is none"),
        (argon2.PasswordHasher(1, 64, 1, type=argon2.Type.I).hash("x"), "of another kind"),
        (
            "$argon2id$v=19$m=4194304,t=2,p=1$YWFhYWFhYWE$YWFhYWFhYWFhYWFhYWFhYQ",
            "m=4194304,t=2,p=1; at most m=65536",
        ),
        ("$argon2id$v=19$m=64,t=11,p=1$YWFhYWFhYWE$YWFhYWFhYWFhYWFhYWFhYQ", "t=11"),
        ("$argon2id$v=19$m=64,t=1,p=5$YWFhYWFhYWE$YWFhYWFhYWFhYWFhYWFhYQ", "p=5"),
    ],
)
def test_a_hash_that_cannot_be_taken_is_refused_and_changes_nothing(
    folder: Path, passwords: Passwords, text: str, words: str
) -> None:
    with pytest.raises(PasswordError, match=words) as error:
        check_hash(text)
    assert "secret" not in str(error.value)
    with pytest.raises(PasswordError):
        write_password_hash(folder, text)
    assert passwords.match(WORDS)


def test_on_a_full_disk_the_old_password_stands(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_atomic", full)
    with pytest.raises(AuthError, match="password.json: No space left on device"):
        passwords.replace("another four words")
    assert passwords.match(WORDS)


def test_one_is_checked_at_a_time_and_nobody_waits_for_ever(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, leave = threading.Event(), threading.Event()

    def slow(*_: object) -> bool:
        entered.set()
        leave.wait(10.0)
        return True

    monkeypatch.setattr(argon2.PasswordHasher, "verify", slow)
    first = threading.Thread(target=passwords.match, args=(WORDS,))
    first.start()
    assert entered.wait(10.0)
    with pytest.raises(TimeoutError):
        passwords.match(WORDS, patience_s=0.01)
    leave.set()
    first.join()
    assert passwords.match(WORDS, patience_s=0.01)
