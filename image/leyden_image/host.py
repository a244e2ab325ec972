"""Makes the machine ready that builds: tools from its own Debian or Ubuntu, emulation of arm64."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from leyden_image.errors import ImageError
from leyden_image.tools import run

# Program: the Debian package that has it.
TOOLS: Final = {
    "mmdebstrap": "mmdebstrap",
    "dpkg-deb": "dpkg",
    "mksquashfs": "squashfs-tools",
    "unsquashfs": "squashfs-tools",
    "openssl": "openssl",
    "mke2fs": "e2fsprogs",
    "debugfs": "e2fsprogs",
    "sfdisk": "fdisk",
    "mkfs.vfat": "dosfstools",
    "mcopy": "mtools",
    "mkimage": "u-boot-tools",
    "mkenvimage": "u-boot-tools",
    "dtc": "device-tree-compiler",
    "fdtoverlay": "device-tree-compiler",
    "depmod": "kmod",
    "zstd": "zstd",
    "systemctl": "systemd",
    "systemd-sysusers": "systemd",
    "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu",
    "git": "git",
}
# What the rig starts besides: it boots the image in an emulated machine.
RIG_TOOLS: Final = {
    "qemu-system-aarch64": "qemu-system-arm",
    "ssh": "openssh-client",
    "fdtput": "device-tree-compiler",
    "rauc": "rauc",
    "partx": "util-linux",
}
EMULATOR: Final = "qemu-user-static"
# Debian 12's own emulators cannot run programs and kernels of Debian 13; their backports can.
_FROM_BACKPORTS: Final = frozenset({EMULATOR, "qemu-system-arm"})
_KEYRING: Final = "debian-archive-keyring"
KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_BINFMT: Final = Path("/proc/sys/fs/binfmt_misc")
_NAME: Final = "qemu-aarch64"
# The ELF header of an aarch64 program: magic and mask as the kernel's binfmt_misc wants them.
_MAGIC: Final = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
_MASK: Final = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
_QUIETLY: Final = ("install", "--yes", "--no-install-recommends")
_BACKPORTS: Final = """\
Types: deb
URIs: http://deb.debian.org/debian
Suites: bookworm bookworm-updates bookworm-backports
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""


@dataclass(frozen=True, slots=True)
class Host:
    """What this machine lacks.

    Attributes:
        packages: Debian packages to install.
        emulation: programs for arm64 cannot be started here yet.
    """

    packages: tuple[str, ...]
    emulation: bool


def look(*, rig: bool = False) -> Host:
    """Find out what is missing on this machine.

    Args:
        rig: also for booting the image, not only for building it.
    """
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"
    tools = {**TOOLS, **(RIG_TOOLS if rig else {})}
    missing = {package for tool, package in tools.items() if not shutil.which(tool, path=path)}
    if not KEYRING.exists():
        missing.add(_KEYRING)
    emulation = _needs_emulation()
    if emulation and not _emulator():
        missing.add(EMULATOR)
    return Host(tuple(sorted(missing)), emulation)


def prepare(host: Host) -> str:
    """Install and register what is missing; return what was done, in words.

    Raises:
        ImageError: this is not root, or there is no apt; the message has the line to run.
    """
    if not host.packages and not host.emulation:
        return "complete"
    if os.geteuid() != 0:
        raise ImageError(_advice(host))
    done = []
    if host.packages:
        _install(host.packages)
        done.append(f"installed {', '.join(host.packages)}")
    if host.emulation and _needs_emulation():
        _register()
        done.append("registered the arm64 emulator")
    return "; ".join(done)


def check_root() -> None:
    """Raise `ImageError` unless this process may own files of other users."""
    if os.geteuid() != 0:
        raise ImageError(
            "the image holds files of several users, which only root can make; try sudo make image"
        )


def _advice(host: Host) -> str:
    lines = ["this machine lacks what building needs; as root, run:"]
    if host.packages:
        lines.append(f"  apt-get install --no-install-recommends {' '.join(host.packages)}")
    if host.emulation:
        lines.append("  systemctl restart systemd-binfmt    # or run `make image` as root once")
    return "\n".join(lines)


def _install(packages: tuple[str, ...]) -> None:
    if not shutil.which("apt-get"):
        raise ImageError(
            f"found no apt-get; a Debian or Ubuntu is expected. Wanted: {', '.join(packages)}"
        )
    backported = [one for one in packages if one in _FROM_BACKPORTS and _is_bookworm()]
    ordinary = [one for one in packages if one not in backported]
    if ordinary:
        _apt("update")
        _apt(*_QUIETLY, *ordinary)
    if backported:
        # With sources of our own, so that those of this machine's owner stay as they are.
        with tempfile.TemporaryDirectory(prefix="leyden-apt-") as name:
            options = _backports(Path(name))
            _apt(*options, "update")
            _apt(*options, "--target-release", "bookworm-backports", *_QUIETLY, *backported)


def _apt(*arguments: str) -> None:
    run(["apt-get", *arguments], environment={"DEBIAN_FRONTEND": "noninteractive"})


def _backports(folder: Path) -> list[str]:
    (folder / "parts").mkdir()
    (folder / "parts" / "backports.sources").write_text(_BACKPORTS, encoding="utf-8")
    (folder / "lists" / "partial").mkdir(parents=True)
    folder.chmod(0o755)  # apt reads lists as a user of its own
    return [
        "-o", "Dir::Etc::SourceList=/dev/null",
        "-o", f"Dir::Etc::SourceParts={folder}/parts",
        "-o", f"Dir::State::Lists={folder}/lists",
    ]  # fmt: skip


def _is_bookworm() -> bool:
    release = Path("/etc/os-release")
    return release.exists() and "VERSION_CODENAME=bookworm" in release.read_text(encoding="utf-8")


def _needs_emulation() -> bool:
    if platform.machine() == "aarch64":
        return False
    entry = _BINFMT / _NAME
    return not (entry.exists() and "enabled" in entry.read_text(encoding="utf-8"))


def _emulator() -> str | None:
    return shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")


def _register() -> None:
    """Tell the kernel who starts arm64 programs; flag F keeps the emulator open for any root."""
    if not (_BINFMT / "register").exists():
        run(["mount", "-t", "binfmt_misc", "binfmt_misc", _BINFMT])
    emulator = _emulator()
    if emulator is None:
        raise ImageError(f"{EMULATOR} is installed, yet there is no qemu-aarch64 in PATH")
    if _needs_emulation():
        line = f":{_NAME}:M::{_MAGIC}:{_MASK}:{emulator}:OCF"
        (_BINFMT / "register").write_text(line, encoding="ascii")
