"""The card: partition table, raw areas, boot partition, slot A, an empty slot B, data."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from leyden_image.recipe import Card
from leyden_image.store import whole
from leyden_image.tools import run

_MIB: Final = 1 << 20
_BLOCK: Final = 1 << 20
ENVIRONMENT: Final = 1 * _MIB  # U-Boot's environment
ENVIRONMENT_BACKUP: Final = 1 * _MIB + _MIB // 2
ENVIRONMENT_SIZE: Final = 0x2000
_FAT_ID: Final = "4c455944"
_FAT: Final = 0xC  # W95 FAT32 (LBA): what the Pi's boot ROM looks for
_LINUX: Final = 0x83


def make_fat(tree: Path, target: Path, card: Card, epoch: int) -> None:
    """Write the boot partition with the files of `tree`, in the order of their names."""
    files = sorted(path.relative_to(tree) for path in tree.rglob("*") if path.is_file())
    with whole(target) as partial:
        with partial.open("wb") as file:
            file.truncate((card.slot_a_mib - card.boot_mib) * _MIB)
        run(["mkfs.vfat", "-F", "32", "-n", "LEYDEN", "-i", _FAT_ID, "--invariant", partial])
        moment = {"SOURCE_DATE_EPOCH": str(epoch), "MTOOLS_SKIP_CHECK": "1"}
        for folder in sorted({parent for file in files for parent in file.parents[:-1]}):
            run(["mmd", "-i", partial, f"::{folder}"], environment=moment)
        for name in files:
            os.utime(tree / name, (epoch, epoch))
            run(["mcopy", "-m", "-i", partial, tree / name, f"::{name}"], environment=moment)


def make_environment(text: Path, target: Path, size: int = ENVIRONMENT_SIZE) -> None:
    """Write U-Boot's environment in the form it loads: checksum, then text."""
    with whole(target) as partial:
        run(["mkenvimage", "-p", "0", "-s", hex(size), "-o", partial, text])


def assemble(card: Card, parts: dict[int, Path], target: Path) -> None:
    """Write the whole card, with holes where there is nothing.

    Args:
        card: the layout.
        parts: offset in bytes and the content that begins there.
        target: the file to write.
    """
    with whole(target) as partial:
        with partial.open("wb") as file:
            file.truncate(card.end_mib * _MIB)
        run(["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", partial], stdin=_table(card))
        with partial.open("r+b") as file:
            for offset, part in sorted(parts.items()):
                for place, block in _content(part):
                    file.seek(offset + place)
                    file.write(block)


def _table(card: Card) -> str:
    lines = ["label: dos", f"label-id: {card.disk_id:#010x}", "unit: sectors", ""]
    kinds = (
        (card.boot_mib, card.slot_a_mib, f"type={_FAT:x}, bootable"),
        (card.slot_a_mib, card.slot_b_mib, f"type={_LINUX:x}"),
        (card.slot_b_mib, card.data_mib, f"type={_LINUX:x}"),
        (card.data_mib, card.end_mib, f"type={_LINUX:x}"),
    )
    lines += [
        f"start={begin * 2048}, size={(end - begin) * 2048}, {kind}" for begin, end, kind in kinds
    ]
    return "\n".join(lines) + "\n"


def _content(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the blocks of a file that are not only zeros."""
    zeros = bytes(_BLOCK)
    with path.open("rb") as file:
        place = 0
        while block := file.read(_BLOCK):
            if block != zeros[: len(block)]:
                yield place, block
            place += len(block)
