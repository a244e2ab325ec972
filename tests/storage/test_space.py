"""How much a folder takes and how much is left."""

from __future__ import annotations

import errno
from pathlib import Path

from leyden.storage.errors import explain
from leyden.storage.space import folder_bytes, free_bytes


def test_the_bytes_of_all_files_below_are_counted(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "a").write_bytes(b"x" * 1000)
    (tmp_path / "b").write_bytes(b"x" * 24)
    assert folder_bytes(tmp_path) == 1024


def test_a_folder_that_is_not_there_takes_nothing(tmp_path: Path) -> None:
    assert folder_bytes(tmp_path / "none") == 0


def test_a_disk_has_some_room(tmp_path: Path) -> None:
    assert free_bytes(tmp_path) > 0


def test_an_error_comes_with_its_remedy_where_there_is_one() -> None:
    assert "delete something" in explain(OSError(errno.ENOSPC, "No space left on device"))
    assert explain(OSError(errno.EBADF, "Bad file descriptor")) == "Bad file descriptor"
