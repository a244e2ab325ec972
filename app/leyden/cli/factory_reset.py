"""`leyden factory-reset`: lets this appliance forget everything at its next start."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import Final

from leyden.appliance.card import factory_reset
from leyden.appliance.card.boot_partition import BootPartition, BootPartitionError
from leyden.appliance.card.places import Card
from leyden.appliance.card.programs import ask_systemd
from leyden.cli.command import UsageError
from leyden.cli.parsing import Parser
from leyden.kernel import LeydenError

SUMMARY: Final = "forget everything at the next start"
_WORD: Final = "forget"


def parser() -> Parser:
    """Return the command's arguments."""
    found = Parser(
        "leyden factory-reset",
        SUMMARY,
        details=(
            "For an appliance on its own card, as root. Measurements, configuration, passwords,\n"
            "keys and certificates are gone after the restart; what stands in leyden.toml on the\n"
            "boot partition is read again, without the passwords that were wiped from it.\n"
            "Without a way to log in, an empty file called factory-reset on the boot partition\n"
            "does the same."
        ),
        examples=("leyden factory-reset", "leyden factory-reset --yes --no-restart"),
    )
    found.add_argument("--yes", action="store_true", help="do not ask")
    found.add_argument("--no-restart", action="store_true", help="wait for the next start")
    found.add_argument("--cancel", action="store_true", help="take it back before the next start")
    found.add_argument(
        "--root", metavar="DIR", default="/", help="work on a copy of a card's files"
    )
    return found


def run(args: Namespace) -> int:
    """Leave the wish on the boot partition and restart."""
    card = Card(Path(args.root).resolve())
    boot = BootPartition(card)
    try:
        if args.cancel:
            factory_reset.withdraw(boot)
            print("nothing will be forgotten")
            return 0
        _confirm(args)
        factory_reset.ask(boot)
    except BootPartitionError as error:
        raise LeydenError(f"{error}; an appliance on its own card has one, for root") from error
    print("everything is forgotten at the next start; take it back with --cancel")
    if not args.no_restart:
        ask_systemd(card, "reboot")
    return 0


def _confirm(args: Namespace) -> None:
    if args.yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("nobody is here to be asked; say --yes if everything may be forgotten")
    print("Measurements, configuration, passwords, keys and certificates will be gone.")
    if input(f'type "{_WORD}" to go on: ').strip().lower() != _WORD:
        raise UsageError("nothing was done")
