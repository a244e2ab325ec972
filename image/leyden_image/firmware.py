"""Firmware: for radio chips into the root, for the Pi's own start onto the boot partition."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from leyden_image.errors import ImageError
from leyden_image.job import Job
from leyden_image.tree import copy_file

_RADIO: Final = Path("usr/lib/firmware")
_PI: Final = Path("usr/lib/raspi-firmware")
# The build for all 64-bit boards: it asks the firmware which one it is on.
_U_BOOT: Final = Path("usr/lib/u-boot/rpi_arm64/u-boot.bin")
# What an emulated machine starts with, of the same source and version as the boards' own.
EMULATOR_U_BOOT: Final = Path("usr/lib/u-boot/qemu_arm64/u-boot.bin")


def install_firmware(job: Job) -> int:
    """Put the devices' radio firmware into the root; return how many files that were."""
    source = job.unpacked("firmware") / _RADIO
    chosen: set[Path] = set()
    for device in job.recipe.devices:
        for pattern in device.firmware:
            chosen |= _with_targets(_matching(source, pattern, device.name))
    for path in sorted(chosen):
        copy_file(path, job.root / _RADIO / path.relative_to(source))
    return len(chosen)


def boot_files(job: Job) -> dict[str, Path]:
    """Return what the boards' own start needs on the boot partition: name there, source."""
    unpacked = job.unpacked("firmware")
    files = {"u-boot.bin": unpacked / _U_BOOT}
    for device in job.recipe.devices:
        for pattern in device.boot:
            for path in _matching(unpacked / _PI, pattern, device.name):
                files[path.name] = path
    return files


def _matching(folder: Path, pattern: str, device: str) -> set[Path]:
    found = set(folder.glob(pattern))
    if not found:
        raise ImageError(f"device {device}: {pattern} matches no file of the firmware packages")
    return found


def _with_targets(paths: set[Path]) -> set[Path]:
    """Add what links point to, so that no link ends nowhere."""
    found = set(paths)
    waiting = list(paths)
    while waiting:
        path = waiting.pop()
        if path.is_symlink():
            target = Path(*(path.parent / path.readlink()).parts)
            target = target.parent.resolve() / target.name
            if target not in found:
                found.add(target)
                waiting.append(target)
    return found
