"""The card boots clean: nothing fails, nothing waits, nothing is written where nothing may be."""

from __future__ import annotations

import pytest

from leyden_hil.appliance import LOG, Appliance
from leyden_hil.plugin import Measure

_FIRST_SAMPLE = f"""
import json
from pathlib import Path

first = None
for path in sorted(Path("{LOG}").glob("*.jsonl*")):
    for line in path.read_text().splitlines():
        row = json.loads(line)
        if isinstance(row.get("k"), int):
            first = min(first or row["m"], row["m"])
print(json.dumps(first and first / 1e6))
"""


def first_sample_s(appliance: Appliance) -> float:
    """Return when the first sample of this (first) boot was taken, on the machine's own clock."""
    found = appliance.python(_FIRST_SAMPLE)
    assert found is not None, "no sample in the log"
    return float(found)


def started_s(appliance: Appliance, unit: str) -> float:
    """Return when a unit's main process was started, on the machine's own clock."""
    shown = appliance.show(unit, "ExecMainStartTimestampMonotonic")
    return int(shown["ExecMainStartTimestampMonotonic"]) / 1e6


def test_no_unit_failed(appliance: Appliance) -> None:
    state = appliance.shell.run("systemctl is-system-running --wait", limit_s=180).out.strip()
    failed = appliance.shell.ask("systemctl --failed --plain --no-legend")
    assert failed == ""
    assert state == "running"


def test_no_ordering_cycle(appliance: Appliance) -> None:
    found = appliance.shell.run("journalctl -b --no-pager | grep -i 'ordering cycle'").out
    assert found == ""


def test_nothing_of_ours_complains_in_the_journal(appliance: Appliance) -> None:
    """Warnings of the kernel about emulated hardware are not ours; those of units are."""
    found = appliance.shell.ask("journalctl -b -p warning --no-pager -o short-monotonic _PID=1")
    assert [line for line in found.splitlines() if "No entries" not in line] == []


def test_kernel_is_not_tainted(appliance: Appliance) -> None:
    assert appliance.shell.ask("cat /proc/sys/kernel/tainted") == "0"


def test_slots_and_boot_partition_are_mounted_read_only(appliance: Appliance) -> None:
    rows = appliance.shell.ask("findmnt -rn -o TARGET,SOURCE,FSTYPE,OPTIONS").splitlines()
    disks = [row.split() for row in rows if row.split()[1].startswith("/dev/")]
    writable = [row[0] for row in disks if "rw" in row[3].split(",")]
    assert writable == ["/data"]
    loops = appliance.shell.ask("losetup -n -O BACK-FILE,RO").splitlines()
    assert [row.split()[-1] for row in loops if "root.squashfs" in row] == ["1"]
    root = next(row for row in rows if row.split()[0] == "/").split()
    assert root[2] == "overlay"


@pytest.mark.lg_feature("card")
def test_slots_are_as_they_were_flashed(appliance: Appliance, measure: Measure) -> None:
    """Sectors that this boot wrote to each slot, as the kernel counts them."""
    for number, name in ((2, "slot A"), (3, "slot B")):
        command = f"cat /sys/class/block/*/uevent | grep -c PARTN={number}"
        assert int(appliance.shell.ask(command)) >= 1
        stat = (
            "for d in /sys/class/block/*; do grep -qs '^PARTN=%d$' $d/uevent && cat $d/stat; done"
        )
        written = int(appliance.shell.ask(stat % number + "; true").split()[6])
        measure(f"sectors written to {name}", written, "", "== 0")


def test_nothing_is_ordered_after_the_network(appliance: Appliance) -> None:
    rows = appliance.shell.ask("systemctl show '*' --state=active,activating -p Id,After")
    blocks = [block.splitlines() for block in rows.split("\n\n")]
    units = {lines[0].removeprefix("Id="): lines[1] for lines in blocks if len(lines) > 1}
    late = [unit for unit, after in units.items() if "network-online.target" in after]
    assert late == []


def test_samples_are_taken_before_the_panel_is_started(
    appliance: Appliance, measure: Measure
) -> None:
    sample, panel = first_sample_s(appliance), started_s(appliance, "leyden-panel.service")
    measure("first sample", sample, "s")
    measure("panel's process", panel, "s")
    measure("panel after first sample", panel - sample, "s", "> 0")


def test_memory_of_each_process(appliance: Appliance, measure: Measure) -> None:
    """The runtime stays within its budget; the others are for the record."""
    for unit, limit in (("leyden-runtime", "<= 45"), ("leyden-panel", "")):
        pid = appliance.pid(f"{unit}.service")
        of_unit = f"cat /sys/fs/cgroup/system.slice/{unit}.service/cgroup.procs"
        pids = [int(each) for each in appliance.shell.ask(of_unit).split()]
        assert pid in pids
        kb = sum(int(_status(appliance, each, "VmRSS")) for each in pids)
        measure(f"{unit} RSS, {len(pids)} processes", kb / 1024, "MB", limit)


def _status(appliance: Appliance, pid: int, key: str) -> str:
    return appliance.shell.ask(f"grep {key}: /proc/{pid}/status").split()[1]


@pytest.mark.parametrize("unit", ["leyden-runtime.service", "leyden-panel.service"])
def test_units_are_hardened(appliance: Appliance, measure: Measure, unit: str) -> None:
    said = appliance.shell.ask(f"systemd-analyze security --no-pager {unit}", limit_s=120)
    level = next(line for line in said.splitlines() if "Overall exposure level" in line)
    measure(f"exposure of {unit}", float(level.rpartition(": ")[2].split()[0]), "", "<= 2.0")


def test_the_runtime_has_no_network_and_the_panel_no_hardware(appliance: Appliance) -> None:
    runtime, panel = (appliance.pid(f"leyden-{each}.service") for each in ("runtime", "panel"))
    assert appliance.shell.ask(f"readlink /proc/{runtime}/ns/net") != appliance.shell.ask(
        "readlink /proc/1/ns/net"
    )
    seen = appliance.shell.ask(f"nsenter -t {panel} -m -- ls /dev").split()
    buses = ("gpiochip", "i2c-", "spidev", "ttyAMA", "ttyS", "ttyUSB", "vd", "mmcblk", "mem")
    assert [name for name in seen if name.startswith(buses)] == []
