"""No slot can be started: a page from memory says which, why, and what to do."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from leyden_hil.card import SLOT_A, SLOT_B, Card
from leyden_hil.errors import TargetError
from leyden_hil.lab import State
from leyden_hil.plugin import Measure

pytestmark = [pytest.mark.full, pytest.mark.lg_feature(["boot-loader", "fast-card"])]

RECOVERY_S = 240.0


def _ruin(card: Card) -> None:
    """Leave neither slot a file system."""
    for number in (SLOT_A, SLOT_B):
        span = card.span(number)
        card.erase(span.offset, 8 << 20)


def _page(box: Any) -> str:
    panel = box.new_panel()
    until = time.monotonic() + RECOVERY_S
    while time.monotonic() < until:
        try:
            answer = panel.plain("/")
        except TargetError:
            continue
        if answer.status == 200:
            return str(answer.body.decode())
    raise TargetError(f"no recovery page after {RECOVERY_S:.0f} s: {box.life.console.tail()}")


def test_both_slots_ruined_is_said_on_a_page_and_on_the_console(
    fresh: Any, measure: Measure, artefacts: Any
) -> None:
    with fresh(change=_ruin, state=State.BOOT) as box:
        page = _page(box)
        measure("power-on to the page", box.life.elapsed(), "s", "<= 120")
        (artefacts / "page.html").write_text(page)
        text = re.sub(r"<[^>]*>", " ", page)
        for word in ("A", "B", "try"):
            assert re.search(rf"\b{word}\b", text, re.IGNORECASE), text
        assert len(text.split()) > 30
        box.life.console.wait_for("(?i)recovery", 10)
        environment = box.card.environment()
        assert environment is not None
        assert {environment["BOOT_A_LEFT"], environment["BOOT_B_LEFT"]} == {"3"}


def test_a_lost_boot_environment_falls_back_to_its_copy_and_then_to_defaults(fresh: Any) -> None:
    def lose_first(card: Card) -> None:
        card.erase(1 << 20, 0x2000)

    def lose_both(card: Card) -> None:
        lose_first(card)
        card.erase(3 << 19, 0x2000)

    for change, words in ((lose_first, "backup"), (lose_both, "defaults")):
        with fresh(change=change) as box:
            assert words in box.shell.ask("cat /proc/cmdline") + box.life.console.text()
            assert box.system()["running"] == "A"
            environment = box.card.environment()
            assert environment is not None
            assert environment["BOOT_A_LEFT"] == "3"
