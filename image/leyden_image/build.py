"""Carries a build out, step by step, and leaves complete results or none."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Final

from leyden_image import card, firmware, host, kernel, slot, users
from leyden_image.debian.fetch import fetch
from leyden_image.debian.lockfile import check_current, read_lock
from leyden_image.debian.root import make_root
from leyden_image.finish import finish_tree, settle_times, write_release
from leyden_image.initrd import DATA_MKE2FS_OPTIONS, make_initrd, read_module_list
from leyden_image.job import Job, read_release
from leyden_image.paths import IMAGE, PROJECT, Workplace
from leyden_image.progress import Progress, bytes_in_words
from leyden_image.python.install import compile_python, install_python
from leyden_image.recipe import Recipe
from leyden_image.store import fresh_folder, sha256_of, whole, write_whole
from leyden_image.tools import run
from leyden_image.tree import copy_tree

_BOOT: Final = IMAGE / "boot"
_MIB: Final = 1 << 20


def build(recipe: Recipe, place: Workplace, progress: Progress, *, fast: bool) -> dict[str, Any]:
    """Build an image into `place.output` and return a summary for programs.

    Args:
        recipe: what to build.
        place: where.
        progress: is told about each step.
        fast: compress little; the result is bigger and sooner there.

    Raises:
        ImageError: with words about what is missing or wrong; earlier results still stand.
    """
    with progress.step("host") as step:
        step.say(host.prepare(host.look()))
        host.check_root()
    lock = read_lock()
    check_current(lock, recipe)
    fresh_folder(place.scratch)
    job = Job(recipe, lock, place, read_release(recipe), place.scratch / "root")
    try:
        return _build(job, progress, fast=fast)
    finally:
        shutil.rmtree(place.scratch, ignore_errors=True)


def _build(job: Job, progress: Progress, *, fast: bool) -> dict[str, Any]:
    _packages(job, progress)
    linux = _tree(job, progress)
    boot = _boot_files(job, linux, progress)
    _slot(job, boot, progress, fast=fast)
    raw = _card(job, boot, progress)
    image = job.place.output / f"leyden-{job.release.version}-arm64.img.zst"
    with progress.step("compress") as step:
        _compress(raw, image, fast=fast)
        digest = sha256_of(image)
        write_whole(image.with_name(image.name + ".sha256"), f"{digest}  {image.name}\n")
        step.say(f"{image.name}, {bytes_in_words(image.stat().st_size)}")
    return {"image": str(image), "sha256": digest}


def _packages(job: Job, progress: Progress) -> None:
    debs = job.place.cache / "debs"
    with progress.step("fetch Debian packages") as step:
        brought = fetch(
            job.lock.packages,
            debs,
            lambda done, total: step.say(f"{bytes_in_words(done)} of {bytes_in_words(total)}"),
        )
        step.say(f"{len(job.lock.packages)} packages, {bytes_in_words(brought)} brought")
    with progress.step("root from packages") as step:
        tar = make_root(job.lock, job.recipe, job.place.cache, debs, step.say)
    with progress.step("unpack root") as step:
        job.root.mkdir()
        run(["tar", "--extract", "--numeric-owner", "--exclude=./dev/*", "-C", job.root, "-f", tar])
        users.forget_enablement(job.root)
        step.say(bytes_in_words(tar.stat().st_size))


def _tree(job: Job, progress: Progress) -> kernel.Kernel:
    with progress.step("unpack kernel") as step:
        linux = kernel.unpack_kernel(job)
        step.say(linux.version)
    for layer in job.recipe.layers:
        for tree in layer.trees:
            if (PROJECT / tree).is_dir():
                copy_tree(PROJECT / tree, job.root)
    for layer in job.recipe.layers:
        for name in layer.steps:
            with progress.step(f"{layer.name}: {name}") as step:
                step.say(_apply(job, linux, name))
    with progress.step("finish the tree"):
        finish_tree(job)
    with progress.step("compile Python"):
        compile_python(job)
    settle_times(job.root, job.release.epoch)
    return linux


def _apply(job: Job, linux: kernel.Kernel, name: str) -> str:
    match name:
        case "users":
            users.make_users(job)
            return ""
        case "kernel":
            return f"{kernel.install_modules(job, linux)} modules"
        case "firmware":
            return f"{firmware.install_firmware(job)} files"
        case "python":
            return f"{install_python(job)} files"
        case "release":
            write_release(job)
            return f"{job.release.version} of {job.release.commit[:12]}"
        case _:
            return f"{users.enable_units(job)} units"


def _boot_files(job: Job, linux: kernel.Kernel, progress: Progress) -> Path:
    """Fill the output's folder `boot` with kernel, initrds, device trees; return it."""
    boot = job.place.scratch / "boot"
    boot.mkdir()
    with progress.step("kernel and device trees"):
        kernel.compress_image(linux, boot / "vmlinuz.gz")
        shutil.copyfile(linux.folder / "vmlinuz", boot / "Image")
        kernel.make_device_trees(job, linux, boot / "dtb")
    with progress.step("initrd") as step:
        busybox = job.unpacked("base") / "usr/bin/busybox"
        slot_modules = read_module_list(_BOOT / "initrd-modules.txt")
        both = (*slot_modules, *read_module_list(_BOOT / "recovery-modules.txt"))
        for name, modules in (("initrd.img", slot_modules), ("recovery.img", both)):
            made = make_initrd(
                linux.tree, linux.version, modules, boot / name,
                busybox=busybox, epoch=job.release.epoch,
            )  # fmt: skip
            step.say(str(made))
    shutil.rmtree(job.place.output / "boot", ignore_errors=True)
    shutil.copytree(boot, job.place.output / "boot")
    return boot


