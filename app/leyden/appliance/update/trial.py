"""What a start means for the slots: an update is tried, committed, or given up.

A trial needs two healthy starts, one after the other: some faults show only when the machine comes
back by itself. The boot loader gives it three starts for that. Whatever a start finds it writes
down before it does anything about it, so that the next start knows why there is one.

A slot that is committed is never restarted for its health: what a restart does not mend would be
restarted for ever. Its starts are counted again in full as soon as it reaches this code, so that
power cuts during a boot do not throw out a slot that works.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from leyden.appliance.update.environment import TRIES, Environment
from leyden.appliance.update.gate import Verdict
from leyden.appliance.update.ledger import Ledger
from leyden.appliance.update.slots import SlotFacts, SlotRecord, Trial, other
from leyden.appliance.update.status import facts_of


class Meaning(StrEnum):
    """What a start is."""

    COMMITTED = "committed"  # the slot that is known to work runs, and nothing waits
    STAGED = "staged"  # the same, and an update waits for the next start
    TRIAL = "trial"  # the update runs
    CAME_BACK = "came-back"  # the update was tried, and the slot that is known to work runs again
    CUT_SHORT = "cut-short"  # the update was never complete
    FELL_BACK = "fell-back"  # the slot that was known to work did not start, the other one did


class After(StrEnum):
    """What is to be done once the health of a start is known."""

    NOTHING = "nothing"
    RESTART = "restart"
    REPORT = "report"  # the committed slot is not healthy; a person has to look


@dataclass(frozen=True, slots=True)
class Why:
    """Why an update did not stay: a word for programs, a sentence for people."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Start:
    """What can be known of a start before anything is done about it.

    Attributes:
        record: the slot record as the last start left it.
        running: the slot that runs.
        environment: the boot loader's variables as it left them.
        boot: the kernel's id of this start.
        variables_lost: whether the boot loader had to do without those variables.
        passed_over: slots that the boot loader could not load, and why.
        last_words: the slot whose start ended before its root was there, and why.
        broken_check: the slot whose health check broke, and how.
    """

    record: SlotRecord
    running: str
    environment: Environment
    boot: str
    variables_lost: bool
    passed_over: Mapping[str, str]
    last_words: tuple[str, str] = ("", "")
    broken_check: tuple[str, str] = ("", "")


def meaning(start: Start) -> Meaning:
    """Return what a start is."""
    record, running = start.record, start.running
    trial = record.trial
    complete = trial is not None and trial.state not in ("intent", "written")
    if running != record.committed:
        return Meaning.TRIAL if complete else Meaning.FELL_BACK
    if trial is None:
        return Meaning.COMMITTED
    if not complete:
        return Meaning.CUT_SHORT
    waits = trial.state == "verified" and not trial.reason
    if waits and (trial.boot == start.boot or _was_never_tried(trial.slot, start)):
        return Meaning.STAGED
    return Meaning.CAME_BACK


def _was_never_tried(slot: str, start: Start) -> bool:
    # Not in the order: the power was cut after the slot was complete and before it was made the
    # next one. Or the boot loader had lost its variables, and knew no better.
    if slot in start.passed_over:
        return False
    untouched = start.environment.tries(slot) >= TRIES
    return slot not in start.environment.order or (start.variables_lost and untouched)


def why_it_came_back(trial: Trial, start: Start) -> Why:
    """Return why the slot that was known to work runs again."""
    return _what_was_noted(trial, start) or _what_must_have_been(trial, start)


def _what_was_noted(trial: Trial, start: Start) -> Why | None:
    slot = trial.slot
    if trial.reason:
        return Why(trial.code, trial.reason)
    if before_user_space := _what_was_noted_early(slot, start):
        return before_user_space
    if start.broken_check[0] == slot:
        words = f"the health check of slot {slot} itself broke: {start.broken_check[1]}"
        return Why("check", words)
    return None


def _what_was_noted_early(slot: str, start: Start) -> Why | None:
    if slot in start.passed_over:
        words = f"the boot loader could not load slot {slot}: {start.passed_over[slot]}"
        return Why("loader", words)
    if start.last_words[0] == slot:
        words = f"slot {slot} did not find its way to its root: {start.last_words[1]}"
        return Why("initrd", words)
    return None


