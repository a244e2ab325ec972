"""`leyden password`: makes the hash of a panel password, for a card that is not to be claimed."""

from __future__ import annotations

import getpass
import sys
from argparse import Namespace
from typing import Final

from leyden.cli.command import UsageError
from leyden.cli.parsing import Parser
from leyden.panel.passwords import LONGEST, hash_password

SUMMARY: Final = "make the hash of a panel password"
_MOST: Final = 4 * LONGEST + 2  # bytes of a line that may hold one


def parser() -> Parser:
    """Return the command's arguments."""
    found = Parser(
        "leyden password",
        SUMMARY,
        details=(
            "What it prints belongs into leyden.toml on the boot partition of a card:\n"
            'password_hash = "…" under [panel]. The password itself never does.'
        ),
        examples=(
            "leyden password hash",
            "pass show greenhouse | leyden password hash",
        ),
    )
    actions = found.add_subparsers(metavar="hash", required=True, dest="action")
    actions.add_parser(
        "hash",
        help="ask for a password and print its hash",
        summary="ask for a password and print its argon2id hash; nothing is kept",
        details=(
            "At a terminal it asks twice and shows nothing. Otherwise it takes the first line\n"
            "of standard input."
        ),
        examples=("leyden password hash",),
    )
    return found


def run(_: Namespace) -> int:
    """Print the hash."""
    print(hash_password(_asked() if sys.stdin.isatty() else _given()))
    return 0


def _asked() -> str:
    password = getpass.getpass("password: ")
    if getpass.getpass("once more: ") != password:
        raise UsageError("the two differ; start again")
    return password


def _given() -> str:
    line = sys.stdin.buffer.readline(_MOST)
    try:
        return line.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise UsageError("standard input is not UTF-8") from None
