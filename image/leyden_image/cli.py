"""`python -m leyden_image`: builds the image, renews locks, tells what an image is made of."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final, NoReturn

from leyden_image import bundle, host, variants
from leyden_image.build import build
from leyden_image.compare import compare
from leyden_image.debian.lockfile import LOCK, read_lock
from leyden_image.debian.resolve import resolve
from leyden_image.errors import ImageError
from leyden_image.paths import PROJECT, Workplace, cache_folder
from leyden_image.progress import Progress
from leyden_image.python import requirements
from leyden_image.recipe import load_recipe
from leyden_image.store import write_whole

EXIT_FAILED: Final = 1
EXIT_INTERRUPTED: Final = 130  # 128 + SIGINT, as shells count
_ENDING: Final = (signal.SIGTERM, signal.SIGHUP)


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out a command line and return the exit code."""
    arguments = _parser().parse_args(argv)
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        with _ended_like_ctrl_c():
            return command(arguments)
    except ImageError as error:
        print(f"leyden_image: {error}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        print("leyden_image: stopped; what was there before still is", file=sys.stderr)
        return EXIT_INTERRUPTED


@contextmanager
def _ended_like_ctrl_c() -> Iterator[None]:
    """Take any wish to end as Ctrl-C, so that what was begun is cleaned up."""
    before = {number: signal.signal(number, _stop) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="leyden_image", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, function, help_text in (
        ("build", _build, "build an image"),
        ("list", _list, "tell what an image is made of"),
        ("lock", _lock, "choose package versions anew and write them down"),
        ("host", _host, "make this machine ready to build"),
        ("report", _report, "show how big the built image is, and where"),
    ):
        command = commands.add_parser(name, help=help_text, description=help_text)
        command.set_defaults(command=function)
        command.add_argument("image", nargs="?", default="leyden", help="a name in image/config")
        if name == "build":
            _build_options(command)
        if name == "host":
            command.add_argument("--rig", action="store_true", help="also to boot the image")
    _add_compare(commands)
    bundle.register(commands)
    variants.register(commands)
    return parser


def _add_compare(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "tell where two images differ first"
    command = commands.add_parser("compare", help=text, description=text)
    command.add_argument("first", type=Path)
    command.add_argument("second", type=Path)
    command.set_defaults(command=_compare)


def _build_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=PROJECT / "build", help="folder of the results")
    parser.add_argument(
        "--keyring", type=Path, metavar="FILE", help="whose updates it trusts (PEM); for releases"
    )
    parser.add_argument("--json", action="store_true", help="print a summary for programs")
    parser.add_argument(
        "--fast", action="store_true", help="compress little: for trying things out"
    )


def _build(arguments: argparse.Namespace) -> int:
    summary = build(
        load_recipe(arguments.image),
        Workplace.at(arguments.out),
        Progress(),
        fast=arguments.fast,
        keyring=arguments.keyring,
    )
    if arguments.json:
        print(json.dumps(summary, indent=2))
    return 0


def _list(arguments: argparse.Namespace) -> int:
    recipe = load_recipe(arguments.image)
    print(f"{recipe.config.name}: {recipe.config.description}\n\nlayers, in their order:")
    for layer in recipe.layers:
        print(f"  {layer.name:<10} {layer.description}")
        for name, variable in layer.variables.items():
            print(
                f"    {name} = {recipe.value(layer.name, name)}  {variable.description} "
                f"(default {variable.default}; {variable.valid})"
            )
    print("\ndevices:")
    for device in recipe.devices:
        print(f"  {device.name:<10} {device.description}")
    return 0


def _lock(arguments: argparse.Namespace) -> int:
    progress = Progress()
    recipe = load_recipe(arguments.image)
    with progress.step("lock Debian packages") as step:
        lock = resolve(recipe, cache_folder() / "apt")
        if LOCK.exists() and (before := read_lock()).of("root") == lock.of("root"):
            lock = replace(lock, epoch=before.epoch)  # the same root, not a second one
        write_whole(LOCK, lock.text())
        step.say(f"{len(lock.packages)} packages in {LOCK.relative_to(PROJECT)}")
    with progress.step("lock Python packages") as step:
        wanted = [name for layer in recipe.layers for name in layer.wheels]
        wheels = requirements.resolve_wheels(wanted, cache_folder() / "pip")
        write_whole(requirements.LOCK, requirements.lock_text(wheels))
        step.say(f"{len(wheels)} wheels in {requirements.LOCK.name}")
    return 0


def _host(arguments: argparse.Namespace) -> int:
    print(host.prepare(host.look(rig=arguments.rig)))
    return 0


def _report(_: argparse.Namespace) -> int:
    reports = sorted((PROJECT / "build").glob("leyden-*.size.txt"))
    if not reports:
        raise ImageError("nothing was built yet; `make image` builds, and writes the report")
    print(max(reports, key=lambda path: path.stat().st_mtime).read_text("utf-8"), end="")
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    difference = compare(arguments.first, arguments.second)
    print(difference or "the same, byte for byte")
    return EXIT_FAILED if difference else 0
