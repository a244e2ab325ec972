"""A machine that hangs or panics starts anew by itself."""

from __future__ import annotations

from typing import Any

import pytest

from leyden_hil.plugin import Measure

pytestmark = pytest.mark.lg_feature("emulated")


@pytest.mark.full
def test_a_kernel_panic_ends_in_a_restart(fresh: Any, measure: Measure) -> None:
    with fresh() as box:
        number = box.machine.lives
        began = box.life.elapsed()
        life = box.life
        box.shell.leave("echo 1 > /proc/sys/kernel/sysrq; echo c > /proc/sysrq-trigger")
        reason = box.machine.wait_for_end(number, 60)
        assert reason == "guest-reset"
        measure("panic to reset", life.elapsed() - began, "s", "<= 30")
        box.wait_reboot(number)
        measure("panic to panel", box.machine.lives - number, "restarts", "== 1")


@pytest.mark.full
@pytest.mark.lg_feature("watchdog")
def test_a_hanging_init_is_ended_by_the_hardware_watchdog(fresh: Any, measure: Measure) -> None:
    with fresh() as box:
        number, life = box.machine.lives, box.life
        armed = box.shell.ask("systemctl show -p RuntimeWatchdogUSec --value")
        assert armed not in ("0", "infinity")
        began = life.elapsed()
        # A frozen control group stops its processes as no signal can stop PID 1.
        box.shell.ask("echo 1 > /sys/fs/cgroup/init.scope/cgroup.freeze")
        assert box.machine.wait_for_end(number, 180) is not None
        assert life.monitor.events("WATCHDOG"), "a reset, but not by the watchdog"
        measure("hang to reset", life.elapsed() - began, "s", "<= 120")
        box.wait_reboot(number)
