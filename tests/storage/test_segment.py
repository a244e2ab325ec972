"""A segment only grows, by whole lines, and is cut back to them when the disk refuses."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from storage.failing import FailingFiles

from leyden.storage.segment import Segment
from leyden.storage.segments import (
    SegmentFile,
    list_segments,
    read_end,
    remove_segment,
    segment_path,
)


def test_lines_are_appended_in_one_write_each(tmp_path: Path) -> None:
    files = FailingFiles()
    segment = Segment.create(tmp_path / "a", b"head\n", files)
    segment.append(b"one\ntwo\n")
    segment.close()
    assert (tmp_path / "a").read_bytes() == b"head\none\ntwo\n"
    assert files.calls["write"] == 2
    assert files.calls["sync_folder"] == 1  # the name is on disk too


def test_only_a_sync_makes_bytes_safe(tmp_path: Path) -> None:
    segment = Segment.create(tmp_path / "a", b"head\n")
    segment.append(b"one\n")
    assert (segment.size, segment.synced_size) == (9, 0)
    segment.sync()
    assert (segment.size, segment.synced_size) == (9, 9)
    segment.close()


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    Segment.create(tmp_path / "a", b"head\n").close()
    with pytest.raises(FileExistsError):
        Segment.create(tmp_path / "a", b"other\n")
    assert (tmp_path / "a").read_bytes() == b"head\n"


def test_a_torn_write_is_cut_off_again(tmp_path: Path) -> None:
    files = FailingFiles()
    segment = Segment.create(tmp_path / "a", b"head\n", files)
    files.leave_room(3)
    with pytest.raises(OSError, match="No space left"):
        segment.append(b"a long line\n")
    assert (tmp_path / "a").read_bytes() == b"head\n"
    files.relent()
    segment.append(b"short\n")
    segment.close()
    assert (tmp_path / "a").read_bytes() == b"head\nshort\n"


def test_a_file_that_takes_nothing_more_is_an_error_not_a_loop(tmp_path: Path) -> None:
    class Stuck(FailingFiles):
        def write(self, descriptor: int, data: bytes | memoryview) -> int:
            return min(len(data), 2) if len(data) == 5 else 0

    with pytest.raises(OSError, match="takes no more"):
        Segment.create(tmp_path / "a", b"head\n", Stuck())


@pytest.mark.parametrize("step", ["write", "sync_folder"])
def test_a_segment_that_cannot_begin_leaves_no_file(tmp_path: Path, step: str) -> None:
    files = FailingFiles()
    files.refuse(step, error=errno.ENOSPC)
    with pytest.raises(OSError, match="No space left"):
        Segment.create(tmp_path / "a", b"head\n", files)
    assert list(tmp_path.iterdir()) == []


def test_abandoning_keeps_what_was_synced(tmp_path: Path) -> None:
    segment = Segment.create(tmp_path / "a", b"head\n")
    segment.sync()
    segment.append(b"unsure\n")
    segment.abandon()
    assert (tmp_path / "a").read_bytes() == b"head\n"


def test_reopening_cuts_the_tail(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"head\none\n\0\0\0")
    segment = Segment.reopen(tmp_path / "a", 9)
    segment.append(b"end\n")
    segment.close()
    assert (tmp_path / "a").read_bytes() == b"head\none\nend\n"


def test_reopening_without_permission_to_cut_leaves_nothing_open(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"head\n")
    files = FailingFiles()
    files.refuse("truncate", error=errno.EROFS)
    with pytest.raises(OSError, match="Read-only"):
        Segment.reopen(tmp_path / "a", 2, files)
    assert (tmp_path / "a").read_bytes() == b"head\n"


@given(
    names=st.lists(
        st.tuples(st.integers(0, 10**9), st.integers(1, 10**15)), unique=True, max_size=8
    )
)
def test_segments_are_listed_in_the_order_of_boot_and_number(
    names: list[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("log")
    for boot, first in names:
        segment_path(folder, boot, first).write_bytes(b"x" * (boot % 7))
    found = list_segments(folder)
    assert [(each.boot, each.first) for each in found] == sorted(names)
    assert all(each.size == each.boot % 7 for each in found)


def test_other_files_are_no_segments(tmp_path: Path) -> None:
    for name in ("sequence.json", "00000001-000000000001.jsonl.gz", "notes.jsonl", "1-1.jsonl"):
        (tmp_path / name).write_bytes(b"")
    assert list_segments(tmp_path) == []


def test_a_folder_that_is_not_there_has_no_segments(tmp_path: Path) -> None:
    assert list_segments(tmp_path / "none") == []


def test_a_segment_is_removed_once_and_a_second_time_without_harm(tmp_path: Path) -> None:
    path = segment_path(tmp_path, 1, 1)
    path.write_bytes(b"x")
    segment = SegmentFile(1, 1, path, 1)
    remove_segment(segment)
    remove_segment(segment)
    assert list_segments(tmp_path) == []


def test_the_end_of_a_file_is_read_however_short_it_is(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"0123456789")
    assert read_end(tmp_path / "a", 4) == b"6789"
    assert read_end(tmp_path / "a", 40) == b"0123456789"
