"""Packs an initrd: busybox, the start-up program of image/boot/initrd, and a few kernel modules.

The archive is the same byte for byte when its ingredients are. It is written directly, without root
rights: owners and device nodes inside need not exist on the machine that builds.
Public names: `make_initrd`, `Initrd`, `start_sums`, `read_module_list`, `module_files`,
`DATA_MKE2FS_OPTIONS`.
"""

from __future__ import annotations

import lzma
import shutil
import stat
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from leyden_image.errors import ImageError
from leyden_image.paths import IMAGE
from leyden_image.tools import run

SKELETON: Final = IMAGE / "boot" / "initrd"

# The data partition's file system, made by the image builder and, where it has to be made anew, by
# the initrd. 4 KiB blocks also while it is small, one inode for 32 KiB since logs are few and long,
# and group descriptors reserved for 2 TiB (536870912 blocks), the most a partition table of this
# kind can say, so that the kernel can grow it while it is mounted.
_DATA_PLAIN: Final = "-b 4096 -i 32768 -m 1 -L leyden-data -e remount-ro"
_DATA_EXTENDED: Final = "resize=536870912,lazy_itable_init=1"
DATA_MKE2FS_OPTIONS: Final = (*_DATA_PLAIN.split(), "-E", _DATA_EXTENDED)

_FOLDERS: Final = ("bin", "dev", "proc", "root", "run", "sbin", "sys", "tmp")
# The shell finds busybox's applets by itself, through /proc. These are started by the kernel, or
# while /proc is not there: before it is mounted, and after it has moved to the new root.
_LINKS: Final = {
    "bin/sh": "busybox",
    "bin/mount": "busybox",
    "sbin/modprobe": "../bin/busybox",
    "sbin/switch_root": "../bin/busybox",
}
_INDEXES: Final = ("modules.dep", "modules.alias")  # what busybox's modprobe reads


@dataclass(frozen=True, slots=True)
class Initrd:
    """What was packed.

    Attributes:
        size: bytes of the compressed archive.
        modules: file names of the kernel modules inside, `ext4.ko`, sorted.
    """

    size: int
    modules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Entry:
    """One member of the archive; `device` is the pair of numbers of a character device."""

    path: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = field(default=(0, 0))


def make_initrd(
    root_tree: Path,
    kver: str,
    modules: Sequence[str],
    out: Path,
    *,
    busybox: Path,
    epoch: int,
    skeleton: Path = SKELETON,
) -> Initrd:
    """Pack an initrd.

    Args:
        root_tree: a root file system with `usr/lib/modules/<kver>` or `lib/modules/<kver>`, in
            which depmod has been run.
        kver: release of the kernel, as `uname -r` says it.
        modules: names of modules; what they depend on comes along.
        out: the file to write, a newc archive compressed with zstd.
        busybox: a static busybox for the board's processor, with its shell preferring applets.
        epoch: time stamp of everything inside, seconds since 1970.
        skeleton: folder whose content becomes the root of the initrd.

    Raises:
        ImageError: a module or a tool is missing.
    """
    files = module_files(root_tree, kver, modules)
    with tempfile.TemporaryDirectory(prefix="leyden-initrd-") as scratch:
        stage = Path(scratch)
        _stage_modules(stage, kver, files)
        shutil.copytree(skeleton, stage, dirs_exist_ok=True)
        _stage_data_options(stage)
        _stage_busybox(stage, busybox)
        archive = stage.with_suffix(".cpio")
        archive.write_bytes(b"".join(_newc(_entries(stage), epoch)))
        try:
            run(["zstd", "-q", "-f", "-19", "-T1", "--no-progress", archive, "-o", out])
        finally:
            archive.unlink()
    return Initrd(out.stat().st_size, tuple(sorted(_plain_name(file) for file in files)))


def start_sums(kernel: Path, initrd: Path) -> str:
    """Return the content of a slot's `start.sums`, by which U-Boot sees that both files are whole.

    They are CRC-32 as `setexpr` prints a word of memory, without leading zeros: `sum` with its
    bytes in order, `mus` the other way round. Which of the two `crc32` leaves depends on how U-Boot
    was built.
    """
    return _sums("kernel", kernel) + _sums("initrd", initrd)


def _sums(name: str, path: Path) -> str:
    crc = zlib.crc32(path.read_bytes())
    swapped = int.from_bytes(crc.to_bytes(4, "big"), "little")
    return f"{name}_sum={crc:x}\n{name}_mus={swapped:x}\n"


def read_module_list(path: Path) -> tuple[str, ...]:
    """Read names of modules, one a line; what follows a `#` is for people."""
    lines = (line.partition("#")[0].strip() for line in path.read_text("utf-8").splitlines())
    return tuple(dict.fromkeys(line for line in lines if line))


