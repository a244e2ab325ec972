"""What is on the boot partition: the Pi's firmware, U-Boot, its script, recovery, the preseed."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from leyden_image.card import make_environment
from leyden_image.errors import ImageError
from leyden_image.firmware import boot_files
from leyden_image.job import Job
from leyden_image.paths import IMAGE
from leyden_image.tools import run

SOURCE: Final = IMAGE / "boot"
# Folders whose files are copied as they are: templates that people edit on their computer.
_TREES: Final = (SOURCE / "fat", IMAGE / "boot-files")
# U-Boot's own environment on the boot partition: how it starts, never written afterwards.
_FAT_ENVIRONMENT: Final = SOURCE / "uboot.env.txt"
_FAT_ENVIRONMENT_SIZE: Final = 0x4000


def collect(job: Job, boot: Path) -> dict[str, Path]:
    """Return the files of the boot partition: place there, and where the content is.

    Args:
        job: the build.
        boot: folder with kernel, initrds and device trees.

    Raises:
        ImageError: the boot script or the firmware's settings are missing.
    """
    files = boot_files(job)
    files["boot.scr"] = _script(job)
    files["config.txt"] = _needed(SOURCE / "config.txt")
    if _FAT_ENVIRONMENT.exists():
        files["uboot.env"] = job.place.scratch / "uboot.env"
        make_environment(_FAT_ENVIRONMENT, files["uboot.env"], _FAT_ENVIRONMENT_SIZE)
    files |= {name: boot / "dtb" / name for name in job.recipe.trees}
    files |= {f"overlays/{path.name}": path for path in (boot / "overlays").glob("*.dtbo")}
    files["recovery/vmlinuz.gz"] = boot / "vmlinuz.gz"
    files["recovery/initrd.img"] = boot / "recovery.img"
    for tree in _TREES:
        for path in sorted(tree.rglob("*")):
            if path.is_file():
                files[str(path.relative_to(tree))] = path
    return files


def _script(job: Job) -> Path:
    source, target = _needed(SOURCE / "boot.cmd"), job.place.scratch / "boot.scr"
    run(
        ["mkimage", "-A", "arm64", "-O", "linux", "-T", "script", "-d", source, target],
        environment={"SOURCE_DATE_EPOCH": str(job.release.epoch)},
    )
    return target


def _needed(path: Path) -> Path:
    if not path.exists():
        raise ImageError(f"{path} is missing; a card without it does not start")
    return path
