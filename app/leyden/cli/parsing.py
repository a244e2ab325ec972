"""Arguments: argparse with errors of one line, suggestions, and examples in every help."""

from __future__ import annotations

import argparse
import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

DATA_DIR: Final = "./data"
CARD_DATA_DIR: Final = "/data/leyden"
RELEASE: Final = Path("/usr/lib/leyden/release.json")  # there is one on a card, and nowhere else


class Parser(argparse.ArgumentParser):
    """A parser for one command.

    Args:
        prog: the command as it is typed: "leyden check".
        summary: one line.
        details: paragraphs below it, or nothing.
        examples: lines as they are typed.
        options: argparse's own, such as those it hands to the parsers of subcommands.
    """

    def __init__(
        self,
        prog: str,
        summary: str = "",
        *,
        details: str = "",
        examples: tuple[str, ...] = (),
        **options: Any,
    ) -> None:
        about = f"{summary[:1].upper()}{summary[1:]}."
        shown = "\n".join(f"  {line}" for line in examples)
        super().__init__(
            prog=prog,
            description=f"{about}\n\n{details}" if details else about,
            epilog=f"examples:\n{shown}" if examples else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            # A script that abbreviates an option breaks when another option begins alike.
            allow_abbrev=False,
            **options,
        )
        self.examples = examples

    def error(self, message: str) -> NoReturn:
        """End with exit code 2 and one line that says where help is."""
        words = message.replace("the following arguments are required:", "missing")
        self.exit(2, f"{self.prog}: {words}{self._hint(message)}; see {self.prog} --help\n")

    def _hint(self, message: str) -> str:
        # "unrecognized arguments: --mok": the nearest option is most likely what was meant.
        found = [word for word in message.split() if word.startswith("--")]
        known = [name for action in self._actions for name in action.option_strings]
        near = difflib.get_close_matches(found[0], known, n=1) if found else []
        unknown = "unrecognized arguments" in message
        return f'; did you mean "{near[0]}"?' if near and unknown else ""


def add_data(parser: argparse.ArgumentParser) -> None:
    """Let a command take the data directory."""
    parser.add_argument(
        "--data",
        metavar="DIR",
        help=f"data directory (default: $LEYDEN_DATA, else {default_data_dir()})",
    )


def add_json(parser: argparse.ArgumentParser, what: str = "print JSON for programs") -> None:
    """Let a command answer programs."""
    parser.add_argument("--json", action="store_true", help=what)


def data_dir(given: str | None, environ: Mapping[str, str] = os.environ) -> Path:
    """Return the data directory: as given, else `LEYDEN_DATA`, else the usual one."""
    return Path(given or environ.get("LEYDEN_DATA") or default_data_dir())


def default_data_dir(release: Path = RELEASE) -> str:
    """Return where data is when nobody says: on a card its data partition, else `./data`."""
    return CARD_DATA_DIR if release.exists() else DATA_DIR