def module_files(root_tree: Path, kver: str, names: Iterable[str]) -> tuple[Path, ...]:
    """Return the files of modules and of all they depend on, sorted; built-in ones have none.

    Raises:
        ImageError: the kernel has no such module, or depmod has not been run.
    """
    folder = _module_folder(root_tree, kver)
    if not (folder / "modules.dep").is_file():
        raise ImageError(f"{folder} has no modules.dep; run depmod for {kver} first")
    found: set[Path] = set()
    with tempfile.TemporaryDirectory(prefix="leyden-modules-") as scratch:
        # modprobe wants lib/modules; the tree may have it below usr, or as a link of its own.
        seat = Path(scratch) / "lib" / "modules" / kver
        seat.parent.mkdir(parents=True)
        seat.symlink_to(folder.resolve())
        for name in names:
            found.update(_with_dependencies(Path(scratch), seat, kver, name))
    return tuple(sorted(folder / path for path in found))


def _with_dependencies(base: Path, seat: Path, kver: str, name: str) -> Iterator[Path]:
    """Yield the files that loading a module would insert, relative to the kernel's folder."""
    command: list[str | Path] = [
        "modprobe",
        "-d",
        base,
        "-S",
        kver,
        "--config",
        "/dev/null",
        "--show-depends",
        name,
    ]
    try:
        said = run(command)
    except ImageError as error:
        raise ImageError(
            f"the kernel {kver} has no module {name!r}; look for its name below {seat.resolve()}"
        ) from error
    for line in said.splitlines():
        verb, _, rest = line.partition(" ")
        if verb == "insmod":
            yield Path(rest.split()[0]).relative_to(seat)


def _module_folder(root_tree: Path, kver: str) -> Path:
    for below in ("usr/lib", "lib"):
        folder = root_tree / below / "modules" / kver
        if folder.is_dir():
            return folder
    raise ImageError(f"{root_tree} has no usr/lib/modules/{kver}; is the kernel in it?")


def _stage_modules(stage: Path, kver: str, files: Sequence[Path]) -> None:
    """Unpack modules and index them: busybox reads neither .xz nor binary indexes."""
    folder = stage / "lib" / "modules" / kver
    (folder / "kernel").mkdir(parents=True)
    for file in files:
        (folder / "kernel" / _plain_name(file)).write_bytes(_unpacked(file))
    run(["depmod", "-b", stage, kver])
    for index in folder.glob("modules.*"):
        if index.name not in _INDEXES:
            index.unlink()


def _plain_name(file: Path) -> str:
    return file.name.removesuffix(".xz")


def _unpacked(file: Path) -> bytes:
    if file.suffix == ".xz":
        return lzma.decompress(file.read_bytes())
    if file.suffix == ".ko":
        return file.read_bytes()
    raise ImageError(f"{file} is neither .ko nor .ko.xz; how it is packed is not known here")


def _stage_data_options(stage: Path) -> None:
    """Leave mke2fs its options where /init looks for them: plain ones, then what follows -E."""
    (stage / "leyden" / "data-options").write_text(f"{_DATA_PLAIN}\n{_DATA_EXTENDED}\n", "ascii")


def _stage_busybox(stage: Path, busybox: Path) -> None:
    for name in _FOLDERS:
        (stage / name).mkdir(exist_ok=True)
    shutil.copyfile(busybox, stage / "bin" / "busybox")
    (stage / "bin" / "busybox").chmod(0o755)
    for link, target in _LINKS.items():
        (stage / link).symlink_to(target)


def _entries(stage: Path) -> Iterator[_Entry]:
    """Yield all of a folder, sorted, and the console that the kernel opens for /init."""
    for path in sorted(stage.rglob("*")):
        name = str(PurePosixPath(path.relative_to(stage)))
        if path.is_symlink():
            yield _Entry(name, stat.S_IFLNK | 0o777, str(path.readlink()).encode())
        elif path.is_dir():
            yield _Entry(name, stat.S_IFDIR | (0o1777 if name == "tmp" else 0o755))
        else:
            runs = path.stat().st_mode & stat.S_IXUSR
            yield _Entry(name, stat.S_IFREG | (0o755 if runs else 0o644), path.read_bytes())
    yield _Entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))


def _newc(entries: Iterable[_Entry], epoch: int) -> Iterator[bytes]:
    """Write an archive as Linux reads it: driver-api/early-userspace/buffer-format.rst, `newc`."""
    for number, entry in enumerate(entries, start=1):
        yield _member(entry, number, epoch)
    yield _member(_Entry("TRAILER!!!", 0), 0, 0)


def _member(entry: _Entry, number: int, epoch: int) -> bytes:
    name = entry.path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    # ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
    numbers = (number, entry.mode, 0, 0, links, epoch, len(entry.data), 0, 0, *entry.device)
    header = "070701" + "".join(f"{value:08x}" for value in (*numbers, len(name), 0))
    return _padded(header.encode() + name) + _padded(entry.data)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
