"""Cards for tests: a root directory with what the programs of a card expect to find there."""

from __future__ import annotations

import io
from pathlib import Path

import msgspec

from leyden.appliance.card.notes import Note, Notes
from leyden.appliance.card.places import Card
from leyden.appliance.config import ConfigError, load
from leyden.appliance.judge import Verdict

SERIAL = "10000000a3f5c27e"
OWN_NAME = "leyden-18c3"  # what that serial makes
ZONES = ("UTC", "Europe/Berlin", "Europe/Paris", "America/New_York", "America/Indiana/Knox")
EPOCH = 1_790_000_000  # 2026-09-21: when the release of these cards was built


def new_card(root: Path) -> Card:
    """Return a card that was flashed and never started."""
    card = Card(root.resolve())
    for name in ("boot/firmware", "dev", "data", "run", "etc", "sys/class/tty/console"):
        (root / name).mkdir(parents=True)
    for name in ZONES:
        zone = card.zones / name
        zone.parent.mkdir(parents=True, exist_ok=True)
        zone.write_bytes(b"TZif2")
    tree = root / "proc/device-tree"
    tree.mkdir(parents=True)
    (tree / "serial-number").write_bytes(SERIAL.encode() + b"\0")
    (root / "dev/tty1").touch()
    card.release.parent.mkdir(parents=True)
    card.release.write_bytes(msgspec.json.encode({"version": "0.1.0", "epoch": EPOCH}))
    return card


def quiet(card: Card) -> Notes:
    """Return notes that leave standard error alone."""
    return Notes(card, io.StringIO())


def notes_of(card: Card) -> list[Note]:
    """Return what was noted."""
    if not card.notes.exists():
        return []
    return [msgspec.json.decode(line, type=Note) for line in card.notes.read_bytes().splitlines()]


def said(card: Card, what: str) -> list[str]:
    """Return the texts of the notes with that name."""
    return [note.text for note in notes_of(card) if note.what == what]


def screen(card: Card) -> str:
    """Return what was shown on the first screen."""
    return (card.root / "dev/tty1").read_text(encoding="utf-8")


def judge(path: Path) -> Verdict:
    """Judge a configuration as the real judge does, without a process of its own."""
    try:
        return Verdict(load(path))
    except ConfigError as error:
        return Verdict(None, error.problems)