def _slot(job: Job, boot: Path, progress: Progress, *, fast: bool) -> None:
    squashfs = job.place.scratch / "root.squashfs"
    with progress.step("compress root") as step:
        level = 1 if fast else 19
        slot.make_squashfs(job.root, squashfs, job.release.epoch, level=level, block="256K")
        step.say(bytes_in_words(squashfs.stat().st_size))
    record = job.place.scratch / "slot.json"
    record.write_text(job.release.json(), encoding="utf-8")
    files = {
        "vmlinuz.gz": boot / "vmlinuz.gz",
        "initrd.img": boot / "initrd.img",
        "root.squashfs": squashfs,
        "slot.json": record,
        **{f"dtb/broadcom/{path.name}": path for path in (boot / "dtb").iterdir()},
    }
    layout = job.recipe.config.card
    with progress.step("slot") as step:
        target = job.place.output / "slot.ext4"
        largest = (layout.slot_b_mib - layout.slot_a_mib) * _MIB
        slot.make_slot(files, target, job.release.epoch, largest)
        step.say(bytes_in_words(target.stat().st_size))


def _card(job: Job, boot: Path, progress: Progress) -> Path:
    layout, scratch = job.recipe.config.card, job.place.scratch
    with progress.step("boot partition") as step:
        files = _fat_files(job, boot)
        card.make_fat(files, scratch / "boot.fat", layout, job.release.epoch)
        step.say(f"{len(files)} files")
    with progress.step("card"):
        data = scratch / "data.ext4"
        _format_data(data, (layout.end_mib - layout.data_mib) * _MIB, job.release.epoch)
        parts = {
            layout.boot_mib * _MIB: scratch / "boot.fat",
            layout.slot_a_mib * _MIB: job.place.output / "slot.ext4",
            layout.data_mib * _MIB: data,
        }
        if (text := _BOOT / "environment.txt").exists():
            environment = scratch / "environment.bin"
            card.make_environment(text, environment)
            parts |= {card.ENVIRONMENT: environment, card.ENVIRONMENT_BACKUP: environment}
        raw = scratch / "card.img"
        card.assemble(layout, parts, raw)
    return raw


def _fat_files(job: Job, boot: Path) -> dict[str, Path]:
    scratch = job.place.scratch
    files = firmware.boot_files(job)
    script = scratch / "boot.scr"
    run(
        ["mkimage", "-A", "arm64", "-O", "linux", "-T", "script", "-d", _BOOT / "boot.cmd", script],
        environment={"SOURCE_DATE_EPOCH": str(job.release.epoch)},
    )
    files["boot.scr"] = script
    if (text := _BOOT / "uboot.env.txt").exists():
        card.make_environment(text, scratch / "uboot.env", 0x4000)
        files["uboot.env"] = scratch / "uboot.env"
    if (_BOOT / "config.txt").exists():
        files["config.txt"] = _BOOT / "config.txt"
    files |= {path.name: path for path in (boot / "dtb").glob("*.dtb")}
    files |= {f"overlays/{path.name}": path for path in (boot / "overlays").glob("*.dtbo")}
    files |= {
        "recovery/vmlinuz.gz": boot / "vmlinuz.gz",
        "recovery/initrd.img": boot / "recovery.img",
    }
    for tree in (_BOOT / "fat", IMAGE / "boot-files"):
        files |= {str(p.relative_to(tree)): p for p in sorted(tree.rglob("*")) if p.is_file()}
    return files


def _format_data(target: Path, size: int, epoch: int) -> None:
    with target.open("wb") as file:
        file.truncate(size)
    moment = {"E2FSPROGS_FAKE_TIME": str(epoch), "SOURCE_DATE_EPOCH": str(epoch)}
    run(["mke2fs", "-q", "-F", *DATA_MKE2FS_OPTIONS, target], environment=moment)


def _compress(raw: Path, target: Path, *, fast: bool) -> None:
    level = ["-1"] if fast else ["-19"]
    with whole(target) as partial:
        run(["nice", "-n", "5", "zstd", "-q", "-f", "-T0", *level, "-o", partial, raw])
