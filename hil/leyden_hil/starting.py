"""What a board needs from its card to be started: kernel and initrd, boot loader, device tree."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from leyden_hil.board import Board, Start
from leyden_hil.card import Card
from leyden_hil.errors import InfraError

ARGUMENTS_FILE: Final = "extra-args.txt"
FROM_CARD: Final = "card:"  # before the name of a file of the boot partition
FROM_BUILD: Final = "build:"  # before the path of a file that the image's builder left beside it


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What is unusual about a start."""

    journal: Path | None = None  # where every write to the card is noted
    clock: str = ""  # what the real-time clock says at power-on, ISO; "": the host's time
    write_protected: bool = False  # the switch of the card
    sees_host: bool = False  # whether the machine may connect to the host, at 10.0.2.2
    extra: tuple[str, ...] = ()  # further words for the emulator


class Starter:
    """Takes out of the card what its board's own firmware would read.

    Args:
        board: what is started.
        card: with what; it is told the board's kernel arguments, where a boot loader reads them.
        folder: where the files go.
        build: where the image's builder left what belongs to it.
        conditions: what is unusual; may be changed between starts.
    """

    def __init__(
        self,
        board: Board,
        card: Card,
        folder: Path,
        build: Path,
        conditions: Conditions | None = None,
    ) -> None:
        self._board = board
        self._card = card
        self._folder = folder
        self._build = build
        self.conditions = conditions or Conditions()
        folder.mkdir(parents=True, exist_ok=True)
        if not board.direct and board.arguments:
            card.put(ARGUMENTS_FILE, f"extra_args={board.arguments}\n".encode())

    def prepare(self, start: Start) -> Start:
        """Add to a start what comes from the card."""
        start = replace(start, **asdict(self.conditions))
        tree = self._file(self._board.tree) if self._board.tree else None
        if not self._board.direct:
            return replace(start, tree=tree, firmware=self._file(self._board.firmware))
        return replace(
            start,
            kernel=self._from_slot("vmlinuz.gz"),
            initrd=self._from_slot("initrd.img"),
            tree=tree,
            arguments=self._board.arguments,
        )

    def _from_slot(self, name: str) -> Path:
        data = self._card.slot_file("A", name)
        if data is None:
            raise InfraError(f"{self._card.path}: slot A has no /{name}; is the image whole?")
        return self._keep(name, data)

    def _file(self, named: str) -> Path:
        """Return the file that a board names."""
        if named.startswith(FROM_BUILD):
            path = self._build / named.removeprefix(FROM_BUILD)
        elif named.startswith(FROM_CARD):
            return self._from_card(named.removeprefix(FROM_CARD))
        else:
            path = Path(named)
        if not path.exists():
            raise InfraError(f"{path} is not there; `make image` makes it with the image")
        return path

    def _from_card(self, name: str) -> Path:
        data = self._card.get(name)
        if data is None:
            raise InfraError(f"{self._card.path}: the boot partition has no /{name}")
        return self._keep(name, data)

    def _keep(self, name: str, data: bytes) -> Path:
        path = self._folder / Path(name).name
        path.write_bytes(data)
        return path
