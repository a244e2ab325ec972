"""Whatever happens to the files, nothing raises, nothing is skipped in silence, no number returns.

The laws, for a log that is cut, overwritten with NULs or damaged anywhere:

- what is read is what was written, in order: a record is never changed and never comes twice;
- every number that is not read is named in a gap, as far as anything after it can be read;
- the next boot keeps all closed blocks and begins above every number ever used.
"""

from __future__ import annotations

import errno
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from eventlog.rig import Rig, everything, gaps, numbers, segments
from hypothesis import given
from hypothesis import strategies as st
from storage.failing import FailingFiles

from leyden.eventlog.blocks import read_blocks
from leyden.eventlog.reader import RESTARTED, LogReader
from leyden.kernel import EventStream, Gap, Record, SimulatedExecutor, last_number


class Sample:
    """A log of three segments, the last with closed blocks and an open one, all kinds of lines."""

    def __init__(self, folder: Path) -> None:
        rig = Rig(folder / "live", segment_bytes=7_000).start()
        while len(segments(rig.folder)) < 3:
            self._publish(rig)
        for _ in range(2):
            self._publish(rig)
            rig.stream.publish_now(rig.route, -1.0)
        rig.publish(5)
        rig.scan(2)
        rig.run(0.1)  # written and not synced: the open block
        self.written: list[Record] = list(rig.recorder.read(0, 100_000).records)
        self.head = rig.stream.head
        self.folder = rig.crash(folder / "crashed")
        self.newest = segments(self.folder)[-1]
        with self.newest.open("rb") as file:
            self.sealed = max(block.end for block in read_blocks(file, 0) if block.closed)
        self.by_number = {record.n: record for record in self.written}
        closed = self.copy(folder / "closed")
        (closed / self.newest.name).write_bytes(self.newest.read_bytes()[: self.sealed])
        self.sealed_records = {item.n for item in everything(closed)}

    @staticmethod
    def _publish(rig: Rig) -> None:
        rig.publish(7, first=20.0)
        rig.scan(2, width=3)
        rig.stream.publish("air.note", {"text": 'é\n"{', "data": b"\0\xff", "list": [1, None]})
        rig.run(1.0)

    def copy(self, to: Path) -> Path:
        """Return a copy that may be damaged."""
        return Path(shutil.copytree(self.folder, to))


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return Sample(tmp_path_factory.mktemp("sample"))


def check_reading(sample: Sample, found: list[Any]) -> None:
    """What is read is what was written; what is missing before it is named."""
    at = 0
    for item in found:
        if isinstance(item, Gap):
            assert item.first == at + 1
            assert item.last >= item.first
            at = item.last
        else:
            assert item == sample.by_number[item.n]
            assert item.n == at + 1
            at = last_number(item)


def check_reopening(sample: Sample, folder: Path, sealed: bool) -> None:
    """The next boot mends the log, keeps closed blocks and uses no number again."""
    before = {item.n for item in everything(folder) if not isinstance(item, Gap)}
    rig = Rig(folder).start()
    assert rig.recorder.first_number() > sample.head
    assert rig.recorder.boot == 2
    kept = {item.n for item in everything(folder) if not isinstance(item, Gap)}
    assert kept == before
    assert not sealed or kept >= sample.sealed_records
    rig.publish(3)
    assert rig.close()
    found = everything(folder)
    check_reading_after(sample, found, rig.recorder.first_number())
    assert Rig(folder).recorder.recovery.cuts == ()


def check_reading_after(sample: Sample, found: list[Any], first: int) -> None:
    check_reading(sample, [item for item in found if isinstance(item, Gap) or item.n < first][:-1])
    assert numbers(found)[-3:] == [first, first + 1, first + 2]
    seen = set(numbers(found))
    for gap in gaps(found):
        seen |= set(range(gap.first, gap.last + 1))
    assert seen == set(range(1, first + 3))


def test_the_sample_reads_as_it_was_written(sample: Sample) -> None:
    assert everything(sample.folder) == sample.written
    assert len(segments(sample.folder)) == 3
    assert 0 < sample.sealed < sample.newest.stat().st_size


