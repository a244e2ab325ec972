"""A full, read-only, failing or slow disk stops nobody, and what it costs is said exactly."""

from __future__ import annotations

import errno
from itertools import pairwise
from pathlib import Path

import pytest
from eventlog.rig import ABOUT, Rig, everything, gaps, numbers, segments
from storage.failing import FailingFiles

from leyden.eventlog.backlog import OVERFLOWED
from leyden.eventlog.numbers import BLOCK
from leyden.eventlog.recorder import Recorder
from leyden.kernel import Gap, SimulatedExecutor
from leyden.storage.errors import StorageError

STEPS = ["create", "write", "sync_data", "sync_folder"]
CONDITIONS = {errno.ENOSPC: "full", errno.EROFS: "read_only", errno.EIO: "io_error"}


def steady(rig: Rig, seconds: float) -> None:
    """Publish ten values a second."""
    for _ in range(round(seconds * 10)):
        rig.publish()
        rig.run(0.1)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("error", CONDITIONS)
def test_nothing_is_lost_when_the_disk_refuses_for_a_while(
    tmp_path: Path, step: str, error: int
) -> None:
    files = FailingFiles()
    rig = Rig(tmp_path, files, segment_s=5).start()
    steady(rig, 7)
    files.refuse(step, error=error)
    steady(rig, 20)
    assert rig.recorder.status()["condition"] == CONDITIONS[error]
    assert [each["condition"] for each in rig.told("log.degraded")] == [CONDITIONS[error]]
    assert rig.told("log.restored") == []
    files.relent()
    steady(rig, 40)
    (restored,) = rig.told("log.restored")
    assert (restored["condition"], restored["lost"]) == (CONDITIONS[error], 0)
    assert rig.recorder.status()["condition"] == "ok"
    head = rig.stream.head
    assert rig.close()
    dropped = max((int(str(each["last"])) for each in rig.told("log.dropped")), default=0)
    assert numbers(everything(tmp_path)) == list(range(dropped + 1, head + 1))


def test_records_of_a_failed_sync_are_written_again_elsewhere(tmp_path: Path) -> None:
    files = FailingFiles()
    rig = Rig(tmp_path, files).start()
    steady(rig, 3)
    before = segments(tmp_path)
    files.refuse(
        "sync_data", "truncate", error=errno.EIO, times=2
    )  # what it held cannot even be cut
    steady(rig, 30)
    head = rig.stream.head
    assert rig.close()
    assert len(segments(tmp_path)) == len(before) + 1
    assert segments(tmp_path)[0] == before[0]
    found = everything(tmp_path)
    assert numbers(found) == list(range(1, head + 1))
    assert gaps(found) == []


def test_an_abandoned_segment_counts_only_up_to_the_one_that_replaced_its_end(
    tmp_path: Path,
) -> None:
    files = FailingFiles()
    rig = Rig(tmp_path, files).start()
    steady(rig, 3)
    files.refuse("sync_data", "truncate", error=errno.EIO, times=2)
    steady(rig, 3)
    head = rig.stream.head
    assert rig.close()
    old, new = segments(tmp_path)
    replaced = int(new.stem.split("-")[1])
    data = old.read_bytes()
    start = data.index(b'{"n":%d,' % (replaced + 1))
    end = data.index(b'{"n":%d,' % (replaced + 4))
    assert end < len(data)
    old.write_bytes(data[:start] + b"\0" * (end - start) + data[end:])
    found = everything(tmp_path)
    assert numbers(found) == list(range(1, head + 1))
    assert gaps(found) == []


def test_room_that_was_made_is_used_at_once_whoever_listens(tmp_path: Path) -> None:
    files = FailingFiles()
    rig = Rig(tmp_path, files, segment_s=1)
    rig.recorder.start(ABOUT, rig.stream.routes, lambda route, value: None)
    steady(rig, 5)
    rig.run(5)
    files.refuse("write", error=errno.ENOSPC, times=1)
    rig.publish()
    rig.run(1.5)
    assert rig.recorder.status()["synced"] == rig.stream.head
    rig.close()


def test_readers_see_everything_while_the_disk_refuses(tmp_path: Path) -> None:
    files = FailingFiles()
    rig = Rig(tmp_path, files).start()
    steady(rig, 3)
    files.refuse("write", error=errno.EROFS)
    steady(rig, 30)
    page = rig.recorder.read(0, 100_000)
    assert numbers(page.records) == list(range(1, rig.stream.head + 1))
    assert page.gaps == ()
    assert not rig.close()


def test_a_commit_on_a_disk_that_refuses_answers_at_once(tmp_path: Path) -> None:
    files = FailingFiles()
    rig = Rig(tmp_path, files).start()
    files.refuse("write", error=errno.EROFS)
    rig.publish()
    assert not rig.recorder.commit(rig.stream.head, 5.0)
    now = rig.executor.clock.monotonic_ns()
    rig.publish()
    assert not rig.recorder.commit(rig.stream.head, 5.0)
    assert rig.executor.clock.monotonic_ns() == now < 1_000_000_000
    files.relent()
    rig.run(60)
    assert rig.recorder.commit(rig.stream.head, 5.0)
    rig.close()


