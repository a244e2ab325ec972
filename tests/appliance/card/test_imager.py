"""What Raspberry Pi Imager writes when its form is filled in, line by line as it writes it."""

from __future__ import annotations

from pathlib import Path

import pytest
from appliance.card.cards import judge, new_card, notes_of, quiet, said
from hypothesis import given
from hypothesis import strategies as st

from leyden.appliance.card import imager, record
from leyden.appliance.card.boot_partition import BootPartition
from leyden.appliance.card.intake import Intake
from leyden.appliance.card.places import Card
from leyden.kernel import ManualClock

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEuiAJjMB+FLGGZ2TTaWcJQ4fHjGvAEtmaMz6rLKbKcR anna@laptop"
HASHED = "00ff" * 16
USER_DATA = f"""\
hostname: greenhouse
manage_etc_hosts: true
packages:
- avahi-daemon
apt:
  conf: |
    Acquire {{
      Check-Date "false";
    }};
timezone: Europe/Berlin
keyboard:
  model: pc105
  layout: "de"
enable_ssh: true
users:
- name: anna
  groups: users,adm,dialout
  shell: /bin/bash
  lock_passwd: true
  ssh_authorized_keys:
    - {KEY}
  sudo: ALL=(ALL) NOPASSWD:ALL
"""
NETWORK_CONFIG = f"""\
network:
  version: 2
  wifis:
    wlan0:
      dhcp4: true
      regulatory-domain: "DE"
      access-points:
        "Café \\"Leyden\\"":
          hidden: true
          password: "{HASHED}"
      optional: true
"""


@pytest.fixture
def card(tmp_path: Path) -> Card:
    found = new_card(tmp_path)
    (found.boot / "user-data").write_text(USER_DATA, encoding="utf-8")
    (found.boot / "network-config").write_text(NETWORK_CONFIG, encoding="utf-8")
    (found.boot / "meta-data").write_text("instance-id: rpi-imager-1\n")
    return found


def take(card: Card) -> None:
    Intake(card, quiet(card), BootPartition(card), judge, ManualClock()).run()


def test_everything_that_there_is_here_is_taken_from_the_form(card: Card) -> None:
    take(card)
    settings = record.load(card)
    assert (settings.hostname, settings.timezone) == ("greenhouse", "Europe/Berlin")
    assert settings.authorized_keys == (KEY,)
    wifi = settings.wifi
    assert (wifi.ssid, wifi.psk, wifi.country, wifi.hidden) == (
        'Café "Leyden"', HASHED, "DE", True,
    )  # fmt: skip
    assert settings.complaints == {"Raspberry Pi Imager's settings": ()}


def test_the_files_are_gone_afterwards(card: Card) -> None:
    take(card)
    assert list(card.boot.iterdir()) == []


def test_user_and_password_that_there_are_not_are_said(card: Card) -> None:
    take(card)
    assert "no user accounts" in said(card, "preseed.user")[0]


def test_a_form_without_a_user_needs_no_words(card: Card) -> None:
    (card.boot / "user-data").write_text("hostname: greenhouse\n")
    take(card)
    assert said(card, "preseed.user") == []


def test_leyden_toml_has_the_last_word(card: Card) -> None:
    card.preseed.write_text('hostname = "cellar"\n')
    take(card)
    assert record.load(card).hostname == "cellar"
    assert record.load(card).wifi.country == "DE"


def test_an_open_network_has_an_empty_password() -> None:
    text = NETWORK_CONFIG.replace(HASHED, "")
    assert imager.wishes_of(b"", text.encode())["wifi"]["open"] is True


def test_what_is_wrong_in_the_form_is_left_out_and_said(card: Card) -> None:
    text = NETWORK_CONFIG.replace('"DE"', '"XX"')
    (card.boot / "network-config").write_text(text)
    take(card)
    (words,) = record.load(card).complaints["Raspberry Pi Imager's settings"]
    assert words.startswith('Raspberry Pi Imager\'s settings: wifi.country: found "XX"')


def test_files_that_say_nothing_are_cleared_away_without_words(card: Card) -> None:
    for name in imager.FILES:
        (card.boot / name).write_text("#cloud-config\n")
    take(card)
    assert list(card.boot.iterdir()) == []
    assert notes_of(card) == []


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_no_bytes_stop_it(user_data: bytes, network_config: bytes) -> None:
    assert isinstance(imager.wishes_of(user_data, network_config), dict)


@given(st.text(max_size=40))
def test_no_text_in_the_form_gets_into_another_field(text: str) -> None:
    line = f"hostname: {text}\n".encode()
    assert set(imager.wishes_of(line, b"")) <= {"hostname", "timezone", "ssh"}
