"""The other files of the card: users, folders, rules, drop-ins, scripts."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from systemd.units import TREE, drop_ins, our_units, read_unit

from leyden.appliance.choosing import DEFAULT
from leyden.appliance.config import load

FILES = sorted(path for path in TREE.rglob("*") if path.is_file() and not path.is_symlink())
SCRIPTS = [path for path in FILES if path.read_bytes().startswith(b"#!/bin/sh")]
SYSUSERS = (TREE / "usr/lib/sysusers.d/90-leyden.conf").read_text()
TMPFILES = (TREE / "usr/lib/tmpfiles.d/90-leyden.conf").read_text()
DEBIAN_USERS = {"root", "systemd-timesync"}
DEBIAN_GROUPS = {"root", "dialout", "systemd-timesync"}


def relative(path: Path) -> str:
    return str(path.relative_to(TREE))


def users() -> dict[str, str]:
    """Return the users of ours with their numbers."""
    return dict(re.findall(r"^u +(\S+) +(\d+)", SYSUSERS, re.MULTILINE))


def groups() -> dict[str, str]:
    """Return the groups of ours with their numbers; a user brings one of its name along."""
    named = dict(re.findall(r"^g +(\S+) +(\d+)", SYSUSERS, re.MULTILINE))
    own = dict(re.findall(r"^u +(\S+) +(\d+) ", SYSUSERS, re.MULTILINE))
    return {**own, **named}


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_every_file_says_what_it_is(path: Path) -> None:
    if path.name == "motd":
        assert "Leyden" in path.read_text()  # itself what is said
        return
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#!")]
    assert re.match(r"# \S.*", lines[0]), lines[0]


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_comments_are_short_enough_to_be_read(path: Path) -> None:
    for line in path.read_text().splitlines():
        assert len(line) <= 100 or not line.startswith("#"), line


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_a_file_among_others_is_numbered_late(path: Path) -> None:
    # A package's file of a higher number would win over it without a word.
    if path.parent.name.endswith(".d") or path.parent.name in ("network", "dnssd"):
        number = int(path.name[:2])
        assert number >= 90 or path.name == "65-leyden-disk.rules"


def test_numbers_of_users_and_groups_never_change() -> None:
    # Files on the data partition carry them from version to version.
    assert users() == {"leyden-runtime": "970", "leyden-panel": "971"}
    assert groups() == {
        "leyden": "970", "leyden-panel": "971", "gpio": "972", "i2c": "973", "spi": "974",
    }  # fmt: skip


def test_the_users_can_be_made_as_they_are_written(tmp_path: Path) -> None:
    if shutil.which("systemd-sysusers") is None:
        pytest.skip("this machine has no systemd-sysusers: apt-get install systemd brings it")
    config = tmp_path / "usr/lib/sysusers.d"
    config.mkdir(parents=True)
    shutil.copy(TREE / "usr/lib/sysusers.d/90-leyden.conf", config)
    (tmp_path / "etc").mkdir()
    subprocess.run(["systemd-sysusers", f"--root={tmp_path}"], check=True, capture_output=True)
    passwd = (tmp_path / "etc/passwd").read_text()
    assert "leyden-runtime:x:970:970:" in passwd
    assert "leyden-panel:x:971:971:" in passwd


def test_whoever_is_named_exists() -> None:
    known_users, known_groups = DEBIAN_USERS | set(users()), DEBIAN_GROUPS | set(groups())
    for unit in our_units().values():
        assert unit.words("Service.User") <= known_users
        assert (
            unit.words("Service.Group") | unit.words("Service.SupplementaryGroups") <= known_groups
        )
    for line in TMPFILES.splitlines():
        if line.startswith("d "):
            _, _, _, user, group, *_ = line.split()
            assert user in known_users
            assert group in known_groups
    rules = (TREE / "usr/lib/udev/rules.d/90-leyden-buses.rules").read_text()
    assert set(re.findall(r'GROUP="(\w+)"', rules)) <= known_groups


def test_every_folder_that_a_unit_writes_to_is_made() -> None:
    made = {line.split()[1] for line in TMPFILES.splitlines() if line.startswith("d ")}
    for unit in (*our_units().values(), *drop_ins().values()):
        wanted = unit.words("Service.ReadWritePaths") | unit.words("Service.BindPaths")
        for path in wanted:
            place = path.lstrip("-").partition(":")[0]
            assert place in made, f"{unit.name}: {place}"


def test_the_default_configuration_is_sound_and_needs_no_bus() -> None:
    plan = load(TREE / "usr/share/leyden/appliance.toml")
    assert [device.driver for device in plan.devices] == ["host"]
    assert TREE / str(DEFAULT).lstrip("/") == TREE / "usr/share/leyden/appliance.toml"


def test_the_link_of_the_data_directory_leads_to_memory() -> None:
    assert re.search(r"^L\+ +/data/leyden/run .* /run/leyden$", TMPFILES, re.MULTILINE)


def test_nothing_but_the_journal_in_memory_is_kept() -> None:
    journal = (TREE / "usr/lib/systemd/journald.conf.d/90-leyden.conf").read_text()
    assert "\nStorage=volatile\n" in journal
    assert re.search(r"^RuntimeMaxUse=\d+M$", journal, re.MULTILINE)


def test_the_watchdog_is_slow_enough_for_slow_cards_and_a_crash_restarts() -> None:
    manager = (TREE / "usr/lib/systemd/system.conf.d/90-leyden.conf").read_text()
    for line in ("RuntimeWatchdogSec=60s", "RebootWatchdogSec=120s", "CrashReboot=yes"):
        assert f"\n{line}\n" in manager
    assert "\nkernel.panic = 10\n" in (TREE / "usr/lib/sysctl.d/90-leyden.conf").read_text()


@pytest.mark.parametrize("path", SCRIPTS, ids=relative)
def test_scripts_are_plain_shell(path: Path) -> None:
    assert path.stat().st_mode & 0o111
    subprocess.run(["sh", "-n", str(path)], check=True)
    if shutil.which("shellcheck") is None:
        pytest.skip("this machine has no shellcheck: apt-get install shellcheck brings it")
    subprocess.run(["shellcheck", "--shell=sh", str(path)], check=True)


# Is there anything to do at first boot?


class Card:
    """The two places that the question is about."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.data = root / "data/system"
        self.boot = root / "boot/firmware"
        self.data.mkdir(parents=True)
        self.boot.mkdir(parents=True)

    def asks_for_first_boot(self) -> bool:
        done = subprocess.run(
            ["sh", str(TREE / "usr/lib/leyden/preseed-is-new"), str(self._root)], check=False
        )
        assert done.returncode in (0, 1)
        return done.returncode == 0


