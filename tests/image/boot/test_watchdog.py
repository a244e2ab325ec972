"""The watchdog of the initrd: petted while a stage is within its time, handed over alive."""

from __future__ import annotations

from pathlib import Path

import pytest
from image.boot.shells import output_of, run_shell

# /proc/uptime is not ours to move, so the limit is what moves. One `sleep` is one pet.
STAND_INS = """
WATCHDOG_DEVICE=$PWD/watchdog
sleep() {
	echo "slept $1" >> calls
	[ "$(wc -l < calls)" -lt 3 ] || alive_for -100
	[ "$1" -lt 60 ] || exit 7
}
"""


def test_it_is_petted_until_the_stages_time_is_over_and_then_held_open(
    shell: str, tmp_path: Path
) -> None:
    script = f"{STAND_INS}alive_for 100\nwatchdog_pet"
    done = run_shell(shell, script, "watchdog", folder=tmp_path)
    assert done.returncode == 7, "it never ends by itself: that would close the watchdog"
    assert (tmp_path / "calls").read_text() == "slept 3\n" * 3 + "slept 60\n"
    assert (tmp_path / "watchdog").read_bytes() == b"...", "and never says the farewell, V"


@pytest.mark.parametrize("wanted", ["yes", "no"])
def test_without_a_watchdog_or_without_the_wish_nothing_is_armed(
    shell: str, tmp_path: Path, wanted: str
) -> None:
    script = f"WATCHDOG={wanted}\nwatchdog_arm\nwatchdog_hand_over\necho $WATCHDOG_ARMED"
    environment = {"WATCHDOG_DEVICE": "/nowhere" if wanted == "yes" else "/dev/null"}
    said = output_of(shell, script, "watchdog", folder=tmp_path, environment=environment)
    assert said == "false\n"


def test_at_the_hand_over_the_petting_ends_and_the_console_is_as_it_was(
    shell: str, tmp_path: Path
) -> None:
    (tmp_path / "printk").write_text("4\t4\t1\t7\n")
    script = """
        WATCHDOG=yes
        watchdog_arm
        pid=$WATCHDOG_PID
        watchdog_hand_over
        kill -0 $pid 2> /dev/null && echo "still there"
        echo $WATCHDOG_ARMED
    """
    environment = {
        "WATCHDOG_DEVICE": "/dev/null",  # a character device that takes everything
        "CONSOLE_LEVEL": str(tmp_path / "printk"),
    }
    said = output_of(shell, script, "watchdog", folder=tmp_path, environment=environment)
    assert said == "true\n"
    assert (tmp_path / "printk").read_text() == "4\n"
    assert not (tmp_path / "records" / "alive-until").exists()
