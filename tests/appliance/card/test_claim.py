"""The claim code: made once, shown until it is used, forgotten then."""

from __future__ import annotations

import ipaddress
import shutil
from pathlib import Path

import msgspec
import pytest
from appliance.card.cards import OWN_NAME, new_card, notes_of, quiet, said, screen

from leyden.appliance.card import certificates, claim_notice, claiming, record
from leyden.appliance.card.boot_partition import BootPartition, BootPartitionError, PlainFolder
from leyden.appliance.card.certificate_facts import read_facts
from leyden.appliance.card.claim_notice import Announcer
from leyden.appliance.card.first_boot import FirstBoot
from leyden.appliance.card.intake import Intake
from leyden.appliance.card.places import Card
from leyden.appliance.card.record import Settings, Wifi
from leyden.appliance.card.values import Address
from leyden.kernel import ManualClock
from leyden.panel.claim import Claims, normalise
from leyden.panel.passwords import Passwords

CHOSEN = "four words of mine"


class ReadOnly(PlainFolder):
    """A boot partition that cannot be made writable."""

    def state(self, path: Path) -> str:
        return "ro"

    def remount(self, path: Path, state: str) -> None:
        raise BootPartitionError(f"{path} cannot be made writable: write-protected")


@pytest.fixture
def card(tmp_path: Path) -> Card:
    found = new_card(tmp_path)
    boot(found)
    return found


def boot(card: Card) -> None:
    notes = quiet(card)
    intake = Intake(card, notes, BootPartition(card), clock=ManualClock())
    FirstBoot(card, notes, intake, ManualClock()).run()


def announcer(card: Card, *found: str, mounts: PlainFolder | None = None) -> Announcer:
    addresses: tuple[Address, ...] = tuple(ipaddress.ip_address(each) for each in found)
    return Announcer(
        card, quiet(card), BootPartition(card, mounts), lambda: addresses, ManualClock()
    )


def claim(card: Card) -> None:
    """Claim as the panel does, with the code that is on the boot partition."""
    text = (card.boot / "claim-code.txt").read_text(encoding="utf-8")
    code = next(line.split()[-1] for line in text.splitlines() if "claim code" in line)
    assert Claims(card.auth, Passwords(card.auth, ManualClock())).take(code.lower(), CHOSEN)


def test_a_first_boot_makes_a_code_and_keeps_it(card: Card) -> None:
    code = card.claim_code.read_text()
    boot(card)
    assert card.claim_code.read_text() == code
    assert len(normalise(code)) == 12
    assert card.claim_code.stat().st_mode & 0o777 == 0o600
    assert (card.auth / "claim.json").stat().st_mode & 0o777 == 0o600


