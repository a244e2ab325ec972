"""A modelled appliance for the tests of updates: a card in files, a boot loader, and power cuts.

The boot loader does what image/boot/boot.cmd does; RAUC is modelled at its command line: it takes
the slot out of the boot order in two writes, as the real one does, and then writes the slot. What a
slot does when it is started stands in the slot itself.
"""

from __future__ import annotations

import hashlib
import itertools
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from leyden.appliance.mark_good import judge_start
from leyden.appliance.update import environment as boot_variables
from leyden.appliance.update.card import Card
from leyden.appliance.update.environment import Environment
from leyden.appliance.update.errors import UpdateError
from leyden.appliance.update.history import FILE, read_history
from leyden.appliance.update.install import Installation, OnStep, Outcome
from leyden.appliance.update.ledger import Ledger
from leyden.appliance.update.rauc import OnProgress
from leyden.appliance.update.slots import Entry, other
from leyden.kernel import ManualClock
from leyden.storage.files import Files
from leyden.storage.raw import RawArea

SLOT_BYTES = 8 * 1024
MIB = 1 << 20
BOARD = "raspberrypi,3-model-b"


class PowerCut(BaseException):
    """The power goes; nothing may catch this."""


class FragileFiles(Files):
    """A disk that loses power at a chosen write, which it leaves torn.

    Of a raw write any choice of 512-byte sectors arrives, of an append any beginning.
    """

    def __init__(self) -> None:
        super().__init__(durable=False)
        self.writes = 0
        self.cut_at: int | None = None
        self.chance = random.Random(0)  # noqa: S311 - not a secret

    def cut(self, at: int | None, seed: int = 0) -> None:
        """Lose power at the `at`th write from now on; None: never."""
        self.writes, self.cut_at = 0, at
        self.chance = random.Random(seed)  # noqa: S311 - not a secret

    def _is_last(self) -> bool:
        self.writes += 1
        return self.writes == self.cut_at

    def write_at(self, descriptor: int, data: bytes | memoryview, offset: int) -> int:
        if not self._is_last():
            return super().write_at(descriptor, data, offset)
        for start in range(0, len(data), 512):
            if self.chance.random() < 0.5:
                super().write_at(descriptor, data[start : start + 512], offset + start)
        raise PowerCut

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        if not self._is_last():
            return super().write(descriptor, data)
        super().write(descriptor, data[: self.chance.randrange(len(data) + 1)])
        raise PowerCut

    def replace(self, source: Path, target: Path) -> None:
        if self._is_last():
            raise PowerCut
        super().replace(source, target)


class Contents(msgspec.Struct, frozen=True):
    """What a slot holds, and what it does when it is started.

    `does`: runs | sick (never healthy) | sick-later (from its second start on) | dies (before its
    health is known) | panics (before user space) | broken (its kernel cannot be loaded)
    """

    version: str
    does: str = "runs"
    epoch: int = 1_700_000_000

    def image(self) -> bytes:
        """The bytes of the slot: a superblock's magic, the contents, filling."""
        text = msgspec.json.encode(self).ljust(1024, b"\n")
        return (text + b"\0" * 56 + b"\x53\xef").ljust(SLOT_BYTES, b"\xa5")


@dataclass
class Vitals:
    """An appliance whose health stands in the slot that runs."""

    healthy: bool = True
    problem: str = "it is sick on purpose"

    def addresses(self) -> tuple[str, ...]:
        return ("192.0.2.7",)

    def door(self, door: str, address: str) -> str:
        return "" if self.healthy else self.problem

    def devices(self) -> dict[str, str] | str:
        return {"air": "online", "spare": "absent"}

    def log(self) -> str:
        return ""


class JumpingClock(ManualClock):
    """A clock whose sleeps are over at once."""

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)


class WatchdogReset(BaseException):
    """The watchdog resets the machine."""


class LastClock(ManualClock):
    """A clock whose first sleep nobody wakes up from."""

    def sleep(self, seconds: float) -> None:
        raise WatchdogReset


