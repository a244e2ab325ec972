"""Makes a card this appliance: `python -m leyden.appliance.card.first_boot [--root DIR]`.

Folders and whom they belong to, the device's key, what the owner wrote on the boot partition, and
the claim code. All of it may be done again at any time: what is there stays. Systemd starts it when
something is missing or new, see the unit's condition. Whatever fails is noted and the rest is done.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from leyden.appliance.card import claiming
from leyden.appliance.card.boot_partition import BootPartition
from leyden.appliance.card.intake import Intake
from leyden.appliance.card.notes import Level, Notes
from leyden.appliance.card.places import KEEP, LEYDEN_GROUP, PANEL_USER, RUNTIME_USER, Card
from leyden.appliance.card.programs import card_of
from leyden.kernel import Clock, LeydenError, SystemClock, iso
from leyden.storage.atomic import remove_leftovers, write_atomic
from leyden.storage.errors import explain
from leyden.storage.files import FILES

DEVICE_KEY: Final = "device.key"


@dataclass(frozen=True, slots=True)
class _Folder:
    path: Path
    mode: int
    user: int = 0
    group: int = KEEP


@dataclass(slots=True)
class FirstBoot:
    """The steps of a first boot.

    Args:
        card: the card.
        notes: where is said what happens.
        intake: takes over what is on the boot partition.
        clock: dates what is made.
    """

    card: Card
    notes: Notes
    intake: Intake
    clock: Clock = field(default_factory=SystemClock)

    def run(self) -> bool:
        """Do what has not been done; return whether all of it is done."""
        steps: tuple[tuple[str, Callable[[], None]], ...] = (
            ("folders", self._folders),
            ("device-key", self._device_key),
            ("preseed", self.intake.run),
            ("claim", self._claim),
            ("owners", self._owners),
        )
        # One step that fails does not keep the next from being tried.
        went_well = [self._step(name, step) for name, step in steps]
        return all(went_well) and self._step("done", self._done)

    def _step(self, name: str, step: Callable[[], None]) -> bool:
        try:
            step()
        except OSError as error:
            self.notes.add(Level.ERROR, f"first-boot.{name}", f"{name}: {explain(error)}")
            return False
        except LeydenError as error:
            self.notes.add(Level.ERROR, f"first-boot.{name}", f"{name}: {error}")
            return False
        return True

    def _folders(self) -> None:
        for each in _folders(self.card):
            each.path.mkdir(mode=each.mode, parents=True, exist_ok=True)
            self.card.own(each.path, each.mode, each.user, each.group)
        # Only where nobody else writes: runtime and panel may be at work already.
        for folder in (self.card.config.parent, self.card.identity, self.card.system):
            remove_leftovers(folder)

    def _device_key(self) -> None:
        path = self.card.identity / DEVICE_KEY
        if path.exists():
            return
        # Once in the life of a card; on all other starts cryptography stays unloaded.
        from leyden.appliance.card.authority import encode_key, new_key  # noqa: PLC0415 - as said

        write_atomic(path, encode_key(new_key()), private=True)

    def _claim(self) -> None:
        if claiming.claimed(self.card):
            claiming.forget_code(self.card)
        else:
            claiming.ensure_code(self.card, self.clock)

    def _owners(self) -> None:
        for path in self.card.auth.iterdir():
            if path.is_file() and not path.is_symlink():
                self.card.own(path, 0o600, PANEL_USER)

    def _done(self) -> None:
        if not self.card.done.exists():
            write_atomic(self.card.done, f"{iso(self.clock.time_ns())}\n".encode())
            FILES.sync_folder(self.card.system)


def _folders(card: Card) -> Iterator[_Folder]:
    yield _Folder(card.data, 0o755)
    yield _Folder(card.config.parent, 0o755)
    yield _Folder(card.data / "log", 0o750, RUNTIME_USER, LEYDEN_GROUP)
    yield _Folder(card.auth, 0o700, PANEL_USER)
    # Entered by everybody, for the certificates; each key in it is for one user alone.
    yield _Folder(card.identity, 0o711)
    yield _Folder(card.system, 0o755)
    yield _Folder(card.keys.parent, 0o700)
    yield _Folder(card.iwd, 0o700)


def main(argv: Sequence[str] | None = None) -> int:
    """Do what has not been done; return 0, for an appliance comes up with what there is."""
    card = card_of(argv, "make a card this appliance")
    notes = Notes(card)
    FirstBoot(card, notes, Intake(card, notes, BootPartition(card))).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
