"""`leyden token`: makes, lists and revokes the tokens that open panel and HTTP interface."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import Final

import msgspec

from leyden.appliance.folders import Folders
from leyden.cli.owner import acting_as_owner
from leyden.cli.parsing import Parser, add_data, add_json, data_dir
from leyden.cli.terminal import Paint, columns
from leyden.kernel import Role
from leyden.panel.auth import list_tokens, new_token, revoke

SUMMARY: Final = "make, list and revoke access tokens"


def parser() -> Parser:
    """Return the command's arguments."""
    found = Parser(
        "leyden token",
        SUMMARY,
        details="Each role may do what those before it may: viewer, operator, engineer, admin.",
        examples=(
            "leyden token new --role viewer --name kitchen",
            'curl -H "Authorization: Bearer $(leyden token new --role viewer)" \\',
            "     http://127.0.0.1:8080/api/v1/devices",
            "leyden token list",
            "leyden token revoke 3f9a1c02",
        ),
    )
    actions = found.add_subparsers(metavar="new | list | revoke", required=True, dest="action")
    new = actions.add_parser(
        "new",
        help="make a token and print it, this once",
        summary="make a token and print it alone on one line; it is kept nowhere else",
        examples=("leyden token new --role operator --data /var/lib/leyden",),
    )
    new.add_argument("--role", required=True, choices=[str(role) for role in Role])
    new.add_argument("--name", default="", help="what lists call it")
    new.set_defaults(carry_out=_new)
    listing = actions.add_parser(
        "list",
        help="list the tokens there are",
        summary="list the tokens there are, without their texts",
        examples=("leyden token list", "leyden token list --json"),
    )
    add_json(listing)
    listing.set_defaults(carry_out=_list)
    gone = actions.add_parser(
        "revoke",
        help="make a token worthless",
        summary="make a token, and the sessions it opened, worthless",
        examples=("leyden token revoke 3f9a1c02",),
    )
    gone.add_argument("id", metavar="ID", help="as `leyden token list` shows it")
    gone.set_defaults(carry_out=_revoke)
    for each in (new, listing, gone):
        add_data(each)
    return found


def run(args: Namespace) -> int:
    """Carry out the action on the auth directory; a running panel takes note by itself."""
    auth = Folders(data_dir(args.data)).auth
    with acting_as_owner(auth):
        code: int = args.carry_out(args, auth)
    return code


def _new(args: Namespace, auth: Path) -> int:
    print(new_token(auth, Role(args.role), name=args.name))
    return 0


def _list(args: Namespace, auth: Path) -> int:
    records = list_tokens(auth)
    if args.json:
        rows = [
            {
                "id": record.id,
                "role": str(record.role),
                "name": record.name,
                "created": record.created,
                "one_time": record.one_time,
            }
            for record in records
        ]
        print(msgspec.json.encode(rows).decode())
        return 0
    soft = Paint(sys.stdout)
    for line in columns(
        (
            (
                record.id,
                str(record.role),
                record.name,
                soft("soft", _when(record.created, record.one_time)),
            )
            for record in records
        ),
        indent="",
    ).splitlines():
        print(line)
    if not records:
        print(
            f"no tokens in {auth}; make one with: leyden token new --role viewer", file=sys.stderr
        )
    return 0


def _revoke(args: Namespace, auth: Path) -> int:
    revoke(auth, args.id)
    return 0


def _when(created: str, one_time: bool) -> str:
    return f"{created}, signs in once" if one_time else created
