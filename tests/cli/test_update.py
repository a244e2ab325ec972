"""`leyden update`: what a person reads, what a program reads, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from appliance.update.machine import Contents, Machine
from cli.conftest import Call

from leyden.appliance import mark_good
from leyden.appliance.update.card import Card
from leyden.cli import update

NEW = Contents("0.2.0")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path / "machine")
    made.power_on()
    monkeypatch.setattr(update, "this_card", lambda: made.card)
    monkeypatch.setattr(update, "installer", lambda: made.rauc)
    monkeypatch.setattr(update, "vitals", lambda _: made.vitals)
    monkeypatch.setattr(update, "SystemClock", lambda: made.clock)
    return made


def bundle(machine: Machine, contents: Contents = NEW) -> Path:
    path = machine.root / "leyden-0.2.0-arm64.raucb"
    path.write_bytes(contents.image())
    return path


def test_an_update_is_installed_with_words_at_each_step(machine: Machine, leyden: Call) -> None:
    result = leyden("update", "install", bundle(machine))
    assert result.code == 0
    assert result.out == (
        "0.2.0 is installed in slot B and is tried at the next start: systemctl reboot\n"
        "It is committed after two healthy starts; otherwise the machine goes back to 0.1.0 in "
        "slot A by itself.\n"
    )
    steps = result.err.splitlines()
    assert steps[0] == "checking the signature"
    assert "writing slot B: 50 %" in steps
    assert steps[-1] == "reading slot B back: 100 %"
    assert len(steps) < 15  # a file that records it does not need each percent
    assert machine.power_on() == "B"


def test_a_program_gets_one_object(machine: Machine, leyden: Call) -> None:
    result = leyden("update", "install", bundle(machine), "--json")
    assert result.err == ""
    assert result.json == {
        "outcome": "installed",
        "slot": "B",
        "version": "0.2.0",
        "from_version": "0.1.0",
        "detail": "",
    }


def test_a_dry_run_says_that_nothing_was_changed(machine: Machine, leyden: Call) -> None:
    result = leyden("update", "install", bundle(machine), "--dry-run")
    assert (result.code, machine.whats()) == (0, ["committed"])
    assert result.out == (
        "0.2.0 can be installed: slot B would hold it, 0.1.0 stays in slot A; nothing was changed\n"
    )


def test_the_machine_is_restarted_when_asked_to(
    machine: Machine, leyden: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    restarts: list[None] = []
    monkeypatch.setattr(mark_good, "restart", lambda: restarts.append(None))
    leyden("update", "install", bundle(machine), "--reboot", "--dry-run")
    assert restarts == []
    leyden("update", "install", bundle(machine), "--reboot")
    assert restarts == [None]


def test_a_refusal_has_an_exit_code_and_a_line_of_its_own(machine: Machine, leyden: Call) -> None:
    old = bundle(machine, Contents("0.0.9"))
    result = leyden("update", "install", old)
    assert (result.code, result.out) == (update.EXIT_REFUSED, "")
    assert result.err.splitlines()[-1] == (
        "leyden update: refused (older): the update is 0.0.9, older than the 0.1.0 that runs; "
        "to go back all the same: --force"
    )
    result = leyden("update", "install", old, "--json")
    assert (result.code, result.json["outcome"], result.json["code"]) == (3, "refused", "older")
    assert leyden("update", "install", old, "--force").code == 0


def test_no_second_update_while_one_is_on_trial(machine: Machine, leyden: Call) -> None:
    leyden("update", "install", bundle(machine))
    machine.start_once()
    result = leyden("update", "install", bundle(machine))
    assert result.code == update.EXIT_NOT_NOW
    assert "not-now (trial-runs): 0.2.0 in slot B is on trial" in result.err


def test_a_failure_ends_with_one(machine: Machine, leyden: Call) -> None:
    result = leyden("update", "install", "/nowhere/x.raucb")
    assert result.code == 1
    assert "failed (no-file): /nowhere/x.raucb is no file" in result.err


def test_the_slots_are_shown_as_a_table(machine: Machine, leyden: Call) -> None:
    assert leyden("update", "status").lines == [
        "slot  state    version  starts  notes",
        "A     running  0.1.0    3       starts next",
        "B     empty    -        0",
        "committed: slot A; running: slot A",
    ]
    leyden("update", "install", bundle(machine))
    assert leyden("update", "status").lines == [
        "slot  state    version  starts  notes",
        "A     running  0.1.0    3",
        "B     staged   0.2.0    3       starts next; 0.2.0 is installed and is tried at the next "
        "start",
        "committed: slot A; running: slot A",
        "update: 0.2.0 is installed and is tried at the next start",
    ]


def test_the_slots_are_told_to_programs(machine: Machine, leyden: Call) -> None:
    leyden("update", "install", bundle(machine, Contents("0.2.0", "sick")))
    machine.power_on()
    told = leyden("update", "status", "--json").json
    assert (told["running"], told["committed"], told["staged"]) == ("A", "A", None)
    assert told["release"]["version"] == "0.1.0"
    bad = told["slots"][1]
    assert (bad["name"], bad["state"], bad["boot"]) == ("B", "bad", False)
    assert "it is sick on purpose" in bad["detail"]


def test_who_may_not_read_the_card_sees_what_was_left_for_all(
    machine: Machine, leyden: Call
) -> None:
    shown = leyden("update", "status").out
    machine.card.disk.unlink()
    assert leyden("update", "status").out == shown
    (machine.card.run / "status.json").unlink()
    result = leyden("update", "status")
    assert result.code == 1
    assert "cannot be read by this user" in result.err


def test_the_history_says_what_became_of_every_update(machine: Machine, leyden: Call) -> None:
    leyden("update", "install", bundle(machine, Contents("0.2.0", "panics")))
    machine.power_on()
    first, installed, back = leyden("update", "history").lines
    assert "committed    A  0.1.0  the first start of this card" in first
    assert "installed    B  0.2.0  is tried at the next start" in installed
    assert "rolled-back  B  0.2.0  the kernel of slot B never reached user space" in back
    rows = [json.loads(line) for line in leyden("update", "history", "--json").lines]
    assert [row["what"] for row in rows] == ["committed", "installed", "rolled-back"]
    assert rows[-1]["code"] == "kernel"


def test_a_card_without_updates_says_so(machine: Machine, leyden: Call) -> None:
    (machine.card.updates / "history.jsonl").unlink()
    assert leyden("update", "history").out == "no update was ever installed here\n"


def test_a_time_that_nobody_vouches_for_is_marked(machine: Machine, leyden: Call) -> None:
    assert leyden("update", "history").out.startswith(" 2026-01-01T00:00:00")
    machine.clock.set_wall(0, synchronised=False)
    leyden("update", "install", bundle(machine))
    assert leyden("update", "history").lines[-1].startswith("~1970-01-01T00:00:00")


def test_a_slot_on_trial_is_committed_by_hand_when_it_is_healthy(
    machine: Machine, leyden: Call
) -> None:
    assert leyden("update", "mark-good").out == "slot A is committed already\n"
    leyden("update", "install", bundle(machine))
    machine.start_once()
    machine.vitals.healthy = False
    result = leyden("update", "mark-good")
    assert result.code == 1
    assert "failed (panel): slot B is not healthy: the panel does not answer" in result.err
    machine.vitals.healthy = True
    assert leyden("update", "mark-good", "--json").json == {"outcome": "slot B is committed"}
    assert (machine.whats()[-1], machine.history()[-1].detail) == ("committed", "by hand")
    assert machine.variables().order == ("B", "A")


def test_a_person_may_commit_unseen(machine: Machine, leyden: Call) -> None:
    leyden("update", "install", bundle(machine))
    machine.start_once()
    machine.vitals.healthy = False
    assert leyden("update", "mark-good", "--force").code == 0
    assert machine.history()[-1].detail == "by hand, unseen"


@pytest.mark.parametrize("action", ["status", "history", "mark-good", "install x.raucb"])
def test_a_laptop_is_told_that_it_has_no_slots(
    action: str, leyden: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(update, "this_card", lambda: Card(tmp_path))
    result = leyden("update", *action.split())
    assert (result.code, result.out) == (1, "")
    assert "(no-card): this machine does not run from a Leyden card" in result.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("action", ["", "install", "status", "history", "mark-good"])
def test_help_has_examples(action: str, leyden: Call) -> None:
    result = leyden("update", *action.split(), "--help")
    assert result.code == 0
    assert "examples:\n  leyden update" in result.out


def test_a_terminal_gets_a_bar() -> None:
    assert update._bar(0.5) == "█" * 15 + "░" * 15 + "  50%"
    assert update._bar(1.0).endswith("100%")
