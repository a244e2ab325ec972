"""Packing an initrd: complete, readable by the kernel's rules, the same bytes every time."""

from __future__ import annotations

import io
import lzma
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from image.boot.shells import INITRD

from leyden_image.errors import ImageError
from leyden_image.initrd import (
    DATA_MKE2FS_OPTIONS,
    make_initrd,
    module_files,
    read_module_list,
    start_sums,
)

KVER = "7.0-test"
EPOCH = 1_700_000_000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with three modules: `card` needs `bus`; `lone` needs nothing and is compressed."""
    for tool in ("depmod", "modprobe", "zstd"):
        if shutil.which(tool, path="/usr/sbin:/sbin:/usr/bin:/bin") is None:
            pytest.skip(f"{tool} is not installed on this machine")
    root = tmp_path / "tree"
    folder = root / "usr" / "lib" / "modules" / KVER / "kernel"
    folder.mkdir(parents=True)
    (folder / "bus.ko").write_bytes(kernel_module("bus", exports="bus_register"))
    (folder / "card.ko").write_bytes(kernel_module("card", imports="bus_register"))
    (folder / "lone.ko.xz").write_bytes(
        lzma.compress(kernel_module("lone"), check=lzma.CHECK_CRC32)
    )
    for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        (folder.parent / name).write_bytes(b"")
    (root / "lib").symlink_to("usr/lib")
    subprocess.run(["/sbin/depmod", "-b", root, KVER], check=True)
    return root


def kernel_module(name: str, imports: str = "", exports: str = "") -> bytes:
    """Return an ELF object that depmod takes for a module: names only, no code."""
    info = f"license=GPL\0name={name}\0alias=of:N*T*C{name}\0".encode()
    strings = b"\0" + b"".join(
        text.encode() + b"\0"
        for text in (imports, f"__ksymtab_{exports}" if exports else "")
        if text
    )
    symbols = bytes(24)
    if imports or exports:
        # st_name, st_info (global), st_other, st_shndx (0 is elsewhere, 1 is here), value, size
        symbols += struct.pack("<IBBHQQ", 1, 0x10, 0, 1 if exports else 0, 0, 0)
    labels = b"\0.modinfo\0.symtab\0.strtab\0.shstrtab\0__ksymtab_strings\0"
    exported = exports.encode() + b"\0" if exports else b"\0"
    bodies = [info, symbols, strings, labels, exported]
    offsets, at = [], 64 + 64 * 6
    for body in bodies:
        offsets.append(at)
        at += len(body)
    # name, type, offset, size, link, info, entry size
    rows = [
        (0, 0, 0, 0, 0, 0, 0),
        (1, 1, offsets[0], len(info), 0, 0, 0),
        (10, 2, offsets[1], len(symbols), 3, 1, 24),
        (18, 3, offsets[2], len(strings), 0, 0, 0),
        (26, 3, offsets[3], len(labels), 0, 0, 0),
        (36, 1, offsets[4], len(exported), 0, 0, 0),
    ]
    table = b"".join(
        struct.pack("<IIQQQQIIQQ", label, kind, 0, 0, place, size, link, about, 1, each)
        for label, kind, place, size, link, about, each in rows
    )
    head = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 1, 183, 1, 0, 0, 64, 0, 64, 0, 0, 64, len(rows), 4)
    return head + table + b"".join(bodies)


@dataclass(frozen=True)
class Member:
    mode: int
    device: tuple[int, int]
    mtime: int
    data: bytes


def unpacked(archive: Path) -> dict[str, Member]:
    """Read a newc archive, by the kernel's description of the format."""
    raw = subprocess.run(["zstd", "-dc", archive], check=True, capture_output=True).stdout
    stream = io.BytesIO(raw)
    members: dict[str, Member] = {}
    while True:
        header = stream.read(110)
        assert header[:6] == b"070701"
        numbers = [int(header[6 + 8 * n : 14 + 8 * n], 16) for n in range(13)]
        name = stream.read(numbers[11])[:-1].decode()
        stream.read(-stream.tell() % 4)
        if name == "TRAILER!!!":
            return members
        data = stream.read(numbers[6])
        stream.read(-stream.tell() % 4)
        assert numbers[2] == numbers[3] == 0, "everything belongs to root"
        members[name] = Member(numbers[1], (numbers[9], numbers[10]), numbers[5], data)


