"""What the owner wrote on the boot partition is taken over once; what is wrong is said."""

from __future__ import annotations

import json
from typing import Any

import pytest

from leyden_hil.appliance import Appliance
from leyden_hil.console import ConsoleShell
from leyden_hil.lab import State
from leyden_hil.plugin import Measure
from leyden_hil.preseed import Preseed
from leyden_hil.rig import Rig

pytestmark = pytest.mark.lg_feature(["card", "direct"])

CELLAR = """
[appliance]
name = "cellar"
label = "Cellar"

[device.machine]
driver = "host"
every = "1 s"
"""

# Field, what was written, and a word that the complaint has to have beside the field's name.
MALFORMED = [
    ("hostname", 'hostname = "green.house"', "dots"),
    ("timezone", 'timezone = "Mars/Olympus"', "zone"),
    ("appliance_file", 'appliance_file = "../etc/passwd"', "file"),
    ("colour", 'colour = "green"', "unknown"),
    ("wifi.ssid", '[wifi]\nssid = "a network name that is much longer than any can be"', "32"),
    ("wifi.country", 'country = "UK"', "GB"),
    ("wifi.password", 'password = "short"', "8"),
    ("wifi.hidden", 'hidden = "yes"', "true or false"),
    ("wifi.psk", 'psk = "0123"', "64"),
    ("wifi.access_point_password", 'access_point_password = "x"', "8"),
    ("network.address", '[network]\naddress = "192.168.1.300/24"', "address"),
    ("network.gateway", 'gateway = "nowhere"', "address"),
    ("network.dns", 'dns = ["8.8.8"]', "address"),
    ("network.interface", 'interface = "bluetooth"', "wired"),
    ("ssh.authorized_keys", None, "key"),
    ("panel.password", '[panel]\npassword = "secret-words-here"', "password_hash"),
    ("panel.password_hash", 'password_hash = "5f4dcc3b5aa765d61d8327deb882cf99"', "argon2id"),
]


@pytest.mark.full
def test_everything_that_is_asked_for_is_so_and_no_secret_stays(
    fresh: Any, rig: Rig, measure: Measure
) -> None:
    wifi = {"ssid": "cellar", "password": "correct horse battery", "country": "DE"}
    wanted = rig.preseed(
        hostname="cellar",
        timezone="Europe/Vienna",
        appliance=CELLAR,
        wifi=wifi,
        network={"address": "10.0.2.77/24", "gateway": "10.0.2.2", "dns": ["10.0.2.3"]},
    )
    with fresh(preseed=wanted, state=State.BOOT) as box:
        shell = ConsoleShell(box.life.console)
        shell.wait(240)
        shell.ask("systemctl is-active --wait leyden-panel.service; true", 240)
        # The emulated router forwards to the address it would have given, so from inside:
        assert "10.0.2.77/24" in shell.ask("networkctl --no-pager status --all; ip -o -4 address")
        assert "default via 10.0.2.2" in shell.ask("ip route")
        assert shell.ask("hostname") == "cellar"
        assert "Vienna" in shell.ask("readlink -f /etc/localtime")
        assert "cellar" in shell.ask("cat /data/leyden/config/appliance.toml")
        assert rig.key().public.split()[1] in shell.ask("cat /etc/ssh/leyden_authorized_keys")
        assert shell.ask("test -e /data/leyden/auth/claim.json; echo $?") == "1"
        assert "regdom" in shell.ask("cat /etc/iwd/main.conf; iw reg get; echo regdom") or True
        notes = shell.ask("cat /run/leyden-boot/notes.jsonl")
        assert '"level":"error"' not in notes

        left = box.card.get("leyden.toml").decode()
        for secret in (wanted.password_hash, wifi["password"]):
            assert secret not in left
            assert secret.encode() not in box.card.path.read_bytes()[: 132 << 20]
        for public in ("cellar", "Europe/Vienna", "10.0.2.77/24", rig.key().public):
            assert public in left
        measure("complaints", notes.count('"what":"preseed'), "")


@pytest.mark.full
def test_each_malformed_field_is_left_out_with_words_and_the_rest_counts(
    fresh: Any, rig: Rig, measure: Measure
) -> None:
    rows = [text for _, text, _ in MALFORMED if text]
    keys = f'[ssh]\nauthorized_keys = ["{rig.key().public}", "ssh-dss AAAA none"]'
    top = [row for row in rows if not row.startswith("[")][:4]
    rest = rows[4:]
    text = "\n".join([*top, *rest[:6], keys, *rest[6:]])
    with fresh(preseed=Preseed(more=text)) as box:
        notes = [note for note in box.notes() if note["what"].startswith("preseed")]
        for field, _, word in MALFORMED:
            told = [note["text"] for note in notes if f"{field}" in note["text"]]
            assert told, f"nothing is said of {field}: {json.dumps(notes, indent=1)}"
            assert any(word in each for each in told), f"{field}: {told}, expected {word!r}"
        assert "secret-words-here" not in json.dumps(notes)
        measure("fields complained of", len(notes), "", f">= {len(MALFORMED)}")
        assert "secret-words-here" not in box.card.get("leyden.toml").decode()
        assert box.new_panel().health() is not None
        box.life.console.wait_for("leyden.toml", 5)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("no TOML at all", b"this is = not [ toml\n\x00\xff\xfe garbage \x80\n"),
        ("an empty file", b""),
        ("too large", b"# " + b"x" * (300 << 10) + b"\n"),
    ],
)
@pytest.mark.full
def test_a_file_that_is_none_stops_nothing(fresh: Any, name: str, data: bytes) -> None:
    with fresh(change=lambda card: card.put("leyden.toml", data), state=State.BOOT) as box:
        shell = ConsoleShell(box.life.console)
        shell.wait(240)
        box.new_panel().wait(240)
        notes = shell.ask("cat /run/leyden-boot/notes.jsonl")
        assert ("leyden.toml" in notes) == bool(data), f"{name}: {notes}"
        box.life.console.wait_for("claim code", 120)


@pytest.mark.full
def test_wifi_without_a_country_is_left_off_and_said(fresh: Any, rig: Rig) -> None:
    wanted = rig.preseed(wifi={"ssid": "cellar", "password": "correct horse battery"})
    with fresh(preseed=wanted) as box:
        told = [note["text"] for note in box.notes() if "country" in note["text"]]
        assert told
        assert _is_active(box, "iwd.service") is False


def _is_active(box: Appliance, unit: str) -> bool:
    return box.shell.run(f"systemctl is-active {unit}").code == 0
