"""Whatever is killed comes back by itself, and what was lost is told."""

from __future__ import annotations

import pytest

from leyden_hil.appliance import Appliance
from leyden_hil.errors import TargetError
from leyden_hil.plugin import Measure

# What ends with its session, or is asked for by it, has no life of its own to come back to.
_NOT_KEPT = ("user@", "user-runtime-dir@", "session-", "debug-shell", "emergency", "rescue")
BACK_S = 60.0


def _services(appliance: Appliance) -> list[str]:
    said = appliance.shell.ask(
        "systemctl list-units --type=service --state=running --plain --no-legend"
    )
    names = [line.split()[0] for line in said.splitlines()]
    return [name for name in names if not name.startswith(_NOT_KEPT)]


def _kill_and_wait(appliance: Appliance, unit: str, signal: str = "KILL") -> float:
    pid = appliance.pid(unit)
    appliance.shell.ask(f"kill -{signal} {pid}")

    def back() -> bool:
        shown = appliance.show(unit, "MainPID", "ActiveState", "SubState")
        return shown["MainPID"] not in ("0", str(pid)) and shown["ActiveState"] == "active"

    return appliance.until(back, BACK_S, f"{unit} runs again after SIG{signal}")


@pytest.mark.full
def test_every_service_that_is_killed_runs_again(appliance: Appliance, measure: Measure) -> None:
    services = _services(appliance)
    assert {"leyden-runtime.service", "leyden-panel.service"} <= set(services)
    for unit in services:
        measure(f"{unit} back", _kill_and_wait(appliance, unit), "s", f"<= {BACK_S:g}")
    appliance.new_panel().wait(60)
    failed = appliance.shell.ask("systemctl --failed --plain --no-legend")
    assert failed == ""


def test_a_killed_runtime_leaves_a_gap_that_says_so_and_the_panel_stays(
    appliance: Appliance, measure: Measure
) -> None:
    before = appliance.panel.events(0, "runtime.")[-1]["n"]
    panel = appliance.pid("leyden-panel.service")
    took = _kill_and_wait(appliance, "leyden-runtime.service")
    measure("runtime back", took, "s", "<= 30")
    booted = lambda: any(  # noqa: E731  # the question, asked until it is so
        event.get("route") == "runtime.booted" and event["n"] > before
        for event in appliance.panel.events(before, "runtime.")
    )
    measure("samples again", appliance.until(booted, 60, "runtime.booted in the log"), "s")
    assert appliance.pid("leyden-panel.service") == panel
    assert any("gap" in event for event in appliance.panel.events(before)), "no gap was told"


@pytest.mark.parametrize(
    "unit",
    ["leyden-runtime.service", pytest.param("leyden-panel.service", marks=pytest.mark.full)],
)
def test_one_that_hangs_is_seen_by_its_watchdog(
    appliance: Appliance, measure: Measure, unit: str
) -> None:
    limit = float(appliance.show(unit, "WatchdogUSec")["WatchdogUSec"].removesuffix("s"))
    assert limit <= 60
    pids = appliance.shell.ask(f"cat /sys/fs/cgroup/system.slice/{unit}/cgroup.procs").split()
    main = appliance.pid(unit)
    appliance.shell.ask(f"kill -STOP {' '.join(pids)}")
    back = appliance.until(lambda: appliance.pid(unit) not in (0, main), limit + 60, f"{unit} anew")
    measure("back after a hang", back, "s", f"<= {limit + 45:g}")
    appliance.new_panel().wait(60)


def test_an_exploit_in_the_panel_has_no_way_out(appliance: Appliance) -> None:
    """What the panel's own user can reach from inside its unit."""
    panel = appliance.pid("leyden-panel.service")
    inside = f"nsenter -t {panel} -m -- setpriv --reuid leyden-panel --regid leyden-panel"
    for path in ("/data/leyden/identity/ca.key", "/data/system/settings.json", "/dev/mem"):
        said = appliance.shell.run(f"{inside} --clear-groups cat {path}")
        assert said.code != 0, path
    with pytest.raises(TargetError):
        appliance.shell.ask(f"{inside} --clear-groups sh -c 'echo x > /usr/lib/leyden/x'")
