"""Who may do what: the runtime has no network, the panel no hardware, and systemd's own marks."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from systemd.units import TREE, drop_ins, our_units

UNITS = our_units()
RUNTIME = UNITS["leyden-runtime.service"]
PANEL = UNITS["leyden-panel.service"]

# The worst mark that is let pass, of 10. The first two are promised; the others are root's, remount
# the boot partition, restart the machine or write to the card, and are held where they are.
LIMITS = {
    "leyden-runtime.service": 2.0,
    "leyden-panel.service": 2.0,
    "leyden-first-boot.service": 4.5,
    "leyden-settings.service": 4.5,
    "leyden-certificates.service": 5.0,
    "leyden-claim.service": 5.0,
    "leyden-wifi-fallback.service": 5.0,
    "leyden-mark-good.service": 4.6,
}


def exposure(root: Path, unit: str) -> float:
    """Return the mark that systemd gives a unit: 0 is locked up, 10 is wide open."""
    done = subprocess.run(
        [
            *("systemd-analyze", "security", "--offline=true", f"--root={root}", "--no-pager"),
            *("--threshold=100", unit),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
    )
    found = re.search(r"exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    return float(found[1])


@pytest.mark.parametrize("unit", sorted(LIMITS))
def test_systemds_mark_is_within_its_limit(root: Path, unit: str) -> None:
    assert exposure(root, unit) <= LIMITS[unit]


def test_every_lasting_service_has_a_limit() -> None:
    assert set(LIMITS) == {name for name in UNITS if name.endswith(".service")} - {
        "leyden-trial-failed.service",  # a shell script that must work where nothing else does
    }


def test_a_door_left_open_would_be_seen(faulty_root: Path) -> None:
    path = faulty_root / "usr/lib/systemd/system/leyden-runtime.service"
    open_doors = ("PrivateNetwork=yes", "RestrictAddressFamilies=AF_UNIX", "CapabilityBoundingSet=")
    text = path.read_text()
    for each in open_doors:
        assert f"\n{each}\n" in text
        text = text.replace(f"\n{each}\n", "\n")
    path.write_text(text)
    assert exposure(faulty_root, "leyden-runtime.service") > LIMITS["leyden-runtime.service"]


# The two promises of the design, word by word


def test_the_process_that_touches_hardware_cannot_touch_the_network() -> None:
    assert RUNTIME.one("Service.PrivateNetwork") == "yes"
    assert RUNTIME.words("Service.RestrictAddressFamilies") == {"AF_UNIX"}
    assert RUNTIME.one("Service.IPAddressDeny") == "any"


def test_the_process_that_touches_the_network_cannot_touch_hardware() -> None:
    assert PANEL.one("Service.PrivateDevices") == "yes"
    assert PANEL.one("Service.DevicePolicy") == "closed"
    assert not PANEL.values("Service.DeviceAllow")
    groups = PANEL.words("Service.SupplementaryGroups") | PANEL.words("Service.Group")
    assert groups == {"leyden", "leyden-panel"}


@pytest.mark.parametrize("unit", [RUNTIME, PANEL], ids=lambda unit: str(unit.name))
def test_neither_is_root_or_can_become_it(unit: object) -> None:
    for each in (RUNTIME, PANEL):
        assert each.one("Service.User") not in ("", "root", "0")
        assert each.one("Service.NoNewPrivileges") == "yes"
        assert "CapabilityBoundingSet=\n" in each.text
        assert not each.values("Service.AmbientCapabilities")


def test_each_writes_only_what_is_its_own() -> None:
    assert RUNTIME.words("Service.ReadWritePaths") == {"/data/leyden/log", "/data/leyden/plan"}
    assert PANEL.words("Service.BindPaths") == {"/data/leyden/auth"}
    assert not PANEL.values("Service.ReadWritePaths")


def test_the_panel_never_sees_the_keys_of_the_authority_or_of_the_networks() -> None:
    assert PANEL.one("Service.TemporaryFileSystem") == "/data:ro"
    assert PANEL.words("Service.BindReadOnlyPaths") == {"/data/leyden/identity"}
    tmpfiles = (TREE / "usr/lib/tmpfiles.d/90-leyden.conf").read_text()
    # Others may look a name up in the folder, and each secret in it is closed by itself.
    assert re.search(r"^d +/data/leyden/identity +0711 +root +root", tmpfiles, re.MULTILINE)


def test_devices_are_named_by_numbers_that_hold_without_their_drivers() -> None:
    # A name such as char-i2c counts only if its driver is there when the unit starts; only the GPIO
    # chips have no fixed number, and their driver is part of the kernel.
    allowed = {value.split()[0] for value in RUNTIME.values("Service.DeviceAllow")}
    assert allowed - {"char-gpiochip"} == {f"char-{n}" for n in (4, 89, 153, 166, 188, 204)}


def test_the_clock_may_be_asked_and_not_set() -> None:
    assert not RUNTIME.values("Service.ProtectClock")  # would refuse the question as well
    assert RUNTIME.values("Service.SystemCallFilter")[-1] == "adjtimex clock_adjtime"


def test_who_writes_to_card_or_screen_keeps_its_devices() -> None:
    # ProtectClock= names a device, and who is given one device is refused all others.
    for name in ("mark-good", "claim", "wifi-fallback", "first-boot", "certificates"):
        unit = UNITS[f"leyden-{name}.service"]
        for key in ("ProtectClock", "PrivateDevices", "DevicePolicy", "DeviceAllow"):
            assert not unit.values(f"Service.{key}"), name


def test_what_a_filter_refuses_is_an_error_and_no_sudden_death() -> None:
    for name, unit in UNITS.items():
        if unit.values("Service.SystemCallFilter"):
            assert unit.one("Service.SystemCallErrorNumber") == "EPERM", name


def test_ssh_takes_keys_only_and_only_when_there_is_one() -> None:
    config = (TREE / "etc/ssh/sshd_config.d/90-leyden.conf").read_text()
    for line in (
        "PasswordAuthentication no", "KbdInteractiveAuthentication no",
        "AuthenticationMethods publickey", "PermitRootLogin prohibit-password",
    ):  # fmt: skip
        assert f"\n{line}\n" in config
    condition = drop_ins()["ssh.service"].one("Unit.ConditionFileNotEmpty")
    assert f"AuthorizedKeysFile {condition}\n" in config


def test_the_firewall_lets_in_what_the_manual_names_and_nothing_else() -> None:
    rules = (TREE / "etc/nftables.conf").read_text()
    assert re.findall(r"hook (\w+) priority filter; policy (\w+)", rules) == [
        ("input", "drop"), ("forward", "drop"),
    ]  # fmt: skip
    tcp = re.findall(r"tcp dport (\{[^}]*\}|\d+) accept", rules)
    assert json.dumps(tcp) == '["{ 80, 443 }", "22"]'
