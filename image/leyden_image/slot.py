"""A slot: the compressed root, kernel, initrd and device trees in one file system.

Everything in it has the same time, owner and order whenever and wherever it is built, so two
builds of one commit make the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from leyden_image.errors import ImageError
from leyden_image.store import whole
from leyden_image.tools import run

_MIB: Final = 1 << 20
_UUID: Final = "4c455944-454e-4000-8000-00000000000a"
_DATA_UUID: Final = "4c455944-454e-4000-8000-00000000000d"
_HASH_SEED: Final = "4c455944-454e-4000-8000-0000000000ff"
# Written once as a whole and only ever read: no journal, nothing reserved, nothing to grow.
# Named one by one, since the defaults differ between versions of mke2fs.
_FEATURES: Final = "none,extent,filetype,sparse_super,large_file,huge_file,dir_nlink,extra_isize"


def make_squashfs(root: Path, target: Path, epoch: int, *, level: int, block: str) -> None:
    """Compress the root tree into `target`.

    Args:
        root: the tree.
        target: the file to write.
        epoch: time of everything, seconds since 1970.
        level: of zstd, 1 to 22.
        block: bytes that are compressed together, as mksquashfs writes it.
    """
    with whole(target) as partial:
        partial.unlink()  # mksquashfs appends to what exists
        run(
            [
                "nice", "-n", "5", "mksquashfs", root, partial, "-noappend", "-no-progress",
                "-quiet", "-no-xattrs", "-comp", "zstd", "-Xcompression-level", str(level),
                "-b", block, "-mkfs-time", str(epoch), "-all-time", str(epoch),
            ]
        )  # fmt: skip


def make_slot(files: dict[str, Path], target: Path, epoch: int, largest: int) -> None:
    """Write an ext4 file system with `files`, no bigger than it has to be.

    Args:
        files: place in the slot and where the content is.
        target: the file to write.
        epoch: time of everything, seconds since 1970.
        largest: size of a slot on the card, in bytes.

    Raises:
        ImageError: the files do not fit into a slot.
    """
    size = _size_for(files)
    if size > largest:
        raise ImageError(_too_big(files, size, largest))
    with whole(target) as partial:
        with partial.open("wb") as file:
            file.truncate(size)
        _format(partial, epoch)
        _fill(partial, files, epoch)


def make_empty(target: Path, size: int, epoch: int, options: Sequence[str]) -> None:
    """Write an empty ext4 file system of `size` bytes, made with `options` of mke2fs."""
    with whole(target) as partial:
        with partial.open("wb") as file:
            file.truncate(size)
        fixed = f"hash_seed={_HASH_SEED},root_owner=0:0"
        command = ["mke2fs", "-q", "-F", "-t", "ext4", "-U", _DATA_UUID, *_extended(options, fixed)]
        run([*command, partial], environment=_moment(epoch))


def _extended(options: Sequence[str], further: str) -> list[str]:
    """Add to the extended options; of several `-E` only the last one would count."""
    words = list(options)
    if "-E" not in words:
        return [*words, "-E", further]
    place = words.index("-E") + 1
    return [*words[:place], f"{words[place]},{further}", *words[place + 1 :]]


def _size_for(files: dict[str, Path]) -> int:
    """Return bytes for the files and what the file system itself needs: 2 %, at least 1 MiB."""
    content = sum(-(-path.stat().st_size // 4096) * 4096 for path in files.values())
    size = content + max(content // 50, _MIB)
    return -(-size // _MIB) * _MIB


def _format(target: Path, epoch: int) -> None:
    run(
        [
            "mke2fs", "-q", "-F", "-t", "ext4", "-O", _FEATURES, "-b", "4096", "-I", "256",
            "-m", "0", "-N", "64", "-L", "leyden-slot", "-U", _UUID,
            "-E", f"hash_seed={_HASH_SEED},root_owner=0:0,lazy_itable_init=0", target,
        ],
        environment=_moment(epoch),
    )  # fmt: skip


def _fill(target: Path, files: dict[str, Path], epoch: int) -> None:
    """Write the files in the order of their names; a folder listing's order is left to chance."""
    folders = sorted({parent for name in files for parent in _parents(name)})
    commands = [f"mkdir {folder}" for folder in folders]
    commands += [f'write "{files[name]}" {name}' for name in sorted(files)]
    for name in sorted(files):
        commands.append(f"set_inode_field {name} mode 0100644")
        commands += [f"set_inode_field {name} {field} 0" for field in ("uid", "gid")]
    commands += ["rmdir lost+found"]
    script = "\n".join(commands) + "\n"
    said = run(["debugfs", "-w", "-f", "-", target], stdin=script, environment=_moment(epoch))
    _check(target, files, said)


def _check(target: Path, files: dict[str, Path], said: str) -> None:
    """Look at what is there: debugfs ends well whatever happened."""
    run(["e2fsck", "-f", "-n", target])
    for name, path in files.items():
        stat = run(["debugfs", "-R", f"stat {name}", target])
        if f"Size: {path.stat().st_size}\n" not in stat:
            raise ImageError(f"{name} did not arrive in {target}; debugfs said:\n{said}")


def _parents(name: str) -> Sequence[str]:
    parts = name.split("/")[:-1]
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


def _moment(epoch: int) -> dict[str, str]:
    # The first is read by e2fsprogs up to 1.47.0, the second by later ones.
    return {"E2FSPROGS_FAKE_TIME": str(epoch), "SOURCE_DATE_EPOCH": str(epoch)}


def _too_big(files: dict[str, Path], size: int, largest: int) -> str:
    weights = sorted(((path.stat().st_size, name) for name, path in files.items()), reverse=True)
    biggest = ", ".join(f"{name} {weight / 1e6:.1f} MB" for weight, name in weights[:3])
    return f"a slot holds {largest / 1e6:.1f} MB, {size / 1e6:.1f} MB are needed: {biggest}"
