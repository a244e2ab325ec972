"""A file is replaced whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

import pytest
from storage.failing import FailingFiles

from leyden.storage.atomic import remove_leftovers, write_atomic

STEPS = ("overwrite", "write", "sync", "replace")


def test_a_file_is_created_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    write_atomic(path, b"old")
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("step", STEPS)
def test_a_disk_that_refuses_any_step_leaves_the_old_content(tmp_path: Path, step: str) -> None:
    path, files = tmp_path / "tokens.json", FailingFiles()
    write_atomic(path, b"old")
    files.refuse(step, error=errno.ENOSPC)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(path, b"new", files=files)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_fills_up_in_the_middle_leaves_the_old_content(tmp_path: Path) -> None:
    path, files = tmp_path / "tokens.json", FailingFiles()
    write_atomic(path, b"old")
    files.leave_room(2)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(path, b"new", files=files)
    assert path.read_bytes() == b"old"


def test_content_and_name_are_synced_in_this_order(tmp_path: Path) -> None:
    order: list[str] = []

    class Watched(FailingFiles):
        def _called(self, call: str) -> None:
            order.append(call)

    write_atomic(tmp_path / "a", b"x", files=Watched())
    assert order == ["overwrite", "write", "sync", "replace", "sync_folder"]


def test_a_private_file_is_its_owners_alone_from_the_first_byte(tmp_path: Path) -> None:
    modes: list[int] = []

    class Watched(FailingFiles):
        def write(self, descriptor: int, data: bytes | memoryview) -> int:
            modes.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
            return super().write(descriptor, data)

    path = tmp_path / "tokens.json"
    write_atomic(path, b"secret", private=True, files=Watched())
    assert modes == [0o600]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_writers_at_the_same_time_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "a"
    contents = [bytes([letter]) * 5000 for letter in b"abcdefgh"]
    threads = [threading.Thread(target=write_atomic, args=(path, each)) for each in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in contents
    assert list(tmp_path.iterdir()) == [path]


def test_leftovers_of_a_power_cut_are_removed(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"kept")
    (tmp_path / ".a.77.0.partial").write_bytes(b"half")
    assert remove_leftovers(tmp_path) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