def test_two_cards_have_two_codes(card: Card, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = new_card(tmp_path / "other")
    boot(other)
    assert other.claim_code.read_text() != card.claim_code.read_text()


def test_the_code_is_on_every_screen_and_on_the_boot_partition(card: Card) -> None:
    (card.root / "dev/ttyAMA0").touch()
    (card.root / "sys/class/tty/console/active").write_text("tty1 ttyAMA0\n")
    code = card.claim_code.read_text().strip()
    assert announcer(card, "192.168.1.23", "2001:db8::5").announce()
    for text in (
        screen(card),
        (card.root / "dev/ttyAMA0").read_text(),
        (card.boot / "claim-code.txt").read_text(),
    ):
        assert f"https://{OWN_NAME}.local" in text
        assert "https://192.168.1.23" in text
        assert "https://[2001:db8::5]" in text
        assert code in text
        assert text.count(code) == 1


def test_the_fingerprint_of_the_authority_is_in_it(card: Card) -> None:
    certificates.main(["--root", str(card.root)])
    announcer(card).announce()
    facts = read_facts(card)
    assert facts is not None
    shown = "".join(screen(card).split())
    assert facts.ca_sha256 in shown


def test_the_access_points_password_is_in_it_when_there_may_be_one(card: Card) -> None:
    wifi = Wifi("Home", "correct horse", country="DE", access_point_password="AAAA-BBBB-CCCC")  # noqa: S106
    record.save(card, Settings(hostname="greenhouse", wifi=wifi))
    announcer(card).announce()
    assert f'join "{OWN_NAME}", password AAAA-BBBB-CCCC' in screen(card)
    assert "correct horse" not in screen(card)


def test_it_is_shown_again_when_there_is_another_address_and_not_otherwise(card: Card) -> None:
    known: list[Address] = []
    shower = announcer(card)
    shower.look = lambda: tuple(known)
    for _ in range(3):
        shower.announce()
    assert screen(card).count("claim code") == 1
    known.append(ipaddress.ip_address("192.168.1.23"))
    for _ in range(3):
        shower.announce()
    assert screen(card).count("claim code") == 2


def test_it_is_shown_again_at_the_next_boot(card: Card) -> None:
    announcer(card).announce()
    announcer(card).announce()
    assert screen(card).count("claim code") == 2


def test_a_boot_without_a_network_writes_nothing_on_the_boot_partition(card: Card) -> None:
    announcer(card, "192.168.1.23").announce()
    path = card.boot / "claim-code.txt"
    before = path.stat().st_ino
    announcer(card).announce()
    assert path.stat().st_ino == before
    assert "192.168.1.23" in path.read_text()


def test_after_the_claim_the_code_is_nowhere(card: Card) -> None:
    shower = announcer(card)
    shower.announce()
    claim(card)
    assert not shower.announce()
    assert not (card.boot / "claim-code.txt").exists()
    assert not card.claim_code.exists()
    assert not (card.auth / "claim.json").exists()


def test_power_that_went_between_claim_and_cleaning_up_is_made_up_for(card: Card) -> None:
    announcer(card).announce()
    claim(card)
    boot(card)
    assert not card.claim_code.exists()
    assert not announcer(card).announce()
    assert not (card.boot / "claim-code.txt").exists()
    assert notes_of(card) == []


def test_the_program_ends_by_itself_once_claimed(card: Card) -> None:
    announcer(card).announce()
    claim(card)
    assert claim_notice.main(["--root", str(card.root)]) == 0


def test_once_means_once(card: Card) -> None:
    assert claim_notice.main(["--root", str(card.root), "--once"]) == 0
    assert "claim code" in screen(card)


@pytest.mark.parametrize("damage", ["", "XX", "7KQM-2XRD-9WT?", "\x00" * 14])
def test_a_damaged_code_is_made_anew_and_works(card: Card, damage: str) -> None:
    card.claim_code.write_text(damage)
    announcer(card).announce()
    claim(card)


@pytest.mark.parametrize("damage", ["", "{}", '{"hash": "0", "created": "now"}'])
def test_a_damaged_hash_is_made_anew_from_the_code(card: Card, damage: str) -> None:
    code = card.claim_code.read_text()
    (card.auth / "claim.json").write_text(damage)
    announcer(card).announce()
    assert card.claim_code.read_text() == code
    claim(card)


def test_a_code_that_was_lost_with_its_folder_is_made_anew(card: Card) -> None:
    shutil.rmtree(card.auth)
    card.claim_code.unlink()
    announcer(card).announce()
    claim(card)


def test_a_boot_partition_that_cannot_be_written_leaves_the_screen(card: Card) -> None:
    assert announcer(card, mounts=ReadOnly()).announce()
    assert "claim code" in screen(card)
    assert "on the screen only" in said(card, "claim.no-file")[0]


def test_a_used_code_that_cannot_be_removed_is_said(card: Card) -> None:
    announcer(card).announce()
    claim(card)
    assert not announcer(card, mounts=ReadOnly()).announce()
    assert "where it is harmless" in said(card, "claim.trouble")[0]


def test_without_a_place_for_the_code_it_is_said_and_tried_again(card: Card) -> None:
    shutil.rmtree(card.identity)
    card.identity.touch()
    shower = announcer(card)
    assert shower.announce()
    assert said(card, "claim.trouble")
    card.identity.unlink()
    card.identity.mkdir()
    assert shower.announce()
    assert "claim code" in screen(card)


def test_a_password_from_the_preseed_leaves_nothing_to_claim(tmp_path: Path) -> None:
    card = new_card(tmp_path)
    text = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21l$G0vRJgZ3r4nSJHYV9O4ZQ0q7kH8u1l0R"
    card.preseed.write_text(f'[panel]\npassword_hash = "{text}"\n')
    boot(card)
    assert msgspec.json.decode(card.password.read_bytes())["hash"] == text
    assert claiming.claimed(card)
    assert not card.claim_code.exists()
    assert not (card.auth / "claim.json").exists()


def test_lines_fit_a_screen_of_eighty_columns(card: Card) -> None:
    record.save(card, Settings(hostname="h" * 63))
    certificates.main(["--root", str(card.root)])
    announcer(card, "2001:db8:1234:5678:9abc:def0:1234:5678").announce()
    assert max(len(line) for line in screen(card).splitlines()) <= 100
