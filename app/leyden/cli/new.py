"""`leyden new`: begins an application with a device, a process, a service and their test."""

from __future__ import annotations

import importlib.util
import keyword
import re
from argparse import Namespace
from pathlib import Path
from typing import Final

from leyden.appliance import drivers
from leyden.cli.command import UsageError
from leyden.cli.parsing import Parser
from leyden.kernel import RESERVED, LeydenError
from leyden.storage.atomic import write_atomic

SUMMARY: Final = "begin an application of your own"
_TEMPLATE: Final = Path(__file__).parent / "template"
_SUFFIX: Final = ".in"
_WORD: Final = "myapp"  # stands for the name, in files and in names of files
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")


class FolderError(LeydenError):
    """The folder cannot be made or written."""


def parser() -> Parser:
    """Return the command's arguments."""
    found = Parser(
        "leyden new",
        SUMMARY,
        details=(
            "Makes a folder with a device, a process and a service of your own to change, a test\n"
            "that runs them for minutes of simulated time, and a configuration."
        ),
        examples=("leyden new cellar", "leyden new ~/projects/rain-gauge --name rain"),
    )
    found.add_argument("folder", metavar="DIR", help="folder to make; empty if it is there")
    found.add_argument("--name", help="name of application and module (default: the folder's)")
    return found


def run(args: Namespace) -> int:
    """Write the files and say what to do next.

    Raises:
        UsageError: a name that no module can have.
        FolderError: the folder is not empty, or cannot be written.
    """
    folder = Path(args.folder)
    name = _name(args.name, folder)
    try:
        _write(folder, name)
    except OSError as error:
        raise FolderError(f"cannot write {folder}: {error.strerror or error}") from error
    print(f"made {folder} with a device, a process, a service and a test; next:")
    print(f"  cd {folder}")
    print(f"  python {name}.py")
    print("  pytest")
    print("  leyden run leyden.toml")
    return 0


def _name(given: str | None, folder: Path) -> str:
    text = given if given is not None else _from_folder(folder)
    if not _NAME.fullmatch(text):
        where = "--name" if given is not None else f"the folder's name {folder.name}"
        raise UsageError(
            f'{where}: found "{text}", expected a-z 0-9 _ beginning with a letter; '
            "give one with --name"
        )
    for taken, what in (
        (keyword.iskeyword(text), "a word of Python"),
        (text in RESERVED, "a word of the system"),
        (text in drivers.names(), "a driver"),
        (importlib.util.find_spec(text) is not None, "a module that is installed"),
    ):
        if taken:
            raise UsageError(f'"{text}" is {what}; give another name with --name')
    return text


def _from_folder(folder: Path) -> str:
    return re.sub(r"[^a-z0-9]+", "_", folder.resolve().name.lower()).strip("_")


def _write(folder: Path, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    inside = sorted(each.name for each in folder.iterdir())
    if inside:
        raise FolderError(f"{folder} is not empty, it holds {inside[0]}; name another folder")
    for source in sorted(_TEMPLATE.glob(f"*{_SUFFIX}")):
        text = source.read_text("utf-8").replace(_WORD, name)
        write_atomic(folder / _target(source, name), text.encode())


def _target(source: Path, name: str) -> str:
    bare = source.name.removesuffix(_SUFFIX).replace(_WORD, name)
    return f".{bare}" if bare == "gitignore" else bare
