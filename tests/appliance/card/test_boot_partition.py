"""The boot partition is read-only but for the moment in which it is written."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from appliance.card.cards import new_card
from storage.failing import FailingFiles

from leyden.appliance.card.boot_partition import BootPartition, BootPartitionError, SystemMounts
from leyden.appliance.card.places import Card


class Recorded:
    """Mounts that only remember."""

    def __init__(self, state: str = "ro") -> None:
        self.now = state
        self.told: list[str] = []
        self.refuse = False

    def state(self, path: Path) -> str:
        return self.now

    def remount(self, path: Path, state: str) -> None:
        if self.refuse:
            raise BootPartitionError("write-protected")
        self.told.append(state)
        self.now = state


@pytest.fixture
def card(tmp_path: Path) -> Card:
    return new_card(tmp_path)


def test_it_is_writable_only_while_it_is_written(card: Card) -> None:
    mounts = Recorded()
    BootPartition(card, mounts).write("a.txt", b"a")
    assert (card.boot / "a.txt").read_bytes() == b"a"
    assert mounts.told == ["rw", "ro"]


def test_one_that_is_writable_stays_so(card: Card) -> None:
    mounts = Recorded("rw")
    BootPartition(card, mounts).write("a.txt", b"a")
    assert mounts.told == []


def test_what_is_there_already_is_not_written(card: Card) -> None:
    mounts = Recorded()
    partition = BootPartition(card, mounts)
    partition.write("a.txt", b"a")
    partition.write("a.txt", b"a")
    assert mounts.told == ["rw", "ro"]


def test_what_an_interrupted_write_left_is_taken_away(card: Card) -> None:
    (card.boot / ".a.txt.1.0.partial").touch()
    BootPartition(card, Recorded()).write("a.txt", b"a")
    assert [path.name for path in card.boot.iterdir()] == ["a.txt"]


def test_removing_what_is_not_there_is_no_work(card: Card) -> None:
    mounts = Recorded()
    BootPartition(card, mounts).remove("a.txt")
    assert mounts.told == []


def test_a_file_is_overwritten_where_it_lies(card: Card) -> None:
    path = card.boot / "a.txt"
    path.write_bytes(b"secret")
    inode = path.stat().st_ino
    BootPartition(card, Recorded()).overwrite("a.txt", b"wiped!")
    assert path.read_bytes() == b"wiped!"
    assert path.stat().st_ino == inode


def test_a_file_that_has_grown_meanwhile_is_left_alone(card: Card) -> None:
    (card.boot / "a.txt").write_bytes(b"longer than before")
    with pytest.raises(BootPartitionError, match="has just been changed"):
        BootPartition(card, Recorded()).overwrite("a.txt", b"wiped!")
    assert (card.boot / "a.txt").read_bytes() == b"longer than before"


def test_nothing_mounted_is_said(card: Card) -> None:
    with pytest.raises(BootPartitionError, match="no boot partition is mounted"):
        BootPartition(card, Recorded("")).write("a.txt", b"a")


def test_a_write_protected_card_is_said(card: Card) -> None:
    mounts = Recorded()
    mounts.refuse = True
    with pytest.raises(BootPartitionError, match="write-protected"):
        BootPartition(card, mounts).write("a.txt", b"a")


@pytest.mark.parametrize(
    ("error", "words"),
    [(errno.ENOSPC, "disk is full"), (errno.EROFS, "read-only"), (errno.EIO, "EIO|error")],
)
def test_a_disk_that_refuses_is_said_and_made_read_only_again(
    card: Card, error: int, words: str
) -> None:
    files, mounts = FailingFiles(), Recorded()
    files.refuse("overwrite", error=error)
    with pytest.raises(BootPartitionError, match=words):
        BootPartition(card, mounts, files).write("a.txt", b"a")
    assert mounts.told == ["rw", "ro"]


def test_the_systems_own_mounts_are_known() -> None:
    mounts = SystemMounts()
    assert mounts.state(Path("/proc")) == "rw"
    assert mounts.state(Path("/nowhere/at/all")) == ""


def test_what_mount_says_is_passed_on(tmp_path: Path) -> None:
    with pytest.raises(BootPartitionError, match="cannot be made writable"):
        SystemMounts().remount(tmp_path / "nothing", "rw")
