"""A board without a clock wakes up at no sensible time; what it logs is dated right later."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from leyden_hil.plugin import Measure
from leyden_hil.starting import Conditions

pytestmark = [pytest.mark.full, pytest.mark.lg_feature(["emulated", "direct"])]
EPOCH = "1970-01-01T00:00:00"


def _seconds(time: str) -> float:
    return datetime.datetime.fromisoformat(time).timestamp()


def test_a_board_that_wakes_in_1970_is_at_its_build_time_and_its_log_is_dated_when_it_knows(
    fresh: Any, measure: Measure
) -> None:
    with fresh(conditions=Conditions(clock=EPOCH)) as box:
        floor = float(box.shell.ask("stat -c %Y /usr/lib/clock-epoch"))
        now = float(box.shell.ask("date +%s"))
        measure("clock behind the build", floor - now, "s", "<= 0")
        assert now < floor + 3600, "the clock was set by something that is not there"
        assert box.panel.data("/api/v1/identity")
        before = box.panel.events(0)
        early = next(event for event in before if event.get("route", "").startswith("runtime."))

        true = datetime.datetime(2031, 5, 4, 12, tzinfo=datetime.UTC)
        uptime = float(box.shell.ask("cat /proc/uptime").split()[0])
        box.shell.ask(f"date -s @{true.timestamp():.0f}")
        box.panel.hang_up()
        box.until(
            lambda: _dated(box, early["n"]) > true.timestamp() - 86_400,
            60,
            "what was logged before is dated by the new time",
        )
        expected = true.timestamp() - uptime + early["mono"] / 1e9
        measure("error of an earlier event's time", _dated(box, early["n"]) - expected, "s", "<= 5")

        def renewed() -> bool:
            said = box.shell.ask("cat /data/leyden/identity/certificate.json")
            until = said.partition('"not_after":')[2].strip().strip('"')[:19]
            return _seconds(f"{until}+00:00") > true.timestamp()

        box.until(renewed, 120, "the certificate is valid at the new time")
        box.new_panel().wait(60)


def _dated(box: Any, number: int) -> float:
    event = next(row for row in box.panel.events(number - 1) if row.get("n") == number)
    return _seconds(event["time"].replace("Z", "+00:00"))
