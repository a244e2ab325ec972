"""`leyden`: finds the command that is asked for, and shows help and version."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Final

# Command: the module that carries it out, and one line about it. The summaries stand here so that
# help needs no module; a test keeps them equal to the modules' own.
COMMANDS: Final = {
    "run": ("leyden.cli.run", "run an appliance: runtime and panel"),
    "check": ("leyden.cli.check", "check a configuration without touching hardware"),
    "new": ("leyden.cli.new", "begin an application of your own"),
    "probe": ("leyden.cli.probe", "look which devices answer on the buses"),
    "log": ("leyden.cli.log", "read the event log"),
    "world": ("leyden.cli.world", "see and set the modelled world of a running mock"),
    "identity": ("leyden.cli.identity", "say who this machine is"),
    "token": ("leyden.cli.token", "make, list and revoke access tokens"),
    "password": ("leyden.cli.password", "make the hash of a panel password"),
    "update": ("leyden.cli.update", "install updates, and see what became of them"),
    "factory-reset": ("leyden.cli.factory_reset", "forget everything at the next start"),
    "manual": ("leyden.cli.manual", "read the manual"),
}

EXIT_USAGE: Final = 2
EXIT_INTERRUPTED: Final = 130  # 128 + SIGINT, as shells count

_HELP: Final = """\
Leyden turns a Raspberry Pi into a hardware appliance.

usage: leyden COMMAND [ARGUMENTS]
       leyden COMMAND --help
       leyden --version

commands:
{commands}

examples:
  leyden manual start
  leyden manual greenhouse.toml > greenhouse.toml
  leyden run greenhouse.toml --mock
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out a command line and return the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return _main(words)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader has seen enough. What is still buffered would fail again as Python ends.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        return 0


def _main(words: list[str]) -> int:
    _never_fail_to_print()
    first = words[0] if words else ""
    if first in COMMANDS:
        module = COMMANDS[first][0]
        code: int = importlib.import_module("leyden.cli.command").carry_out(module, words[1:])
        sys.stdout.flush()
        return code
    if first in ("-h", "--help", "help"):
        print(help_text(), end="")
        return 0
    if first in ("-V", "--version"):
        print(f"leyden {importlib.import_module('importlib.metadata').version('leyden')}")
        return 0
    return _refuse(first)


def help_text() -> str:
    """Return what `leyden --help` prints."""
    width = max(map(len, COMMANDS))
    rows = [f"  {name:<{width}}  {summary}" for name, (_, summary) in COMMANDS.items()]
    return _HELP.format(commands="\n".join(rows))


def _refuse(word: str) -> int:
    if not word:
        print(help_text(), end="", file=sys.stderr)
        return EXIT_USAGE
    near = difflib.get_close_matches(word, COMMANDS, n=1, cutoff=0.5)
    hint = f'; did you mean "{near[0]}"?' if near else ""
    known = ", ".join(COMMANDS)
    print(f'leyden: no command "{word}", expected one of {known}{hint}', file=sys.stderr)
    return EXIT_USAGE


def _never_fail_to_print() -> None:
    # A terminal or pipe that cannot show "°" gets a "?"; a traceback would help nobody.
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


if __name__ == "__main__":
    sys.exit(main())
