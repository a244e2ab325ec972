"""Leyden: published through the event stream into the recorder, checksums and group commit on.

Every chunk ends when `commit` says that its last record is on disk. Afterwards the log is read back
from disk alone, which verifies the checksum of every block.
"""

from pathlib import Path

from gauge import Rate, confirm, option, readings, report, text_option

from leyden.eventlog.reader import LogReader
from leyden.eventlog.recorder import Recorder
from leyden.eventlog.schema import About
from leyden.kernel import EventStream, Route, SystemExecutor

# A burst must fit what the recorder holds in memory: an unpaced producer that outruns the disk for
# longer would lose records, counted, rather than be held up.
BURST = 100_000

folder = Path(text_option("folder", ".")) / "log"
executor = SystemExecutor()
recorder = Recorder(folder, executor)
stream = EventStream(executor, recorder)
temperature = stream.declare(Route.of("air.temperature", unit="Cel"))
recorder.start(About(), stream.routes, stream.publish)


def log(count: int) -> None:
    send = stream.publish
    for value in readings(count):
        send(temperature, value)
    confirm(recorder.commit(stream.head, 10.0), "the log was not on disk within 10 s")


rate = Rate(log, option("seconds", 1.0), most=BURST)
confirm(recorder.close(), "the log was not closed in time")
events = sum(1 for _ in LogReader(folder).events(prefix="air."))
confirm(events == rate.done, f"{events} of {rate.done} events are in the log")
size = sum(file.stat().st_size for file in folder.glob("*.jsonl"))
report(
    rate.per_second,
    "1/s",
    also={"log_bytes": size / events},
    does="publish, group commit, checksum, synced; heads and trailers counted in the size",
)
