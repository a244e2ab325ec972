"""The first boot as a whole, by its programs: on an empty card, twice, and on a bad one."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from appliance.card.cards import OWN_NAME, new_card, notes_of, screen

from leyden.appliance.card import authority, certificates, claim_notice, first_boot, settings
from leyden.appliance.card.notes import Level
from leyden.appliance.card.places import PANEL_USER, RUNTIME_USER, Card
from leyden.appliance.card.programs import ask_systemd
from leyden.appliance.card.statements import read

TEMPLATE = Path(__file__).parents[3] / "image" / "boot-files" / "leyden.toml"


@pytest.fixture
def card(tmp_path: Path) -> Card:
    found = new_card(tmp_path)
    shutil.copy(TEMPLATE, found.preseed)
    return found


def start(card: Card) -> None:
    """Do what every start of a card does, in its order."""
    root = ["--root", str(card.root)]
    assert first_boot.main(root) == 0
    assert settings.main(root) == 0
    assert certificates.main(root) == 0
    assert claim_notice.main([*root, "--once"]) == 0


def modes(card: Card) -> dict[str, int]:
    data = card.root / "data"
    return {
        str(path.relative_to(data)): path.stat().st_mode & 0o777 for path in sorted(data.rglob("*"))
    }


def test_a_card_out_of_the_box_becomes_an_appliance_that_waits_for_its_owner(card: Card) -> None:
    start(card)
    assert f"https://{OWN_NAME}.local" in screen(card)
    assert "claim code" in screen(card)
    assert [note for note in notes_of(card) if note.level is not Level.INFO] == []
    assert modes(card) == {
        "leyden": 0o755,
        "leyden/auth": 0o700,
        "leyden/auth/claim.json": 0o600,
        "leyden/config": 0o755,
        "leyden/identity": 0o711,
        "leyden/identity/ca.key": 0o600,
        "leyden/identity/ca.pem": 0o644,
        "leyden/identity/certificate.json": 0o644,
        "leyden/identity/claim-code": 0o600,
        "leyden/identity/device.key": 0o600,
        "leyden/identity/leaf.key": 0o400,
        "leyden/identity/leaf.pem": 0o644,
        "leyden/log": 0o750,
        "system": 0o755,
        "system/first-boot.done": 0o644,
        "system/iwd": 0o700,
        "system/preseed.seen": 0o600,
        "system/settings.json": 0o600,
        "system/ssh": 0o700,
    }


def test_the_second_start_changes_nothing(card: Card) -> None:
    start(card)
    before = {path: path.read_bytes() for path in (card.root / "data").rglob("*") if path.is_file()}
    boot = {path: path.read_bytes() for path in card.boot.iterdir()}
    card.notes.unlink()
    start(card)
    assert {path: path.read_bytes() for path in before} == before
    assert {path: path.read_bytes() for path in card.boot.iterdir()} == boot
    assert notes_of(card) == []


def test_the_template_is_left_as_it_is(card: Card) -> None:
    start(card)
    assert card.preseed.read_bytes() == TEMPLATE.read_bytes()
    assert card.seen.read_bytes() == TEMPLATE.read_bytes()


def test_the_devices_key_is_made_once(card: Card) -> None:
    start(card)
    key = (card.identity / "device.key").read_bytes()
    assert authority.decode_key(key).curve.name == "secp256r1"
    card.done.unlink()
    start(card)
    assert (card.identity / "device.key").read_bytes() == key


def test_leftovers_of_interrupted_writes_are_swept(card: Card) -> None:
    start(card)
    for folder in (card.config.parent, card.identity, card.system):
        (folder / ".x.1.0.partial").touch()
    (card.auth / ".the-panels.1.0.partial").touch()
    start(card)
    left = [path.name for path in (card.root / "data").rglob("*.partial")]
    assert left == [".the-panels.1.0.partial"]


def test_a_board_without_a_serial_is_called_leyden(tmp_path: Path) -> None:
    card = new_card(tmp_path)
    (tmp_path / "proc/device-tree/serial-number").unlink()
    start(card)
    assert (card.etc / "hostname").read_text() == "leyden\n"


def test_a_machine_id_names_a_board_without_a_serial(tmp_path: Path) -> None:
    card = new_card(tmp_path)
    (tmp_path / "proc/device-tree/serial-number").unlink()
    (card.etc / "machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    start(card)
    assert (card.etc / "hostname").read_text().startswith("leyden-")


def test_a_data_partition_that_takes_nothing_leaves_a_machine_with_words(tmp_path: Path) -> None:
    card = new_card(tmp_path)
    shutil.rmtree(card.root / "data")
    (card.root / "data").touch()
    root = ["--root", str(card.root)]
    assert first_boot.main(root) == 0
    assert settings.main(root) == 0
    assert claim_notice.main([*root, "--once"]) == 0
    assert (card.etc / "hostname").read_text() == f"{OWN_NAME}\n"
    assert any(note.what == "first-boot.folders" for note in notes_of(card))
    assert not card.done.exists()


def test_no_boot_partition_leaves_an_appliance_that_shows_its_code(card: Card) -> None:
    shutil.rmtree(card.boot)
    start(card)
    assert "claim code" in screen(card)
    assert card.done.exists()


def test_owners_are_those_the_units_run_as() -> None:
    assert (RUNTIME_USER, PANEL_USER) == (970, 971)


def test_on_a_copy_nobody_asks_the_machine_it_lies_on(
    card: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        pytest.fail("a program was started")

    monkeypatch.setattr(subprocess, "run", never)
    ask_systemd(card, "reboot")
    start(card)


@pytest.mark.process
@pytest.mark.parametrize(
    "name", ["first_boot", "settings", "certificates", "claim_notice", "wifi_fallback"]
)
def test_each_program_says_what_it_does(name: str) -> None:
    command = [sys.executable, "-m", f"leyden.appliance.card.{name}", "--help"]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    assert "--root DIR" in run.stdout


def test_the_template_is_toml_from_end_to_end() -> None:
    assert read(TEMPLATE.read_text(encoding="utf-8")).whole
