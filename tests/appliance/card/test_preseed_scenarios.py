"""What a preseed becomes: one folder a case in `tests/appliance/preseed`, without code.

A folder holds `leyden.toml` as it lies on the boot partition, whatever lies beside it, perhaps the
`settings.json` of a card that was told something before, and `expected.json`: the settings after
it, everything that people are told, and how the file reads afterwards.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest
from appliance.card.cards import judge, new_card, notes_of, quiet

from leyden.appliance.card import record
from leyden.appliance.card.boot_partition import BootPartition
from leyden.appliance.card.first_boot import FirstBoot
from leyden.appliance.card.intake import Intake
from leyden.appliance.card.notes import Level
from leyden.appliance.card.places import Card
from leyden.appliance.card.text_file import UnreadableError, decode
from leyden.kernel import ManualClock

SCENARIOS = Path(__file__).parents[1] / "preseed"
CASES = sorted(path.name for path in SCENARIOS.iterdir() if path.is_dir())
MADE = "[0-9A-Z]{4}(-[0-9A-Z]{4}){2}"  # a password nobody chose
OWN_FILES = ("settings.json", "expected.json")


def first_boot(card: Card) -> FirstBoot:
    notes = quiet(card)
    intake = Intake(card, notes, BootPartition(card), judge, ManualClock())
    return FirstBoot(card, notes, intake, ManualClock())


def prepared(case: str, root: Path) -> Card:
    card = new_card(root)
    for path in (SCENARIOS / case).iterdir():
        if path.name not in OWN_FILES:
            shutil.copy(path, card.boot / path.name)
    before = SCENARIOS / case / "settings.json"
    if before.exists():
        card.system.mkdir(parents=True)
        shutil.copy(before, card.settings)
    return card


def outcome(card: Card) -> dict[str, Any]:
    settings = msgspec.json.decode(msgspec.json.encode(record.load(card)))
    told = settings.pop("complaints", {})
    wifi = settings.get("wifi", {})
    if re.fullmatch(MADE, wifi.get("access_point_password", "")):
        wifi |= {"access_point_password": "made"}
    after = card.preseed.read_bytes()
    return {
        "settings": {key: value for key, value in settings.items() if value != {}},
        "appliance": card.config.read_text() if card.config.exists() else None,
        "password": (
            msgspec.json.decode(card.password.read_bytes())["hash"]
            if card.password.exists()
            else None
        ),
        "told": [line for lines in told.values() for line in lines],
        "noted": [note.text for note in notes_of(card) if note.level is not Level.INFO],
        "afterwards": text_of(after),
    }


def text_of(data: bytes) -> str:
    try:
        return decode(data).text.encode("utf-8", "backslashreplace").decode()
    except UnreadableError:
        return "no text"


@pytest.mark.parametrize("case", CASES)
def test_a_preseed_becomes_settings_words_and_a_file_without_secrets(
    case: str, tmp_path: Path
) -> None:
    card = prepared(case, tmp_path)
    assert first_boot(card).run()
    expected = msgspec.json.decode((SCENARIOS / case / "expected.json").read_bytes())
    assert outcome(card) == expected


@pytest.mark.parametrize("case", CASES)
def test_what_was_taken_over_is_left_alone_at_the_next_boot(case: str, tmp_path: Path) -> None:
    card = prepared(case, tmp_path)
    first_boot(card).run()
    before, settings = card.preseed.read_bytes(), card.settings.read_bytes()
    card.notes.unlink(missing_ok=True)
    first_boot(card).run()
    assert (card.preseed.read_bytes(), card.settings.read_bytes()) == (before, settings)
    assert notes_of(card) == []


@pytest.mark.parametrize("case", CASES)
def test_the_file_has_as_many_bytes_as_before(case: str, tmp_path: Path) -> None:
    card = prepared(case, tmp_path)
    size = card.preseed.stat().st_size
    first_boot(card).run()
    assert card.preseed.stat().st_size == size


@pytest.mark.parametrize("case", CASES)
def test_no_secret_stays_on_the_boot_partition_or_gets_into_words(
    case: str, tmp_path: Path
) -> None:
    card = prepared(case, tmp_path)
    first_boot(card).run()
    told = outcome(card)
    public = str([told["told"], told["noted"]]) + (card.root / "dev/tty1").read_text()
    unread = told["settings"] == {} and "nothing in it was taken over" in public
    for secret in ("secret", "correct horse", "quack", "tomatoes", "0123456789ab"):
        assert secret not in public
        assert unread or secret not in told["afterwards"].lower()
