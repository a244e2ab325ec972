"""Compiles Python for the image with the image's own Python version, without emulating it.

The root is read-only, so what is not compiled here is compiled again at each start of the card.
Compiled files are marked as never to be checked against their source: nothing changes there.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from leyden_image.errors import ImageError
from leyden_image.tools import run

_INTERPRETER: Final = "usr/bin/python3.13"
_LOADERS: Final = {"x86_64": "usr/lib64/ld-linux-x86-64.so.2"}
_LIBRARIES: Final = "usr/lib/x86_64-linux-gnu"
_COMPILE: Final = """\
import compileall, py_compile, sys
root, *folders = sys.argv[1:]
unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
ok = True
for folder in folders:
    ok &= bool(compileall.compile_dir(
        root + folder, maxlevels=40, ddir=folder, force=True, quiet=1, workers=1,
        invalidation_mode=unchecked))
sys.exit(not ok)
"""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """How a Python is started here: the command, and variables that it needs."""

    command: tuple[str, ...]
    environment: dict[str, str]


def unpacked_python(host: Path) -> Interpreter:
    """Return the image's version of Python as it runs on this machine.

    Args:
        host: folder with the unpacked packages of it and of the libraries it needs.

    Raises:
        ImageError: this kind of machine is not known.
    """
    machine = platform.machine()
    if machine not in _LOADERS:
        raise ImageError(f"compiling on {machine} is not known; {', '.join(_LOADERS)} is")
    # Its own loader and C library: this machine's may be older.
    loader, libraries = host / _LOADERS[machine], host / _LIBRARIES
    command = (str(loader), "--library-path", str(libraries), str(host / _INTERPRETER))
    return Interpreter(command, {"PYTHONHOME": str(host / "usr")})


def compile_folders(root: Path, folders: tuple[str, ...], python: Interpreter) -> None:
    """Compile all Python files below `folders` of the root.

    One process, one order: a compiled file depends a little on what its compiler did before.

    Args:
        root: the tree of the image.
        folders: absolute places inside of it.
        python: of the image's version.

    Raises:
        ImageError: a file does not compile, or the Python does not run.
    """
    run(
        [*python.command, "-B", "-s", "-S", "-c", _COMPILE, str(root), *folders],
        environment={"PYTHONHASHSEED": "0", "PYTHONPATH": "", **python.environment},
    )
