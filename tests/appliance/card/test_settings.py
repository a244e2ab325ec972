"""Settings become the files that the system reads, at every boot, whatever one of them does."""

from __future__ import annotations

from pathlib import Path

import pytest
from appliance.card.cards import OWN_NAME, new_card, notes_of, quiet, said
from hypothesis import given
from hypothesis import strategies as st

from leyden.appliance.card import record, rendering, settings
from leyden.appliance.card.places import Card
from leyden.appliance.card.record import Settings, Static, Wifi

KEY = "ssh-ed25519 AAAA anna"
HOME = Wifi("Home", "correct horse", country="DE")


@pytest.fixture
def card(tmp_path: Path) -> Card:
    return new_card(tmp_path)


def apply(card: Card, wanted: Settings) -> None:
    record.save(card, wanted)
    settings.apply(card, quiet(card))


def files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def test_a_card_that_was_told_nothing_is_named_after_its_board(card: Card) -> None:
    settings.apply(card, quiet(card))
    assert sorted(files(card.etc)) == ["hostname", "hosts"]
    assert (card.etc / "hostname").read_text() == f"{OWN_NAME}\n"
    assert f"127.0.1.1 {OWN_NAME}.local {OWN_NAME}" in (card.etc / "hosts").read_text()
    assert notes_of(card) == []


def test_everything_that_was_wished_for_is_written(card: Card) -> None:
    static = Static("192.168.1.50/24", "192.168.1.1", ("9.9.9.9", "2620:fe::fe"), "wifi")
    apply(card, Settings(1, "greenhouse", "Europe/Berlin", HOME, static, (KEY, KEY + "2")))
    assert (card.etc / "hostname").read_text() == "greenhouse\n"
    assert str((card.etc / "localtime").readlink()) == "../usr/share/zoneinfo/Europe/Berlin"
    assert (card.etc / "localtime").read_bytes() == b"TZif2"
    assert (card.etc / "timezone").read_text() == "Europe/Berlin\n"
    network = (card.etc / "systemd/network/50-leyden-static.network").read_text().splitlines()
    assert network[1:5] == ["[Match]", "Type=wlan", "WLANInterfaceType=station", ""]
    for line in (
        "Address=192.168.1.50/24",
        "Gateway=192.168.1.1",
        "DNS=9.9.9.9",
        "DNS=2620:fe::fe",
    ):
        assert line in network
    assert "Country=DE" in (card.etc / "iwd/main.conf").read_text()
    assert (card.iwd / "Home.psk").read_text().startswith("[Security]\nPassphrase=correct horse\n")
    assert card.keys.read_text() == f"{KEY}\n{KEY}2\n"
    assert card.wifi_wanted.exists()
    assert notes_of(card) == []


def test_secrets_are_their_owners_alone(card: Card) -> None:
    apply(card, Settings(wifi=HOME, authorized_keys=(KEY,)))
    for path in (card.settings, card.iwd / "Home.psk", card.keys):
        assert path.stat().st_mode & 0o777 == 0o600


def test_twice_is_the_same_as_once(card: Card) -> None:
    wanted = Settings(1, "a", "UTC", HOME, Static("10.0.0.5/8"), (KEY,))
    apply(card, wanted)
    before = files(card.root)
    apply(card, wanted)
    assert files(card.root) == before


def test_what_is_no_longer_wished_for_goes(card: Card) -> None:
    apply(card, Settings(1, "a", "UTC", HOME, Static("10.0.0.5/8"), (KEY,)))
    apply(card, Settings())
    assert not card.keys.exists()
    assert not card.wifi_wanted.exists()
    assert not (card.etc / "systemd/network/50-leyden-static.network").exists()
    assert list(card.iwd.iterdir()) == []
    assert (card.etc / "hostname").read_text() == f"{OWN_NAME}\n"


def test_another_network_takes_the_place_of_the_one_before(card: Card) -> None:
    apply(card, Settings(wifi=HOME))
    apply(card, Settings(wifi=Wifi("Gäste", open=True, country="DE")))
    assert [path.name for path in card.iwd.iterdir()] == [f"={'Gäste'.encode().hex()}.open"]


def test_what_iwd_adds_to_its_file_stays(card: Card) -> None:
    apply(card, Settings(wifi=HOME))
    path = card.iwd / "Home.psk"
    grown = path.read_text().replace("[Security]\n", "[Security]\nPreSharedKey=00ff\n")
    path.write_text(grown)
    apply(card, Settings(wifi=HOME))
    assert path.read_text() == grown


