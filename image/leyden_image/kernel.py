"""The kernel of the image: its Image, the modules that are kept, its device trees."""

from __future__ import annotations

import lzma
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from leyden_image.errors import ImageError
from leyden_image.initrd import module_files, read_module_list
from leyden_image.job import Job
from leyden_image.paths import IMAGE
from leyden_image.store import fresh_folder, whole
from leyden_image.tools import run
from leyden_image.tree import copy_file, make_folder

OVERLAYS: Final = IMAGE / "boot" / "overlays"
# Beside the modules themselves, what depmod and modprobe need to know what is built in.
_LISTS: Final = ("modules.builtin", "modules.builtin.modinfo", "modules.order")


@dataclass(frozen=True, slots=True)
class Kernel:
    """What the kernel's packages hold, unpacked on this machine.

    Attributes:
        tree: folder with `usr/lib/modules/<version>`, all modules, and depmod's files.
        version: as `uname -r` says it.
    """

    tree: Path
    version: str

    @property
    def folder(self) -> Path:
        """The folder of Image, modules and device trees."""
        return self.tree / "usr" / "lib" / "modules" / self.version


def unpack_kernel(job: Job) -> Kernel:
    """Return the unpacked kernel; `modprobe --show-depends` works in its tree."""
    tree = job.unpacked("kernel")
    versions = sorted(path.name for path in (tree / "usr" / "lib" / "modules").iterdir())
    if len(versions) != 1:
        raise ImageError(f"expected one kernel version in {tree}, found {versions}")
    kernel = Kernel(tree, versions[0])
    if not (tree / "lib").is_symlink():
        (tree / "lib").symlink_to("usr/lib")
    if not (kernel.folder / "modules.dep.bin").exists():
        run(["depmod", "-b", tree, kernel.version])
    return kernel


def install_modules(job: Job, kernel: Kernel) -> int:
    """Put the modules of the keep lists into the root; return how many there are.

    They are stored unpacked: the root is compressed as a whole, and a module that has to be
    unpacked by itself at each start costs time on the card.
    """
    listed = read_module_list(IMAGE / "layer" / "kernel" / "modules.txt")
    asked = [*listed, *(name for device in job.recipe.devices for name in device.modules)]
    files = module_files(kernel.tree, kernel.version, tuple(dict.fromkeys(asked)))
    target = job.root / "usr" / "lib" / "modules" / kernel.version
    for file in sorted(files):
        _install_module(file, target / _relative(file, kernel))
    for name in _LISTS:
        copy_file(kernel.folder / name, target / name)
    run(["depmod", "-b", job.root, kernel.version])
    return len(files)


def compress_image(kernel: Kernel, target: Path) -> None:
    """Write the kernel's Image in the form that the boot loader unpacks."""
    with whole(target) as partial:
        run(["sh", "-c", 'gzip -n -9 < "$1" > "$2"', "sh", kernel.folder / "vmlinuz", partial])


def make_device_trees(job: Job, kernel: Kernel, target: Path, sources: Path = OVERLAYS) -> None:
    """Fill `target` with the boards' and the emulators' device trees, our overlays worked in."""
    overlays = compile_overlays(fresh_folder(target.with_name("overlays")), sources)
    wanted = board_overlays(sources)
    fresh_folder(target)
    for name in job.recipe.trees:
        _make_tree(kernel, name, [overlays[one] for one in wanted.get(name, ())], target / name)
    for device in job.recipe.devices:
        for tree in device.emulated:
            chosen = [overlays[one] for one in tree.overlays]
            _make_tree(kernel, tree.base, chosen, target / tree.file)


def _make_tree(kernel: Kernel, name: str, overlays: list[Path], target: Path) -> None:
    source = kernel.folder / "dtb" / "broadcom" / name
    if not source.exists():
        raise ImageError(f"kernel {kernel.version} has no device tree {name}")
    shutil.copyfile(source, target)
    if overlays:
        run(["fdtoverlay", "-i", source, "-o", target, *overlays])


class _Overlays(dict[str, Path]):
    """Compiled overlays by name; an unknown name is an error in words."""

    def __missing__(self, name: str) -> Path:
        raise ImageError(f"no overlay {name} in image/boot/overlays; known: {', '.join(self)}")


def compile_overlays(target: Path, sources: Path = OVERLAYS) -> dict[str, Path]:
    """Compile our overlays into `target`; return them by name."""
    compiled = _Overlays()
    for source in sorted(sources.glob("*.dts")):
        compiled[source.stem] = target / f"{source.stem}.dtbo"
        run(["dtc", "-@", "-q", "-I", "dts", "-O", "dtb", "-o", compiled[source.stem], source])
    return compiled


def board_overlays(sources: Path = OVERLAYS) -> dict[str, tuple[str, ...]]:
    """Read which overlays belong to which tree: lines of `tree.dtb overlay …`."""
    path = sources / "boards.txt"
    if not path.exists():
        return {}
    lines = (line.split("#")[0].split() for line in path.read_text(encoding="utf-8").splitlines())
    return {words[0]: tuple(words[1:]) for words in lines if words}


def _install_module(source: Path, target: Path) -> None:
    make_folder(target.parent)
    if source.suffix == ".xz":
        target.with_suffix("").write_bytes(lzma.decompress(source.read_bytes()))
        return
    shutil.copyfile(source, target)


def _relative(file: Path, kernel: Kernel) -> Path:
    return file.resolve().relative_to(kernel.folder.resolve())
