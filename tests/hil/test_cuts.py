"""A power cut keeps what was flushed, and invents nothing."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hil.parts import journal
from hypothesis import given, settings
from hypothesis import strategies as st

from leyden_hil.cuts import cut, entries
from leyden_hil.errors import InfraError

SECTORS = 16
writes = st.tuples(
    st.integers(0, SECTORS - 4), st.just(0), st.integers(1, 4).map(lambda n: bytes([n]) * 512 * n)
)
flushes = st.just((0, 1, b""))
forced = st.tuples(st.integers(0, SECTORS - 1), st.just(2), st.just(b"F" * 512))


def play(folder: Path, log: bytes, seed: int = 0) -> tuple[bytes, bytes]:
    before, noted, after = folder / "before", folder / "journal", folder / "after"
    before.write_bytes(b"." * 512 * SECTORS)
    noted.write_bytes(log)
    cut(before, noted, after, random.Random(seed))  # noqa: S311  # a draw, no secret
    return before.read_bytes(), after.read_bytes()


@settings(max_examples=60, deadline=None)
@given(early=st.lists(writes | flushes | forced), late=st.lists(writes), seed=st.integers(0, 99))
def test_what_was_flushed_is_there_and_nothing_else_is_new(
    tmp_path_factory: pytest.TempPathFactory,
    early: list[tuple[int, int, bytes]],
    late: list[tuple[int, int, bytes]],
    seed: int,
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    _, after = play(folder, journal([*early, (0, 1, b""), *late]), seed)
    safe = bytearray(b"." * 512 * SECTORS)
    for sector, _, data in early:
        safe[512 * sector : 512 * sector + len(data)] = data
    for sector in range(SECTORS):
        found = after[512 * sector : 512 * (sector + 1)]
        may = {bytes(safe[512 * sector : 512 * (sector + 1)])}
        for begin, _, data in late:
            if begin <= sector < begin + len(data) // 512:
                may.add(data[:512])
        assert found in may


def test_of_what_was_not_flushed_some_is_lost_and_some_kept(tmp_path: Path) -> None:
    log = journal([(n, 0, b"n" * 512) for n in range(SECTORS)])
    _, after = play(tmp_path, log, seed=3)
    assert b"n" in after
    assert b"." in after


def test_a_forced_write_is_there_without_a_flush(tmp_path: Path) -> None:
    log = journal([(0, 0, b"a" * 512), (5, 2, b"F" * 512)])
    for seed in range(8):
        assert play(tmp_path, log, seed)[1][5 * 512 : 6 * 512] == b"F" * 512


def test_a_journal_torn_by_the_cut_counts_as_far_as_it_goes(tmp_path: Path) -> None:
    log = journal([(0, 0, b"a" * 512), (0, 1, b""), (1, 0, b"b" * 1024)])
    _, after = play(tmp_path, log[:-512])
    assert after[:512] == b"a" * 512
    assert b"b" not in after


def test_zeros_behind_the_last_entry_are_its_end(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_bytes(journal([(3, 0, b"a" * 512)]) + bytes(8192))
    with path.open("rb") as log:
        assert [entry.offset for entry in entries(log)] == [3 * 512]


def test_no_journal_is_the_rigs_trouble(tmp_path: Path) -> None:
    with pytest.raises(InfraError, match="no journal"):
        play(tmp_path, b"")
