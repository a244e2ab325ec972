"""From a file to a slot that is started next, safe against a power cut at every step.

1. The bundle is looked at: signature, board, version, size.
2. The slot record says what is intended; the other slot can no longer be started.
3. RAUC writes the slot. 4. What the card gives back is compared with the signed checksum.
5. The record says that the slot is complete. 6. The boot loader is told to try it, in one write.

Up to step 6 the machine starts the slot it runs from now, and the record says how far it was.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import msgspec

from leyden.appliance.update.bundle import Bundle, read_manifest, refuse_unsuitable
from leyden.appliance.update.errors import NotNowError, RefusedError, UpdateError
from leyden.appliance.update.fetch import fetched, is_address
from leyden.appliance.update.gate import Vitals, before_now
from leyden.appliance.update.ledger import Ledger
from leyden.appliance.update.rauc import Installer
from leyden.appliance.update.slots import SlotFacts, SlotRecord, Trial, other

_CHUNK: Final = 1 << 20

OnStep = Callable[[str, float | None], None]


class Outcome(msgspec.Struct, frozen=True):
    """What came of an installation."""

    outcome: Literal["installed", "would-install"]
    slot: str
    version: str
    from_version: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Installation:
    """Installs updates on one card.

    Args:
        ledger: record, history and boot variables of the card.
        installer: RAUC.
        vitals: how the appliance is before the update.
        on_step: told what is under way, and how much of it is done, 0 … 1, where that is known.
    """

    ledger: Ledger
    installer: Installer
    vitals: Vitals
    on_step: OnStep

    def run(self, source: str, *, dry: bool, force: bool) -> Outcome:
        """Install a bundle from a file or a web server.

        Args:
            source: path or address.
            dry: only look whether it could be installed.
            force: also an older release.

        Raises:
            RefusedError: the update may not be installed here; the history says so too.
            NotNowError: the appliance has to come through a trial first.
            UpdateError: something failed; the slot that runs is untouched.
        """
        refuse_now(self.ledger)
        with self._at_hand(source) as path:
            try:
                bundle = self._look_at(path, force=force)
            except RefusedError as error:
                self._note_refusal(source, error, dry=dry)
                raise
            if dry:
                return self._outcome("would-install", bundle)
            try:
                self._write(path, bundle)
            except UpdateError as error:
                self._note_failure(error)
                raise
        return self._outcome("installed", bundle)

    # Steps

    @contextlib.contextmanager
    def _at_hand(self, source: str) -> Iterator[Path]:
        if is_address(source):
            with fetched(source, self.ledger.card.updates, self._fetching) as path:
                yield path
            return
        path = Path(source)
        if not path.is_file():
            words = f"{source} is no file; expected the path of a bundle (….raucb) or its address"
            raise UpdateError("no-file", words)
        yield path.resolve()

    def _fetching(self, done: int, total: int | None) -> None:
        self.on_step("fetching", done / total if total else None)

    def _look_at(self, path: Path, *, force: bool) -> Bundle:
        self.on_step("checking the signature", None)
        bundle = read_manifest(self.installer.inspect(path))
        card = self.ledger.card
        room = card.slot_bytes(self._slot)
        refuse_unsuitable(bundle, self.ledger.release, card.boards(), room, force=force)
        return bundle

    def _write(self, path: Path, bundle: Bundle) -> None:
        self._intend(bundle)
        step = f"writing slot {self._slot}"
        self.on_step(step, 0.0)
        self.installer.install(path, lambda percent, _: self.on_step(step, percent / 100))
        self.ledger.keep(self.ledger.record.with_trial(state="written"))
        self._read_back(bundle)
        self.ledger.keep(
            self.ledger.record.with_trial(state="verified"),
            "installed",
            slot=self._slot,
            version=bundle.release.version,
            from_version=self.ledger.release.version,
            detail="is tried at the next start",
        )
        self.ledger.boot_from(self._slot, self.ledger.running)
        self.ledger.tell()

    def _intend(self, bundle: Bundle) -> None:
        entry = self.ledger.record.entry
        release = bundle.release
        trial = Trial(
            slot=self._slot,
            version=release.version,
            from_version=self.ledger.release.version,
            n=(entry.n if entry else 0) + 1,
            epoch=release.epoch,
            boot=self.ledger.boot,
            before=before_now(self.vitals),
        )
        facts = SlotFacts(release.version, release.epoch, "bad", "the update is being written")
        record = SlotRecord(self.ledger.record.committed, trial, self.ledger.record.slots)
        self.ledger.keep(msgspec.structs.replace(record.with_slot(self._slot, facts), entry=entry))
        self.ledger.boot_from(self.ledger.running)

    def _read_back(self, bundle: Bundle) -> None:
        step = f"reading slot {self._slot} back"
        path = self.ledger.card.slot(self._slot)
        try:
            found = _checksum(path, bundle.size, lambda done: self.on_step(step, done))
        except OSError as error:
            words = f"slot {self._slot} cannot be read back: {error}; replace the card"
            raise UpdateError("card", words) from error
        if found != bundle.checksum:
            raise UpdateError(
                "card",
                f"slot {self._slot} gave back something else than was written: found checksum "
                f"{found[:8]}…, expected {bundle.checksum[:8]}…; the card is worn out, replace it",
            )

    # What came of it

    @property
    def _slot(self) -> str:
        return other(self.ledger.running)

    def _outcome(self, outcome: Literal["installed", "would-install"], bundle: Bundle) -> Outcome:
        version, running = bundle.release.version, self.ledger.release.version
        return Outcome(outcome, self._slot, version, running)

    def _note_refusal(self, source: str, error: RefusedError, *, dry: bool) -> None:
        if dry:
            return  # nothing was asked for but an opinion
        self.ledger.note(
            "refused",
            from_version=self.ledger.release.version,
            code=error.code,
            reason=error.words,
            detail=source.rpartition("/")[2],
        )

    def _note_failure(self, error: UpdateError) -> None:
        # The slot stays what it is from the first step on: not bootable.
        trial = self.ledger.record.trial
        if trial is None:
            return
        facts = SlotFacts(trial.version, trial.epoch, "bad", error.words)
        record = SlotRecord(self.ledger.record.committed, None, self.ledger.record.slots)
        self.ledger.keep(
            record.with_slot(trial.slot, facts),
            "failed",
            slot=trial.slot,
            version=trial.version,
            from_version=trial.from_version,
            code=error.code,
            reason=error.words,
            detail=f"slot {self.ledger.running} runs as before",
        )
        self.ledger.boot_from(self.ledger.running)
        self.ledger.tell()


def refuse_now(ledger: Ledger) -> None:
    """Say why no update may be installed at this moment.

    Raises:
        NotNowError: a trial runs, or the running slot is not known to work.
    """
    record, running = ledger.record, ledger.running
    trial = record.trial
    if trial is not None and trial.slot == running:
        raise NotNowError(
            "trial-runs",
            f"{trial.version} in slot {running} is on trial; expected a committed slot. "
            "It takes two healthy starts, a few minutes: leyden update status",
        )
    if running != record.committed:
        raise NotNowError(
            "not-committed",
            f"slot {running} runs and is not committed; expected slot {record.committed}. "
            "Wait for its health check: leyden update status",
        )


def _checksum(path: Path, size: int, on_done: Callable[[float], None]) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        # From the card itself, not from what the kernel remembers of having written it.
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        left = size
        while left and (chunk := file.read(min(left, _CHUNK))):
            digest.update(chunk)
            left -= len(chunk)
            on_done(1 - left / size)
    return digest.hexdigest()