def test_what_memory_cannot_hold_is_lost_oldest_first_and_counted_exactly(tmp_path: Path) -> None:
    files = FailingFiles()
    rig = Rig(tmp_path, files, capacity=100).start()
    steady(rig, 3)
    rig.run(2)
    files.refuse("write", error=errno.EROFS)
    steady(rig, 60)
    lost_so_far = rig.recorder.status()["lost"]
    files.relent()
    steady(rig, 40)
    rig.run(2)
    lost = rig.recorder.status()["lost"]
    assert isinstance(lost, int)
    assert isinstance(lost_so_far, int)
    assert lost >= lost_so_far > 400
    (gap,) = rig.told("log.gap")
    assert gap["count"] == lost == rig.told("log.restored")[0]["lost"]
    in_memory = rig.recorder.read(0, 100_000)
    head = rig.stream.head
    assert rig.close()
    found = everything(tmp_path)
    assert gaps(found) == [Gap(int(str(gap["first"])), int(str(gap["last"])), OVERFLOWED)]
    assert in_memory.gaps == tuple(gaps(found))
    assert len(numbers(found)) + lost == head
    assert numbers(found) == numbers(in_memory.records)


def test_scans_that_are_lost_count_as_many_numbers_as_they_have_channels(tmp_path: Path) -> None:
    files = FailingFiles()
    rig = Rig(tmp_path, files, capacity=10).start()
    files.refuse("write", error=errno.EROFS)
    rig.publish()
    rig.run(1)
    for _ in range(50):
        rig.scan(width=10)
        rig.run(0.1)
    files.relent()
    rig.run(60)
    head = rig.stream.head
    rig.close()
    (gap,) = rig.told("log.gap")
    found = everything(tmp_path)
    assert gap["count"] == rig.recorder.status()["lost"]
    assert len(numbers(found)) + int(str(gap["count"])) == head


def test_a_full_disk_gives_up_the_oldest_segment_and_goes_on(tmp_path: Path) -> None:
    files = FailingFiles()
    rig = Rig(tmp_path, files, segment_bytes=20_000).start()
    for _ in range(20):
        rig.publish(100)
        rig.run(0.1)
    rig.run(2)
    oldest = segments(tmp_path)[0]

    class Room:
        """A disk with as much room as the oldest segment takes."""

        def __call__(self) -> None:
            if oldest.exists():
                raise OSError(errno.ENOSPC, "No space left on device")

    files.delay("write", Room())
    rig.publish()
    assert rig.recorder.commit(rig.stream.head, 1.0)
    assert not oldest.exists()
    (dropped,) = rig.told("log.dropped")
    assert (dropped["reason"], dropped["segments"], dropped["first"]) == ("full", 1, 1)
    assert rig.told("log.degraded") == []
    head = rig.stream.head
    rig.close()
    assert numbers(everything(tmp_path)) == list(range(int(str(dropped["last"])) + 1, head + 1))


def test_a_disk_others_keep_full_costs_one_old_segment_for_each_attempt(tmp_path: Path) -> None:
    files = FailingFiles()
    rig = Rig(tmp_path, files, segment_bytes=20_000).start()
    for _ in range(40):
        rig.publish(100)
        rig.run(0.1)
    rig.run(2)
    before = len(segments(tmp_path))
    assert before > 10
    files.leave_room(0)
    steady(rig, 20)  # attempts after 0.5, 1, 2, 4, 8 s
    assert before - 8 <= len(segments(tmp_path)) < before
    rig.close()


def test_a_full_disk_that_cannot_even_be_cleared_is_waited_for(tmp_path: Path) -> None:
    files = FailingFiles()
    rig = Rig(tmp_path, files, segment_s=5).start()
    steady(rig, 12)
    files.refuse("write", error=errno.ENOSPC)
    files.refuse("remove", error=errno.EROFS)
    steady(rig, 20)
    assert rig.told("log.dropped") == []
    files.relent()
    steady(rig, 40)
    assert rig.close()
    assert numbers(everything(tmp_path)) == list(range(1, rig.stream.head + 1))


def test_the_stream_goes_on_when_numbers_run_out_on_a_disk_that_hangs(tmp_path: Path) -> None:
    files = FailingFiles()
    rig = Rig(tmp_path, files, capacity=1000).start()
    rig.publish()
    files.delay("sync_data", lambda: rig.executor.clock.sleep(10**6))
    rig.run(3)
    for _ in range(3 * BLOCK // 1024):
        rig.publish(1024)
        rig.run(0.01)
    assert rig.stream.head > 3 * BLOCK
    assert rig.told("log.degraded") == []  # asking for numbers reports nothing under the lock
    rig.recorder.check()
    assert len(rig.told("log.degraded")) == 1
    rig.executor.close()


def test_pauses_between_attempts_grow_to_half_a_minute(tmp_path: Path) -> None:
    files = FailingFiles()
    rig = Rig(tmp_path, files).start()
    files.refuse("create", error=errno.EIO)
    rig.publish()
    moments: list[float] = []
    files.delay("create", lambda: moments.append(rig.executor.clock.monotonic_ns() / 1e9))
    rig.run(300)
    pauses = [round(b - a, 3) for a, b in pairwise(moments)]
    assert pauses[:6] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0]
    assert set(pauses[6:]) == {30.0}
    rig.close()


