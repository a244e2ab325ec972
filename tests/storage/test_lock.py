"""One process at a time works in a data directory, and the second one learns who does."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from storage.failing import FailingFiles

from leyden.storage.errors import InUseError, StorageError
from leyden.storage.lock import FolderLock

HOLDER = """
import sys
from pathlib import Path
from leyden.storage.lock import FolderLock
FolderLock(Path(sys.argv[1])).acquire()
print("held", flush=True)
sys.stdin.read()
"""


def hold(folder: Path) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    return child


def end(child: subprocess.Popen[str]) -> None:
    child.send_signal(signal.SIGKILL)
    child.communicate()


@pytest.mark.process
def test_a_second_process_is_told_the_first_ones_pid(tmp_path: Path) -> None:
    child = hold(tmp_path)
    try:
        with pytest.raises(InUseError, match=f"in use by process {child.pid}") as caught:
            FolderLock(tmp_path).acquire()
    finally:
        end(child)
    assert caught.value.pid == child.pid


@pytest.mark.process
def test_a_killed_holder_frees_the_folder(tmp_path: Path) -> None:
    end(hold(tmp_path))
    with FolderLock(tmp_path):
        assert (tmp_path / ".lock").read_text() == f"{os.getpid()}\n"


def test_a_lock_excludes_another_in_the_same_process_until_released(tmp_path: Path) -> None:
    first, second = FolderLock(tmp_path), FolderLock(tmp_path)
    first.acquire()
    with pytest.raises(InUseError):
        second.acquire()
    first.release()
    first.release()
    second.acquire()
    second.release()


def test_a_holder_without_a_readable_pid_is_another_process(tmp_path: Path) -> None:
    with FolderLock(tmp_path):
        (tmp_path / ".lock").write_bytes(b"")
        with pytest.raises(InUseError, match="another process") as caught:
            FolderLock(tmp_path).acquire()
    assert caught.value.pid == 0


def test_the_folder_is_made_if_need_be(tmp_path: Path) -> None:
    with FolderLock(tmp_path / "a" / "data"):
        assert (tmp_path / "a" / "data").is_dir()


def test_a_path_through_a_file_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"")
    with pytest.raises(StorageError, match="File exists|Not a directory"):
        FolderLock(tmp_path / "data").acquire()


def test_a_read_only_disk_is_refused_with_its_remedy(tmp_path: Path) -> None:
    files = FailingFiles()
    files.refuse("make_folder", error=errno.EROFS)
    with pytest.raises(StorageError, match=r"read-only.*card"):
        FolderLock(tmp_path / "data", files).acquire()