@dataclass
class ModelledRauc:
    """RAUC without its signatures: a bundle is the slot's image and nothing else."""

    machine: Machine
    manifest: dict[str, Any] = field(default_factory=dict)

    def inspect(self, path: Path) -> dict[str, Any]:
        image = path.read_bytes()
        contents = read_contents(image)
        told = {
            "update": {"compatible": "leyden-arm64", "version": contents.version},
            "images": [
                {
                    "slot-class": "rootfs",
                    "checksum": hashlib.sha256(image).hexdigest(),
                    "size": len(image),
                }
            ],
            "meta": {"leyden": {"epoch": str(contents.epoch), "boards": BOARD}},
        }
        return told | self.manifest

    def install(self, path: Path, on_progress: OnProgress) -> None:
        card = self.machine.card
        slot = other(card.running())
        for name, value in (
            ("BOOT_ORDER", other(slot)),
            (boot_variables.tries_name(slot), "0"),
        ):
            self.machine.set_variable(name, value)
        image = path.read_bytes()
        for start in range(0, len(image), 4096):
            piece = image[start : start + 4096]
            RawArea(card.slot(slot), start, len(piece), card.files).write(piece)
            on_progress(40 + 60 * start // len(image), "Copying image")


def read_contents(image: bytes) -> Contents:
    """Return what a slot holds; raises msgspec.MsgspecError when it is torn."""
    if len(image) < SLOT_BYTES or image[-1:] != b"\xa5":
        raise msgspec.DecodeError("cut short")
    contents = msgspec.json.decode(image[:1024], type=Contents)
    if contents.image() != image[:SLOT_BYTES]:
        raise msgspec.DecodeError("torn")
    return contents


class Machine:
    """A board with a card: can be switched on, updated, and lose its power at any write."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = FragileFiles()
        self.card = Card(root, self.files)
        self.clock = JumpingClock()
        self.rauc = ModelledRauc(self)
        self.vitals = Vitals()
        self.said: list[str] = []
        self.recoveries = 0
        self._boots = itertools.count(1)
        for folder in ("dev/disk/by-partuuid", "proc/sys/kernel/random", "proc/device-tree",
                       "usr/lib/leyden", "data/system/updates", "run"):  # fmt: skip
            (root / folder).mkdir(parents=True)
        (root / "proc/device-tree/compatible").write_bytes(f"{BOARD}\0brcm,bcm2837\0".encode())
        with self.card.disk.open("wb") as file:
            file.truncate(3 * MIB)
        for slot in ("A", "B"):
            self.card.slot(slot).write_bytes(bytes(SLOT_BYTES))
        self.fill("A", Contents("0.1.0"))
        self.card.environment.write(boot_variables.DEFAULTS)

    # What a test does

    def fill(self, slot: str, contents: Contents) -> None:
        """Put contents into a slot, as flashing the card does."""
        self.card.slot(slot).write_bytes(contents.image())

    def power_on(self) -> str:
        """Start, follow every restart the machine asks for, and return the slot that stays.

        "recovery" stands for the page that a person would see when no slot can be started.
        """
        for _ in range(12):
            slot = self.start_once()
            if slot is not None:
                return slot
        raise AssertionError(f"the machine restarts for ever: {self.said[-5:]}")

    def start_once(self) -> str | None:
        """Start once; None: it restarts by itself, by a panic or because it asked to."""
        slot = self._boot_loader()
        if slot is None:
            return "recovery"
        contents = read_contents(self.card.slot(slot).read_bytes())
        if contents.does == "panics":
            return None
        restarts = self._user_space(slot, contents)
        return None if restarts else slot

    def install(self, contents: Contents, *, dry: bool = False, force: bool = False) -> Outcome:
        """Install an update in the running slot's user space."""
        bundle = self.root / "update.raucb"
        bundle.write_bytes(contents.image())
        return self.installation().run(str(bundle), dry=dry, force=force)

    def installation(self, on_step: OnStep | None = None) -> Installation:
        """What installs updates in this start."""
        return Installation(
            Ledger(self.card, self.clock, self.said.append),
            self.rauc,
            self.vitals,
            on_step or (lambda *_: None),
        )

    def history(self) -> list[Entry]:
        """What became of updates, oldest first."""
        return read_history(self.card.updates / FILE)

    def whats(self) -> list[str]:
        """The history in one word an entry."""
        return [entry.what for entry in self.history()]

    def ledger(self) -> Ledger:
        """Record, history and variables, as a process that starts now finds them."""
        return Ledger(self.card, self.clock, self.said.append)

    def variables(self) -> Environment:
        """What the boot loader goes by."""
        return self.card.environment.read().environment

    def set_variable(self, name: str, value: str) -> None:
        """Do what `fw_setenv` does: one variable, one write of the primary stretch."""
        changed = Environment({**self.variables().variables, name: value})
        self.primary.write(boot_variables.encode(changed))

    @property
    def primary(self) -> RawArea:
        return RawArea(self.card.disk, MIB, boot_variables.ENVIRONMENT_BYTES, self.files)

    # What the board does

    def _boot_loader(self) -> str | None:
        passed, source = "", self.card.environment.read().source
        for slot in self.variables().order:
            left = self.variables().tries(slot)
            if left == 0:
                passed += f"{slot}:no-tries-left,"
                continue
            self.set_variable(boot_variables.tries_name(slot), f"{left - 1:x}")
            if self._loads(slot):
                self._enter(slot, passed, source)
                return slot
            passed += f"{slot}:kernel-damaged,"
        for slot in ("A", "B"):
            self.set_variable(boot_variables.tries_name(slot), "3")
        self.recoveries += 1
        return None

    def _loads(self, slot: str) -> bool:
        try:
            return read_contents(self.card.slot(slot).read_bytes()).does != "broken"
        except msgspec.MsgspecError:
            return False

    def _enter(self, slot: str, passed: str, source: str) -> None:
        why = f" leyden.why={passed}" if passed else ""
        words = f"leyden.slot={slot} ro leyden.environment={source}{why}\n"
        (self.root / "proc/cmdline").write_text(words)
        (self.root / "proc/sys/kernel/random/boot_id").write_text(f"boot-{next(self._boots)}\n")

    def _user_space(self, slot: str, contents: Contents) -> bool:
        release = {
            "version": contents.version, "epoch": contents.epoch,
            "compatible": "leyden-arm64", "boards": [BOARD],
        }  # fmt: skip
        (self.root / "usr/lib/leyden/release.json").write_bytes(msgspec.json.encode(release))
        restarts: list[bool] = []
        ledger = self.ledger()
        trial = ledger.record.trial
        later = trial is not None and trial.boots >= 1
        self.vitals.healthy = contents.does in ("runs", "dies") or (
            contents.does == "sick-later" and not later
        )
        if contents.does == "dies" and trial is not None and trial.slot == slot:
            self.vitals.healthy = False
            return self._dies(ledger)
        try:
            judge_start(ledger, self.vitals, self.clock, lambda: restarts.append(True))
        except UpdateError as error:
            self.said.append(error.words)
        return bool(restarts)

    def _dies(self, ledger: Ledger) -> bool:
        # The watchdog resets the machine while the health check is looking.
        try:
            judge_start(ledger, self.vitals, LastClock(), lambda: None)
        except WatchdogReset:
            return True
        raise AssertionError("it was healthy before it could die")