@pytest.fixture
def card(tmp_path: Path) -> Card:
    return Card(tmp_path)


def test_a_card_that_was_never_started_has_a_first_boot(card: Card) -> None:
    assert card.asks_for_first_boot()
    (card.boot / "leyden.toml").write_text("# nothing chosen\n")
    assert card.asks_for_first_boot()


def test_it_has_one_and_no_more(card: Card) -> None:
    (card.data / "first-boot.done").write_text("")
    assert not card.asks_for_first_boot()
    (card.boot / "leyden.toml").write_text("# nothing chosen\n")
    (card.data / "preseed.seen").write_text("# nothing chosen\n")
    assert not card.asks_for_first_boot()


@pytest.mark.parametrize("name", ["leyden.toml", "user-data", "network-config"])
def test_a_new_preseed_has_its_turn_at_any_later_start(card: Card, name: str) -> None:
    (card.data / "first-boot.done").write_text("")
    (card.data / "preseed.seen").write_text("[system]\n")
    (card.boot / name).write_text('[system]\nhostname = "cellar"\n')
    assert card.asks_for_first_boot()


# Does the panel wait for its certificate?


@pytest.mark.parametrize("there", [True, False])
def test_only_where_there_is_no_certificate_the_panel_waits_for_one(
    tmp_path: Path, there: bool
) -> None:
    leaf = tmp_path / "data/leyden/identity/leaf.pem"
    leaf.parent.mkdir(parents=True)
    leaf.write_text("a certificate" if there else "")
    generator = TREE / "usr/lib/systemd/system-generators/leyden-generator"
    folders = [str(tmp_path / name) for name in ("normal", "early", "late")]
    subprocess.run([str(generator), *folders], check=True, env={"LEYDEN_ROOT": str(tmp_path)})
    drop_in = tmp_path / "normal/leyden-panel.service.d/first-start.conf"
    assert drop_in.exists() is not there
    if not there:
        assert read_unit(drop_in).words("Unit.After") == {"leyden-certificates.service"}
