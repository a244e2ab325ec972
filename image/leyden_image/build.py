"""Carries a build out, step by step, and leaves complete results or none."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from leyden_image import boot_partition, card, firmware, host, kernel, slot, users
from leyden_image.debian.fetch import fetch
from leyden_image.debian.lockfile import check_current, read_lock
from leyden_image.debian.root import make_root
from leyden_image.errors import ImageError
from leyden_image.finish import finish_tree, settle_times, write_release
from leyden_image.initrd import DATA_MKE2FS_OPTIONS, make_initrd, read_module_list, start_sums
from leyden_image.job import Job, read_release
from leyden_image.keys import development_keys
from leyden_image.owners import Owners
from leyden_image.paths import PROJECT, Workplace
from leyden_image.progress import Progress, bytes_in_words
from leyden_image.publish import Product, publish
from leyden_image.python.install import compile_python, install_python
from leyden_image.python.requirements import check_wheels, read_wheels
from leyden_image.recipe import Layer, Recipe
from leyden_image.secret_scan import findings
from leyden_image.soundness import unsound
from leyden_image.store import alone, fresh_folder
from leyden_image.tools import run
from leyden_image.tree import copy_tree, remove

_MIB: Final = 1 << 20
_FAST: Final = 1  # zstd's least level


@dataclass(frozen=True, slots=True)
class Levels:
    """How much is compressed: of the root, in which blocks, and of the download."""

    root: int
    block: str
    download: int


def build(
    recipe: Recipe,
    place: Workplace,
    progress: Progress,
    *,
    fast: bool = False,
    keyring: Path | None = None,
) -> dict[str, Any]:
    """Build an image into `place.output` and return a summary for programs.

    Args:
        recipe: what to build.
        place: where.
        progress: is told about each step.
        fast: compress little; the result is bigger and sooner there.
        keyring: certificate whose signatures on updates the image trusts; this checkout's own,
            for development, when absent.

    Raises:
        ImageError: with words about what is missing or wrong; earlier results still stand.
    """
    with progress.step("host") as step:
        step.say(host.prepare(host.look()))
        host.check_root()
    lock = read_lock()
    check_current(lock, recipe)
    check_wheels(read_wheels(), recipe)
    with alone(place.output, wait=False):
        fresh_folder(place.scratch)
        trusted = keyring or development_keys().keyring
        root = place.scratch / "root"
        job = Job(recipe, lock, place, read_release(recipe), root, trusted)
        try:
            return _build(job, _levels(recipe, fast=fast), progress)
        finally:
            shutil.rmtree(place.scratch, ignore_errors=True)


def _levels(recipe: Recipe, *, fast: bool) -> Levels:
    block = str(recipe.value("card", "squashfs-block"))
    if fast:
        return Levels(_FAST, block, _FAST)
    root, download = (recipe.number("card", f"{name}-level") for name in ("squashfs", "download"))
    return Levels(root, block, download)


def _build(job: Job, levels: Levels, progress: Progress) -> dict[str, Any]:
    owners = Owners()
    with alone(job.place.cache):
        _unpack_root(job, owners, progress)
        linux = _fill_root(job, owners, progress)
    boot = _make_boot(job, linux, progress)
    made = _make_slot(job, boot, levels, progress)
    raw = _make_card(job, boot, made, progress)
    product = Product(job, boot, made, raw, owners)
    return publish(product, levels.download, progress)


def _unpack_root(job: Job, owners: Owners, progress: Progress) -> None:
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
        owners.installed(job.root)
        users.forget_enablement(job.root)
        step.say(bytes_in_words(tar.stat().st_size))


def _fill_root(job: Job, owners: Owners, progress: Progress) -> kernel.Kernel:
    with progress.step("unpack kernel") as step:
        linux = kernel.unpack_kernel(job)
        step.say(linux.version)
    for layer in job.recipe.layers:
        with progress.step(f"layer {layer.name}") as step:
            step.say(", ".join(_apply(job, linux, owners, layer)))
    with progress.step("finish the root"):
        finish_tree(job)
        compile_python(job)
        settle_times(job.root, job.release.epoch)
    with progress.step("look for what cannot work and what is secret"):
        _refuse("the root cannot work", unsound(job.root))
        _refuse("the root holds secrets", findings(job.root))
    return linux


def _apply(job: Job, linux: kernel.Kernel, owners: Owners, layer: Layer) -> list[str]:
    """Apply one layer: its packages, its trees, its steps, then what it takes out."""
    done = []
    if layer.unpack or layer.families:
        owners.unpacked(job.unpacked(layer.name))
    for tree in layer.trees:
        if (PROJECT / tree).is_dir():
            done.append(f"{copy_tree(PROJECT / tree, job.root)} files of {tree}")
    done += [_step(job, linux, owners, name) for name in layer.steps]
    if idle := remove(job.root, layer.remove):
        raise ImageError(
            f"layer {layer.name} removes what is not there: {', '.join(idle)}; take the lines out"
        )
    return done


def _step(job: Job, linux: kernel.Kernel, owners: Owners, name: str) -> str:
    match name:
        case "users":
            return f"{users.make_users(job)} users"
        case "kernel":
            return f"{kernel.install_modules(job, linux)} modules"
        case "firmware":
            return f"{firmware.install_firmware(job)} files"
        case "python":
            return f"{install_python(job, owners)} files of Python packages"
        case "release":
            write_release(job)
            return f"{job.release.version} of {job.release.commit[:12]}"
        case _:
            return f"{users.enable_units(job)} units"


def _make_boot(job: Job, linux: kernel.Kernel, progress: Progress) -> Path:
    """Make kernel, device trees and both initrds; return their folder."""
    boot = fresh_folder(job.place.scratch / "boot")
    with progress.step("kernel and device trees") as step:
        kernel.compress_image(linux, boot / "vmlinuz.gz")
        shutil.copyfile(linux.folder / "vmlinuz", boot / "Image")
        kernel.make_device_trees(job, linux, boot / "dtb")
        u_boot = job.unpacked("firmware") / firmware.EMULATOR_U_BOOT
        shutil.copyfile(u_boot, boot / "u-boot-qemu.bin")
        step.say(f"{len(job.recipe.trees)} trees")
    with progress.step("initrds") as step:
        slot_modules = read_module_list(boot_partition.SOURCE / "initrd-modules.txt")
        further = read_module_list(boot_partition.SOURCE / "recovery-modules.txt")
        first = _initrd(job, linux, slot_modules, boot / "initrd.img")
        second = _initrd(job, linux, (*slot_modules, *further), boot / "recovery.img")
        step.say(f"{bytes_in_words(first)}, for recovery {bytes_in_words(second)}")
    return boot


def _initrd(job: Job, linux: kernel.Kernel, modules: tuple[str, ...], target: Path) -> int:
    busybox = job.unpacked("base") / "usr/bin/busybox"
    made = make_initrd(
        linux.tree, linux.version, modules, target, busybox=busybox, epoch=job.release.epoch
    )
    return made.size


def _make_slot(job: Job, boot: Path, levels: Levels, progress: Progress) -> Path:
    squashfs = job.place.scratch / "root.squashfs"
    with progress.step("compress the root") as step:
        epoch = job.release.epoch
        slot.make_squashfs(job.root, squashfs, epoch, level=levels.root, block=levels.block)
        step.say(bytes_in_words(squashfs.stat().st_size))
    target = job.place.scratch / "slot.ext4"
    layout = job.recipe.config.card
    with progress.step("slot") as step:
        largest = (layout.slot_b_mib - layout.slot_a_mib) * _MIB
        slot.make_slot(_slot_files(job, boot), target, job.release.epoch, largest)
        step.say(bytes_in_words(target.stat().st_size))
    return target


def _slot_files(job: Job, boot: Path) -> dict[str, Path]:
    record = job.place.scratch / "slot.json"
    record.write_text(job.release.json(), encoding="utf-8")
    sums = job.place.scratch / "start.sums"
    sums.write_text(start_sums(boot / "vmlinuz.gz", boot / "initrd.img"), encoding="utf-8")
    return {
        "vmlinuz.gz": boot / "vmlinuz.gz",
        "initrd.img": boot / "initrd.img",
        "root.squashfs": job.place.scratch / "root.squashfs",
        "slot.json": record,
        "start.sums": sums,
        **{f"dtb/broadcom/{name}": boot / "dtb" / name for name in job.recipe.trees},
    }


def _make_card(job: Job, boot: Path, made: Path, progress: Progress) -> Path:
    layout, scratch = job.recipe.config.card, job.place.scratch
    with progress.step("boot partition") as step:
        files = boot_partition.collect(job, boot)
        tree = fresh_folder(scratch / "boot-partition")
        for name, path in files.items():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, tree / name)
        _refuse("the boot partition holds secrets", findings(tree))
        card.make_fat(tree, scratch / "boot.fat", layout, job.release.epoch)
        step.say(f"{len(files)} files")
    with progress.step("card") as step:
        parts = {
            layout.boot_mib * _MIB: scratch / "boot.fat",
            layout.slot_a_mib * _MIB: made,
            layout.data_mib * _MIB: _data(job),
            **_environment(scratch),
        }
        card.assemble(layout, parts, scratch / "card.img")
        step.say(bytes_in_words(layout.end_mib * _MIB))
    return scratch / "card.img"


def _environment(scratch: Path) -> dict[int, Path]:
    """Return U-Boot's environment for both of its places; nothing if there is no text for it."""
    text_file = boot_partition.SOURCE / "environment.txt"
    if not text_file.exists():
        return {}
    made = scratch / "environment.bin"
    card.make_environment(text_file, made)
    return {card.ENVIRONMENT: made, card.ENVIRONMENT_BACKUP: made}


def _data(job: Job) -> Path:
    layout = job.recipe.config.card
    target = job.place.scratch / "data.ext4"
    size = (layout.end_mib - layout.data_mib) * _MIB
    slot.make_empty(target, size, job.release.epoch, DATA_MKE2FS_OPTIONS)
    return target


def _refuse(what: str, problems: list[str]) -> None:
    if problems:
        raise ImageError("\n  ".join([f"{what}:", *problems]))