def test_a_slow_sync_is_reported_once_and_its_end_once(tmp_path: Path) -> None:
    files = FailingFiles()
    rig = Rig(tmp_path, files).start()
    steady(rig, 3)
    files.delay("sync_data", lambda: rig.executor.clock.sleep(1.5))
    steady(rig, 30)
    (degraded,) = rig.told("log.degraded")
    assert degraded["condition"] == "stalled"
    assert "1.5 s" in str(degraded["detail"])
    files.relent()
    steady(rig, 30)
    (restored,) = rig.told("log.restored")
    assert restored["lost"] == 0
    assert rig.close()
    assert numbers(everything(tmp_path)) == list(range(1, rig.stream.head + 1))


def test_a_disk_that_hangs_is_noticed_by_who_looks(tmp_path: Path) -> None:
    files = FailingFiles()
    rig = Rig(tmp_path, files).start()
    steady(rig, 3)
    files.delay("sync_data", lambda: rig.executor.clock.sleep(3600))
    rig.publish()
    rig.run(5)
    assert rig.told("log.degraded") == []
    rig.recorder.check()
    rig.recorder.check()
    (degraded,) = rig.told("log.degraded")
    assert "has not answered" in str(degraded["detail"])
    steady(rig, 10)
    assert len(rig.recorder.read(0, 1000).records) == rig.stream.head
    rig.executor.close()


def test_publishers_do_not_wait_for_a_disk_that_hangs(tmp_path: Path) -> None:
    files = FailingFiles()
    rig = Rig(tmp_path, files).start()
    rig.publish()
    files.delay("sync_data", lambda: rig.executor.clock.sleep(3600))
    rig.run(2)
    event = rig.stream.publish_now(rig.route, 1.0)
    assert rig.executor.clock.monotonic_ns() == 2_050_000_000  # the 50 ms a command waits
    assert rig.stream.latest("log.stalled") is not None
    assert event.n < rig.stream.head
    rig.executor.close()


def test_numbers_go_on_beyond_what_a_dead_disk_could_reserve(tmp_path: Path) -> None:
    files = FailingFiles()
    rig = Rig(tmp_path, files, capacity=1000).start()
    files.refuse("write", "overwrite", error=errno.EROFS)
    for _ in range(3 * BLOCK // 1024):
        rig.publish(1024)
        rig.run(0.01)
    assert rig.stream.head >= 3 * BLOCK
    unsecured = rig.recorder.status()["unsecured"]
    assert isinstance(unsecured, int)
    assert unsecured > 0
    files.relent()
    rig.run(60)
    assert rig.recorder.status()["unsecured"] == 0
    rig.close()


def test_a_folder_nobody_may_write_is_refused_with_a_remedy(tmp_path: Path) -> None:
    files = FailingFiles()
    files.refuse("overwrite", error=errno.EACCES)
    with pytest.raises(StorageError, match="may not write there"):
        Recorder(tmp_path, SimulatedExecutor(), files=files)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"a file")
    with pytest.raises(StorageError, match=str(tmp_path / "log")):
        Recorder(tmp_path / "log", SimulatedExecutor())


def test_a_disk_that_is_full_at_the_start_is_taken_into_use_later(tmp_path: Path) -> None:
    files = FailingFiles()
    files.refuse("overwrite", "write", error=errno.EROFS)
    rig = Rig(tmp_path, files).start()
    assert "read-only" in rig.recorder.recovery.trouble
    steady(rig, 5)
    files.relent()
    steady(rig, 40)
    assert rig.close()
    assert numbers(everything(tmp_path)) == list(range(1, rig.stream.head + 1))


def test_a_defect_in_writing_is_reported_and_the_log_goes_on(tmp_path: Path) -> None:
    rig = Rig(tmp_path).start()
    steady(rig, 1)
    write = rig.recorder._writer.write
    raised: list[int] = []

    def defective(entries: object) -> None:
        if not raised:
            raised.append(1)
            raise ZeroDivisionError("a defect")
        write(entries)  # type: ignore[arg-type]

    rig.recorder._writer.write = defective  # type: ignore[method-assign]
    steady(rig, 5)
    (degraded,) = rig.told("log.degraded")
    assert degraded == {"condition": "defect", "detail": "ZeroDivisionError: a defect"}
    assert rig.recorder.status()["defects"] == 1
    assert len(rig.told("log.restored")) == 1
    rig.close()
    assert numbers(everything(tmp_path)) == list(range(1, rig.stream.head + 1))
