"""The lock file of Python packages for the image: one wheel a package, by hash.

`requirements-image.lock` is an ordinary requirements file for `pip --require-hashes`. It is
resolved for the Python and processor of the image on whatever machine builds; versions are those
of `requirements.lock`, so the card runs what the tests ran.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from leyden_image.errors import ImageError
from leyden_image.paths import PROJECT
from leyden_image.recipe import Recipe
from leyden_image.store import sha256_of, write_whole
from leyden_image.tools import run

LOCK: Final = PROJECT / "requirements-image.lock"
VERSIONS: Final = PROJECT / "requirements.lock"
# Named as dependencies by what is installed, and used by nothing of it at run time.
LEFT_OUT: Final = frozenset({"setuptools"})
_HEAD: Final = "# Python packages of the image; written by `python -m leyden_image lock`.\n"
# The image's Python: CPython 3.13 for arm64, with the C library of trixie.
_PLATFORM: Final = (
    "--only-binary=:all:",
    "--python-version=3.13",
    "--implementation=cp",
    *(f"--abi={abi}" for abi in ("cp313", "abi3", "none")),
    *(
        f"--platform=manylinux_2_{minor}_aarch64"
        for minor in (17, 24, 26, 27, 28, 31, 34, 35, 36, 38, 39, 41)
    ),
    "--platform=manylinux2014_aarch64",
)
_LINE: Final = re.compile(
    r"^(?P<name>[\w.-]+)==(?P<version>\S+) --hash=sha256:(?P<sha>[0-9a-f]{64})$"
)


@dataclass(frozen=True, slots=True, order=True)
class Wheel:
    """One locked package.

    Attributes:
        name: as the index spells it, in lower case.
        version: exact.
        sha256: of the one file that may be used, hex.
    """

    name: str
    version: str
    sha256: str

    @property
    def line(self) -> str:
        """The line of the lock file."""
        return f"{self.name}=={self.version} --hash=sha256:{self.sha256}"


def resolve_wheels(requirements: Sequence[str], scratch: Path) -> tuple[Wheel, ...]:
    """Ask pip for the wheels that satisfy `requirements` on the image.

    Raises:
        ImageError: there is no wheel for the image's Python, or pip cannot reach its index.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    constraints, report = scratch / "versions.txt", scratch / "report.json"
    constraints.write_text("\n".join(_versions(VERSIONS)), encoding="utf-8")
    _pip(
        "install", "--dry-run", "--ignore-installed", f"--target={scratch / 'target'}",
        f"--constraint={constraints}", f"--report={report}", *_PLATFORM, *requirements,
    )  # fmt: skip
    chosen = json.loads(report.read_text(encoding="utf-8"))["install"]
    wheels = (_wheel(one) for one in chosen)
    return tuple(sorted(one for one in wheels if one.name not in LEFT_OUT))


def resolve_source(requirement: str, lock: Path = PROJECT / "requirements-spi.lock") -> str:
    """Return the pinned line of a package that has no wheel, as that lock file has it."""
    text = lock.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        if line.partition("==")[0].strip() == requirement:
            return " ".join(line.split())
    raise ImageError(f"{lock} has no line for {requirement}")


def lock_text(wheels: Sequence[Wheel]) -> str:
    """Return the lock file's content."""
    return _HEAD + "".join(f"{wheel.line}\n" for wheel in sorted(wheels))


def read_wheels(path: Path = LOCK) -> tuple[Wheel, ...]:
    """Read the lock file; raise `ImageError` if it is missing or a line is no locked package."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise ImageError(f"{path} is missing; `python -m leyden_image lock` writes it") from error
    wheels = []
    for number, line in enumerate(lines, 1):
        if not line or line.startswith("#"):
            continue
        if not (found := _LINE.match(line)):
            raise ImageError(f"{path}:{number}: expected name==version --hash=sha256:…")
        wheels.append(Wheel(found["name"], found["version"], found["sha"]))
    return tuple(wheels)


def check_wheels(wheels: Sequence[Wheel], recipe: Recipe, versions: Path = VERSIONS) -> None:
    """Raise `ImageError` if the lock lacks what a layer wants, or differs from what was tested."""
    locked = {wheel.name: wheel.version for wheel in wheels}
    wanted = {name for layer in recipe.layers for name in layer.wheels}
    if missing := sorted(wanted - set(locked)):
        raise ImageError(
            f"{LOCK.name} has no {', '.join(missing)}; `python -m leyden_image lock` renews it"
        )
    tested = dict(line.split("==") for line in _versions(versions))
    for name, version in locked.items():
        if tested.get(name, version) != version:
            raise ImageError(
                f"{LOCK.name} has {name} {version}, {versions.name} has {tested[name]}; "
                "`python -m leyden_image lock` makes them one"
            )


def fetch_wheels(wheels: Sequence[Wheel], cache: Path) -> dict[Wheel, Path]:
    """Return the file of each wheel, brought by pip where the cache lacks it."""
    cache.mkdir(parents=True, exist_ok=True)
    if not all((cache / wheel.sha256[:16]).is_dir() for wheel in wheels):
        _download(wheels, cache)
    return {wheel: next((cache / wheel.sha256[:16]).iterdir()) for wheel in wheels}


def fetch_source(line: str, cache: Path) -> Path:
    """Return the source archive of a pinned package without a wheel, brought by pip once."""
    name = line.partition(" ")[0]
    folder = cache / f"source-{name}"
    if not folder.is_dir():
        requirement = cache / f"{name}.txt"
        write_whole(requirement, line.replace("--hash", " \\\n --hash") + "\n")
        _pip(
            "download", "--no-deps", "--no-binary=:all:", "--require-hashes",
            f"--dest={folder}", f"--requirement={requirement}",
        )  # fmt: skip
    return next(folder.iterdir())


def _download(wheels: Sequence[Wheel], cache: Path) -> None:
    wanted = cache / "wanted.txt"
    write_whole(wanted, lock_text(wheels))
    arrivals = cache / "arrivals"
    _pip(
        "download", "--no-deps", "--require-hashes", f"--dest={arrivals}",
        f"--requirement={wanted}", *_PLATFORM,
    )  # fmt: skip
    for file in sorted(arrivals.glob("*.whl")):
        folder = cache / sha256_of(file)[:16]
        folder.mkdir(exist_ok=True)
        file.replace(folder / file.name)


def _pip(*arguments: str) -> None:
    run([sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments])


def _wheel(chosen: dict[str, dict[str, dict[str, dict[str, str]]]]) -> Wheel:
    metadata: dict[str, object] = dict(chosen["metadata"])
    name = re.sub(r"[-_.]+", "-", str(metadata["name"])).lower()
    sha256 = chosen["download_info"]["archive_info"]["hashes"]["sha256"]
    return Wheel(name, str(metadata["version"]), sha256)


def _versions(lock: Path) -> Iterator[str]:
    """Yield `name==version` for each package of the development lock."""
    for line in lock.read_text(encoding="utf-8").splitlines():
        if found := re.match(r"^([\w.-]+==[^\s\\]+)", line):
            yield found[1]