def _what_must_have_been(trial: Trial, start: Start) -> Why:
    slot, left = trial.slot, start.environment.tries(trial.slot)
    if trial.state == "tried":
        return Why(
            "ended-early",
            f"slot {slot} reached user space in {_starts(trial.boots)} and ended each time before "
            "its health was known: crash, hang, watchdog or power cut",
        )
    if trial.state == "healthy":
        return Why(
            "second-start",
            f"slot {slot} was healthy once and did not come through its next start: "
            "panic, hang, watchdog or power cut",
        )
    if left:  # the boot loader uses them up before it starts another slot
        return Why(
            "recovery",
            f"slot {slot} did not start; slot {other(slot)} was started from the recovery page",
        )
    return Why(
        "kernel",
        f"the kernel of slot {slot} never reached user space in {TRIES} starts: panic or hang, "
        "or the power was cut each time",
    )


def _starts(count: int) -> str:
    return "1 start" if count == 1 else f"{count} starts"


# The begin of a start


def begin(ledger: Ledger) -> Meaning:
    """Write down what this start is, and put the boot loader's counters right.

    Raises:
        UpdateError: the card refused.
    """
    lost = _mend_environment(ledger)
    card = ledger.card
    start = Start(
        ledger.record, ledger.running, ledger.environment, ledger.boot, lost,
        card.passed_over(), card.last_words(), card.broken_check(),
    )  # fmt: skip
    found = meaning(start)
    match found:
        case Meaning.TRIAL:
            _count_start(ledger)
        case Meaning.CAME_BACK:
            _take_back(ledger, start)
        case Meaning.CUT_SHORT:
            _cut_short(ledger)
        case Meaning.FELL_BACK:
            _fall_back(ledger, start)
        case Meaning.COMMITTED if ledger.fresh:
            _first_start(ledger)
    if found is not Meaning.TRIAL:
        ledger.boot_from(*order_of(ledger.record, ledger.running))
        card.forget_broken_check()
    ledger.tell()
    return found


def order_of(record: SlotRecord, running: str) -> tuple[str, ...]:
    """Return the slots that may be started, the one to start next first."""
    trial = record.trial
    if trial is not None and trial.state == "verified" and not trial.reason:
        return (trial.slot, running)
    spare = other(running)
    return (running, spare) if record.facts(spare).state == "good" else (running,)


def _mend_environment(ledger: Ledger) -> bool:
    found = ledger.card.environment.read()
    # The boot script repairs the first copy as it counts; then only its word is left of it.
    source = ledger.card.environment_source() or found.source
    if source == "primary":
        return False
    ledger.note(
        "recovered",
        slot=ledger.running,
        version=ledger.release.version,
        code="environment-lost",
        reason=f"the boot variables were unreadable and were taken from the {source}",
        detail="; ".join(found.problems),
    )
    ledger.write_environment(found.environment)
    return True


def _count_start(ledger: Ledger) -> None:
    trial = ledger.record.on_trial()
    if trial.boot == ledger.boot:
        return  # the check itself was started again, not the machine
    boots = trial.boots + 1
    state = "healthy" if trial.state == "healthy" else "tried"
    ledger.keep(
        ledger.record.with_trial(
            state=state, boots=boots, boot=ledger.boot, code="", reason=""
        ),
        "trying",
        **_names(trial),
        detail=f"start {boots}",
    )  # fmt: skip


def _take_back(ledger: Ledger, start: Start) -> None:
    trial = ledger.record.on_trial()
    why = why_it_came_back(trial, start)
    _drop_trial(ledger, trial, "rolled-back", why, f"slot {ledger.running} runs as before")


def _cut_short(ledger: Ledger) -> None:
    trial = ledger.record.on_trial()
    why = Why(
        "cut-short",
        f"the update to {trial.version} was cut short while writing; slot {trial.slot} is not "
        "bootable; install it again",
    )
    _drop_trial(ledger, trial, "failed", why, f"slot {ledger.running} runs as before")


def _drop_trial(ledger: Ledger, trial: Trial, what: str, why: Why, detail: str) -> None:
    bad = SlotFacts(trial.version, trial.epoch, "bad", why.reason)
    record = msgspec.structs.replace(ledger.record, trial=None).with_slot(trial.slot, bad)
    ledger.keep(record, what, **_names(trial), code=why.code, reason=why.reason, detail=detail)


