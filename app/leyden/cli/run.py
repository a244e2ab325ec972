"""`leyden run`: checks a configuration and runs it until Ctrl-C."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from leyden.appliance.supervise import supervise
from leyden.cli.check import checked
from leyden.cli.command import UsageError
from leyden.cli.parsing import Parser, add_data, data_dir

SUMMARY: Final = "run an appliance: runtime and panel"
PORT: Final = 8080
HOST: Final = "127.0.0.1"


def parser() -> Parser:
    """Return the command's arguments."""
    found = Parser(
        "leyden run",
        SUMMARY,
        details="Stops with Ctrl-C. Prints a link that signs a browser in, once.",
        examples=(
            "leyden run greenhouse.toml --mock",
            "leyden run leyden.toml --data /var/lib/leyden --host 0.0.0.0 --port 80",
            "LEYDEN_PORT=9000 leyden run leyden.toml",
        ),
    )
    found.add_argument("config", metavar="CONFIG", help="configuration file")
    found.add_argument("--mock", action="store_true", help="chip models instead of real buses")
    add_data(found)
    found.add_argument("--host", metavar="H", help=f"panel's address ($LEYDEN_HOST, else {HOST})")
    found.add_argument("--port", metavar="N", help=f"panel's port ($LEYDEN_PORT, else {PORT})")
    found.add_argument("--no-panel", action="store_true", help="the runtime alone")
    found.add_argument("--console", action="store_true", help="print every event as a JSON line")
    return found


def run(args: Namespace) -> int:
    """Run the appliance; return the supervisor's exit code."""
    host, port = _address(args.host, args.port, os.environ)
    plan = checked(Path(args.config), mock=args.mock)
    return supervise(
        plan,
        data=data_dir(args.data),
        host=host,
        port=port,
        panel=not args.no_panel,
        console=args.console,
    )


def _address(host: str | None, port: str | None, environ: Mapping[str, str]) -> tuple[str, int]:
    """Return where the panel listens: as given, else as the environment says.

    Raises:
        UsageError: no port; the text names where it came from.
    """
    where = "--port" if port is not None else "LEYDEN_PORT"
    text = port if port is not None else environ.get("LEYDEN_PORT") or str(PORT)
    number = int(text) if text.isascii() and text.isdigit() else -1
    if not 0 <= number <= 65_535:
        raise UsageError(f'{where}: found "{text}", expected a port such as {PORT}; 0 takes any')
    return host or environ.get("LEYDEN_HOST") or HOST, number
