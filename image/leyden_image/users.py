"""Users, groups and what is enabled: the parts of systemd that can be settled while building."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from leyden_image.errors import ImageError
from leyden_image.job import Job
from leyden_image.paths import PROJECT
from leyden_image.store import fresh_folder
from leyden_image.tools import run
from leyden_image.tree import link

_SYSTEMD: Final = PROJECT / "systemd"
_WANTED: Final = Path("etc/systemd/system")


def make_users(job: Job) -> int:
    """Make what sysusers.d of all packages asks for; return how many users there are."""
    moment = {"SOURCE_DATE_EPOCH": str(job.release.epoch)}
    run(["systemd-sysusers", f"--root={job.root}"], environment=moment)
    return len((job.root / "etc/passwd").read_text("utf-8").splitlines())


def forget_enablement(root: Path) -> None:
    """Remove what Debian's packages enabled by themselves: only our preset decides."""
    fresh_folder(root / _WANTED)


def enable_units(job: Job, folder: Path = _SYSTEMD) -> int:
    """Enable what the preset says, mask what is listed; return how many units that touches."""
    run(["systemctl", f"--root={job.root}", "preset-all", "--preset-mode=full"])
    masked = _listed(folder / "mask.txt")
    for unit in masked:
        link(job.root / _WANTED / unit, "/dev/null")
    for unit in _listed(folder / "default-target.txt")[:1]:
        link(job.root / _WANTED / "default.target", str(_unit(job.root, unit)))
    return sum(1 for _ in (job.root / _WANTED).glob("*.wants/*")) + len(masked)


def _unit(root: Path, name: str) -> Path:
    place = Path("/usr/lib/systemd/system") / name
    if not (root / place.relative_to("/")).exists():
        raise ImageError(f"systemd/default-target.txt names {name}; the image has no such unit")
    return place


def _listed(path: Path) -> list[str]:
    """Return the words of a list with one name a line and `#` comments."""
    if not path.exists():
        return []
    lines = (line.partition("#")[0].strip() for line in path.read_text("utf-8").splitlines())
    return [line for line in lines if line]
