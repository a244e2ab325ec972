"""The units of the card: what they start, what they wait for, and what they never wait for."""

from __future__ import annotations

import importlib.util
import itertools
import re
from pathlib import Path
from typing import Final

import pytest
from systemd.units import REPOSITORY, TREE, Unit, complaints, drop_ins, masked, our_units

UNITS = our_units()
DROP_INS = drop_ins()
SERVICES = {name: unit for name, unit in UNITS.items() if name.endswith(".service")}
ALL = {**UNITS, **{f"{name}.d": unit for name, unit in DROP_INS.items()}}

# Programs of Debian packages that the image holds.
DEBIAN: Final = {
    "/usr/bin/python3", "/bin/sh", "/usr/sbin/sshd",
}  # fmt: skip
# Units of Debian packages that the preset switches on.
DEBIAN_UNITS: Final = {
    "systemd-networkd.service", "systemd-resolved.service", "systemd-timesyncd.service",
    "nftables.service", "fstrim.timer",
}  # fmt: skip
# What has to be up before anything of ours may be needed: waited for by all of the system.
WAY_UP: Final = {
    "sysinit.target", "basic.target", "local-fs.target", "local-fs-pre.target", "sockets.target",
    "emergency.target", "rescue.target", "multi-user.target",
}  # fmt: skip


def commands(unit: Unit) -> list[list[str]]:
    """Return every command line of a service, without systemd's prefixes."""
    keys = ("ExecStart", "ExecStartPre", "ExecStartPost", "ExecStopPost", "ExecCondition")
    lines = itertools.chain.from_iterable(unit.values(f"Service.{key}") for key in keys)
    return [line.lstrip("-+!@:").split() for line in lines]


# systemd's own judgement


def test_systemd_has_nothing_to_say_against_them(root: Path) -> None:
    assert complaints(root, "multi-user.target", *UNITS) == []


def test_an_ordering_cycle_would_be_found(faulty_root: Path) -> None:
    runtime = faulty_root / "usr/lib/systemd/system/leyden-runtime.service"
    runtime.write_text(
        runtime.read_text().replace("[Unit]\n", "[Unit]\nAfter=leyden-panel.service\n", 1)
    )
    assert any("ordering cycle" in line for line in complaints(faulty_root, "multi-user.target"))


def test_a_missing_program_would_be_found(faulty_root: Path) -> None:
    (faulty_root / "usr/lib/leyden/trial-failed").unlink()
    found = complaints(faulty_root, "leyden-trial-failed.service")
    assert any("trial-failed is not executable" in line for line in found)


# What they start


@pytest.mark.parametrize("name", sorted(ALL))
def test_every_program_is_in_the_image(name: str) -> None:
    for program, *_ in commands(ALL[name]):
        ours = TREE / program.lstrip("/")
        assert program in DEBIAN or (ours.is_file() and ours.stat().st_mode & 0o111), program


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_module_that_is_started_exists(name: str) -> None:
    for words in commands(SERVICES[name]):
        if words[0] != "/usr/bin/python3":
            continue
        # Isolated: neither the environment nor the working directory adds code. No writing of
        # compiled files: the root forgets them, and they are all there.
        assert words[1:3] == ["-I", "-B"]
        module = words[words.index("-m") + 1]
        assert importlib.util.find_spec(module) is not None, module


# What they wait for


@pytest.mark.parametrize("name", sorted(ALL))
def test_nothing_waits_for_the_network_to_be_there(name: str) -> None:
    for value in ALL[name].settings.values():
        assert "network-online.target" not in " ".join(value)
        assert "wait-online" not in " ".join(value)


def test_the_runtime_waits_for_folders_and_drivers_only() -> None:
    runtime = UNITS["leyden-runtime.service"]
    assert runtime.one("Unit.DefaultDependencies") == "no"
    assert runtime.words("Unit.After") == {
        "systemd-tmpfiles-setup.service", "systemd-modules-load.service",
    }  # fmt: skip
    assert not runtime.words("Unit.Requires")
    assert runtime.words("Unit.RequiresMountsFor") == {"/data"}


def test_devices_come_before_the_panel_and_the_panel_comes_without_them() -> None:
    panel = UNITS["leyden-panel.service"]
    assert "leyden-runtime.service" in panel.words("Unit.After")
    assert SERVICES["leyden-runtime.service"].one("Service.Type") == "notify"
    needed = panel.words("Unit.Requires") | panel.words("Unit.BindsTo")
    assert needed == {"leyden-panel.socket", "leyden-panel-http.socket"}


def test_nothing_of_ours_waits_for_the_panel() -> None:
    for name, unit in UNITS.items():
        assert "leyden-panel.service" not in unit.words("Unit.After") | unit.words("Unit.Requires")
        assert name == "leyden-panel.service" or "leyden-panel.service" not in unit.words(
            "Unit.Wants"
        )


def test_the_health_gate_waits_for_neither_runtime_nor_panel() -> None:
    # A job that waited for theirs would never begin when one of them hangs.
    gate = UNITS["leyden-mark-good.service"]
    assert not {word for word in gate.words("Unit.After") if word.startswith("leyden")}
    assert gate.words("Unit.OnFailure") == {"leyden-trial-failed.service"}