def pack(root: Path, out: Path, *modules: str) -> dict[str, Member]:
    busybox = out.with_name("busybox")
    busybox.write_bytes(b"\x7fELF not really")
    make_initrd(root, KVER, modules, out, busybox=busybox, epoch=EPOCH)
    return unpacked(out)


def test_it_holds_the_programs_the_modules_and_what_they_depend_on(
    root: Path, tmp_path: Path
) -> None:
    members = pack(root, tmp_path / "initrd", "card", "lone")
    place = f"lib/modules/{KVER}/kernel"
    assert members["init"].data == (INITRD / "init").read_bytes()
    assert members["init"].mode == 0o100755
    assert members["leyden/data.sh"].mode == 0o100644
    assert members["www/cgi-bin/index.cgi"].mode == 0o100755
    assert members["bin/sh"].data == b"busybox"
    assert members["tmp"].mode == 0o041777
    assert members[f"{place}/bus.ko"].data == kernel_module("bus", exports="bus_register")
    assert members[f"{place}/lone.ko"].data == kernel_module("lone"), "it is unpacked"
    dependencies = members[f"lib/modules/{KVER}/modules.dep"].data.decode()
    assert "kernel/card.ko: kernel/bus.ko\n" in dependencies
    assert b"alias of:N*T*Clone lone\n" in members[f"lib/modules/{KVER}/modules.alias"].data


def test_the_kernel_finds_a_console_before_there_is_any_file_system(
    root: Path, tmp_path: Path
) -> None:
    console = pack(root, tmp_path / "initrd", "lone")["dev/console"]
    assert (console.mode, console.device) == (0o020600, (5, 1))


def test_folders_come_before_what_is_in_them(root: Path, tmp_path: Path) -> None:
    seen = {""}
    for name in pack(root, tmp_path / "initrd", "card"):
        assert name.rpartition("/")[0] in seen, name
        seen.add(name)


def test_two_runs_make_the_same_bytes(root: Path, tmp_path: Path) -> None:
    pack(root, tmp_path / "one", "lone", "card")
    pack(root, tmp_path / "two", "card", "lone")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert {member.mtime for member in unpacked(tmp_path / "one").values()} == {EPOCH}


def test_the_initrd_makes_data_as_the_image_does(root: Path, tmp_path: Path) -> None:
    options = pack(root, tmp_path / "initrd", "lone")["leyden/data-options"].data.decode()
    plain, extended = options.splitlines()
    assert (*plain.split(), "-E", extended) == DATA_MKE2FS_OPTIONS


def test_an_unknown_module_is_named(root: Path) -> None:
    with pytest.raises(ImageError, match=r"no module 'crad'"):
        module_files(root, KVER, ["crad"])


def test_a_tree_that_depmod_has_not_seen_is_refused(root: Path) -> None:
    (root / "usr/lib/modules" / KVER / "modules.dep").unlink()
    with pytest.raises(ImageError, match="run depmod"):
        module_files(root, KVER, ["lone"])
    with pytest.raises(ImageError, match="is the kernel in it"):
        module_files(root, "6.1", ["lone"])


def test_a_module_list_has_names_and_words_for_people(tmp_path: Path) -> None:
    file = tmp_path / "list"
    file.write_text("# a list\n\next4  # the card\nloop\next4\n")
    assert read_module_list(file) == ("ext4", "loop")


def test_sums_are_written_as_the_boot_loader_prints_what_it_has_computed(tmp_path: Path) -> None:
    (tmp_path / "kernel").write_bytes(b"123456789")  # CRC-32 is cbf43926, the published check value
    (tmp_path / "initrd").write_bytes(b"")  # CRC-32 is 0
    sums = start_sums(tmp_path / "kernel", tmp_path / "initrd")
    assert sums.split() == [
        *("kernel_sum=cbf43926", "kernel_mus=2639f4cb"),
        *("initrd_sum=0", "initrd_mus=0"),
    ]
