"""Intake: takes over what stands on the boot partition, once, and wipes its secrets there.

The order holds against a power cut at any point: first everything is safe on the data partition,
then what was read is remembered, then secrets are wiped. Whoever comes back in between finds the
same file again and does the same again, or finds it half wiped and finishes that.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from leyden.appliance.card import imager, record
from leyden.appliance.card.boot_partition import BootPartition, BootPartitionError
from leyden.appliance.card.judging import Complaint
from leyden.appliance.card.merging import merged
from leyden.appliance.card.notes import Level, Notes
from leyden.appliance.card.places import PANEL_USER, Card
from leyden.appliance.card.preseed import LONGEST, Preseed, judge_wishes, read_preseed
from leyden.appliance.card.programs import ask_systemd
from leyden.appliance.card.record import RecordError, Settings
from leyden.appliance.card.text_file import UnreadableError, decode
from leyden.appliance.card.wiping import Unfinished, wiped
from leyden.appliance.judge import Verdict, judge_in_child
from leyden.kernel import Clock, LeydenError, SystemClock
from leyden.panel.passwords import write_password_hash
from leyden.storage.atomic import write_atomic
from leyden.storage.errors import explain
from leyden.storage.files import FILES

_MISNAMED: Final = ("leyden.toml.txt", "leyden.txt", "leyden.rtf", "leyden.toml.rtf")
_CANDIDATE: Final = "appliance.candidate.toml"
_LONGEST_APPLIANCE: Final = 1 << 20  # bytes; the judge refuses more

Judge = Callable[[Path], Verdict]


@dataclass(slots=True)
class Intake:
    """Takes over what the owner of a card wrote.

    Args:
        card: the card.
        notes: where is said what happened.
        boot: its boot partition.
        judge: says whether a file is an appliance's configuration; the same that the runtime asks.
        clock: dates the password.
    """

    card: Card
    notes: Notes
    boot: BootPartition
    judge: Judge = judge_in_child
    clock: Clock = field(default_factory=SystemClock)

    def run(self) -> None:
        """Take over what is new; nothing is done to a file that was read before."""
        self._imager()
        self._misnamed()
        data = self._read(self.card.preseed, LONGEST + 1)
        if data is None:
            return
        if data == self._read(self.card.seen, LONGEST + 1):
            self.card.wiping.unlink(missing_ok=True)  # the power went just before this
            return
        unfinished = self._unfinished()
        if unfinished is not None and unfinished.matches(data):
            self._wipe(unfinished)
            return
        name = self.card.preseed.name
        preseed = read_preseed(data, name=name, zones=self.card.zones)
        if self._take_over(preseed, name):
            self._remember(data, wiped(preseed, data))

    # What is done with wishes

    def _take_over(self, preseed: Preseed, name: str) -> bool:
        """Apply everything that is right; return whether it is safe on the disk."""
        try:
            complaints = [*preseed.complaints, *self._appliance(preseed, name)]
            self._password(preseed)
            settings, more = merged(self._settings(), preseed.wishes, complaints, file=name)
            told = settings.complaints | {name: tuple(map(str, [*complaints, *more]))}
            record.save(self.card, msgspec.structs.replace(settings, complaints=told))
        except OSError as error:
            self._not_saved(name, explain(error))
            return False
        except LeydenError as error:
            self._not_saved(name, str(error))
            return False
        if not preseed.empty:
            self.notes.add(Level.INFO, "preseed.taken-over", f"{name} was taken over")
        return True

    def _not_saved(self, name: str, why: str) -> None:
        words = f"{name} could not be taken over, and is read again at the next start: {why}"
        self.notes.add(Level.ERROR, "preseed.not-saved", words)

    def _settings(self) -> Settings:
        try:
            return record.load(self.card)
        except RecordError as error:
            self.notes.add(Level.ERROR, "settings.damaged", str(error))
            return Settings()

    def _password(self, preseed: Preseed) -> None:
        text = preseed.wishes.panel.password_hash
        if text is not None:
            write_password_hash(self.card.auth, text, self.clock)
            with contextlib.suppress(OSError):  # first boot sees to all owners once more
                self.card.own(self.card.password, 0o600, PANEL_USER)
            words = "the panel's password is the one whose hash was on the boot partition"
            self.notes.add(Level.INFO, "preseed.password", words)

    def _appliance(self, preseed: Preseed, name: str) -> list[Complaint]:
        """Put a configuration in its place if it is one; return what is wrong with it."""
        beside = preseed.wishes.appliance_file
        if beside is None:
            return self._judged(preseed.appliance, name) if preseed.appliance else []
        complaints = []
        if preseed.appliance:
            words = f"an appliance stands in this file too; {beside} counts"
            complaints.append(Complaint(name, words, ("appliance_file",)))
        data = self._read(self.card.boot / beside, _LONGEST_APPLIANCE + 1)
        if data is None:
            there = ", ".join(sorted(each.name for each in self.card.boot.glob("*.toml"))) or "none"
            words = f'found no file "{beside}" beside it, expected one of these: {there}; left out'
            return [*complaints, Complaint(name, words, ("appliance_file",))]
        try:
            return [*complaints, *self._judged(decode(data).text, beside)]
        except UnreadableError as error:
            return [*complaints, Complaint(beside, f"{error}; left out")]

    def _judged(self, text: str, file: str) -> list[Complaint]:
        candidate = self.card.config.with_name(_CANDIDATE)
        FILES.make_folder(candidate.parent)
        try:
            write_atomic(candidate, text.encode("utf-8", "surrogateescape"))
            verdict = self.judge(candidate)
        finally:
            candidate.unlink(missing_ok=True)
        if verdict.plan is not None:
            self._put_in_place(text.lstrip("\r\n").encode())
            return []
        words = "the appliance's configuration was left out; what ran before runs on"
        wrong = [_without(each, str(candidate)) for each in verdict.problems]
        return [Complaint(file, each) for each in (*wrong, words)]

    def _put_in_place(self, data: bytes) -> None:
        if self._read(self.card.config, _LONGEST_APPLIANCE) != data:
            write_atomic(self.card.config, data)
            words = "a new appliance configuration is in place"
            self.notes.add(Level.INFO, "preseed.appliance", words)
            ask_systemd(self.card, "try-restart", "leyden-runtime.service")

    # What is left on the boot partition

    def _remember(self, before: bytes, after: bytes) -> None:
        try:
            write_atomic(self.card.seen, after, private=True)
            if before == after:
                self.card.wiping.unlink(missing_ok=True)
                return
            unfinished = Unfinished.of(before, after)
            write_atomic(self.card.wiping, msgspec.json.encode(unfinished), private=True)
        except OSError as error:
            words = f"{self.card.preseed.name} will be read again: {explain(error)}"
            self.notes.add(Level.ERROR, "preseed.not-remembered", words)
            return
        self._wipe(unfinished)

    def _wipe(self, unfinished: Unfinished) -> None:
        name = self.card.preseed.name
        try:
            self.boot.overwrite(name, unfinished.after)
            self.card.wiping.unlink(missing_ok=True)
        except BootPartitionError as error:
            words = (
                f"passwords could not be wiped from {name} on the boot partition and can be read "
                f"by whoever holds the card: {error}; delete them on another computer"
            )
            self.notes.add(Level.ERROR, "preseed.not-wiped", words)
            return
        self.notes.add(Level.INFO, "preseed.wiped", f"passwords were wiped from {name}")

    def _unfinished(self) -> Unfinished | None:
        data = self._read(self.card.wiping, 4 * LONGEST)
        if data is None:
            return None
        try:
            return msgspec.json.decode(data, type=Unfinished)
        except msgspec.MsgspecError:
            return None  # then the file is read as if it were new

    def _misnamed(self) -> None:
        for name in _MISNAMED:
            if (self.card.boot / name).exists():
                words = f"{name} on the boot partition is not read; its name has to be leyden.toml"
                hint = "some systems hide the end of a name while they show it"
                self.notes.add(Level.WARNING, "preseed.misnamed", f"{words} ({hint})")

    # Raspberry Pi Imager

    def _imager(self) -> None:
        found = {name: self._read(self.card.boot / name, LONGEST) for name in imager.FILES}
        user_data = found[imager.USER_DATA] or b""
        network = found[imager.NETWORK_CONFIG] or b""
        table = imager.wishes_of(user_data, network)
        name = "Raspberry Pi Imager's settings"
        if table:
            preseed = judge_wishes(table, name=name, zones=self.card.zones)
            if not self._take_over(preseed, name):
                return
            if imager.names_user(user_data):
                words = (
                    "user name and password were left out: there are no user accounts; the panel "
                    "is claimed with the code on the screen, and SSH keys log in as root"
                )
                self.notes.add(Level.WARNING, "preseed.user", f"{name}: {words}")
        self._discard({name: data for name, data in found.items() if data is not None})

    def _discard(self, found: dict[str, bytes]) -> None:
        try:
            for name, data in found.items():
                self.boot.overwrite(name, b"#".ljust(len(data))[: len(data)])
                self.boot.remove(name)
        except BootPartitionError as error:
            words = f"Raspberry Pi Imager's settings could not be wiped: {error}"
            self.notes.add(Level.ERROR, "preseed.not-wiped", words)

    def _read(self, path: Path, most: int) -> bytes | None:
        """Return the first bytes of a file; None where there is none that can be read."""
        try:
            with path.open("rb") as file:
                return file.read(most)
        except FileNotFoundError:
            return None
        except OSError as error:
            words = f"{path.name} cannot be read: {explain(error)}"
            self.notes.add(Level.ERROR, "preseed.unreadable", words)
            return None


def _without(problem: str, path: str) -> str:
    """Return a judge's line without the name of the copy that it judged."""
    return problem.removeprefix(f"{path}: ").replace(path, "the file")