def test_reopening_an_undamaged_crash_keeps_everything(sample: Sample, tmp_path: Path) -> None:
    folder = sample.copy(tmp_path / "log")
    rig = Rig(folder)
    assert rig.recorder.recovery.cuts == ()
    assert rig.recorder.recovery.gap == Gap(
        sample.head + 1,
        rig.recorder.first_number() - 1,
        RESTARTED,
    )
    assert everything(folder) == sample.written
    last = segments(folder)[-1].read_bytes()
    assert last.endswith(b'"}\n')
    assert b'{"k":"commit"' in last.splitlines()[-1]


@pytest.mark.parametrize("tail", [b"", b"\0" * 100], ids=["cut", "nul"])
def test_a_tail_lost_at_any_byte_costs_what_is_behind_it_only(
    sample: Sample, tmp_path: Path, tail: bytes
) -> None:
    folder = sample.copy(tmp_path / "log")
    path = folder / sample.newest.name
    data = path.read_bytes()
    starts = [record.n for record in sample.written]
    head = data.index(b"\n")
    for size in (*range(0, head, 101), *range(head, len(data))):
        path.write_bytes(data[:size] + tail)
        found = everything(folder)
        check_reading(sample, found)
        whole = data[:size].count(b"\n")
        lost = data.count(b"\n") - whole
        read = [item.n for item in found if not isinstance(item, Gap)]
        assert read == starts[: len(read)]
        assert len(starts) - len(read) <= lost


@pytest.mark.parametrize("tail", [b"", b"\0" * 100], ids=["cut", "nul"])
def test_the_next_boot_mends_a_tail_lost_anywhere(
    sample: Sample, tmp_path: Path, tail: bytes
) -> None:
    data = sample.newest.read_bytes()
    ends = [at for at in range(len(data)) if data[at : at + 1] == b"\n"]
    sizes = {0, 1, *range(50, len(data), 601), *(end + by for end in ends for by in (-1, 0, 1))}
    for size in sorted(sizes):
        folder = sample.copy(tmp_path / str(size))
        (folder / sample.newest.name).write_bytes(data[:size] + tail)
        check_reopening(sample, folder, size >= sample.sealed)
        shutil.rmtree(folder)


