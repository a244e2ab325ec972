"""What the rig writes on a card is what an owner writes: the card's own reader takes it."""

from __future__ import annotations

import tomllib
from pathlib import Path

from leyden.appliance.card.preseed import read_preseed
from leyden_hil.preseed import Preseed

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIL0M1lh5zJrNqgYrRh3kQYwq7Sg3gq4Qk3Kq7Vw1qv0J rig"
HASH = "$argon2id$v=19$m=8192,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$"
HASH += "GpZ3sK/oH9p7VIiV56G/64Zo/8GaUw434IimaPqxwCo"
CELLAR = '[appliance]\nname = "cellar"\n'


def test_every_field_is_taken_over_without_a_complaint(tmp_path: Path) -> None:
    (tmp_path / "Europe").mkdir()
    (tmp_path / "Europe/Vienna").write_bytes(b"TZif2")
    text = Preseed(
        hostname="rig",
        timezone="Europe/Vienna",
        ssh_key=KEY,
        password_hash=HASH,
        network={"address": "10.0.2.77/24", "gateway": "10.0.2.2", "dns": ["10.0.2.3"]},
        wifi={"ssid": "cellar", "password": "correct horse battery", "country": "AT"},
        appliance=CELLAR,
    ).text()
    found = read_preseed(text.encode(), name="leyden.toml", zones=tmp_path)
    assert [str(complaint) for complaint in found.complaints] == []
    assert found.wishes.hostname == "rig"
    assert found.wishes.ssh.authorized_keys == [KEY]
    assert found.wishes.panel.password_hash == HASH
    assert found.wishes.wifi.country == "AT"
    assert tomllib.loads(found.appliance) == tomllib.loads(CELLAR)


def test_what_is_empty_is_left_out() -> None:
    assert tomllib.loads(Preseed().text()) == {}
    assert tomllib.loads(Preseed(hostname="rig").text()) == {"hostname": "rig"}


def test_lines_of_ones_own_come_first() -> None:
    text = Preseed(more='colour = "green"', hostname="rig").text()
    assert tomllib.loads(text) == {"colour": "green", "hostname": "rig"}
