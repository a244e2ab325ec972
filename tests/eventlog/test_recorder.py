"""What is published is on disk in time, in order, in segments that explain themselves."""

from __future__ import annotations

import hashlib
import json
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from eventlog.rig import ABOUT, CHANNELS, Rig, everything, gaps, numbers, segments
from storage.failing import FailingFiles

from leyden.eventlog.reader import RESTARTED, LogReader
from leyden.eventlog.recorder import Recorder
from leyden.eventlog.schema import About
from leyden.kernel import Event, EventStream, Gap, Route, Scan, Store, SystemExecutor


def lines(folder: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line) for path in segments(folder) for line in path.read_bytes().splitlines()
    ]


def kinds(folder: Path) -> list[str]:
    return [line["k"] if isinstance(line.get("k"), str) else "record" for line in lines(folder)]


def test_a_recorder_is_a_store(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    store: Store = rig.recorder
    assert store.boot == 1
    assert store.first_number() == 1
    rig.close()


def test_lines_are_written_within_100_ms_and_synced_within_a_second(tmp_path: Path) -> None:
    files = FailingFiles()
    rig = Rig(tmp_path, files).start()
    rig.run(5)
    rig.publish()
    rig.run(0.1)
    assert kinds(tmp_path) == ["head", "commit", "record"]
    assert files.calls["sync_data"] == 0
    rig.run(0.9)
    assert files.calls["sync_data"] == 1
    rig.close()


def test_a_thousand_records_of_one_moment_are_one_write(tmp_path: Path) -> None:
    files = FailingFiles()
    rig = Rig(tmp_path, files).start()
    rig.publish()
    rig.run(2)
    before = files.calls["write"]
    rig.publish(1000)
    rig.run(0.1)
    assert files.calls["write"] == before + 1
    rig.close()


def test_an_idle_recorder_sleeps(tmp_path: Path) -> None:
    rig = Rig(tmp_path).start()
    rig.publish()
    rig.run(5)
    turns = 0
    turn = rig.recorder._turn

    def counted() -> None:
        nonlocal turns
        turns += 1
        turn()

    rig.recorder._turn = counted  # type: ignore[method-assign]
    rig.run(86_400)
    assert turns == 0
    rig.publish()
    rig.run(5)
    assert 1 <= turns <= 3
    rig.close()


def test_a_commit_syncs_and_seals_at_once(tmp_path: Path) -> None:
    rig = Rig(tmp_path).start()
    event = rig.stream.publish_now(rig.route, 1.0)
    assert rig.executor.clock.monotonic_ns() == 0
    assert kinds(tmp_path)[-2:] == ["record", "commit"]
    assert rig.recorder.status()["synced"] == event.n
    assert rig.recorder.commit(event.n, 0.0)
    rig.close()


def test_many_who_wait_share_one_sync(tmp_path: Path) -> None:
    files = FailingFiles()
    rig = Rig(tmp_path, files).start()
    done: list[bool] = []
    for i in range(10):

        def body(i: int = i) -> None:
            event = rig.stream.publish(rig.route, float(i))
            done.append(rig.recorder.commit(event.n, 1.0))

        rig.executor.start_lane(f"lane{i}", body)
    rig.run(1)
    assert done == [True] * 10
    assert files.calls["sync_data"] == 1
    rig.close()


def test_a_commit_of_a_number_never_appended_ends_with_its_time(tmp_path: Path) -> None:
    rig = Rig(tmp_path).start()
    rig.publish()
    assert not rig.recorder.commit(500, 0.05)
    assert rig.executor.clock.monotonic_ns() == 50_000_000
    assert rig.recorder._waiters == []
    rig.close()


def test_a_commit_before_the_start_waits_its_time_only(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.publish()
    assert not rig.recorder.commit(1, 0.05)
    rig.start()
    assert rig.recorder.commit(1, 0.05)
    rig.close()


def test_everything_published_is_read_back_in_order(tmp_path: Path) -> None:
    rig = Rig(tmp_path).start()
    for _ in range(50):
        rig.publish(3)
        rig.scan(2)
        rig.stream.publish("air.note", {"text": "é", "data": b"\xff"})
        rig.run(0.3)
    head = rig.stream.head
    expected = rig.recorder.read(0, 10_000).records
    assert rig.close()
    found = everything(tmp_path)
    assert numbers(found) == list(range(1, head + 1))
    assert tuple(found) == expected


def test_ten_channels_take_at_most_twelve_bytes_a_sample(tmp_path: Path) -> None:
    rig = Rig(tmp_path).start()
    rig.stream.publish_scan(CHANNELS, (0.0,) * 10)
    rig.run(1)
    level, before = [20.0] * 10, sum(path.stat().st_size for path in segments(tmp_path))
    samples = 0
    for step in range(3000):  # ten times a second for five minutes, past number a hundred million
        level = [value + ((step * 7 + i * 3) % 11 - 5) / 1000 for i, value in enumerate(level)]
        rig.stream.publish_scan(CHANNELS, tuple(round(value, 3) for value in level))
        samples += 10
        rig.run(0.1)
    rig.run(1)
    size = sum(path.stat().st_size for path in segments(tmp_path)) - before
    longest = 5 * samples / 10  # five digits more in each number than this test reaches
    assert (size + longest) / samples <= 12.0
    rig.close()


def test_every_segment_begins_with_a_head_that_stands_alone(tmp_path: Path) -> None:
    rig = Rig(tmp_path, segment_s=60).start()
    for _ in range(200):
        rig.scan()
        rig.run(1)
    rig.close()
    paths = segments(tmp_path)
    assert len(paths) == 4
    for path in paths:
        head = json.loads(path.read_bytes().split(b"\n")[0])
        assert head["config"] == ABOUT.config
        assert head["config_digest"] == ABOUT.digest()
        assert head["versions"] == {"leyden": "0.1.0"}
        assert head["boot_id"] == "0f2c"
        assert head["tables"] == {"1": list(CHANNELS[:3])}
        assert head["sources"] == {"1": "device.air"}
        assert {route["key"] for route in head["routes"]} >= {"air.temperature", *CHANNELS}
        assert head["clock"]["state"] == "synced"
        assert path.name == f"{head['boot']:08d}-{head['first']:012d}.jsonl"


def test_a_segment_ends_at_its_size(tmp_path: Path) -> None:
    rig = Rig(tmp_path, segment_bytes=50_000).start()
    for _ in range(40):
        rig.publish(100)
        rig.run(0.1)
    rig.close()
    sizes = [path.stat().st_size for path in segments(tmp_path)]
    assert len(sizes) > 4
    assert all(50_000 <= size < 65_000 for size in sizes[:-1])
    assert numbers(everything(tmp_path)) == list(range(1, 4001))


def test_a_new_channel_table_begins_a_segment(tmp_path: Path) -> None:
    rig = Rig(tmp_path).start()
    rig.scan(width=3)
    rig.run(1)
    rig.scan(width=3)
    rig.run(1)
    assert len(segments(tmp_path)) == 1
    rig.scan(width=4)
    rig.run(1)
    rig.scan(width=3)
    rig.run(1)
    assert len(segments(tmp_path)) == 2
    rig.close()
    heads = [head for _, head in LogReader(tmp_path).heads()]
    assert [len(head.tables) for head in heads if head] == [1, 2]


def test_announced_scans_are_described_before_they_come(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.stream.declare_scan(CHANNELS[:3], "device.air")
    rig.stream.declare_scan(CHANNELS[:5], "device.air")
    rig.start()
    for width in (5, 3, 5):
        rig.scan(width=width)
        rig.run(1)
    head = rig.stream.head
    rig.close()
    assert len(segments(tmp_path)) == 1
    assert numbers(everything(tmp_path)) == list(range(1, head + 1))


def test_a_new_route_begins_a_segment_that_describes_it(tmp_path: Path) -> None:
    rig = Rig(tmp_path).start()
    rig.publish()
    rig.run(1)
    late = [rig.stream.declare(Route.of(f"late.route_{i}", unit="Pa")) for i in range(2)]
    rig.stream.publish(late[0], 1.0)
    rig.run(1)
    rig.stream.publish(late[1], 1.0)  # was described along with the first
    rig.run(1)
    rig.close()
    keys = [
        [route["key"] for route in head.routes] for _, head in LogReader(tmp_path).heads() if head
    ]
    assert len(keys) == 2
    assert "late.route_0" not in keys[0]
    assert keys[1][-2:] == ["late.route_0", "late.route_1"]


def test_the_oldest_segments_make_room_and_it_is_said_which(tmp_path: Path) -> None:
    rig = Rig(tmp_path, limit_bytes=400_000, segment_bytes=50_000).start()
    for _ in range(200):
        rig.publish(100)
        rig.run(0.1)
    rig.run(1)
    assert 250_000 < sum(path.stat().st_size for path in segments(tmp_path)) <= 400_000
    dropped = rig.told("log.dropped")
    assert dropped
    assert {each["reason"] for each in dropped} == {"limit"}
    ends = [(each["first"], each["last"]) for each in dropped]
    assert ends[0][0] == 1
    assert all(later[0] == earlier[1] + 1 for earlier, later in pairwise(ends))
    oldest = ends[-1][1] + 1
    rig.close()
    found = everything(tmp_path)
    assert found[0] == Gap(1, oldest - 1, "dropped to keep the log within its limit")
    assert numbers(found) == list(range(oldest, rig.stream.head + 1))


def test_a_limit_made_smaller_is_kept_from_the_first_segment_on(tmp_path: Path) -> None:
    rig = Rig(tmp_path, segment_bytes=20_000).start()
    for _ in range(50):
        rig.publish(100)
        rig.run(0.1)
    rig.close()
    rig = Rig(tmp_path, limit_bytes=100_000, segment_bytes=20_000).start()
    rig.publish()
    rig.run(1)
    assert sum(path.stat().st_size for path in segments(tmp_path)) <= 100_000
    rig.close()


def test_after_a_clean_end_numbering_goes_on_without_a_gap(tmp_path: Path) -> None:
    for boot in (1, 2, 3):
        rig = Rig(tmp_path).start()
        assert rig.recorder.boot == boot
        assert rig.recorder.recovery.gap is None
        assert rig.recorder.opening_reports() == []
        rig.publish(10)
        assert rig.close()
    assert numbers(everything(tmp_path)) == list(range(1, 31))
    assert gaps(everything(tmp_path)) == []


def test_what_is_appended_after_the_end_keeps_its_number_for_itself(tmp_path: Path) -> None:
    rig = Rig(tmp_path).start()
    rig.publish(10)
    assert rig.close()
    rig.publish(5)
    late = rig.stream.head
    assert Rig(tmp_path).recorder.first_number() > late


def test_closing_writes_what_is_still_in_memory(tmp_path: Path) -> None:
    rig = Rig(tmp_path).start()
    rig.publish(10_000)
    assert rig.close()
    assert numbers(everything(tmp_path)) == list(range(1, 10_001))
    assert kinds(tmp_path)[-1] == "commit"


def test_a_recorder_that_never_started_can_be_closed(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    assert rig.recorder.close()
    rig.executor.close()


def test_an_end_of_the_simulation_is_a_clean_end(tmp_path: Path) -> None:
    rig = Rig(tmp_path).start()
    rig.publish(3)
    rig.run(0)
    rig.executor.close()
    assert numbers(everything(tmp_path)) == [1, 2, 3]


def test_a_configuration_that_is_not_data_is_refused_at_the_start(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    with pytest.raises(TypeError, match="found object"):
        rig.recorder.start(About(config=object()), tuple, lambda route, value: None)
    rig.close()


def test_recent_records_are_read_before_they_are_written(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.publish(10)
    page = rig.recorder.read(4, 3)
    assert (numbers(page.records), page.next, page.gaps) == ([5, 6, 7], 7, ())
    assert numbers(rig.recorder.read(7, 100).records) == [8, 9, 10]
    assert rig.recorder.read(10, 100).next == 10
    rig.close()


@pytest.mark.parametrize("limit", [1, 7, 1000, 100_000])
def test_pages_join_memory_and_disk_without_a_seam(tmp_path: Path, limit: int) -> None:
    rig = Rig(tmp_path, segment_bytes=200_000).start()
    for _ in range(30):
        rig.publish(600)
        rig.scan(50)
        rig.run(0.1)
    start = rig.stream.head - 20_000 if limit < 10 else 0
    at, found = start, []
    while (page := rig.recorder.read(at, limit)).next > at:
        assert len(page.records) <= limit
        assert page.gaps == ()
        found += numbers(page.records)
        at = page.next
        if len(found) > 400 * limit:
            break
    assert found == list(range(start + 1, start + 1 + len(found)))
    assert limit < 1000 or at == rig.stream.head
    rig.close()


def test_a_page_that_begins_within_a_scan_has_it_whole(tmp_path: Path) -> None:
    rig = Rig(tmp_path).start()
    rig.scan(width=10)
    (record,) = rig.recorder.read(4, 10).records
    assert isinstance(record, Scan)
    assert (record.n, rig.recorder.read(4, 10).next) == (1, 10)
    rig.close()
    (again,) = LogReader(tmp_path).read(4, 10).records
    assert again == record


def test_numbers_of_earlier_boots_are_read_from_disk_and_the_hole_between_is_named(
    tmp_path: Path,
) -> None:
    rig = Rig(tmp_path / "a").start()
    rig.publish(100)
    rig.run(2)
    rig = Rig(rig.crash(tmp_path / "b")).start()
    rig.publish(5)
    page = rig.recorder.read(90, 1000)
    first = rig.recorder.first_number()
    assert numbers(page.records) == [*range(91, 101), *range(first, first + 5)]
    assert page.gaps == (Gap(101, first - 1, RESTARTED),)
    rig.close()


def test_reports_of_a_listener_that_fails_do_not_end_the_log(tmp_path: Path) -> None:
    rig = Rig(tmp_path, limit_bytes=100_000, segment_bytes=20_000)

    def broken(route: str, value: Any) -> None:
        raise RuntimeError("nobody home")

    rig.recorder.start(ABOUT, rig.stream.routes, broken)
    for _ in range(50):
        rig.publish(100)
        rig.run(0.1)
    defects = rig.recorder.status()["defects"]
    assert isinstance(defects, int)
    assert defects > 0
    rig.close()
    assert numbers(everything(tmp_path))[-1] == 5000


def test_a_simulated_hour_is_recorded_to_the_same_bytes_twice(tmp_path: Path) -> None:
    digests = []
    for name in ("one", "two"):
        rig = Rig(tmp_path / name).start()

        def body(rig: Rig = rig) -> None:
            for i in range(1800):
                rig.scan(width=5)
                rig.stream.publish(rig.route, i / 10)
                if i % 100 == 0:
                    rig.stream.publish_now("air.note", {"i": i})
                rig.executor.clock.sleep(2.0)

        rig.executor.start_lane("sampler", body)
        rig.run(3600)
        rig.close()
        digest = hashlib.sha256()
        for path in segments(tmp_path / name):
            digest.update(path.name.encode() + path.read_bytes())
        digests.append(digest.hexdigest())
        assert len(segments(tmp_path / name)) == 6
    assert digests[0] == digests[1]


def test_publishers_in_real_threads_are_recorded_in_the_streams_order(tmp_path: Path) -> None:
    executor = SystemExecutor()
    recorder = Recorder(tmp_path, executor)
    stream = EventStream(executor, recorder)
    routes = [stream.declare(Route.of(f"lane{i}.value")) for i in range(4)]
    recorder.start(ABOUT, stream.routes, lambda route, value: None)

    def body(route: Route) -> None:
        for i in range(3000):
            stream.publish(route, float(i))

    threads = [threading.Thread(target=body, args=(route,)) for route in routes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert recorder.commit(stream.head, 10)
    assert recorder.close()
    found = everything(tmp_path)
    assert numbers(found) == list(range(1, 12_001))
    for route in routes:
        values = [
            item.value for item in found if isinstance(item, Event) and item.route == route.key
        ]
        assert values == [float(i) for i in range(3000)]


def test_a_publisher_that_outruns_the_writer_loses_nothing(tmp_path: Path) -> None:
    executor = SystemExecutor()
    recorder = Recorder(tmp_path, executor)
    recorder.start(ABOUT, tuple, lambda route, value: None)
    events = [Event(n, n, "air.temperature", 0.5) for n in range(1, 300_001)]
    for event in events:
        recorder.append(event)
    assert recorder.commit(300_000, 30)
    assert recorder.status()["lost"] == 0
    assert recorder.close()
