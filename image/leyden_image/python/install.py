"""Puts Python into the image: interpreter, wheels, this project, bytecode."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from leyden_image.job import Job
from leyden_image.owners import PROJECT, Owners
from leyden_image.python.bytecode import compile_folders, unpacked_python
from leyden_image.python.extension import compile_spidev
from leyden_image.python.project import build_project
from leyden_image.python.requirements import (
    fetch_source,
    fetch_wheels,
    read_wheels,
    resolve_source,
)
from leyden_image.python.wheels import install_wheel
from leyden_image.tree import copy_tree, write_file

LIBRARY: Final = "/usr/lib/python3.13"
PACKAGES: Final = "/usr/local/lib/python3.13/dist-packages"
_COMMAND: Final = """\
#!/usr/bin/python3
from leyden.cli.main import main
raise SystemExit(main())
"""


def install_python(job: Job, owners: Owners) -> int:
    """Put everything of Python into the root; return how many files the packages have.

    Args:
        job: the build.
        owners: is told who brought which file.
    """
    copy_tree(job.unpacked("python"), job.root)
    packages = job.root / PACKAGES.lstrip("/")
    cache = job.place.cache / "wheels"
    wheels = {f"pypi:{one.name}": path for one, path in fetch_wheels(read_wheels(), cache).items()}
    count = 0
    for owner, wheel in {**wheels, PROJECT: _project(job)}.items():
        brought = install_wheel(wheel, packages)
        owners.add(owner, (f"{PACKAGES.lstrip('/')}/{place}" for place in brought))
        count += len(brought)
    for layer in job.recipe.layers:
        for name in layer.sources:
            source = fetch_source(resolve_source(name), cache)
            scratch = job.place.scratch / name
            module = compile_spidev(source, job.tools("python", "sdk"), scratch, packages)
            owners.add(f"pypi:{name}", [str(module.relative_to(job.root))])
    write_file(job.root / "usr/bin/leyden", _COMMAND, 0o755)
    return count


def compile_python(job: Job) -> None:
    """Compile all Python of the root; to be called when all files are in and out."""
    python = unpacked_python(job.tools("python", "host"))
    compile_folders(job.root, (LIBRARY, PACKAGES), python)


def _project(job: Job) -> Path:
    return build_project(job.place.scratch / "wheel", job.release.epoch)