def test_a_hole_of_nuls_anywhere_is_a_gap_and_what_follows_is_read(
    sample: Sample, tmp_path: Path
) -> None:
    folder = sample.copy(tmp_path / "log")
    for path in segments(folder)[:2]:
        data = path.read_bytes()
        for start in range(0, len(data), 97):
            path.write_bytes(data[:start] + b"\0" * 512 + data[start + 512 :])
            found = everything(folder)
            check_reading(sample, found)
            assert last_number(found[-1]) == sample.head
        path.write_bytes(data)


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 40))
def test_random_damage_never_raises_and_never_hides_anything(
    sample: Sample, seed: int, count: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    dice = random.Random(seed)  # noqa: S311 - damage, not a secret
    folder = sample.copy(tmp_path_factory.mktemp("damage") / "log")
    files = segments(folder)
    for _ in range(count):
        path = dice.choice(files)
        data = bytearray(path.read_bytes())
        if not data:
            continue
        at = dice.randrange(len(data))
        match dice.randrange(5):
            case 0:
                data[at] ^= 1 << dice.randrange(8)
            case 1:
                data[at] = dice.choice(b'\0\n\r{}",0129')
            case 2:
                data[at : at + dice.randrange(300)] = b""
            case 3:
                data[at:at] = dice.randbytes(dice.randrange(1, 50))
            case _:
                other = dice.choice(files).read_bytes()
                where = dice.randrange(max(1, len(other)))
                data[at:at] = other[where : where + 200]
        path.write_bytes(data)
    at = 0
    for item in everything(folder):  # whole, in order, none twice, every hole named
        first = item.first if isinstance(item, Gap) else item.n
        assert first == at + 1
        at = item.last if isinstance(item, Gap) else last_number(item)
    LogReader(folder).tail(20)
    LogReader(folder).read(0, 10)
    list(LogReader(folder).heads())
    rig = Rig(folder).start()
    assert rig.recorder.first_number() > sample.head
    rig.publish(2)
    assert rig.close()
    assert numbers(everything(folder))[-2:] == [rig.stream.head - 1, rig.stream.head]


@given(at=st.integers(0), bit=st.integers(0, 7))
def test_one_flipped_bit_in_a_closed_block_is_never_read_as_a_value(
    sample: Sample, at: int, bit: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = sample.copy(tmp_path_factory.mktemp("flip") / "log")
    path = segments(folder)[at % 2]
    data = bytearray(path.read_bytes())
    data[at % len(data)] ^= 1 << bit
    path.write_bytes(data)
    found = everything(folder)
    check_reading(sample, found)
    assert last_number(found[-1]) == sample.head


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_lost_segment_is_a_gap(sample: Sample, tmp_path: Path, which: int) -> None:
    folder = sample.copy(tmp_path / "log")
    path = segments(folder)[which]
    first = int(path.stem.split("-")[1])
    path.unlink()
    found = everything(folder)
    check_reading(sample, found)
    if which < 2:
        assert [gap.first for gap in gaps(found)] == [first]
        assert last_number(found[-1]) == sample.head
    else:
        assert gaps(found) == []


def test_a_number_of_the_open_block_that_was_changed_hides_nothing(
    sample: Sample, tmp_path: Path
) -> None:
    folder = sample.copy(tmp_path / "log")
    path = folder / sample.newest.name
    data = path.read_bytes()
    line = data[sample.sealed :].splitlines(keepends=True)[1]
    changed = line.replace(b'{"n":', b'{"n":9')
    path.write_bytes(data.replace(line, changed))
    found = everything(folder)
    check_reading(sample, found)
    assert numbers(found)[-1] == sample.head
    assert len(gaps(found)) == 1


def test_a_changed_name_in_a_head_never_puts_a_value_on_another_route(
    sample: Sample, tmp_path: Path
) -> None:
    folder = sample.copy(tmp_path / "log")
    path = segments(folder)[1]
    data = path.read_bytes()
    path.write_bytes(
        data.replace(b'"tables":{"1":["air.channel_0"', b'"tables":{"1":["air.channel_9"')
    )
    assert path.read_bytes() != data
    found = everything(folder)
    check_reading(sample, found)
    assert gaps(found)


def test_damage_in_the_open_block_is_cut_there_and_the_rest_is_sealed(
    sample: Sample, tmp_path: Path
) -> None:
    folder = sample.copy(tmp_path / "log")
    path = folder / sample.newest.name
    data = path.read_bytes()
    lines = data[sample.sealed :].splitlines(keepends=True)
    kept = data[: sample.sealed] + lines[0] + lines[1]
    path.write_bytes(kept + b"{" + data[len(kept) + 1 :].replace(b'"n"', b'"?"', 1))
    rig = Rig(folder)
    mended = path.read_bytes()
    assert mended.startswith(kept)
    (closing,) = mended[len(kept) :].splitlines()
    assert closing.startswith(b'{"k":"commit"')
    assert [cut.kept_bytes for cut in rig.recorder.recovery.cuts] == [len(kept)]
    with path.open("rb") as file:
        assert all(block.intact and block.closed for block in read_blocks(file, 0))
    rig.close()


def test_damage_at_the_very_end_is_a_gap_that_no_page_passes_over(
    sample: Sample, tmp_path: Path
) -> None:
    folder = sample.copy(tmp_path / "log")
    path = folder / sample.newest.name
    data = path.read_bytes()
    last = sample.written[-2].n  # the last two lines are damaged
    start = data.rindex(b"\n", 0, data.rindex(b"\n", 0, -1)) + 1
    path.write_bytes(data[:start] + data[start:].replace(b'"n"', b'"?"'))
    found = everything(folder)
    assert found[-1] == Gap(last, last + 1, "damaged on disk")
    page = LogReader(folder).read(0, 100_000)
    assert page.next == last - 1
    assert page.gaps == ()


@pytest.mark.parametrize("content", [None, b"", b"\0\0", b"{}", b'{"boot":0,"bound":1}'])
def test_numbers_are_never_used_again_when_the_sequence_file_is_damaged(
    sample: Sample, tmp_path: Path, content: bytes | None
) -> None:
    folder = sample.copy(tmp_path / "log")
    if content is None:
        (folder / "sequence.json").unlink()
    else:
        (folder / "sequence.json").write_bytes(content)
    rig = Rig(folder)
    assert rig.recorder.boot == 2
    assert rig.recorder.first_number() > sample.head
    rig.close()


@pytest.mark.parametrize("content", [None, b"{bad"])
def test_a_segment_of_which_nothing_is_left_still_tells_by_its_name_what_was_given_out(
    tmp_path: Path, content: bytes | None
) -> None:
    (tmp_path / "00000007-000000005000.jsonl").write_bytes(b"\xff" * 3000)
    if content is not None:
        (tmp_path / "sequence.json").write_bytes(content)
    rig = Rig(tmp_path)
    assert rig.recorder.boot == 8
    assert rig.recorder.first_number() > 5000
    assert rig.recorder.recovery.sequence_lost
    rig.close()


def test_a_crash_of_a_crash_keeps_numbers_apart(tmp_path: Path) -> None:
    folder = tmp_path / "0"
    used: set[int] = set()
    for boot in range(1, 8):
        rig = Rig(folder).start()
        assert rig.recorder.boot == boot
        rig.publish(20)
        rig.run(0.1 if boot % 2 else 2)
        fresh = {
            event.n for event in rig.recorder.read(rig.recorder.first_number() - 1, 100).records
        }
        assert len(fresh) == 20
        assert not fresh & used
        used |= fresh
        folder = rig.crash(tmp_path / str(boot))
    found = everything(folder)
    assert set(numbers(found)) == used
    assert len(gaps(found)) == 6


def test_a_recorder_whose_disk_will_not_mend_begins_anyway(sample: Sample, tmp_path: Path) -> None:
    folder = sample.copy(tmp_path / "log")
    path = folder / sample.newest.name
    path.write_bytes(path.read_bytes() + b"\0" * 50)
    files = FailingFiles()
    files.refuse("append_to", "truncate", error=errno.EIO)
    rig = Rig(folder, files).start()
    assert "reports an error" in rig.recorder.recovery.trouble
    rig.publish(2)
    assert rig.close()
    assert numbers(everything(folder))[-2:] == [rig.stream.head - 1, rig.stream.head]


def test_what_was_cut_is_reported(sample: Sample, tmp_path: Path) -> None:
    folder = sample.copy(tmp_path / "log")
    path = folder / sample.newest.name
    path.write_bytes(path.read_bytes() + b'{"n":12' + b"\0" * 43)
    rig = Rig(folder)
    (cut,) = rig.recorder.recovery.cuts
    assert (cut.segment, cut.cut_bytes) == (path.name, 50)
    (recovered, gap) = rig.recorder.opening_reports()
    assert recovered == (
        "log.recovered",
        {"cuts": [{"segment": path.name, "bytes": 50}], "sequence_lost": False},
    )
    assert gap[0] == "log.gap"
    assert gap[1]["first"] == sample.head + 1
    rig.close()


def test_a_stream_over_a_mended_log_goes_on_as_ever(sample: Sample, tmp_path: Path) -> None:
    folder = sample.copy(tmp_path / "log")
    rig = Rig(folder).start()
    assert isinstance(rig.stream, EventStream)
    assert isinstance(rig.executor, SimulatedExecutor)
    rig.publish(10)
    page = rig.stream.read(sample.head - 3, 100)
    assert len(numbers(page.records)) >= 13
    assert len(page.gaps) == 1
    rig.close()