@pytest.mark.parametrize("name", sorted(ALL))
def test_the_way_up_never_hangs_on_something_of_ours(name: str) -> None:
    unit = ALL[name]
    held_up = unit.words("Unit.Before") | unit.words("Install.RequiredBy")
    assert not held_up & WAY_UP
    assert not unit.words("Unit.RequiredBy")


def test_nothing_on_the_way_back_waits_for_the_data_partition_or_needs_python() -> None:
    # emergency, rescue and giving up a slot work when data, or the new slot's Python, is broken.
    units = (DROP_INS["emergency.service"], DROP_INS["rescue.service"])
    for unit in (*units, UNITS["leyden-trial-failed.service"]):
        assert "/data" not in unit.text
        for program, *_ in commands(unit):
            script = (TREE / program.lstrip("/")).read_text()
            assert script.startswith("#!/bin/sh\n")
            assert "python3 " not in script


def test_what_is_masked_is_neither_switched_on_nor_needed() -> None:
    off = masked()
    for name, unit in ALL.items():
        for key in ("After", "Wants", "Requires", "BindsTo"):
            assert not unit.words(f"Unit.{key}") & off, f"{name}: {key}"
    assert not off & (set(UNITS) | DEBIAN_UNITS)


def test_there_is_no_login_prompt_anywhere() -> None:
    assert masked() >= {
        "getty@.service", "autovt@.service", "serial-getty@.service", "console-getty.service",
    }  # fmt: skip
    generators = TREE / "etc/systemd/system-generators"
    for name in ("systemd-getty-generator", "systemd-ssh-generator"):
        assert (generators / name).readlink() == Path("/dev/null")


# Life and death


@pytest.mark.parametrize("name", ["leyden-runtime.service", "leyden-panel.service"])
def test_runtime_and_panel_are_watched_and_started_again_for_ever(name: str) -> None:
    unit = UNITS[name]
    assert unit.one("Service.Restart") == "always"
    assert unit.one("Unit.StartLimitIntervalSec") == "0"
    assert unit.one("Service.WatchdogSec") == "30s"


def test_a_message_bus_that_was_killed_comes_back_and_brings_its_own_along() -> None:
    assert DROP_INS["dbus.service"].one("Service.Restart") == "on-failure"
    for name in ("networkd", "resolved", "logind", "timesyncd"):
        assert DROP_INS[f"systemd-{name}.service"].words("Unit.PartOf") == {"dbus.service"}


def test_a_killed_runtime_is_started_again_within_five_seconds() -> None:
    runtime = UNITS["leyden-runtime.service"]
    assert runtime.one("Service.RestartSec") == "1s"
    assert runtime.one("Service.RestartMaxDelaySec") == "5s"


@pytest.mark.parametrize("name", sorted(ALL))
def test_no_unit_restarts_the_machine_by_itself(name: str) -> None:
    # Decision 0013: what fails for ever on a slot that is known to work must not restart for ever.
    for key in ("StartLimitAction", "FailureAction", "SuccessAction", "JobTimeoutAction"):
        assert not ALL[name].values(f"Unit.{key}")


def test_the_panels_ports_stay_open_however_often_it_dies() -> None:
    for name in ("leyden-panel.socket", "leyden-panel-http.socket"):
        assert UNITS[name].one("Socket.TriggerLimitIntervalSec") == "0"
        assert UNITS[name].one("Socket.PollLimitBurst") == "4"


def test_each_port_has_its_name() -> None:
    ports = {
        unit.one("Socket.FileDescriptorName"): unit.one("Socket.ListenStream")
        for unit in UNITS.values()
        if unit.name.endswith(".socket")
    }
    assert ports == {"https": "443", "http": "80"}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_that_starts_early_ends_with_the_system(name: str) -> None:
    unit = SERVICES[name]
    if unit.one("Unit.DefaultDependencies") != "no" or name == "leyden-trial-failed.service":
        return
    assert "shutdown.target" in unit.words("Unit.Conflicts")
    assert "shutdown.target" in unit.words("Unit.Before")


# The switches


def test_everything_that_can_be_switched_on_is_and_all_else_is_off() -> None:
    preset = (TREE / "usr/lib/systemd/system-preset/90-leyden.preset").read_text()
    lines = [line for line in preset.splitlines() if line and not line.startswith("#")]
    assert lines[-1] == "disable *"
    patterns = [line.removeprefix("enable ") for line in lines[:-1]]
    assert {each for each in patterns if "leyden" not in each} == DEBIAN_UNITS
    for name, unit in UNITS.items():
        installable = any(key.startswith("Install.") for key in unit.settings)
        expression = "|".join(each.replace(".", r"\.").replace("*", ".*") for each in patterns)
        assert bool(re.fullmatch(expression, name)) or not installable, name


def test_the_tree_is_all_that_is_copied() -> None:
    assert {path.name for path in (REPOSITORY / "systemd").iterdir()} <= {
        "README.md", "mask.txt", "root", "default-target.txt",
    }  # fmt: skip
