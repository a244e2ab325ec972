"""`leyden password hash`: a hash that a card takes, and nothing else printed or kept."""

from __future__ import annotations

import getpass
import io
import sys
from collections.abc import Iterator
from pathlib import Path

import argon2
import pytest
from cli.conftest import Call

from leyden.panel.passwords import check_hash


class Terminal(io.StringIO):
    """Standard input that a person types at."""

    def isatty(self) -> bool:
        return True


def piped(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def typed(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    answers: Iterator[str] = iter(words)
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(getpass, "getpass", lambda _: next(answers))


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_what_comes_by_a_pipe_is_hashed(
    end: bytes, leyden: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    piped(monkeypatch, b"four words of mine" + end)
    result = leyden("password", "hash")
    (line,) = result.lines
    check_hash(line)
    assert argon2.PasswordHasher().verify(line, "four words of mine")
    assert (result.code, result.err) == (0, "")
    assert list(tmp_path.iterdir()) == []


def test_at_a_terminal_it_is_asked_for_twice(leyden: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, "four words of mine", "four words of mine")
    (line,) = leyden("password", "hash").lines
    assert argon2.PasswordHasher().verify(line, "four words of mine")


def test_two_that_differ_are_refused(leyden: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, "four words of mine", "four words of wine")
    result = leyden("password", "hash")
    assert (result.code, result.out) == (2, "")
    assert "the two differ" in result.err


@pytest.mark.parametrize(
    ("data", "words"), [(b"short\n", "has 5 characters"), (b"\xff\xfe1234567890\n", "not UTF-8")]
)
def test_what_is_no_password_is_refused_without_repeating_it(
    data: bytes, words: str, leyden: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    piped(monkeypatch, data)
    result = leyden("password", "hash")
    assert result.code in (1, 2)
    assert words in result.err
    assert "1234567890" not in result.err + result.out
