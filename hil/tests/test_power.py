"""The power goes at any moment: it boots every time, and what was acknowledged is there."""

from __future__ import annotations

import random
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from leyden_hil.appliance import Appliance
from leyden_hil.cuts import Cut, cut
from leyden_hil.lab import State
from leyden_hil.plugin import Measure

pytestmark = pytest.mark.lg_feature(["boot-loader", "fast-card"])

FEW, MANY = 10, 50
BOOT_S: Final = 40.0  # about as long as a start takes: the moments are drawn from it
WORK_S: Final = 15.0  # of work, at most, before the power goes
SYNC_S: Final = 1.5  # samples that are older are on the card: a second, and what a loaded host adds


class Ledger:
    """What the appliance acknowledged, to be held against what it knows afterwards."""

    def __init__(self) -> None:
        self.commands: dict[int, str] = {}  # number: key
        self.heads: list[tuple[float, int]] = []  # when, newest number

    def work(self, box: Appliance, seconds: float) -> None:
        """Ask for things and look at numbers for a while."""
        until = time.monotonic() + seconds
        turn = 0
        while time.monotonic() < until:
            turn += 1
            key = f"cut-{len(self.commands)}-{turn}"
            said = box.panel.ask("device.write", {"route": "nobody.there", "value": True}, key)
            self.commands[said["n"]] = key
            newest = box.panel.data("/api/v1/latest")
            self.heads.append((time.monotonic(), max(row["n"] for row in newest["latest"])))

    def safe_head(self, cut_at: float) -> int:
        """Return the newest number that has to have survived a cut at that time."""
        return max((n for at, n in self.heads if at <= cut_at - SYNC_S), default=0)

    def check(self, box: Appliance, cut_at: float) -> None:
        """Hold the log against what was acknowledged.

        Raises:
            AssertionError: something is missing.
        """
        events = box.panel.events(0)
        numbers = {event["n"] for event in events if "n" in event}
        lost = [number for number in self.commands if number not in numbers]
        assert lost == [], f"acknowledged commands that are gone: {lost}"
        head = self.safe_head(cut_at)
        gaps = [event["gap"] for event in events if "gap" in event]
        missing = [gap for gap in gaps if gap["first"] <= head and gap["reason"] != "filtered"]
        assert missing == [], f"numbers up to {head} were safe; missing: {missing}"


def test_the_power_goes_again_and_again(
    request: pytest.FixtureRequest, fresh: Any, measure: Measure, artefacts: Path
) -> None:
    count = MANY if request.config.option.full else FEW
    chance = random.Random(f"{count} cuts")  # noqa: S311  # moments, no secrets
    ledger, lines = Ledger(), []
    first_boots = max(2, count // 5)  # of these the very first start of a card is cut
    with fresh(state=State.OFF) as box:
        pristine = artefacts / "pristine.img"
        _copy(box.card.path, pristine)
        for number in range(count):
            if number < first_boots:
                _copy(pristine, box.card.path)
                ledger = Ledger()
            booting = number < first_boots or number % 2 == 0
            at, facts = _live_and_cut(box, ledger, chance, artefacts, booting=booting)
            lines.append(f"{number}: {'booting' if booting else 'working'}, {facts}")
            box.starter.conditions = replace(box.starter.conditions, journal=None)
            if booting and number >= first_boots and number % 4:
                continue  # cut again before anybody has looked: two cuts in a row
            box.on()
            ledger.check(box, at)
            assert box.system()["running"] == "A"
            box.cut()
        pristine.unlink()
        (artefacts / "cuts.txt").write_text("\n".join(lines) + "\n")
        box.on()
        notes = [note for note in box.notes() if note["level"] == "error"]
        assert notes == []
    measure("power cuts", count, "")
    measure("acknowledged commands still there", len(ledger.commands), "", ">= 1")


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)


def _live_and_cut(
    box: Appliance, ledger: Ledger, chance: random.Random, folder: Path, *, booting: bool
) -> tuple[float, Cut]:
    """Live for a while, cut the power, and leave the card as it is then; return when."""
    before, journal, after = (folder / name for name in ("before", "journal", "after"))
    _copy(box.card.path, before)
    journal.unlink(missing_ok=True)
    journal.touch()
    box.starter.conditions = replace(box.starter.conditions, journal=journal)
    box.machine.on()
    if booting:
        box.machine.wait_for_end(box.machine.lives, chance.uniform(0.5, BOOT_S))
    else:
        box.wait()
        ledger.work(box, chance.uniform(1.0, WORK_S))
    at = time.monotonic()
    box.cut()
    facts = cut(before, journal, after, chance)
    shutil.move(after, box.card.path)
    before.unlink()
    journal.unlink()
    return at, facts
