"""Where everything stands on the card, and how this start of the machine came about."""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from leyden.appliance.update.environment import ENVIRONMENT_BYTES, EnvironmentStore
from leyden.appliance.update.errors import NoCardError
from leyden.appliance.update.release import Release, read_release
from leyden.appliance.update.slots import COPY_BYTES, SlotStore
from leyden.storage.files import FILES, Files
from leyden.storage.raw import RawArea

DISK_ID: Final = "4c45594e"  # in the card's partition table; "LEYN" in ASCII
_MIB: Final = 1 << 20
_ENVIRONMENT: Final = 1 * _MIB
_ENVIRONMENT_BACKUP: Final = 3 * _MIB // 2
_RECORDS: Final = (2 * _MIB, 5 * _MIB // 2)
_PARTITIONS: Final = {"A": 2, "B": 3}
_SLOT_WORD: Final = re.compile(r"(?:^|\s)leyden\.slot=([AB])(?:\s|$)")
_SOURCE_WORD: Final = re.compile(r"(?:^|\s)leyden\.environment=(\w+)")
_PASSED_WORD: Final = re.compile(r"(?:^|\s)leyden\.why=(\S*)")
_PASSED: Final = {
    "kernel-unreadable": "its /vmlinuz.gz cannot be read",
    "kernel-damaged": "its /vmlinuz.gz is damaged",
    "kernel-refused": "its kernel is none that can be started",
    "initrd-unreadable": "its /initrd.img cannot be read",
    "initrd-damaged": "its /initrd.img is damaged",
}
_EXT4_MAGIC: Final = (1080, b"\x53\xef")  # place and value of s_magic in the superblock


class _Words(msgspec.Struct):
    slot: str
    text: str


@dataclass(frozen=True, slots=True)
class Card:
    """Paths of the card that this machine runs from.

    Args:
        root: where `dev`, `proc`, `run`, `usr` and `data` are; another place only in tests.
        files: the file system, for what is written.
    """

    root: Path = Path("/")
    files: Files = FILES

    @property
    def disk(self) -> Path:
        """The whole card; a udev rule of ours makes the name."""
        return self.root / "dev/disk/leyden"

    @property
    def updates(self) -> Path:
        """History, downloads and the lock, on the data partition."""
        return self.root / "data/system/updates"

    @property
    def run(self) -> Path:
        """What is known of this start, for all to read."""
        return self.root / "run/leyden-update"

    @property
    def link(self) -> Path:
        """The runtime's socket."""
        return self.root / "run/leyden/leyden.sock"

    @property
    def log(self) -> Path:
        """The event log's folder."""
        return self.root / "data/leyden/log"

    @property
    def records(self) -> SlotStore:
        """The slot record."""
        first, second = (RawArea(self.disk, at, COPY_BYTES, self.files) for at in _RECORDS)
        return SlotStore((first, second))

    @property
    def environment(self) -> EnvironmentStore:
        """The boot loader's variables."""
        size = ENVIRONMENT_BYTES
        return EnvironmentStore(
            RawArea(self.disk, _ENVIRONMENT, size, self.files),
            RawArea(self.disk, _ENVIRONMENT_BACKUP, size, self.files),
        )

    def slot(self, name: str) -> Path:
        """The partition of a slot."""
        return self.root / f"dev/disk/by-partuuid/{DISK_ID}-{_PARTITIONS[name]:02x}"

    def slot_bytes(self, name: str) -> int:
        """Return the size of a slot's partition.

        Raises:
            OSError: there is no such partition.
        """
        with self.slot(name).open("rb") as file:
            return file.seek(0, os.SEEK_END)

    def holds_files(self, name: str) -> bool:
        """Whether a slot begins like a file system; an empty or unreadable one does not."""
        place, magic = _EXT4_MAGIC
        try:
            return RawArea(self.slot(name), place, len(magic)).read() == magic
        except OSError:
            return False

    def release(self) -> Release:
        """Return the release that runs.

        Raises:
            NoCardError: this is no machine that runs from a card.
        """
        return read_release(self.root / "usr/lib/leyden/release.json")

    def running(self) -> str:
        """Return the slot that this start came from.

        Raises:
            NoCardError: the kernel was not started from a slot.
        """
        words = self._text("proc/cmdline")
        found = _SLOT_WORD.search(words)
        if found is None:
            raise NoCardError(
                "the kernel was not started from a slot: found no leyden.slot=A or leyden.slot=B "
                "on its command line; updates are installed on the appliance itself"
            )
        return found[1]

    def passed_over(self) -> dict[str, str]:
        """Return which slots the boot script could not load in this start, and why, in words.

        It tells with `leyden.why=B:kernel-damaged,` on the kernel's command line.
        """
        found = _PASSED_WORD.search(self._text("proc/cmdline"))
        pairs = (each.partition(":") for each in found[1].split(",")) if found else ()
        return {slot: _PASSED[word] for slot, _, word in pairs if word in _PASSED}

    def environment_source(self) -> str:
        """Return where the boot script had its variables from; empty where it does not tell."""
        found = _SOURCE_WORD.search(self._text("proc/cmdline"))
        return found[1] if found else ""

    def last_words(self) -> tuple[str, str]:
        """Return the slot whose start ended before its root was there, and its last words.

        They are handed on by the initrd of the first start that works; empty texts where there are
        none.
        """
        try:
            told = msgspec.json.decode(self._text("run/leyden-boot/last-words.json"), type=_Words)
        except msgspec.MsgspecError:
            return "", ""
        return told.slot, told.text

    def broken_check(self) -> tuple[str, str]:
        """Return the slot whose health check broke, and how; empty texts where none has.

        The shell script that takes such a slot back leaves a note; see `trial-failed`.
        """
        slot, _, words = self._text("data/system/updates/trial-failed").strip().partition(" ")
        return slot, words

    def forget_broken_check(self) -> None:
        """Remove that note, once it stands in the history."""
        with contextlib.suppress(OSError):
            self.files.remove(self.updates / "trial-failed")

    def boot(self) -> str:
        """Return the kernel's id of this start; empty where it does not tell."""
        return self._text("proc/sys/kernel/random/boot_id").strip()

    def boards(self) -> tuple[str, ...]:
        """Return what the device tree says this board is compatible with, nearest first."""
        return tuple(filter(None, self._text("proc/device-tree/compatible").split("\0")))

    def _text(self, path: str) -> str:
        try:
            return (self.root / path).read_text("utf-8", "replace")
        except OSError:
            return ""
