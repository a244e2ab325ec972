"""The ledger: keeps slot record, history and what others are told of them in step.

The record is written first, with the newest entry inside, the history after it. A power cut between
the two loses nothing: whoever opens the ledger next adds the entry that the history lacks.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from leyden.appliance.update.card import Card
from leyden.appliance.update.environment import Environment
from leyden.appliance.update.errors import NotNowError, UpdateError
from leyden.appliance.update.history import History
from leyden.appliance.update.release import Release
from leyden.appliance.update.slots import NAMES, Entry, SlotRecord, brief
from leyden.appliance.update.status import facts_of, slot_status, write_status
from leyden.kernel import Clock, iso
from leyden.storage.errors import InUseError, StorageError
from leyden.storage.lock import FolderLock


class Ledger:
    """What is known of the slots of one card, for the one process that may change it.

    Args:
        card: the card.
        clock: dates the entries.
        say: takes one sentence for each thing that could not be kept, and each new entry.
    """

    def __init__(self, card: Card, clock: Clock, say: Callable[[str], None]) -> None:
        self.card = card
        self.release: Release = card.release()
        self.running: str = card.running()
        self.boot: str = card.boot()
        self.record: SlotRecord = SlotRecord(self.running)
        self.fresh = False  # whether nothing was ever written to this card
        self._clock = clock
        self._say = say
        self._history = History(card.updates, card.files)
        self._open()

    @property
    def environment(self) -> Environment:
        """What the boot loader goes by."""
        return self.card.environment.read().environment

    def keep(self, record: SlotRecord, what: str = "", **facts: str) -> None:
        """Make `record` the state of the slots, with an entry in the history if there is one.

        Raises:
            UpdateError: the card refused the record.
        """
        entry = self._entry(what, **facts) if what else record.entry
        self.record = msgspec.structs.replace(record, entry=entry)
        try:
            self.card.records.write(_shortened(self.record))
        except OSError as error:
            words = f"the slot record cannot be written: {error}; replace the card"
            raise UpdateError("card", words) from error
        if what and entry is not None:
            self._add(entry)
        self.tell()

    def note(self, what: str, **facts: str) -> None:
        """Add an entry that changes nothing about the slots."""
        self._add(self._entry(what, **facts))

    def boot_from(self, *order: str) -> None:
        """Let the boot loader try these slots in this order; the others not at all.

        Raises:
            UpdateError: the card refused.
        """
        self.write_environment(self.environment.booting(*order))

    def write_environment(self, environment: Environment) -> None:
        """Let the boot loader go by these variables.

        Raises:
            UpdateError: the card refused.
        """
        try:
            self.card.environment.write(environment)
        except OSError as error:
            words = f"the boot variables cannot be written: {error}; replace the card"
            raise UpdateError("card", words) from error

    def tell(self) -> None:
        """Leave the slots' state where the other processes read it."""
        filled = {name for name in NAMES if self.card.holds_files(name)}
        status = slot_status(
            self.record, self.environment, self.running, self.release.version, filled
        )
        try:
            write_status(self.card, status)
        except OSError as error:
            self._say(f"the slots' state cannot be told to others: {error}")

    # Opening

    def _open(self) -> None:
        found = self.card.records.read()
        for problem in found.problems:
            self._say(problem)
        self.fresh = found.record is None and not found.problems
        if found.record is not None:
            self.record = found.record
        else:
            self.record = self.record.with_slot(
                self.running, facts_of(self.release.version, self.release.epoch)
            )
        if self.record.entry is not None:
            self._add(self.record.entry, known=True)
        if found.record is None and found.problems:
            self._lost(found.problems)

    def _lost(self, problems: tuple[str, ...]) -> None:
        self.keep(
            self.record,
            "recovered",
            slot=self.running,
            version=self.release.version,
            code="record-lost",
            reason="both copies of the slot record were unreadable; the running slot counts as "
            "the one that works",
            detail="; ".join(problems),
        )

    # Entries

    def _entry(self, what: str, **facts: str) -> Entry:
        newest = self.record.entry.n if self.record.entry else 0
        return Entry(
            n=max(newest, self._history.last_number()) + 1,
            what=what,
            time=iso(self._clock.time_ns()),
            clock="synced" if self._clock.synchronised() else "unsynced",
            boot=self.boot,
            **facts,
        )

    def _add(self, entry: Entry, *, known: bool = False) -> None:
        if not known:
            self._say(sentence(entry))
        try:
            self._history.add(entry)
        except OSError as error:
            # A full or broken data partition must not keep a slot from being committed.
            self._say(f"the history of updates cannot be written: {error}")


@contextlib.contextmanager
def opened(card: Card, clock: Clock, say: Callable[[str], None]) -> Iterator[Ledger]:
    """Open the ledger of a card, for one process at a time.

    Raises:
        NotNowError: another process has it open.
        NoCardError: this machine does not run from a card.
        UpdateError: the card refused.
    """
    release, running = card.release(), card.running()  # first: a laptop gets no folders of ours
    lock = FolderLock(card.run, card.files)
    try:
        lock.acquire()
    except InUseError as error:
        who = f"process {error.pid}" if error.pid else "another process"
        words = (
            f"{who} is working on the slots: an update, or the health check of this start, which "
            f"takes up to three minutes ({release.version} in slot {running}); try again then"
        )
        raise NotNowError("busy", words) from error
    except StorageError as error:
        raise UpdateError("card", f"{error}; slots are changed by root") from error
    try:
        yield Ledger(card, clock, say)
    finally:
        lock.release()


def sentence(entry: Entry) -> str:
    """Return an entry as people read it on a console."""
    version = f" {entry.version}" if entry.version else ""
    slot = f" in slot {entry.slot}" if entry.slot else ""
    reason = f": {entry.reason}" if entry.reason else ""
    return f"update{version}{slot} {entry.what}{reason}"


def _shortened(record: SlotRecord) -> SlotRecord:
    changes: dict[str, Any] = {}
    if record.entry is not None:
        changes["entry"] = msgspec.structs.replace(
            record.entry, reason=brief(record.entry.reason), detail=brief(record.entry.detail)
        )
    if record.trial is not None:
        changes["trial"] = msgspec.structs.replace(record.trial, reason=brief(record.trial.reason))
    changes["slots"] = {
        name: msgspec.structs.replace(facts, detail=brief(facts.detail))
        for name, facts in record.slots.items()
    }
    return msgspec.structs.replace(record, **changes)
