"""Programs of the card: what they all take on the command line, and how they reach systemd."""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from leyden.appliance.card.places import Card

_PATIENCE_S: Final = 10.0


def parser(about: str) -> argparse.ArgumentParser:
    """Return a parser that knows the root directory."""
    found = argparse.ArgumentParser(description=f"{about[:1].upper()}{about[1:]}.")
    found.add_argument(
        "--root",
        metavar="DIR",
        type=Path,
        default=Path("/"),
        help="work on a copy of a card's files: nothing is mounted, owned or restarted there",
    )
    return found


def card_of(argv: Sequence[str] | None, about: str) -> Card:
    """Return the card that the command line names."""
    root: Path = parser(about).parse_args(argv).root
    return Card(root.resolve())


def ask_systemd(card: Card, *words: str) -> None:
    """Ask systemd for something and do not wait until it is done; on a copy, nothing is asked.

    A system without systemd, or one that is going down, has its own reasons; nothing here depends
    on the answer.
    """
    if not card.live:
        return
    command = ["systemctl", "--no-block", *words]
    try:
        subprocess.run(command, check=False, capture_output=True, timeout=_PATIENCE_S)
    except (OSError, subprocess.TimeoutExpired):
        return
