"""Lines, seen from the other side: the register of the chip, or the kernel's own simulator."""

from __future__ import annotations

from typing import Any, Final

import pytest

from leyden_hil.appliance import Appliance
from leyden_hil.plugin import Measure
from leyden_hil.rig import Rig

# BCM2835 ARM peripherals, section 6.1; QEMU's raspi3b has them at 0x3f200000.
GPFSEL1: Final = 0x3F200004  # three bits a line, lines 10 to 19
GPLEV0: Final = 0x3F200034  # the level of lines 0 to 31
LINE: Final = 17
INPUT, OUTPUT = 0, 1

SIMULATED = """
[appliance]
name = "lines"

[device.machine]
driver = "host"
every = "1 s"

[bus.header]
kind = "gpio"
chip = "rig-sim"

[device.door]
driver = "gpio"
bus = "header"
every = "200 ms"

[device.door.lines.closed]
line = 5
mode = "input"

[device.door.lines.pulses]
line = 6
mode = "counter"
edge = "rising"

[device.vent]
driver = "gpio"
bus = "header"
every = "500 ms"
lines = { state = { line = 7, mode = "output", safe = false } }
"""
# The kernel's simulator: a chip whose lines are files (Linux documentation, "Configfs GPIO
# Simulator").
CHIP = """
modprobe gpio-sim && mountpoint -q /sys/kernel/config || mount -t configfs c /sys/kernel/config
d=/sys/kernel/config/gpio-sim/rig
mkdir -p $d/bank && echo 16 > $d/bank/num_lines && echo rig-sim > $d/bank/label && echo 1 > $d/live
echo /sys/devices/platform/$(cat $d/dev_name)/$(cat $d/bank/chip_name)
"""


def _function(appliance: Appliance) -> int:
    return appliance.life.monitor.word(GPFSEL1) >> 3 * (LINE - 10) & 7


def _level(appliance: Appliance) -> int:
    return appliance.life.monitor.word(GPLEV0) >> LINE & 1


def _write(appliance: Appliance, route: str, value: bool, key: str) -> None:
    answer = appliance.panel.ask("device.write", {"route": route, "value": value}, key)
    assert answer["outcome"] == "done", answer


@pytest.mark.lg_feature("gpio-registers")
def test_an_output_is_seen_at_the_chip_and_let_go_when_its_owner_is_killed(
    appliance: Appliance, measure: Measure
) -> None:
    appliance.until(lambda: _function(appliance) == OUTPUT, 60, "the line is an output")
    for turn, value in enumerate((True, False, True)):
        _write(appliance, "relay.state", value, f"turn-{turn}")
        took = appliance.until(lambda v=value: _level(appliance) == v, 5, f"the line is {value}")  # type: ignore[misc]
        measure(f"written {value} to the line", took, "s")
    pid = appliance.pid("leyden-runtime.service")
    appliance.shell.ask(f"kill -KILL {pid}")
    # It is started again a second later, and takes some more to hold its lines.
    let_go = appliance.until(lambda: _function(appliance) == INPUT, 10, "the line is an input")
    measure("let go after SIGKILL", let_go, "s")
    appliance.until(lambda: _function(appliance) == OUTPUT, 90, "the line is held again")
    assert _level(appliance) == 0, "an output came back on after a crash"


@pytest.mark.full
@pytest.mark.lg_feature("gpio-sim")
def test_edges_are_counted_by_the_kernel_and_levels_follow(
    fresh: Any, rig: Rig, measure: Measure
) -> None:
    with fresh(preseed=rig.preseed(appliance=SIMULATED)) as box:
        chip = box.shell.ask(CHIP)
        box.until(
            lambda: box.panel.latest("door.closed")["quality"] == "good", 60, "the lines are there"
        )
        pull = f"{chip}/sim_gpio%d/pull"
        for value in (True, False, True):
            word = "pull-up" if value else "pull-down"
            box.shell.ask(f"echo {word} > {pull % 5}")
            same = lambda v=value: box.panel.latest("door.closed")["value"] is v  # noqa: E731
            measure(f"level {value} seen", box.until(same, 10, f"the door is {value}"), "s", "<= 3")
        edges = 200
        before = box.panel.latest("door.pulses")["value"]
        once = f"echo pull-up > {pull % 6}; echo pull-down > {pull % 6}"
        box.shell.ask(f"i=0; while [ $i -lt {edges} ]; do {once}; i=$((i+1)); done")
        box.until(
            lambda: box.panel.latest("door.pulses")["value"] >= before + edges, 10, "all counted"
        )
        measure(
            "edges counted", box.panel.latest("door.pulses")["value"] - before, "", f"== {edges}"
        )
        _write(box, "vent.state", True, "open")
        assert box.shell.ask(f"cat {chip}/sim_gpio7/value") == "1"
        box.shell.ask("systemctl stop leyden-runtime.service", limit_s=60)
        assert box.shell.ask(f"cat {chip}/sim_gpio7/value") == "0", "not safe after a stop"