def _fall_back(ledger: Ledger, start: Start) -> None:
    lost = ledger.record.committed
    facts = ledger.record.facts(lost)
    why = _what_was_noted_early(lost, start) or Why(
        "committed-lost",
        f"slot {lost} was known to work and used up its starts without reaching user space: "
        "panic, hang or power cuts",
    )
    bad = SlotFacts(facts.version, facts.epoch, "bad", why.reason)
    release = ledger.release
    record = SlotRecord(ledger.running, None, ledger.record.slots).with_slot(lost, bad)
    ledger.keep(
        record.with_slot(ledger.running, facts_of(release.version, release.epoch)),
        "rolled-back",
        slot=lost,
        version=facts.version,
        from_version=release.version,
        code=why.code,
        reason=why.reason,
        detail=f"slot {ledger.running} with {release.version} runs now and counts as known to work",
    )


def _first_start(ledger: Ledger) -> None:
    ledger.keep(
        ledger.record,
        "committed",
        slot=ledger.running,
        version=ledger.release.version,
        detail="the first start of this card",
    )


# The end of a start, once its health is known


def end(ledger: Ledger, found: Meaning, verdict: Verdict) -> After:
    """Write down how healthy this start is, and return what is to be done about it.

    Raises:
        UpdateError: the card refused.
    """
    if found is not Meaning.TRIAL:
        return _report(ledger, verdict)
    trial = ledger.record.on_trial()
    if not verdict.healthy:
        return _give_up(ledger, trial, verdict)
    if trial.state == "healthy" and trial.boots > 1:
        commit(ledger, f"healthy in {_starts(trial.boots)}")
        return After.NOTHING
    ledger.keep(
        ledger.record.with_trial(state="healthy"),
        "healthy",
        **_names(trial),
        detail="restarts once by itself; it is committed when it is healthy again",
    )
    return After.RESTART


def commit(ledger: Ledger, detail: str) -> None:
    """Make the running slot the one that is known to work.

    Raises:
        UpdateError: the card refused.
    """
    trial, running = ledger.record.trial, ledger.running
    before = trial.from_version if trial else ""
    ledger.boot_from(running, *_spares(ledger))
    good = facts_of(ledger.release.version, ledger.release.epoch)
    record = SlotRecord(running, None, ledger.record.slots).with_slot(running, good)
    version = ledger.release.version
    ledger.keep(
        record, "committed", slot=running, version=version, from_version=before, detail=detail
    )


def _spares(ledger: Ledger) -> tuple[str, ...]:
    spare = other(ledger.running)
    return (spare,) if ledger.record.facts(spare).state == "good" else ()


def _give_up(ledger: Ledger, trial: Trial, verdict: Verdict) -> After:
    bad = SlotFacts(trial.version, trial.epoch, "bad", verdict.reason)
    record = ledger.record.with_trial(code=verdict.code, reason=verdict.reason)
    ledger.keep(
        record.with_slot(trial.slot, bad),
        "failed",
        **_names(trial),
        code=verdict.code,
        reason=verdict.reason,
        detail=f"goes back to slot {ledger.record.committed}",
    )
    ledger.boot_from(ledger.record.committed)
    return After.RESTART


def _report(ledger: Ledger, verdict: Verdict) -> After:
    if not _was_said(ledger, verdict):
        _say_how_it_is(ledger, verdict)
    return After.NOTHING if verdict.healthy else After.REPORT


def _was_said(ledger: Ledger, verdict: Verdict) -> bool:
    # Once, not at each start; the words may differ in a number from start to start.
    record, entry = ledger.record, ledger.record.entry
    was_sick = bool(record.facts(ledger.running).detail)
    if verdict.healthy or not was_sick:
        return verdict.healthy and not was_sick
    return entry is not None and (entry.slot, entry.code) == (ledger.running, verdict.code)


def _say_how_it_is(ledger: Ledger, verdict: Verdict) -> None:
    release = ledger.release
    facts = SlotFacts(release.version, release.epoch, "good", verdict.reason)
    ledger.keep(
        ledger.record.with_slot(ledger.running, facts),
        "healthy" if verdict.healthy else "failed",
        slot=ledger.running,
        version=release.version,
        code=verdict.code,
        reason=verdict.reason,
        detail="well again" if verdict.healthy else "this slot is committed: it stays",
    )


def _names(trial: Trial) -> dict[str, str]:
    return {
        "slot": trial.slot, "version": trial.version, "from_version": trial.from_version,
    }  # fmt: skip
