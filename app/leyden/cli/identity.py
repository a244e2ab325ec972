"""`leyden identity`: who this machine is."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator
from typing import Final

import msgspec

from leyden.appliance.identity import Identity, discover, read_serial
from leyden.cli.command import EXIT_FAILED
from leyden.cli.parsing import Parser, add_json
from leyden.cli.terminal import Paint, columns

SUMMARY: Final = "say who this machine is"


def parser() -> Parser:
    """Return the command's arguments."""
    found = Parser(
        "leyden identity",
        SUMMARY,
        details=(
            "The device id is a keyed hash of the processor's serial number: a name that stays\n"
            "for the life of the board, not a secret."
        ),
        examples=("leyden identity", "leyden identity --json", "leyden identity --serial"),
    )
    add_json(found)
    found.add_argument("--serial", action="store_true", help="the processor's whole serial alone")
    return found


def run(args: Namespace) -> int:
    """Print the identity, or the serial alone."""
    if args.serial:
        return _print_serial(as_json=args.json)
    identity = discover()
    if args.json:
        print(msgspec.json.encode(identity).decode())
        return 0
    print(columns(_rows(identity), indent=""))
    return 0


def _print_serial(*, as_json: bool) -> int:
    serial = read_serial()
    if as_json:
        print(msgspec.json.encode(msgspec.to_builtins(serial)).decode())
    elif serial.text:
        print(serial.text)
    else:
        print(f"leyden identity: {'; '.join(serial.problems)}", file=sys.stderr)
    return 0 if serial.text else EXIT_FAILED


def _rows(identity: Identity) -> Iterator[tuple[str, str]]:
    soft = Paint(sys.stdout)
    values = msgspec.structs.asdict(identity)
    interfaces = ", ".join(f"{each.name} {each.mac}" for each in identity.interfaces)
    memory = identity.memory_total
    values["interfaces"] = interfaces
    values["memory_total"] = f"{memory / 2**30:.2f} GiB" if memory is not None else ""
    values["clock"] = str(identity.clock)
    problems = values.pop("problems")
    for name, value in values.items():
        yield soft("soft", name.replace("_", " ")), str(value) or soft("soft", "not known")
    for problem in problems:
        yield soft("uncertain", "note"), problem
