"""A log is read from its folder alone: by number, by route, from the end, while it is written."""

from __future__ import annotations

import shutil
import zlib
from pathlib import Path

import pytest
from eventlog.rig import Rig, everything, gaps, numbers, segments
from hypothesis import given
from hypothesis import strategies as st

from leyden.eventlog.reader import DROPPED, MISSING, RESTARTED, LogReader
from leyden.eventlog.schema import encode_gap, trailer
from leyden.kernel import Clock, Event, Gap, Scan


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of two boots, six segments, 1 to 1000 and 1001 to 1200."""
    folder = tmp_path_factory.mktemp("log")
    for boot, rounds in ((1, 100), (2, 20)):
        rig = Rig(folder, segment_bytes=12_000, segment_s=3600).start()
        assert rig.recorder.boot == boot
        for _ in range(rounds):
            rig.publish(4)
            rig.scan(2)
            rig.run(1)
        assert rig.close()
    return folder


def test_an_empty_folder_is_an_empty_log(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        reader = LogReader(folder)
        assert reader.read(0).records == ()
        assert reader.read(0).next == 0
        assert list(reader.walk()) == []
        assert reader.tail(5) == []
        assert reader.last() == (0, 0)


def test_a_folder_that_is_a_file_is_an_empty_log(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"x")
    assert LogReader(tmp_path / "log").read(0).records == ()


@given(after=st.integers(0, 1300), limit=st.integers(1, 400))
def test_a_page_holds_what_follows_a_number(folder: Path, after: int, limit: int) -> None:
    page = LogReader(folder).read(after, limit)
    found = [n for n in numbers(page.records) if n > after]
    assert found == list(range(after + 1, after + 1 + len(found)))
    assert len(page.records) == limit or page.next == max(after, 1200)
    assert page.next == max(found, default=after)


def test_pages_follow_each_other_to_the_end(folder: Path) -> None:
    reader, at, found = LogReader(folder), 0, []
    while (page := reader.read(at, 37)).records:
        found += numbers(page.records)
        at = page.next
    assert found == list(range(1, 1201))


def test_going_on_with_the_next_page_does_not_read_the_segment_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(tmp_path).start()
    for _ in range(30):
        rig.publish(500)
        rig.run(1)
    rig.close()
    reader = LogReader(tmp_path)
    checked: list[int] = []
    crc32 = zlib.crc32

    def counted(data: bytes) -> int:
        checked.append(len(data))
        return crc32(data)

    monkeypatch.setattr("leyden.eventlog.blocks.zlib.crc32", counted)
    at = reader.read(0, 14_000).next
    checked.clear()
    reader.read(at, 100)
    resumed = sum(checked)
    checked.clear()
    LogReader(tmp_path).read(at, 100)
    assert resumed < sum(checked) / 5


def test_reading_stops_before_a_number_and_names_what_is_missing_there(folder: Path) -> None:
    page = LogReader(folder).read(1190, 100, before=1195)
    assert (numbers(page.records), page.next, page.gaps) == ([1191, 1192, 1193, 1194], 1194, ())
    page = LogReader(folder).read(1198, 100, before=1300)
    assert page.gaps == (Gap(1201, 1299, MISSING),)
    assert page.next == 1299


def test_events_are_chosen_by_the_beginning_of_their_route(folder: Path) -> None:
    reader = LogReader(folder)
    only = list(reader.events(0, "air.channel_1"))
    assert len(only) == 240
    assert {event.route for event in only if isinstance(event, Event)} == {"air.channel_1"}
    assert len(list(reader.events(0, ("air.channel_1", "air.t")))) == 240 + 480
    assert list(reader.events(0, "water.")) == []
    assert numbers(reader.events(5)) == list(range(6, 1201))


@pytest.mark.parametrize("count", [0, 1, 5, 100, 999, 5000])
def test_the_tail_is_the_newest_events(folder: Path, count: int) -> None:
    tail = LogReader(folder).tail(count)
    assert numbers(tail) == list(range(max(1, 1201 - count), 1201))


def test_the_tail_of_a_route_reaches_as_far_back_as_it_must(folder: Path) -> None:
    tail = LogReader(folder).tail(150, "air.channel_2")
    assert len(tail) == 150
    assert numbers(tail) == numbers(LogReader(folder).events(0, "air.channel_2"))[-150:]


def test_the_tail_shows_the_gaps_between_its_events(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "log"))
    lost = segments(copy)[-2]
    lost.unlink()
    tail = LogReader(copy).tail(1000)
    assert len(gaps(tail)) == 1
    assert gaps(tail)[0].first == int(lost.stem.split("-")[1])
    newest = LogReader(copy).tail(3)
    assert gaps(newest) == []


def test_the_last_boot_and_number_are_known(folder: Path) -> None:
    assert LogReader(folder).last() == (2, 1200)


def test_boots_and_sources_come_back_from_the_heads(folder: Path) -> None:
    first, last = (
        LogReader(folder).read(4, 1).records[0],
        LogReader(folder).read(1194, 1).records[0],
    )
    assert isinstance(first, Scan)
    assert isinstance(last, Scan)
    assert (first.boot, first.source) == (1, "device.air")
    assert last.boot == 2
    assert [head.boot for _, head in LogReader(folder).heads() if head] == [1, 1, 1, 1, 1, 2]


def test_numbers_dropped_at_the_beginning_are_named(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "log"))
    segments(copy)[0].unlink()
    first = int(segments(copy)[0].stem.split("-")[1])
    page = LogReader(copy).read(0, 1)
    assert page.gaps == (Gap(1, first - 1, DROPPED),)
    assert LogReader(copy).read(first, 1).gaps == ()


def test_numbers_a_crash_left_unused_are_named(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "a").start()
    rig.publish(5)
    rig.run(2)
    rig = Rig(rig.crash(tmp_path / "b")).start()
    rig.publish(5)
    rig.close()
    (gap,) = gaps(everything(tmp_path / "b"))
    assert (gap.first, gap.reason) == (6, RESTARTED)
    assert gap.last == rig.recorder.first_number() - 1


def test_a_log_being_written_is_read_without_its_writer(tmp_path: Path) -> None:
    rig = Rig(tmp_path).start()
    reader, at, found = LogReader(tmp_path), 0, []
    for _ in range(50):
        rig.publish(3)
        rig.scan()
        rig.run(0.17)
        page = reader.read(at)
        found += numbers(page.records)
        assert page.gaps == ()
        at = page.next
    rig.run(1)
    found += numbers(reader.read(at).records)
    assert found == list(range(1, rig.stream.head + 1))
    rig.close()


def test_a_line_that_is_being_written_is_not_damage(tmp_path: Path) -> None:
    rig = Rig(tmp_path).start()
    rig.publish(3)
    rig.run(0.1)
    path = segments(tmp_path)[0]
    with path.open("ab") as file:
        file.write(b'{"n":4,"m":0,"r":"air.temp')
    assert numbers(everything(tmp_path)) == [1, 2, 3]
    assert gaps(everything(tmp_path)) == []
    rig.executor.close()


def test_what_the_writer_says_is_missing_is_named_in_its_words(tmp_path: Path) -> None:
    rig = Rig(tmp_path).start()
    rig.publish(3)
    rig.run(0.1)
    path = segments(tmp_path)[0]
    with path.open("ab") as file:
        file.write(encode_gap(Gap(4, 9, "not recorded")))
    assert gaps(everything(tmp_path)) == [Gap(4, 9, "not recorded")]
    with path.open("ab") as file:
        file.write(b'{"n":10,"m":0,"r":"air.temperature","v":1.5,"b":1}\n')
    assert everything(tmp_path)[-2:] == [
        Gap(4, 9, "not recorded"),
        Event(10, 0, "air.temperature", 1.5, boot=1),
    ]
    rig.executor.close()


def test_following_yields_what_is_appended_and_sleeps_in_between(tmp_path: Path) -> None:
    rig = Rig(tmp_path).start()
    rig.publish(3)
    rig.run(1)
    seen: list[Event | Gap] = []
    naps: list[float] = []

    class Counted:
        def sleep(self, seconds: float) -> None:
            naps.append(seconds)
            rig.executor.clock.sleep(seconds)

    clock: Clock = Counted()  # type: ignore[assignment]  # a follower only sleeps

    def body() -> None:
        for event in LogReader(tmp_path).follow(clock, 1, "air.", every_s=0.25):
            seen.append(event)

    rig.executor.start_lane("follower", body)
    rig.run(1)
    assert numbers(seen) == [2, 3]
    rig.publish(2)
    rig.run(1)
    assert numbers(seen) == [2, 3, 4, 5]
    assert len(naps) == 9
    rig.close()


def test_a_segment_dropped_while_it_is_read_is_a_gap(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "log"))
    walk = LogReader(copy).walk()
    found = [next(walk)]
    second = segments(copy)[1]
    first = int(second.stem.split("-")[1])
    second.unlink()
    found += walk
    (gap,) = gaps(found)
    assert (gap.first, gap.reason) == (first, DROPPED)
    assert numbers(found)[-1] == 1200


def test_a_segment_that_cannot_be_read_is_a_gap(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "log"))
    second = segments(copy)[1]
    first = int(second.stem.split("-")[1])
    second.unlink()
    second.mkdir()  # opening it fails, whoever asks
    found = everything(copy)
    (gap,) = gaps(found)
    assert (gap.first, gap.reason) == (first, "damaged on disk")
    assert [head for _, head in LogReader(copy).heads()].count(None) == 1


def test_a_segment_of_a_later_format_is_not_guessed_at(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "log"))
    newest = segments(copy)[-1]
    head, _, rest = newest.read_bytes().split(b"\n", 2)
    head = head.replace(b'"format":1', b'"format":2', 1) + b"\n"
    newest.write_bytes(head + trailer(0, zlib.crc32(head)) + rest)
    found = everything(copy)
    assert numbers(found)[-1] == 1194  # single events still say which route they are on
    assert all(gap.reason == "damaged on disk" for gap in gaps(found))
