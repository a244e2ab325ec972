"""A stock minimal Debian root, to hold the appliance's start beside: same kernel, same machine.

It is made of the packages that the image's builder has locked, with Debian's own defaults: systemd,
udev, D-Bus and a login prompt, nothing else. It has the appliance's kernel, modules and initrd, but
for the one program in it that mounts the root, which is four lines here.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import msgspec

from leyden_hil.board import Start
from leyden_hil.card import Card, tool
from leyden_hil.errors import InfraError
from leyden_image.debian.fetch import fetch
from leyden_image.debian.lockfile import read_lock
from leyden_image.debian.root import make_root
from leyden_image.errors import ImageError
from leyden_image.paths import cache_folder
from leyden_image.recipe import Layer, load_recipe

PROMPT: Final = r"login: "
# `login` itself, which would check a password, is not started until somebody gives a name.
PACKAGES: Final = ("systemd-sysv", "udev", "dbus", "kmod", "iproute2")
_SIZE_MB: Final = 768
_ARGUMENTS: Final = "root=/dev/vda rw net.ifnames=0 quiet console=ttyAMA0,115200"
_INIT: Final = """#!/bin/sh
mount -t devtmpfs dev /dev; mount -t proc proc /proc; mount -t sysfs sys /sys
for each in virtio_pci virtio_blk ext4; do modprobe $each; done
until mount -t ext4 /dev/vda /root; do sleep 0.1; done
for each in dev proc sys; do mount --move /$each /root/$each; done
exec switch_root /root /sbin/init
"""


@dataclass(frozen=True, slots=True)
class Stock:
    """A stock root and what starts it."""

    disk: Path
    kernel: Path
    initrd: Path

    @classmethod
    def make(cls, card: Card, folder: Path) -> Stock:
        """Return a stock root for the kernel on a card; minutes the first time.

        Raises:
            InfraError: it cannot be made.
        """
        folder.mkdir(parents=True, exist_ok=True)
        stock = cls(folder / "stock.ext4", folder / "vmlinuz.gz", folder / "initrd.img")
        stock.kernel.write_bytes(_of_slot(card, "vmlinuz.gz"))
        # Of two archives in a row the files of the second count.
        first, second = _of_slot(card, "initrd.img"), _archive("init", _INIT)
        stock.initrd.write_bytes(_padded(first) + second)
        if not stock.disk.exists():
            try:
                _make_disk(card, stock.disk)
            except ImageError as error:
                raise InfraError(f"no stock root: {error}") from error
        return stock

    def prepare(self, start: Start) -> Start:
        """Add to a start what starts this root."""
        return replace(start, kernel=self.kernel, initrd=self.initrd, arguments=_ARGUMENTS)


def _make_disk(card: Card, disk: Path) -> None:
    with tempfile.TemporaryDirectory(dir=disk.parent) as scratch:
        tree = Path(scratch) / "tree"
        tree.mkdir()
        tool(["tar", "-x", "--numeric-owner", "--exclude=./dev/*", "-C", str(tree), "-f",
              str(_packages())])  # fmt: skip
        _add_modules(card, Path(scratch), tree)
        part = Path(scratch) / "part"
        tool(["mke2fs", "-q", "-t", "ext4", "-d", str(tree), str(part), f"{_SIZE_MB}M"])
        shutil.move(part, disk)


def _packages() -> Path:
    """Return the tar file of the root, from the builder's cache if it has one."""
    lock, cache = read_lock(), cache_folder()
    layer = Layer(name="stock", version=1, description="a login prompt", packages=PACKAGES)
    recipe = msgspec.structs.replace(load_recipe("leyden"), layers=(layer,))
    fetch(lock.packages, cache / "debs", lambda done, total: None)
    return make_root(lock, recipe, cache, cache / "debs", _say)


def _add_modules(card: Card, scratch: Path, tree: Path) -> None:
    squashfs = scratch / "root.squashfs"
    squashfs.write_bytes(_of_slot(card, "root.squashfs"))
    tool(["unsquashfs", "-q", "-n", "-f", "-d", str(tree), str(squashfs), "usr/lib/modules"])


def _of_slot(card: Card, name: str) -> bytes:
    data = card.slot_file("A", name)
    if data is None:
        raise InfraError(f"{card.path}: slot A has no /{name}")
    return data


def _archive(name: str, text: str) -> bytes:
    """Return a cpio archive of one file (Linux documentation, "initramfs buffer format")."""
    return _member(name, text.encode(), 0o100755) + _member("TRAILER!!!", b"", 0)


def _member(name: str, data: bytes, mode: int) -> bytes:
    fields = [1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
    return _padded(head) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data.ljust(-(-len(data) // 4) * 4, b"\0")


def _say(word: str) -> None:
    sys.stderr.write(f"stock root: {word}\n")
