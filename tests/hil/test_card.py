"""A card is read and written without mounting it."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import pytest

from leyden_hil.card import (
    DATA,
    ENVIRONMENTS,
    MIB,
    RECORD_SIZE,
    RECORDS,
    SLOT_A,
    Card,
    digest,
    tool,
)
from leyden_hil.errors import InfraError, RigError

TOOLS = ("mcopy", "mkfs.vfat", "mke2fs", "debugfs", "resize2fs")
needs_tools = pytest.mark.skipif(
    any(shutil.which(name, path="/usr/sbin:/sbin:/usr/bin:/bin") is None for name in TOOLS),
    reason="mtools, dosfstools or e2fsprogs is not installed",
)
LAYOUT = {1: (4, 40), 2: (44, 8), 3: (52, 8), 4: (60, 8)}  # MiB: begin, size


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small image with the card's four partitions."""
    folder = tmp_path_factory.mktemp("image")
    path = folder / "small.img"
    with path.open("wb") as file:
        file.truncate(68 * MIB)
        for number, (begin, size) in LAYOUT.items():
            file.seek(446 + 16 * (number - 1) + 8)
            file.write(struct.pack("<II", begin * 2048, size * 2048))
        file.seek(510)
        file.write(b"\x55\xaa")
    tree = folder / "tree"
    tree.mkdir()
    (tree / "slot.json").write_text('{"version": "1.2.3"}')
    for number, make in ((1, ["mkfs.vfat", "-F", "32"]), (2, ["mke2fs", "-q", "-d", str(tree)]),
                         (4, ["mke2fs", "-q"])):  # fmt: skip
        part = folder / f"part{number}"
        with part.open("wb") as file:
            file.truncate(LAYOUT[number][1] * MIB)
        subprocess.run([*make, str(part)], check=True, capture_output=True)
        with path.open("r+b") as file:
            file.seek(LAYOUT[number][0] * MIB)
            file.write(part.read_bytes())
    return path


@pytest.fixture
def card(image: Path, tmp_path: Path) -> Card:
    return Card.copy(image, tmp_path / "card.img", 128)


def record(counter: int, text: str, *, damaged: bool = False) -> bytes:
    body = text.encode()
    head = f"{counter:020} ".encode()
    length = f"{len(body):05}".encode()
    sum_ = zlib.crc32(head + length + b"\n" + body) ^ damaged
    return (b"leyden-slots 1 %s%08x %s\n%s" % (head, sum_, length, body)).ljust(RECORD_SIZE, b"\0")


@needs_tools
def test_a_copy_is_as_large_as_the_card_and_leaves_the_image_alone(card: Card, image: Path) -> None:
    before = digest(image)
    assert card.path.stat().st_size == 128 * MIB
    card.put("leyden.toml", b"hostname = 'x'\n")
    assert digest(image) == before
    card.remove()
    assert not card.path.exists()


@needs_tools
def test_files_of_the_boot_partition_come_and_go(card: Card) -> None:
    assert card.get("leyden.toml") is None
    card.put("leyden.toml", b"one")
    card.put("leyden.toml", b"two")
    assert card.get("leyden.toml") == b"two"
    assert any("leyden.toml" in name for name in card.names())
    free = card.free()
    card.put("large.bin", bytes(3 * MIB))
    assert 2 * MIB < free - card.free() < 4 * MIB
    card.delete("leyden.toml")
    assert card.get("leyden.toml") is None


@needs_tools
def test_a_slot_says_what_it_is(card: Card) -> None:
    assert card.slot("A") == {"version": "1.2.3"}
    assert card.slot_file("A", "/nothing") is None


@needs_tools
def test_the_data_partition_takes_files_and_grows(card: Card, tmp_path: Path) -> None:
    large = tmp_path / "update.raucb"
    large.write_bytes(bytes(range(256)) * (20 * MIB // 256))
    card.seed({"update.raucb": large}, 40)
    assert card.span(DATA).size == 40 * MIB
    assert card.data_file("update.raucb") == large.read_bytes()
    assert card.slot("A") == {"version": "1.2.3"}


@needs_tools
def test_places_are_those_of_the_partition_table(card: Card) -> None:
    assert card.span(SLOT_A).offset == 44 * MIB
    card.write(card.span(SLOT_A).offset, b"noise")
    assert card.read(44 * MIB, 5) == b"noise"
    card.erase(card.span(SLOT_A).offset, 3 * MIB)
    assert card.read(44 * MIB, 3 * MIB) == bytes(3 * MIB)


def test_what_is_no_card_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "nothing.img"
    path.write_bytes(bytes(1024))
    with pytest.raises(RigError, match="no partition table"):
        Card(path).span(1)
    path.write_bytes(bytes(510) + b"\x55\xaa")
    with pytest.raises(RigError, match="no partition 2"):
        Card(path).span(2)


def test_the_boot_environment_comes_back_and_damage_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "card.img"
    path.write_bytes(bytes(4 * MIB))
    card = Card(path)
    assert card.environment() is None
    card.set_environment(BOOT_ORDER="A B", BOOT_A_LEFT="3")
    card.set_environment(**{"serial#": "10000000deadbeef"})
    wanted = {"BOOT_ORDER": "A B", "BOOT_A_LEFT": "3", "serial#": "10000000deadbeef"}
    assert card.environment() == card.environment(1) == wanted
    card.write(ENVIRONMENTS[0] + 10, b"?")
    assert card.environment() is None
    assert card.environment(1) == wanted


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (record(7, '{"committed":"A"}'), record(8, '{"committed":"B"}'), {"committed": "B"}),
        (record(9, '{"committed":"A"}'), record(8, '{"committed":"B"}'), {"committed": "A"}),
        (record(7, '{"committed":"A"}'), record(8, "{}", damaged=True), {"committed": "A"}),
        (bytes(RECORD_SIZE), bytes(RECORD_SIZE), None),
    ],
)
def test_the_newest_whole_slot_record_counts(
    tmp_path: Path, first: bytes, second: bytes, expected: dict[str, str] | None
) -> None:
    path = tmp_path / "card.img"
    path.write_bytes(bytes(4 * MIB))
    card = Card(path)
    card.write(RECORDS[0], first)
    card.write(RECORDS[1], second)
    assert card.record() == expected
    assert json.dumps(expected) == json.dumps(card.record())


def test_a_tool_that_is_missing_or_fails_is_the_rigs_trouble() -> None:
    with pytest.raises(InfraError, match="not installed"):
        tool(["no-such-tool-here"])
    with pytest.raises(InfraError, match="no such folder|No such file"):
        tool(["cp", "/nowhere/at/all", "/nowhere/else"])