def test_another_password_replaces_what_iwd_knew(card: Card) -> None:
    apply(card, Settings(wifi=HOME))
    apply(card, Settings(wifi=Wifi("Home", "another horse", country="DE")))
    assert "correct" not in (card.iwd / "Home.psk").read_text()


@pytest.mark.parametrize(
    ("wifi", "what", "words"),
    [
        (Wifi("Home", "correct horse"), "wifi.country", "no country is set"),
        (Wifi("", "correct horse", country="DE"), "wifi.network", "name (ssid) is missing"),
        (Wifi("Home", country="DE"), "wifi.network", 'password of "Home" is missing'),
    ],
)
def test_wifi_stays_off_with_words_about_what_is_missing(
    card: Card, wifi: Wifi, what: str, words: str
) -> None:
    apply(card, Settings(wifi=wifi))
    assert words in said(card, what)[0]
    assert "Wi-Fi is off" in (card.root / "dev/tty1").read_text()
    assert not card.wifi_wanted.exists()


@pytest.mark.parametrize("wifi", [Wifi(), Wifi(country="DE"), Wifi("Home", enabled=False)])
def test_wifi_that_nobody_wants_is_off_without_words(card: Card, wifi: Wifi) -> None:
    apply(card, Settings(wifi=wifi))
    assert notes_of(card) == []
    assert not card.wifi_wanted.exists()


def test_complaints_about_the_preseed_are_told_at_every_boot(card: Card) -> None:
    wanted = Settings(complaints={"leyden.toml": ("leyden.toml: line 1: hostname: no",)})
    apply(card, wanted)
    card.notes.unlink()
    settings.apply(card, quiet(card))
    assert said(card, "preseed.left-out") == ["leyden.toml: line 1: hostname: no"]


def test_a_time_zone_that_this_system_does_not_have_leaves_utc(card: Card) -> None:
    apply(card, Settings(timezone="Mars/Olympus"))
    assert "it stays UTC" in said(card, "settings.timezone")[0]
    assert not (card.etc / "localtime").exists()


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b'{"format": 9}', b'{"hostname": 1}', b"\0" * 90]
)
def test_a_damaged_record_is_said_and_the_machine_has_its_own_name(
    card: Card, damage: bytes
) -> None:
    card.system.mkdir(parents=True)
    card.settings.write_bytes(damage)
    settings.apply(card, quiet(card))
    assert said(card, "settings.damaged")
    assert (card.etc / "hostname").read_text() == f"{OWN_NAME}\n"


def test_one_file_that_cannot_be_written_keeps_none_of_the_others(card: Card) -> None:
    (card.etc / "hostname").mkdir()
    (card.etc / "timezone").mkdir()
    apply(card, Settings(timezone="UTC", wifi=HOME, authorized_keys=(KEY,)))
    assert said(card, "settings.hostname")
    assert said(card, "settings.timezone")
    assert card.wifi_wanted.exists()
    assert card.keys.exists()


def test_the_program_ends_well_on_an_empty_card(tmp_path: Path) -> None:
    assert settings.main(["--root", str(tmp_path)]) == 0
    assert (tmp_path / "etc/hostname").exists()


def test_settings_load_neither_pydantic_nor_cryptography() -> None:
    import subprocess
    import sys

    code = "import sys, leyden.appliance.card.settings; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"pydantic", "cryptography", "argon2", "flask"} & set(run.stdout.split())


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12))
def test_names_of_iwd_files_are_plain_and_say_which_network(ssid: str) -> None:
    name = rendering.iwd_name(Wifi(ssid, "x"))
    stem = name.removesuffix(".psk")
    assert "/" not in name
    assert name.isascii()
    decoded = bytes.fromhex(stem[1:]).decode() if stem.startswith("=") else stem
    assert decoded == ssid


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=8, max_size=63))
def test_a_password_is_read_back_as_iwd_reads_it(password: str) -> None:
    lines = rendering.iwd_network(Wifi("Home", password=password)).splitlines()
    written = lines[1].partition("=")[2]
    # iwd.network(5): blanks before the value are ignored, then escapes mean what they stand for.
    value = written.lstrip(" ")
    meant = ""
    signs = iter(value)
    for sign in signs:
        meant += {"s": " ", "\\": "\\"}[next(signs)] if sign == "\\" else sign
    assert meant == password
    assert len(lines) == 6
