"""A power cut at any write of an update, of a commit or of a rollback leaves a slot that runs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from appliance.update.machine import Contents, Machine, PowerCut, read_contents
from hypothesis import given, settings
from hypothesis import strategies as st

NEW, OLD = "0.2.0", "0.0.9"
ENDS = {"committed", "rolled-back", "failed"}
BEHAVIOURS = ("runs", "sick", "sick-later", "dies", "panics", "broken")
MOST_WRITES = 400  # far more than any flow here has


@contextlib.contextmanager
def a_machine(*, spare: bool = False) -> Iterator[Machine]:
    """A machine that runs slot A; with an older release in slot B, or nothing."""
    with TemporaryDirectory() as folder:
        machine = Machine(Path(folder))
        machine.power_on()
        if spare:
            machine.fill("B", Contents(OLD))
            machine.card.environment.write(machine.variables().booting("A", "B"))
        yield machine


def settle(machine: Machine) -> str:
    """Switch on until nothing is pending; return the slot that runs."""
    machine.files.cut(None)
    for _ in range(4):
        slot = machine.power_on()
        if slot != "recovery" and machine.ledger().record.trial is None:
            return slot
    raise AssertionError(f"nothing settles: {machine.said[-6:]}")


def check(machine: Machine, slot: str, does: str) -> None:
    record, history = machine.ledger().record, machine.history()
    running = read_contents(machine.card.slot(slot).read_bytes())
    assert running.does == "runs"
    assert (record.committed, machine.variables().next) == (slot, slot)
    assert [entry.n for entry in history] == sorted({entry.n for entry in history})
    if slot == "B":
        assert (running.version, does) == (NEW, "runs")
        assert history[-1].what == "committed"
        return
    tried = [entry for entry in history if entry.version == NEW]
    if tried:
        assert tried[-1].what in ENDS - {"committed"}
        assert tried[-1].reason


@pytest.mark.parametrize("spare", [False, True])
def test_a_cut_at_every_single_write_of_an_installation_leaves_a_slot_that_runs(
    spare: bool,
) -> None:
    for cut in range(1, MOST_WRITES):
        with a_machine(spare=spare) as machine:
            machine.files.cut(cut, seed=cut)
            with contextlib.suppress(PowerCut):
                machine.install(Contents(NEW))
                break  # the cut would have come later than the last write
            slot = settle(machine)
            assert machine.recoveries == 0
            check(machine, slot, "runs")
    else:
        raise AssertionError("an installation that never ends")


@pytest.mark.parametrize("does", BEHAVIOURS)
def test_a_cut_at_every_single_write_of_what_follows_leaves_a_slot_that_runs(does: str) -> None:
    for cut in range(1, MOST_WRITES):
        with a_machine(spare=cut % 2 == 0) as machine:
            machine.install(Contents(NEW, does))
            machine.files.cut(cut, seed=cut)
            with contextlib.suppress(PowerCut):
                machine.power_on()
                break
            slot = settle(machine)
            assert machine.recoveries == 0
            check(machine, slot, does)
    else:
        raise AssertionError("an update that never ends")


def test_a_cut_while_the_slot_is_written_says_so_at_the_next_start() -> None:
    words = (
        f"the update to {NEW} was cut short while writing; slot B is not bootable; install it again"
    )
    found = set()
    for cut in range(1, MOST_WRITES):
        with a_machine() as machine:
            machine.files.cut(cut, seed=cut)
            try:
                machine.install(Contents(NEW))
            except PowerCut:
                trial = machine.ledger().record.trial
                settle(machine)
                if trial is not None and trial.state in ("intent", "written"):
                    assert machine.history()[-1].reason == words
                    assert machine.whats()[-1] == "failed"
                    found.add(trial.state)
            else:
                break
    assert found == {"intent", "written"}


cuts = st.lists(st.tuples(st.integers(1, 40), st.integers(0, 1 << 16)), min_size=1, max_size=5)


@settings(max_examples=60)
@given(does=st.sampled_from(BEHAVIOURS), cuts=cuts, spare=st.booleans())
def test_no_sequence_of_cuts_leaves_a_card_that_does_not_start(
    does: str, cuts: list[tuple[int, int]], spare: bool
) -> None:
    with a_machine(spare=spare) as machine:
        steps = iter(cuts)
        machine.files.cut(*next(steps))
        with contextlib.suppress(PowerCut):
            machine.install(Contents(NEW, does))
        for cut in steps:
            machine.files.cut(*cut)
            with contextlib.suppress(PowerCut):
                machine.power_on()
        slot = settle(machine)
        # Three cuts before user space is reached use up a slot's starts; a person sees the
        # recovery page then, and the next power-on starts the slot again.
        assert machine.recoveries == 0 or len(cuts) > 3
        check(machine, slot, does)
