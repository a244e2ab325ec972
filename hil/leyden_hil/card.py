"""One SD card: a copy of the image that a test may write to, break and look into.

Nothing is mounted: the FAT partition is read and written with mtools, ext4 with debugfs, the rest
is bytes at known places. The places are those of `image/README.md`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import struct
import subprocess
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from leyden_hil.errors import InfraError, RigError

MIB: Final = 1 << 20
SECTOR: Final = 512
DISK_ID: Final = 0x4C45594E
ENVIRONMENTS: Final = (MIB, MIB + MIB // 2)  # of the boot loader: primary, backup
ENVIRONMENT_SIZE: Final = 0x2000
RECORDS: Final = (2 * MIB, 2 * MIB + MIB // 2)  # the slot record, two copies
RECORD_SIZE: Final = 4096
_RECORD: Final = re.compile(rb"leyden-slots 1 (\d{20}) ([0-9a-f]{8}) (\d{5})\n")
BOOT, SLOT_A, SLOT_B, DATA = 1, 2, 3, 4
SLOTS: Final = {"A": SLOT_A, "B": SLOT_B}
_TOOL_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Span:
    """Where a partition lies, in bytes."""

    offset: int
    size: int


class Card:
    """A card in a file.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def copy(cls, image: Path, path: Path, size_mb: int = 0) -> Card:
        """Return a fresh copy of an image, as large as a card of `size_mb` (0: as the image).

        Raises:
            InfraError: the host cannot make it.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        tool(["cp", "--sparse=always", "--reflink=auto", str(image), str(path)])
        if size_mb:
            os.truncate(path, size_mb * MIB)
        return cls(path)

    def remove(self) -> None:
        """Throw the card away."""
        self.path.unlink(missing_ok=True)

    # Places

    def span(self, number: int) -> Span:
        """Return where partition `number` (1 to 4) lies, from the partition table.

        Raises:
            RigError: the table is not one, or has no such partition.
        """
        table = self.read(0, SECTOR)
        if table[510:] != b"\x55\xaa":
            raise RigError(f"{self.path}: found no partition table; is it an image of a card?")
        start, count = struct.unpack_from("<II", table, 446 + 16 * (number - 1) + 8)
        if not count:
            raise RigError(f"{self.path}: found no partition {number}, expected four")
        return Span(start * SECTOR, count * SECTOR)

    def read(self, offset: int, size: int) -> bytes:
        """Return raw bytes."""
        with self.path.open("rb") as file:
            file.seek(offset)
            return file.read(size)

    def write(self, offset: int, data: bytes) -> None:
        """Write raw bytes."""
        with self.path.open("r+b") as file:
            file.seek(offset)
            file.write(data)

    def erase(self, offset: int, size: int) -> None:
        """Fill a place with zeros."""
        for begin in range(offset, offset + size, MIB):
            self.write(begin, bytes(min(MIB, offset + size - begin)))

    # The boot partition

    def put(self, name: str, data: bytes) -> None:
        """Write a file of the boot partition: `put("leyden.toml", …)`."""
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            self._mtool("mcopy", "-o", file.name, f"::{name}")

    def get(self, name: str) -> bytes | None:
        """Return a file of the boot partition, `None` if there is none."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "file"
            line = ["mcopy", "-n", "-i", self._boot(), f"::{name}", str(path)]
            done = subprocess.run(line, capture_output=True, timeout=_TOOL_S, check=False)
            return path.read_bytes() if done.returncode == 0 and path.exists() else None

    def delete(self, name: str) -> None:
        """Remove a file of the boot partition."""
        self._mtool("mdel", f"::{name}")

    def names(self, folder: str = "") -> list[str]:
        """Return what is in a folder of the boot partition."""
        return self._mtool("mdir", "-b", f"::{folder}").split()

    def free(self) -> int:
        """Return how many bytes are free on the boot partition."""
        found = re.search(r"([\d\s]+) bytes free", self._mtool("mdir", "::"))
        if found is None:
            raise InfraError(f"{self.path}: mdir does not say how much is free")
        return int("".join(found[1].split()))

    # The boot loader's environment

    def environment(self, copy: int = 0) -> dict[str, str] | None:
        """Return the boot loader's variables (copy 0: primary, 1: backup), `None` if damaged."""
        block = self.read(ENVIRONMENTS[copy], ENVIRONMENT_SIZE)
        if zlib.crc32(block[4:]) != int.from_bytes(block[:4], "little"):
            return None
        rows = block[4:].partition(b"\0\0")[0].decode("latin-1").split("\0")
        return dict(row.split("=", 1) for row in rows if row)

    def set_environment(self, **variables: str) -> None:
        """Change variables in both copies; a damaged one begins anew."""
        for copy, offset in enumerate(ENVIRONMENTS):
            rows = (self.environment(copy) or {}) | variables
            text = "".join(f"{name}={value}\0" for name, value in rows.items())
            body = (text.encode("latin-1") + b"\0").ljust(ENVIRONMENT_SIZE - 4, b"\0")
            self.write(offset, zlib.crc32(body).to_bytes(4, "little") + body)

    # Slots and data

    def slot_file(self, slot: str, name: str) -> bytes | None:
        """Return a file of a slot, `None` if there is none: `slot_file("A", "slot.json")`."""
        return self._from_ext4(SLOTS[slot], name)

    def data_file(self, name: str) -> bytes | None:
        """Return a file of the data partition, as it is without replaying its journal."""
        return self._from_ext4(DATA, name)

    def seed(self, files: Mapping[str, Path], size_mb: int) -> None:
        """Put files on the data partition of a card that was never started, and let it grow.

        Large files go this way: an emulated USB network is slow. Growing comes first, as the
        appliance's own first start would do it.

        Args:
            files: by their names on the data partition.
            size_mb: of the data partition afterwards.
        """
        span = self.span(DATA)
        with tempfile.TemporaryDirectory(dir=self.path.parent) as folder:
            part = Path(folder) / "data.ext4"
            part.write_bytes(self.read(span.offset, span.size))
            os.truncate(part, size_mb * MIB)
            tool(["e2fsck", "-fy", str(part)])
            tool(["resize2fs", str(part)])
            for name, path in files.items():
                tool(["debugfs", "-w", "-R", f"write {path} {name}", str(part)])
            self._resize(DATA, size_mb * MIB)
            tool(["dd", f"if={part}", f"of={self.path}", "bs=1M", "conv=notrunc,sparse",
                  f"seek={span.offset // MIB}", "status=none"])  # fmt: skip

    def _resize(self, number: int, size: int) -> None:
        self.write(446 + 16 * (number - 1) + 12, struct.pack("<I", size // SECTOR))

    def slot(self, slot: str) -> dict[str, Any] | None:
        """Return what a slot says of itself, `None` if it is empty."""
        text = self.slot_file(slot, "slot.json")
        return json.loads(text) if text else None

    def record(self) -> dict[str, Any] | None:
        """Return what the newest valid copy of the slot record says, `None` if there is none."""
        copies = [_record(self.read(offset, RECORD_SIZE)) for offset in RECORDS]
        return max(filter(None, copies), key=lambda copy: copy[0], default=(0, None))[1]

    def _from_ext4(self, number: int, name: str) -> bytes | None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "file"
            where = f"{self.path}?offset={self.span(number).offset}"
            tool(["debugfs", "-R", f"dump /{name.lstrip('/')} {path}", where])
            return path.read_bytes() if path.exists() and path.stat().st_size else None

    def _boot(self) -> str:
        return f"{self.path}@@{self.span(BOOT).offset}"

    def _mtool(self, name: str, *arguments: str) -> str:
        split = next(i for i, word in enumerate(arguments) if not word.startswith("-"))
        return tool([name, *arguments[:split], "-i", self._boot(), *arguments[split:]])


def _record(block: bytes) -> tuple[int, dict[str, Any]] | None:
    """Return counter and content of one copy of the slot record, `None` if it is damaged."""
    found = _RECORD.match(block)
    if found is None:
        return None
    counter, sum_, length = found.groups()
    text = block[found.end() : found.end() + int(length)]
    whole = zlib.crc32(counter + b" " + length + b"\n" + text) == int(sum_, 16)
    return (int(counter), json.loads(text)) if whole else None


def tool(line: list[str]) -> str:
    """Run a program of the host and return what it printed.

    Raises:
        InfraError: it is not there, or failed.
    """
    environment = os.environ | {"MTOOLS_SKIP_CHECK": "1", "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            line, capture_output=True, text=True, timeout=_TOOL_S, check=False, env=environment
        )
    except FileNotFoundError:
        raise InfraError(f"{line[0]} is not installed; `make hil` says how to get it") from None
    except subprocess.TimeoutExpired:
        raise InfraError(f"{' '.join(line)}: not done after {_TOOL_S:.0f} s") from None
    if done.returncode:
        raise InfraError(f"{' '.join(line)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def digest(image: Path) -> str:
    """Return the first twelve digits of an image's SHA-256."""
    sum_ = hashlib.sha256()
    with image.open("rb") as file:
        while block := file.read(MIB):
            sum_.update(block)
    return sum_.hexdigest()[:12]
