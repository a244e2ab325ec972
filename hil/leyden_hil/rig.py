"""The rig of a run: one target, one image, and appliances made of them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import argon2

from leyden_hil.appliance import Appliance
from leyden_hil.bench import OwnedBoard
from leyden_hil.card import Card
from leyden_hil.emulator import check_room
from leyden_hil.lab import ApplianceDriver, EmulatorDriver, State
from leyden_hil.preseed import Preseed
from leyden_hil.shell import Key
from leyden_hil.starting import Conditions

HOSTNAME: Final = "rig"
SERIAL: Final = "10000000deadbeef"  # of an emulated board: it has none of its own
_CARD_ROOM_MB: Final = 2048


@dataclass(frozen=True, slots=True)
class Rig:
    """One target, one image.

    Args:
        target: labgrid's.
        image: that cards are copied from.
        build: where the image's builder left what belongs to it.
        folder: for what this run leaves behind.
        parts: the appliance configuration for what hangs on this target's buses, as TOML.
    """

    target: Any
    image: Path
    build: Path
    folder: Path
    parts: str = ""  # the appliance configuration for what hangs on this target's buses
    password: str = field(default_factory=lambda: secrets.token_urlsafe(12))

    @property
    def features(self) -> set[str]:
        """What the target can do."""
        return set(self.target.env.get_features() | self.target.env.get_target_features())

    def key(self) -> Key:
        """Return the key pair of this run."""
        return Key.make(self.folder)

    def preseed(self, **changes: Any) -> Preseed:
        """Return what every card is told: name, key, password; and changes to that."""
        usual = {
            "hostname": HOSTNAME,
            "ssh_key": self.key().public,
            "password_hash": password_hash(self.password),
            "appliance": self.parts,
        }
        return Preseed(**(usual | changes))

    def card(self, name: str, size_mb: int = 0) -> Card:
        """Return a fresh card; 0: as large as the target's board wants it."""
        check_room(self.folder, _CARD_ROOM_MB)
        emulator = self.target.get_driver(EmulatorDriver)
        size_mb = size_mb or emulator.resource.described().card_mb
        return Card.copy(self.image, self.folder / "cards" / f"{name}.img", size_mb)

    @contextmanager
    def appliance(
        self,
        name: str,
        *,
        preseed: Preseed | None = None,
        change: Callable[[Card], None] | None = None,
        size_mb: int = 0,
        state: State = State.APP,
        conditions: Conditions | None = None,
    ) -> Iterator[Appliance]:
        """Make an appliance of a fresh card, and throw it away in the end.

        Args:
            name: of the folder for its logs.
            preseed: what the card is told; `None`: the usual.
            change: is given the card before it is put in.
            size_mb: of the card, if not the usual.
            state: which state it is brought to.
            conditions: what is unusual about its starts.
        """
        preseed = preseed or self.preseed()
        card = self.card(name, size_mb)
        try:
            card.put("leyden.toml", preseed.text().encode())
            if "boot-loader" in self.features:
                card.set_environment(**{"serial#": SERIAL})
            if change is not None:
                change(card)
            made = self._made(card, name, preseed, conditions)
            self.target.get_strategy().transition(state)
            yield made
            made.forget()
        finally:
            self.target.get_strategy().transition(State.OFF)
            self.target.get_driver(EmulatorDriver).eject()
            card.remove()

    def _made(
        self, card: Card, name: str, preseed: Preseed, conditions: Conditions | None
    ) -> Appliance:
        emulator: EmulatorDriver = self.target.get_driver(EmulatorDriver)
        driver: ApplianceDriver = self.target.get_driver(ApplianceDriver)
        starter = emulator.insert(card, self.folder / name, self.build, conditions)
        network_name = f"{preseed.hostname or 'leyden'}.local"
        driver.expect_name(network_name, self.key())
        self.target.get_strategy().status = State.OFF
        return Appliance(
            network_name,
            self.password,
            lambda: driver.shell,
            driver.new_panel,
            card,
            emulator.machine,
            starter,
        )


def password_hash(password: str) -> str:
    """Return what a preseed says of a password."""
    return argon2.PasswordHasher(time_cost=2, memory_cost=8192, parallelism=1).hash(password)


@contextmanager
def at_bench(rig: Rig) -> Iterator[Appliance]:
    """Bring up the appliance of a bench, whose card stays in it."""
    board: OwnedBoard = rig.target.get_resource(OwnedBoard)
    driver: ApplianceDriver = rig.target.get_driver(ApplianceDriver)
    driver.expect_name(board.name, board.key_pair())
    strategy = rig.target.get_strategy()
    strategy.transition(State.APP)
    yield Appliance(board.name, board.secret(), lambda: driver.shell, driver.new_panel, None, None)
    driver.forget()


class Shared:
    """One appliance for all tests that only look: made when first asked for, dropped for others."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._stack = ExitStack()
        self._appliance: Appliance | None = None
        self._made = 0

    def get(self) -> Appliance:
        """Return the appliance; make one if there is none."""
        if self._appliance is None:
            self._made += 1
            manager = (
                self._rig.appliance(f"shared-{self._made}")
                if "card" in self._rig.features
                else at_bench(self._rig)
            )
            self._appliance = self._stack.enter_context(manager)
        return self._appliance

    def drop(self) -> None:
        """Switch it off and throw it away: another card is wanted in the board."""
        self._appliance = None
        self._stack.close()
