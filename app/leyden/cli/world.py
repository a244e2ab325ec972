"""`leyden world`: the modelled world behind a running mock."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import Final

import msgspec

from leyden.appliance.folders import Folders
from leyden.cli.parsing import Parser, add_data, add_json, data_dir
from leyden.cli.terminal import Paint, columns
from leyden.kernel import LeydenError, Outcome, Value
from leyden.link.client import LinkClient, LinkDownError, LinkRefusal, SignalRow
from leyden.units import UNITS

SUMMARY: Final = "see and set the modelled world of a running mock"
_GOAL: Final = "world.set"


class WorldError(LeydenError):
    """Nothing runs there, it has no modelled world, or the world refuses."""


def parser() -> Parser:
    """Return the command's arguments."""
    found = Parser(
        "leyden world",
        SUMMARY,
        details=(
            "What chips sense, and what can go wrong with them, are signals of one world.\n"
            "`leyden manual worlds-and-faults` lists the faults."
        ),
        examples=(
            "leyden world list",
            'leyden world set air.temperature "31.5 °C"',
            "leyden world set air.present false",
            "leyden world set air.fault nack",
        ),
    )
    actions = found.add_subparsers(metavar="list | set", required=True, dest="action")
    listing = actions.add_parser(
        "list",
        help="list all signals and their values",
        summary="list all signals and their values",
        examples=("leyden world list", "leyden world list --json --data /var/lib/leyden"),
    )
    listing.set_defaults(carry_out=_list)
    setting = actions.add_parser(
        "set",
        help="hold a signal at a value",
        summary="hold a signal at a value, whatever course it was on",
        examples=("leyden world set soil.moisture_1 12", "leyden world set air.present true"),
    )
    setting.add_argument("name", metavar="NAME", help="as `leyden world list` shows it")
    setting.add_argument("value", metavar="VALUE", help="number, quantity, true, false or text")
    setting.set_defaults(carry_out=_set)
    for each in (listing, setting):
        add_data(each)
        add_json(each)
    return found


def run(args: Namespace) -> int:
    """Ask the runtime that runs on the data directory.

    Raises:
        WorldError: there is none, it runs on real buses, or it refuses.
    """
    data = data_dir(args.data)
    with LinkClient(Folders(data).socket, name="leyden world") as client:
        try:
            code: int = args.carry_out(args, client)
        except LinkDownError as error:
            raise WorldError(_nothing_runs(data)) from error
        except LinkRefusal as error:
            raise WorldError(error.message) from error
    return code


def _list(args: Namespace, client: LinkClient) -> int:
    signals = client.signals().signals
    if args.json:
        print(msgspec.json.encode(signals).decode())
        return 0
    soft = Paint(sys.stdout)
    rows = ((signal.name, _shown(signal), soft("soft", signal.kind)) for signal in signals)
    print(columns(rows, indent=""))
    return 0


def _set(args: Namespace, client: LinkClient) -> int:
    client.signals()  # says in its own words where there is no world
    answer = client.submit(_GOAL, {"name": args.name, "value": args.value})
    if answer.outcome is not Outcome.DONE:
        raise WorldError(answer.detail or str(answer.outcome))
    if args.json:
        result = {"name": args.name, "value": answer.result, "n": answer.n}
        print(msgspec.json.encode(result).decode())
    return 0


def _shown(signal: SignalRow) -> str:
    symbol = UNITS[signal.unit].symbol if signal.unit in UNITS else signal.unit
    return f"{_value(signal.value)} {symbol}".rstrip()


def _value(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _nothing_runs(data: Path) -> str:
    return (
        f"nothing runs on the data directory {data}; start it with "
        f"`leyden run CONFIG --mock --data {data}`, or name another with --data"
    )
