"""The last hand on the root tree: what must not be in it, what must be there, and since when."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from leyden_image.job import Job
from leyden_image.tree import link, make_folder, remove, write_file

# What building leaves behind and no image has any use for.
_LEFTOVERS: Final = (
    "var/cache/*",
    "var/lib/apt",
    "var/lib/dpkg/[!s]*",
    "var/lib/dpkg/status-old",
    "var/lib/systemd/deb-systemd-helper-*",
    "var/lib/systemd/catalog",
    "var/lib/wtmpdb/*",
    "var/log/*",
    "var/lib/ucf",
    "var/lib/pam",
    "etc/*-",
    "etc/.pwd.lock",
    "etc/ssh/ssh_host_*",
    "etc/apt",
    "etc/fstab",
    "etc/hostname",
    "etc/resolv.conf",
    "run/*",
    "tmp/*",
    "boot/[!f]*",
    "root/.*",
)
_MOUNTED: Final = ("data", "boot/firmware", "proc", "sys", "dev", "run", "tmp")
_OS_RELEASE: Final = """\
NAME="Leyden"
ID=leyden
ID_LIKE=debian
PRETTY_NAME="Leyden {version}"
VERSION_ID="{version}"
IMAGE_ID=leyden
IMAGE_VERSION="{version}"
BUILD_ID="{commit}"
"""


def write_release(job: Job) -> None:
    """Write who this image is, for us and for any program, and whose updates it takes."""
    write_file(job.root / "usr/lib/leyden/release.json", job.release.json())
    text = _OS_RELEASE.format(version=job.release.version, commit=job.release.commit)
    write_file(job.root / "usr/lib/os-release", text)
    link(job.root / "etc/os-release", "../usr/lib/os-release")
    write_file(job.root / "etc/rauc/keyring.pem", job.keyring.read_text("ascii"))


def finish_tree(job: Job) -> None:
    """Take out leftovers, put in what every start expects."""
    remove(job.root, _LEFTOVERS)
    for folder in _MOUNTED:
        make_folder(job.root / folder)
    (job.root / "tmp").chmod(0o1777)
    # Empty means: the initrd writes the machine's own id; never "this is the first boot".
    write_file(job.root / "etc/machine-id", "", 0o444)
    write_file(job.root / "etc/hostname", "leyden\n")
    link(job.root / "etc/resolv.conf", "/run/systemd/resolve/stub-resolv.conf")
    write_file(job.root / "usr/lib/clock-epoch", "")
    drop_privileges(job.root)


def drop_privileges(root: Path) -> list[str]:
    """Take the set-user-ID and set-group-ID bits away; return whose they were.

    Nobody logs in on the card but root, and services give up privileges; none may gain them.
    """
    found = []
    for folder, _, files in os.walk(root):
        for name in files:
            path = Path(folder) / name
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
                path.chmod(stat.S_IMODE(mode) & 0o777)
                found.append(f"/{path.relative_to(root)}")
    return sorted(found)


def settle_times(root: Path, epoch: int) -> None:
    """Give everything in the tree the time of the commit."""
    for folder, names, files in os.walk(root):
        for name in (*names, *files):
            os.utime(Path(folder) / name, (epoch, epoch), follow_symlinks=False)
    os.utime(root, (epoch, epoch))
