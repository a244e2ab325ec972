"""Notes and consoles: told once, in one line, to whoever is there; nobody there is no error."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path

import msgspec
import pytest
from appliance.card.cards import new_card, notes_of, quiet, screen

from leyden.appliance.card import consoles
from leyden.appliance.card.notes import Level, Note, Notes
from leyden.appliance.card.places import Card


@pytest.fixture
def card(tmp_path: Path) -> Card:
    return new_card(tmp_path)


def test_a_note_is_a_line_of_json(card: Card) -> None:
    quiet(card).add(Level.WARNING, "wifi.country", "no country")
    assert msgspec.json.decode(card.notes.read_bytes()) == {
        "level": "warning", "what": "wifi.country", "text": "no country",
    }  # fmt: skip


def test_the_same_is_noted_once_a_boot(card: Card) -> None:
    notes = quiet(card)
    for _ in range(3):
        notes.add(Level.WARNING, "a", "b")
    assert notes_of(card) == [Note(Level.WARNING, "a", "b")]
    assert screen(card) == "leyden: b\r\n" or screen(card) == "leyden: b\n"


@pytest.mark.parametrize(
    ("level", "shown"), [(Level.INFO, 0), (Level.WARNING, 1), (Level.ERROR, 1)]
)
def test_only_what_matters_is_on_the_screen(level: Level, shown: int, card: Card) -> None:
    quiet(card).add(level, "a", "words")
    assert screen(card).count("words") == shown


def test_words_over_several_lines_are_one_line(card: Card) -> None:
    quiet(card).add(Level.ERROR, "a", "one\ntwo\r\n  three")
    assert notes_of(card)[0].text == "one two three"


def test_the_initrds_notes_stay(card: Card) -> None:
    card.run.mkdir(parents=True)
    card.notes.write_text('{"level":"info","what":"data-grown","text":"29 GB"}\n')
    quiet(card).add(Level.INFO, "a", "b")
    assert [note.what for note in notes_of(card)] == ["data-grown", "a"]


def test_the_journal_gets_the_level_and_a_terminal_does_not(
    card: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    Notes(card, stream).add(Level.WARNING, "a", "one")
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    Notes(card, stream).add(Level.WARNING, "a", "two")
    assert stream.getvalue() == "one\n<4>two\n"


def test_notes_of_several_programs_at_once_are_whole_lines(card: Card) -> None:
    def write(name: str) -> None:
        notes = quiet(card)
        for i in range(30):
            notes.add(Level.INFO, name, f"{name} {i} " + "x" * 300)

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(notes_of(card)) == 120


def test_without_a_place_for_notes_they_are_said_all_the_same(card: Card) -> None:
    card.run.parent.joinpath("leyden-boot").touch()
    stream = io.StringIO()
    Notes(card, stream).add(Level.ERROR, "a", "words")
    assert stream.getvalue() == "words\n"
    assert "words" in screen(card)


def test_a_console_that_nobody_reads_holds_nobody_up(card: Card) -> None:
    os.mkfifo(card.root / "dev/ttyS0")
    (card.root / "sys/class/tty/console/active").write_text("tty1 ttyS0 ttyS9\n")
    assert consoles.show(card, "words\n") == 1
    assert "words" in screen(card)


def test_no_console_at_all_is_no_error(tmp_path: Path) -> None:
    assert consoles.show(Card(tmp_path), "words\n") == 0
