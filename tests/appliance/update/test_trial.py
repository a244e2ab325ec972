"""What becomes of an update: tried twice, committed, or given up with a reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from appliance.update.machine import Contents, Machine

from leyden.appliance.update.environment import ENVIRONMENT_BYTES, Environment, decode
from leyden.appliance.update.errors import NotNowError, UpdateError
from leyden.appliance.update.slots import NAMES
from leyden.storage.raw import RawArea

NEW = "0.2.0"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    assert made.power_on() == "A"
    return made


def test_a_fresh_card_commits_the_slot_it_starts_from(machine: Machine) -> None:
    record = machine.ledger().record
    assert (record.committed, record.trial) == ("A", None)
    assert machine.whats() == ["committed"]
    assert machine.variables().order == ("A",)  # slot B is empty
    assert machine.variables().tries("A") == 3


def test_an_update_is_tried_healthy_twice_and_then_committed(machine: Machine) -> None:
    outcome = machine.install(Contents(NEW))
    assert (outcome.outcome, outcome.slot, outcome.version) == ("installed", "B", NEW)
    assert machine.variables().order == ("B", "A")
    assert machine.power_on() == "B"
    record = machine.ledger().record
    assert (record.committed, record.trial) == ("B", None)
    assert machine.whats()[1:] == ["installed", "trying", "healthy", "trying", "committed"]
    assert machine.history()[-1].from_version == "0.1.0"
    variables = machine.variables()
    assert variables.order == ("B", "A")  # the old slot stays as a way back
    assert [variables.tries(slot) for slot in NAMES] == [3, 3]


def test_two_starts_are_two_starts_of_the_machine_not_of_the_check(machine: Machine) -> None:
    machine.install(Contents(NEW))
    assert machine.start_once() is None  # healthy, and asks for a restart
    assert machine.ledger().record.trial is not None
    assert machine.whats()[-1] == "healthy"


@pytest.mark.parametrize(
    ("does", "code", "words"),
    [
        ("panics", "kernel", "never reached user space in 3 starts: panic or hang"),
        ("sick", "panel", "the panel does not answer on http://192.0.2.7: it is sick on purpose"),
        ("sick-later", "panel", "the panel does not answer"),
        ("dies", "ended-early", "reached user space in 3 starts and ended each time"),
        ("broken", "loader", "could not load slot B: its /vmlinuz.gz is damaged"),
    ],
)
def test_an_update_that_fails_is_taken_back_with_its_reason(
    machine: Machine, does: str, code: str, words: str
) -> None:
    machine.install(Contents(NEW, does))
    assert machine.power_on() == "A"
    record, last = machine.ledger().record, machine.history()[-1]
    assert (record.committed, record.trial) == ("A", None)
    assert (last.what, last.slot, last.version, last.code) == ("rolled-back", "B", NEW, code)
    assert words in last.reason
    assert words in record.facts("B").detail
    assert machine.variables().order == ("A",)
    assert machine.recoveries == 0


def test_what_is_known_to_be_sick_is_not_started_again(machine: Machine) -> None:
    machine.install(Contents(NEW, "sick"))
    machine.power_on()
    assert machine.whats()[1:] == ["installed", "trying", "failed", "rolled-back"]


def test_a_slot_that_is_being_written_cannot_be_started_by_either_copy_of_the_variables(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.fill("B", Contents("0.0.9"))
    machine.card.environment.write(machine.variables().booting("A", "B"))
    seen = []

    def look(*_: object) -> None:
        for place in (1 << 20, 3 << 19):
            block = RawArea(machine.card.disk, place, ENVIRONMENT_BYTES).read()
            seen.append(decode(block).order)

    monkeypatch.setattr(machine.rauc, "install", look)
    with pytest.raises(UpdateError, match="gave back something else"):
        machine.install(Contents(NEW))
    assert seen == [("A",), ("A",)]


def test_after_a_rollback_the_next_update_goes_its_way(machine: Machine) -> None:
    machine.install(Contents(NEW, "sick"))
    machine.power_on()
    machine.install(Contents("0.2.1"))
    assert machine.power_on() == "B"
    assert machine.history()[-1].version == "0.2.1"


def test_a_committed_slot_that_turns_sick_is_reported_once_and_never_restarted(
    machine: Machine,
) -> None:
    machine.fill("A", Contents("0.1.0", "sick"))
    for number in range(5):
        machine.vitals.problem = f"it is sick on purpose, event {number}"
        assert machine.start_once() == "A"
    failed = [entry for entry in machine.history() if entry.what == "failed"]
    assert len(failed) == 1
    assert "it is sick on purpose" in failed[0].reason
    assert machine.variables().tries("A") == 3
    machine.fill("A", Contents("0.1.0"))
    machine.power_on()
    assert machine.whats()[-1] == "healthy"


def test_starts_of_a_committed_slot_count_anew_as_soon_as_user_space_is_reached(
    machine: Machine,
) -> None:
    machine.fill("A", Contents("0.1.0", "sick"))
    for _ in range(10):
        machine.start_once()
    assert machine.recoveries == 0


@pytest.mark.parametrize(("does", "code"), [("panics", "committed-lost"), ("broken", "loader")])
def test_a_committed_slot_that_no_longer_starts_gives_way_to_the_one_before(
    machine: Machine, does: str, code: str
) -> None:
    machine.install(Contents(NEW))
    machine.power_on()
    machine.fill("B", Contents(NEW, does))
    assert machine.power_on() == "A"
    last = machine.history()[-1]
    assert (last.what, last.slot, last.code) == ("rolled-back", "B", code)
    assert machine.ledger().record.committed == "A"
    assert machine.variables().order == ("A",)


def test_an_update_that_waits_can_be_replaced_by_another(machine: Machine) -> None:
    machine.install(Contents(NEW, "panics"))
    machine.install(Contents("0.2.1"))
    assert machine.power_on() == "B"
    assert machine.history()[-1].version == "0.2.1"


def test_no_update_is_taken_while_a_trial_runs(machine: Machine) -> None:
    machine.install(Contents(NEW))
    machine.start_once()
    with pytest.raises(NotNowError, match=r"0\.2\.0 in slot B is on trial.*update status"):
        machine.install(Contents("0.2.1"))
    assert machine.power_on() == "B"


def test_lost_boot_variables_are_put_back_and_said(machine: Machine) -> None:
    machine.primary.write(b"\xff" * 8192)
    assert machine.card.environment.read().source == "backup"
    assert machine.power_on() == "A"  # the boot script writes the first copy as it counts
    assert machine.card.environment.read().source == "primary"
    last = machine.history()[-1]
    assert (last.what, last.code) == ("recovered", "environment-lost")
    assert "were taken from the backup" in last.reason
    assert machine.power_on() == "A"
    assert machine.history()[-1].n == last.n


def test_an_update_waits_on_when_the_boot_loader_lost_its_variables(machine: Machine) -> None:
    machine.install(Contents(NEW))
    for place in (1 << 20, 3 << 19):
        RawArea(machine.card.disk, place, ENVIRONMENT_BYTES).write(b"\xff" * 8192)
    assert machine.power_on() == "A"  # by its defaults
    assert machine.whats()[-1] == "recovered"
    assert machine.variables().order == ("B", "A")
    assert machine.power_on() == "B"
    assert machine.whats()[-1] == "committed"


def test_an_update_that_led_to_the_recovery_page_is_not_tried_again(machine: Machine) -> None:
    machine.install(Contents(NEW, "panics"))
    machine.fill("A", Contents("0.1.0", "panics"))
    assert machine.power_on() == "recovery"
    machine.fill("A", Contents("0.1.0"))
    machine.card.environment.write(machine.variables().booting("A", "B"))  # as the page does
    assert machine.power_on() == "A"
    last = machine.history()[-1]
    assert (last.what, last.code) == ("rolled-back", "recovery")
    assert "slot A was started from the recovery page" in last.reason
    assert machine.variables().order == ("A",)


def test_the_last_words_of_a_start_become_the_reason(machine: Machine) -> None:
    machine.install(Contents(NEW, "panics"))
    words = {"slot": "B", "text": "root.squashfs cannot be mounted"}
    (machine.root / "run/leyden-boot").mkdir()
    (machine.root / "run/leyden-boot/last-words.json").write_text(json.dumps(words))
    assert machine.power_on() == "A"
    last = machine.history()[-1]
    assert (last.what, last.code) == ("rolled-back", "initrd")
    assert "root.squashfs cannot be mounted" in last.reason


def test_a_slot_record_that_is_lost_twice_counts_the_running_slot_as_good(
    machine: Machine,
) -> None:
    machine.install(Contents(NEW))
    assert machine.power_on() == "B"
    with machine.card.disk.open("r+b") as file:
        for place in (2 << 20, 5 << 19):
            file.seek(place)
            file.write(b"\xff" * 4096)
    assert machine.power_on() == "B"
    last = machine.history()[-1]
    assert (last.what, last.code) == ("recovered", "record-lost")
    assert machine.ledger().record.committed == "B"


def test_variables_of_others_survive(machine: Machine) -> None:
    machine.set_variable("serial#", "10000000deadbeef")
    machine.install(Contents(NEW))
    machine.power_on()
    assert machine.variables().variables["serial#"] == "10000000deadbeef"
    assert isinstance(machine.variables(), Environment)
