"""No boot and no sequence number is ever given out twice."""

from __future__ import annotations

import errno
import json
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from storage.failing import FailingFiles

from leyden.eventlog.numbers import BLOCK, Numbers, read_sequence


def bound(folder: Path) -> int:
    found = json.loads((folder / "sequence.json").read_bytes())
    return int(found["bound"])


def test_a_new_folder_begins_with_boot_one_and_number_one(tmp_path: Path) -> None:
    numbers = Numbers(tmp_path, (0, 0))
    assert (numbers.boot, numbers.first, numbers.lost) == (1, 1, False)


def test_numbers_are_secured_before_they_are_granted(tmp_path: Path) -> None:
    numbers = Numbers(tmp_path, (0, 0))
    for _ in range(10):
        assert numbers.reserve() <= bound(tmp_path)
    assert numbers.unsecured == 0


def test_the_first_blocks_are_secured_before_anyone_asks(tmp_path: Path) -> None:
    files = FailingFiles()
    numbers = Numbers(tmp_path, (0, 0), files)
    assert bound(tmp_path) == numbers.first + 2 * BLOCK
    written = files.calls["write"]
    numbers.reserve()
    assert files.calls["write"] == written


def test_renewing_keeps_one_block_ahead_so_that_granting_does_not_wait(tmp_path: Path) -> None:
    files = FailingFiles()
    numbers = Numbers(tmp_path, (0, 0), files)
    numbers.reserve()
    for _ in range(5):
        numbers.renew()
        written = files.calls["write"]
        numbers.reserve()
        assert files.calls["write"] == written
        assert numbers.due()


@given(steps=st.lists(st.sampled_from(["reserve", "renew", "crash", "end"]), max_size=12))
def test_whatever_happens_boots_never_share_a_number(
    steps: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, files = tmp_path_factory.mktemp("log"), FailingFiles()
    numbers = Numbers(folder, (0, 0), files)
    begin = end = numbers.first
    for step in steps:
        if step == "reserve":
            end = numbers.reserve()
        elif step == "renew":
            numbers.renew()
        else:
            used = end - 1
            if step == "end":
                numbers.finish(used)
            before = numbers.boot
            numbers = Numbers(folder, (before, used // 2), files)
            assert numbers.boot == before + 1
            assert numbers.first >= end >= begin
            assert step == "crash" or numbers.first == end
            begin = end = numbers.first


def test_a_missing_file_is_made_up_for_beyond_all_that_may_have_been_given_out(
    tmp_path: Path,
) -> None:
    numbers = Numbers(tmp_path, (4, 1000))
    assert numbers.lost
    assert numbers.boot == 5
    assert numbers.first == 1001 + 2 * BLOCK


@pytest.mark.parametrize("damage", [b"", b"\0\0\0", b'{"boot":1}', b'{"boot":-1,"bound":5}', b"[]"])
def test_a_damaged_file_counts_as_missing(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "sequence.json").write_bytes(damage)
    assert read_sequence(tmp_path) is None
    assert Numbers(tmp_path, (2, 10)).lost


def test_a_file_from_the_past_does_not_lead_back(tmp_path: Path) -> None:
    (tmp_path / "sequence.json").write_text('{"boot":1,"bound":50}')
    numbers = Numbers(tmp_path, (7, 9000))
    assert (numbers.boot, numbers.first) == (8, 9001)


def test_a_disk_that_refuses_lets_numbers_go_on_and_counts_what_is_at_risk(tmp_path: Path) -> None:
    files = FailingFiles()
    files.refuse("overwrite", error=errno.EROFS)
    numbers = Numbers(tmp_path, (0, 0), files)
    assert numbers.trouble is not None
    assert numbers.reserve() == 1 + BLOCK
    assert numbers.unsecured == BLOCK
    with pytest.raises(OSError, match="Read-only"):
        numbers.renew()
    files.relent()
    numbers.renew()
    assert numbers.unsecured == 0
    assert bound(tmp_path) == 1 + 2 * BLOCK


def test_numbers_used_after_the_end_are_secured_again(tmp_path: Path) -> None:
    numbers = Numbers(tmp_path, (0, 0))
    granted = numbers.reserve()
    numbers.finish(10)
    assert bound(tmp_path) == 11
    numbers.secure_granted()
    assert bound(tmp_path) == granted


def test_a_disk_that_hangs_is_waited_for_a_moment_only(tmp_path: Path) -> None:
    files, release, hanging = FailingFiles(), threading.Event(), threading.Event()
    numbers = Numbers(tmp_path, (0, 0), files)
    numbers.reserve()
    numbers.reserve()

    def hang() -> None:
        hanging.set()
        release.wait(30)

    files.delay("sync", hang)
    writer = threading.Thread(target=numbers.renew)
    writer.start()
    assert hanging.wait(10)
    assert numbers.reserve(0.0) == 1 + 3 * BLOCK
    assert numbers.reserve(0.01) == 1 + 4 * BLOCK
    assert numbers.unsecured == 2 * BLOCK
    release.set()
    writer.join()
    numbers.renew()
    assert numbers.unsecured == 0


def test_blocks_granted_from_many_threads_do_not_overlap(tmp_path: Path) -> None:
    numbers = Numbers(tmp_path, (0, 0))
    granted: list[int] = []
    threads = [threading.Thread(target=lambda: granted.append(numbers.reserve())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(granted) == [1 + BLOCK * k for k in range(1, 9)]
