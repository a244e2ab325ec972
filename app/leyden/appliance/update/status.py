"""The slots in words: what the processes that may not read the card's raw blocks go by."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from leyden.appliance.update.card import Card
from leyden.appliance.update.environment import Environment
from leyden.appliance.update.errors import NoCardError
from leyden.appliance.update.history import FILE, read_history
from leyden.appliance.update.slots import NAMES, SlotFacts, SlotRecord, Trial
from leyden.link.protocol import (
    CertificateRow,
    ClockRow,
    NoteRow,
    ReleaseRow,
    SlotRow,
    StagedRow,
    SystemAnswer,
    UpdateRow,
)
from leyden.storage.atomic import write_atomic

T = TypeVar("T")
STATUS_FILE: Final = "status.json"
_HISTORY: Final = 50  # newest entries that are told over the link


class SlotStatus(msgspec.Struct, frozen=True):
    """Both slots as they are now."""

    running: str
    committed: str
    staged: StagedRow | None
    slots: tuple[SlotRow, ...]


def slot_status(
    record: SlotRecord, environment: Environment, running: str, version: str, filled: set[str]
) -> SlotStatus:
    """Return both slots as record and boot loader have them.

    Args:
        record: the slot record.
        environment: what the boot loader goes by.
        running: the slot that runs.
        version: what runs.
        filled: slots that begin like a file system.
    """
    trial = record.trial
    rows = tuple(
        SlotRow(
            name=name,
            state=_state(name, record, running, filled),
            version=(version if name == running else record.facts(name).version) or None,
            boot=environment.next == name,
            tries_left=environment.tries(name),
            detail=_detail(name, record, running),
        )
        for name in NAMES
    )
    staged = StagedRow(trial.slot, trial.version, trial.state) if trial else None
    return SlotStatus(running, record.committed, staged, rows)


def _state(name: str, record: SlotRecord, running: str, filled: set[str]) -> str:
    trial = record.trial
    if trial is not None and trial.slot == name:
        return "trying" if name == running else _waiting(trial)
    if name == running:
        return "running"
    if name not in filled:
        return "empty"
    return "bad" if record.facts(name).state == "bad" else "good"


def _waiting(trial: Trial) -> str:
    return "staged" if trial.state == "verified" and not trial.reason else "bad"


def _detail(name: str, record: SlotRecord, running: str) -> str:
    trial = record.trial
    if trial is None or trial.slot != name:
        return record.facts(name).detail
    if trial.reason:
        return trial.reason
    if name == running:
        done = "healthy once, one more start to go" if trial.state == "healthy" else "on trial"
        return f"{trial.version} is {done}"
    if trial.state == "verified":
        return f"{trial.version} is installed and is tried at the next start"
    return f"{trial.version} is being written, or was cut short while it was"


def write_status(card: Card, status: SlotStatus) -> None:
    """Leave the slots' state where all may read it; it lasts as long as this start.

    Raises:
        OSError: there is no room in memory.
    """
    card.files.make_folder(card.run)
    write_atomic(card.run / STATUS_FILE, msgspec.json.encode(status), files=card.files)


def read_status(card: Card) -> SlotStatus | None:
    """Return what `write_status` left, None if nothing can be read."""
    return _decoded(card.run / STATUS_FILE, SlotStatus)


# The answer to the link's question


class _Certificate(msgspec.Struct):
    ca_sha256: str
    not_after: str | None = None


def system_answer(card: Card, board: str, clock: ClockRow) -> SystemAnswer:
    """Return what there is to tell of this machine as an appliance; reads public files only."""
    try:
        release = card.release()
    except NoCardError as error:
        return SystemAnswer(available=False, detail=error.words)
    status = read_status(card)
    entries = reversed(read_history(card.updates / FILE)[-_HISTORY:])
    return SystemAnswer(
        available=True,
        detail="" if status else "the slots have not been looked at yet in this start",
        release=ReleaseRow(release.version, release.commit, release.epoch, release.compatible),
        board=board,
        slots=status.slots if status else (),
        running=status.running if status else None,
        committed=status.committed if status else None,
        staged=status.staged if status else None,
        history=tuple(
            UpdateRow(
                each.time or None, each.what, each.slot, each.version, each.from_version,
                each.reason, each.detail,
            )
            for each in entries
        ),
        notes=_notes(card.root / "run/leyden-boot/notes.jsonl"),
        clock=clock,
        certificate=_certificate(card.root / "data/leyden/identity/certificate.json"),
    )  # fmt: skip


def _notes(path: Path) -> tuple[NoteRow, ...]:
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return ()
    notes = (_note(line) for line in lines)
    return tuple(note for note in notes if note is not None)


def _note(line: bytes) -> NoteRow | None:
    try:
        return msgspec.json.decode(line, type=NoteRow)
    except msgspec.MsgspecError:
        return None  # written by a shell in the middle of a boot: what cannot be read is left out


def _certificate(path: Path) -> CertificateRow | None:
    found = _decoded(path, _Certificate)
    return CertificateRow(found.ca_sha256, found.not_after) if found else None


def _decoded(path: Path, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError):
        return None


def facts_of(version: str, epoch: int) -> SlotFacts:
    """Return the facts of a slot that is known to work."""
    return SlotFacts(version, epoch, "good")


def look_at_slots(card: Card) -> SlotStatus:
    """Return both slots as they are, from the card itself where it may be read.

    Raises:
        NoCardError: this machine does not run from a card.
    """
    running, release = card.running(), card.release()
    if not os.access(card.disk, os.R_OK):
        told = read_status(card)
        if told is None:
            raise NoCardError(
                f"{card.disk} cannot be read by this user, and nothing was left in {card.run}; "
                "try as root, or once the health check of this start has begun"
            )
        return told
    record = card.records.read().record or SlotRecord(running)
    environment = card.environment.read().environment
    filled = {name for name in NAMES if card.holds_files(name)}
    return slot_status(record, environment, running, release.version, filled)
