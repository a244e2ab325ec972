"""Compiles Python for the image with the image's own Python version, without emulating it.

The root is read-only, so what is not compiled here is compiled again at each start of the card.
Compiled files are marked as never to be checked against their source: nothing changes there.
"""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Final

from leyden_image.errors import ImageError
from leyden_image.tools import run

_INTERPRETER: Final = "usr/bin/python3.13"
_LOADERS: Final = {"x86_64": "usr/lib64/ld-linux-x86-64.so.2"}
_LIBRARIES: Final = "usr/lib/x86_64-linux-gnu"
_COMPILE: Final = """\
import compileall, py_compile, re, sys
root, *folders = sys.argv[1:]
unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
ok = True
for folder in folders:
    ok &= bool(compileall.compile_dir(
        root + folder, maxlevels=40, ddir=folder, force=True, quiet=2, workers=1,
        invalidation_mode=unchecked))
sys.exit(not ok)
"""


def compile_folders(root: Path, folders: tuple[str, ...], host: Path) -> None:
    """Compile all Python files below `folders` of the root.

    One process, one order: a compiled file depends a little on what its compiler did before.

    Args:
        root: the tree of the image.
        folders: absolute places inside of it.
        host: unpacked Python of this machine's kind, same version as the image's.

    Raises:
        ImageError: a file does not compile, or this machine cannot run the unpacked Python.
    """
    run(
        [*_python(host, root), "-B", "-s", "-S", "-c", _COMPILE, str(root), *folders],
        environment={"PYTHONHASHSEED": "0", "PYTHONHOME": str(host / "usr"), "PYTHONPATH": ""},
    )


def _python(host: Path, root: Path) -> list[str]:
    machine = platform.machine()
    if machine not in _LOADERS:
        raise ImageError(f"compiling on {machine} is not known; {', '.join(_LOADERS)} is")
    loader = host / _LOADERS[machine]
    return [str(loader), "--library-path", str(host / _LIBRARIES), str(host / _INTERPRETER)]
