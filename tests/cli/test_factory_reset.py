"""`leyden factory-reset`: a wish on the boot partition, only after it was meant."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from cli.conftest import Call


class Terminal(io.StringIO):
    """Standard input that a person types at."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def card(tmp_path: Path) -> Path:
    (tmp_path / "boot/firmware").mkdir(parents=True)
    return tmp_path


def wish(card: Path) -> Path:
    return card / "boot/firmware/factory-reset"


def test_with_yes_the_wish_is_there_at_once(card: Path, leyden: Call) -> None:
    result = leyden("factory-reset", "--yes", "--root", card)
    assert result.code == 0
    assert wish(card).exists()
    assert "--cancel" in result.out


def test_it_can_be_taken_back(card: Path, leyden: Call) -> None:
    leyden("factory-reset", "--yes", "--root", card)
    assert leyden("factory-reset", "--cancel", "--root", card).code == 0
    assert not wish(card).exists()


@pytest.mark.parametrize(("answer", "code"), [("forget", 0), ("yes", 2), ("", 2), (" FORGET ", 0)])
def test_a_person_types_the_word_or_nothing_happens(
    answer: str, code: int, card: Path, leyden: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(f"{answer}\n"))
    assert leyden("factory-reset", "--root", card).code == code
    assert wish(card).exists() == (code == 0)


def test_without_a_person_it_asks_for_yes(
    card: Path, leyden: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    result = leyden("factory-reset", "--root", card)
    assert result.code == 2
    assert "--yes" in result.err
    assert not wish(card).exists()


def test_without_a_boot_partition_nothing_is_promised(tmp_path: Path, leyden: Call) -> None:
    result = leyden("factory-reset", "--yes", "--root", tmp_path)
    assert (result.code, result.out) == (1, "")
    assert "no boot partition is mounted" in result.err
