"""Slots and cards: the same bytes from the same files, whenever and wherever they are made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from image.lab import EPOCH, needs, tool, write

from leyden_image.card import ENVIRONMENT, assemble, make_environment, make_fat
from leyden_image.compare import compare, first_difference, partitions
from leyden_image.errors import ImageError
from leyden_image.initrd import DATA_MKE2FS_OPTIONS
from leyden_image.recipe import Card
from leyden_image.slot import make_empty, make_slot, make_squashfs
from leyden_image.store import sha256_of

MIB = 1 << 20
CARD = Card(disk_id=0x4C45594E, boot_mib=4, slot_a_mib=40, slot_b_mib=46, data_mib=52, end_mib=56)
ALL_TOOLS = ("mke2fs", "debugfs", "e2fsck", "mkfs.vfat", "mcopy", "mmd", "sfdisk", "mksquashfs")


def slot_files(folder: Path, order: int = 1) -> dict[str, Path]:
    names = ["vmlinuz.gz", "initrd.img", "dtb/broadcom/a.dtb", "slot.json"][::order]
    content = {name: f"content of {name}\n" * 2000 for name in names}
    write(folder, content)
    return {name: folder / name for name in names}


@needs("mke2fs", "debugfs", "e2fsck")
def test_a_slot_holds_what_was_put_in_and_nothing_else(tmp_path: Path) -> None:
    files, slot = slot_files(tmp_path / "files"), tmp_path / "slot.ext4"
    make_slot(files, slot, EPOCH, 8 * MIB)
    (tmp_path / "out").mkdir()
    tool("debugfs", "-R", f"rdump / {tmp_path / 'out'}", slot)
    found = {
        str(path.relative_to(tmp_path / "out")): path.read_bytes()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }
    assert found == {name: path.read_bytes() for name, path in files.items()}
    assert not (tmp_path / "out" / "lost+found").exists()
    assert "Journal" not in tool("dumpe2fs", "-h", slot)


@needs("mke2fs", "debugfs", "e2fsck")
def test_two_slots_of_the_same_files_are_the_same_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "first.ext4", tmp_path / "elsewhere" / "second.ext4"
    make_slot(slot_files(tmp_path / "one"), first, EPOCH, 8 * MIB)
    make_slot(slot_files(tmp_path / "another" / "place", order=-1), second, EPOCH, 8 * MIB)
    assert sha256_of(first) == sha256_of(second)


@needs("mke2fs", "debugfs", "e2fsck")
def test_what_does_not_fit_into_a_slot_is_said_with_the_biggest(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"a slot holds 1\.0 MB, 2\.1 MB are needed: .*vmlinuz"):
        make_slot(slot_files(tmp_path / "files"), tmp_path / "slot.ext4", EPOCH, MIB)
    assert not (tmp_path / "slot.ext4").exists()


@needs("mke2fs", "dumpe2fs")
def test_the_data_partition_can_grow_and_is_the_same_each_time(tmp_path: Path) -> None:
    for name in ("a", "b"):
        make_empty(tmp_path / name, 32 * MIB, EPOCH, DATA_MKE2FS_OPTIONS)
    assert sha256_of(tmp_path / "a") == sha256_of(tmp_path / "b")
    facts = tool("dumpe2fs", "-h", tmp_path / "a")
    assert "leyden-data" in facts
    assert "resize_inode" in facts
    make_empty(tmp_path / "c", 8 * MIB, EPOCH, ())
    assert "4c455944-454e-4000-8000-0000000000ff" in tool("dumpe2fs", "-h", tmp_path / "c")


@needs("mksquashfs")
def test_two_roots_of_the_same_tree_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        tree = write(tmp_path / name, {f"etc/{number}": "x" * number for number in range(200)})
        make_squashfs(tree, tmp_path / f"{name}.squashfs", EPOCH, level=1, block="128K")
    assert sha256_of(tmp_path / "a.squashfs") == sha256_of(tmp_path / "b.squashfs")


@needs("mkfs.vfat", "mcopy", "mmd", "mdir")
def test_two_boot_partitions_of_the_same_files_are_the_same_bytes(tmp_path: Path) -> None:
    contents = {"config.txt": "a", "overlays/spi.dtbo": "b", "recovery/deep/initrd.img": "c"}
    for name, names in (("a", list(contents)), ("b", list(contents)[::-1])):
        tree = write(tmp_path / name, {one: contents[one] for one in names})
        make_fat(tree, tmp_path / f"{name}.fat", CARD, EPOCH)
    assert sha256_of(tmp_path / "a.fat") == sha256_of(tmp_path / "b.fat")
    assert "2023-11-14" in tool("mdir", "-i", tmp_path / "a.fat", "::config.txt")
    assert "LEYDEN" in tool("mdir", "-i", tmp_path / "a.fat", "::")


@needs("mkenvimage")
def test_the_environment_is_of_the_size_that_the_boot_loader_reads(tmp_path: Path) -> None:
    write(tmp_path, {"environment.txt": "BOOT_ORDER=A B\nBOOT_A_LEFT=3\n"})
    make_environment(tmp_path / "environment.txt", tmp_path / "environment.bin")
    data = (tmp_path / "environment.bin").read_bytes()
    assert len(data) == 0x2000
    assert data[4:].startswith(b"BOOT_ORDER=A B\0BOOT_A_LEFT=3\0\0")


def make_card(folder: Path, root: dict[str, str], boot: dict[str, str]) -> Path:
    """Make a whole small card with a root in its slot."""
    tree = write(folder / "root", root)
    for path in [*tree.rglob("*"), tree]:
        os.utime(path, (EPOCH, EPOCH))
    make_squashfs(tree, folder / "root.squashfs", EPOCH, level=1, block="128K")
    make_slot({"root.squashfs": folder / "root.squashfs"}, folder / "slot", EPOCH, 6 * MIB)
    make_fat(write(folder / "boot", boot), folder / "fat", CARD, EPOCH)
    (folder / "environment").write_bytes(b"environment")
    parts = {
        CARD.boot_mib * MIB: folder / "fat",
        CARD.slot_a_mib * MIB: folder / "slot",
        ENVIRONMENT: folder / "environment",
    }
    assemble(CARD, parts, folder / "card.img")
    return folder / "card.img"


ROOT = {"etc/name": "leyden", "usr/bin/tool": "tool"}
BOOT = {"config.txt": "a"}


@needs(*ALL_TOOLS)
def test_partitions_are_where_the_layout_says(tmp_path: Path) -> None:
    card = make_card(tmp_path, ROOT, BOOT)
    assert [(part.number, part.start // MIB, part.size // MIB) for part in partitions(card)] == [
        (1, 4, 36),
        (2, 40, 6),
        (3, 46, 6),
        (4, 52, 4),
    ]
    data = card.read_bytes()
    assert len(data) == 56 * MIB
    assert data[0x1B8:0x1BC] == bytes.fromhex("4e59454c")  # the disk's identifier
    assert [data[0x1BE + 16 * number + 4] for number in range(4)] == [0xC, 0x83, 0x83, 0x83]
    assert data[0x1BE] == 0x80  # the boot partition is the active one
    assert data[ENVIRONMENT:].startswith(b"environment")
    assert not any(data[2 * MIB : 3 * MIB])  # the slot record of a fresh card
    assert data[40 * MIB : 41 * MIB] == (tmp_path / "slot").read_bytes()[:MIB]
    assert card.stat().st_blocks * 512 < 20 * MIB  # holes stay holes


@needs(*ALL_TOOLS, "zstd")
def test_images_are_compared_down_to_the_file(tmp_path: Path) -> None:
    first = make_card(tmp_path / "a", ROOT, BOOT)
    same = make_card(tmp_path / "b", ROOT, BOOT)
    assert compare(first, same) is None
    for name, root, boot, words in (
        ("c", {**ROOT, "usr/bin/tool": "toll"}, BOOT, "usr/bin/tool: byte 0x2 of the content"),
        ("d", {**ROOT, "usr/bin/zz": ""}, BOOT, "usr/bin/zz is only in one of them"),
        ("e", ROOT, {"config.txt": "b"}, "partition 1: config.txt: byte 0x0 of the content"),
    ):
        other = make_card(tmp_path / name, root, boot)
        assert words in str(compare(first, other))


@needs(*ALL_TOOLS, "zstd")
def test_a_difference_that_is_in_no_file_is_still_found(tmp_path: Path) -> None:
    first = make_card(tmp_path / "a", ROOT, BOOT)
    second = tmp_path / "other.img"
    for place, words in (
        (3 * MIB, "byte 0x300000 of the card, outside of all partitions"),
        (47 * MIB, "partition 3: byte 0x100000, in no file system that is known"),
    ):
        data = bytearray(first.read_bytes())
        data[place] ^= 1
        second.write_bytes(data)
        assert compare(first, second) == words
    tool("zstd", "-q", "-1", "-o", tmp_path / "a.zst", first)
    tool("zstd", "-q", "-5", "-o", tmp_path / "b.zst", first)
    assert compare(tmp_path / "a.zst", tmp_path / "b.zst") == (
        "the cards are the same; only the compression differs"
    )


def test_what_is_no_card_is_not_compared(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(1024))
    with pytest.raises(ImageError, match="has no partition table"):
        partitions(tmp_path / "a")
    (tmp_path / "b").write_bytes(bytes(1000))
    assert first_difference(tmp_path / "a", tmp_path / "b") == 1000
    assert first_difference(tmp_path / "a", tmp_path / "a") is None
