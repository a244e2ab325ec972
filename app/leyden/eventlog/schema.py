"""The lines of a log: what each kind holds, and how records become lines and lines records.

Every line is one JSON object:

    {"k":"head",…}                                 first line: all that is needed to read the rest
    {"n":7,"m":73000000,"r":"air.temperature",…}   an event; the head spells the letters out
    {"n":8,"m":73000,"k":1,"v":[21.5,40.2]}        a scan frame; channels: table 1 of the head
    {"k":"gap","first":9,"last":12,"reason":"…"}   numbers that were given out and not written
    {"k":"commit","n":8,"crc":"1b2e3f40"}          the trailer that closes a block

A trailer carries the CRC-32 of every byte from the end of the previous trailer, or the start of the
file, up to itself. The head is a block of its own.
"""

from __future__ import annotations

import hashlib
import math
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final, TypeAlias

import msgspec

from leyden.eventlog.values import PLAIN, clean_text, portable, restore
from leyden.kernel import BAD, Event, FrozenDict, Gap, Quality, Record, RouteInfo, Scan

FORMAT: Final = 1
UNWRITABLE: Final = "unwritable"  # reason of an event whose value no line can carry

Entry: TypeAlias = Record | Gap  # what a line may hold
Table: TypeAlias = tuple[tuple[str, ...], str]  # the routes of a scan, and its source

_EVENT_LEGEND: Final = {
    "n": "sequence number; channel i of a frame is number n + i",
    "mono": "monotonic time: ns in an event, µs in a frame",
    "route": "route",
    "value": "value; in a frame one a channel",
    "source": "source: the component that published it",
    "quality": "quality: 0 good (when absent), 1 uncertain, 2 bad; in a frame one a channel",
    "reason": "reason code of a quality below good; in a frame one a channel",
    "detail": "the reason in words; in a frame one a channel",
    "trace": "number of the event that began the causal chain",
    "cause": "number of the event this one follows from",
    "boot": "boot of the data directory",
    "hops": "length of the causal chain up to here",
}
FIELDS: Final = {
    letter: _EVENT_LEGEND[name]
    for name, letter in zip(
        Event.__struct_fields__, Event.__struct_encode_fields__, strict=True
    )
} | {
    "k": "kind: head, gap or commit; a number: the table of a frame's channels",
    "crc": "CRC-32 (zlib) of all bytes since the previous commit line or the start of the file",
}  # fmt: skip


class About(msgspec.Struct, frozen=True):
    """What a segment's head says of the program and machine that write it."""

    boot_id: str = ""  # the operating system's
    config: Any = None  # the whole configuration in force, plain data
    versions: Mapping[str, str] = FrozenDict()

    def digest(self) -> str:
        """Return the digest of the configuration, equal for equal configurations."""
        text = msgspec.json.encode(portable(self.config), order="sorted")
        return "sha256:" + hashlib.sha256(text).hexdigest()


class ClockRecord(msgspec.Struct, frozen=True):
    """What wall time was at a moment of monotonic time, and how far it could be trusted."""

    mono: int  # ns
    wall: int  # ns since 1970-01-01 UTC
    state: str  # unsynced, stepped or synced
    step_s: float = 0.0  # how far wall time has jumped since the record before


class Head(msgspec.Struct, frozen=True, tag_field="k", tag="head"):
    """The first line of a segment: all that is needed to read and replay the rest."""

    format: int = FORMAT
    boot: int = 0
    boot_id: str = ""
    first: int = 0  # the lowest number the segment may hold
    config: Any = None
    config_digest: str = ""
    versions: Any = None
    fields: dict[str, str] = msgspec.field(default_factory=FIELDS.copy)
    routes: list[Any] = []
    tables: dict[str, list[str]] = {}  # channel tables of scan frames, by their number as text
    sources: dict[str, str] = {}  # the component that publishes each table
    clock: ClockRecord | None = None


class _Frame(msgspec.Struct, gc=False, omit_defaults=True):
    """A scan as it is written."""

    n: int
    m: int  # µs
    k: int
    v: tuple[Any, ...]
    q: tuple[Quality, ...] = ()
    x: tuple[str, ...] = ()
    w: tuple[str, ...] = ()


class _GapLine(msgspec.Struct, gc=False, tag_field="k", tag="gap"):
    first: int
    last: int
    reason: str


_UNWRITABLE_ERRORS: Final = (
    msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError,
)  # fmt: skip
_encoder: Final = msgspec.json.Encoder()
_ONLY_EVENTS: Final = {Event}
_value_of: Final = attrgetter("value")
_route_of: Final = attrgetter("route")


def describe(info: RouteInfo) -> dict[str, Any]:
    """Return what a head says of a route: its identity, schema, unit, origin and label."""
    route = info.route
    return {
        "key": route.key,
        "text": route.text,
        "unit": route.schema.unit,
        "origin": route.origin.value,
        "schema": msgspec.to_builtins(route.schema),
        "label": info.label,
    }


def encode_head(head: Head) -> bytes:
    """Return the head's line with the trailer that closes its block."""
    line = _encoder.encode(head) + b"\n"
    return line + trailer(head.first - 1, zlib.crc32(line))


def encode_gap(gap: Gap) -> bytes:
    """Return the line that says which numbers are missing and why."""
    return _encoder.encode(_GapLine(gap.first, gap.last, clean_text(gap.reason))) + b"\n"


COMMIT: Final = b'{"k":"commit",'  # how every trailer begins, and no other line


def trailer(last: int, crc: int) -> bytes:
    """Return the line that closes a block of which `last` is the last number."""
    return b'{"k":"commit","n":%d,"crc":"%08x"}\n' % (last, crc)


_TRAILER: Final = re.compile(rb'\{"k":"commit","n":(-?\d{1,19}),"crc":"([0-9a-f]{8})"\}\n')


def parse_trailer(line: bytes) -> tuple[int, int] | None:
    """Return a trailer's last number and checksum, or None for any other line."""
    match = _TRAILER.fullmatch(line)
    return (int(match[1]), int(match[2], 16)) if match else None


def split_lines(lines: bytes) -> list[bytes]:
    """Return each of several whole lines, without its end."""
    return lines.split(b"\n")[:-1]


class LineEncoder:
    """Turns records into lines, for segments with one set of channel tables and routes."""

    def __init__(self) -> None:
        self.tables: dict[Table, int] = {}
        self.routes: set[str] = set()
        self.unwritable = 0  # events whose value no line could carry, written without it

    def learn(self, entries: Sequence[Entry], kinds: set[type[Any]]) -> tuple[set[Table], set[str]]:
        """Return the channel tables and the routes in `entries` that are new to this encoder."""
        if kinds == _ONLY_EVENTS:
            return set(), set(map(_route_of, entries)) - self.routes
        events = [entry for entry in entries if isinstance(entry, Event)]
        scans = [entry for entry in entries if isinstance(entry, Scan)]
        tables = {(scan.routes, scan.source) for scan in scans} - self.tables.keys()
        return tables, set(map(_route_of, events)) - self.routes

    def add_tables(self, tables: Iterable[Table]) -> None:
        """Give each table a number, in a stable order."""
        for table in sorted(tables):
            self.tables.setdefault(table, len(self.tables) + 1)

    def encode(self, records: Sequence[Record]) -> bytes:
        """Return the lines of `records`, all of whose tables are known.

        Every record yields its line: a value that no line can carry is replaced by None, quality
        bad, reason `unwritable`, and counted.
        """
        try:
            if _hold_finite_numbers(records):
                return _encoder.encode_lines(records)  # the plain events that most of a log is
            return self._encode_mixed(records)
        except _UNWRITABLE_ERRORS:
            return b"".join(self._encode_alone(record) for record in records)

    def _encode_mixed(self, records: Sequence[Record]) -> bytes:
        lines = _encoder.encode_lines([self._row(record) for record in records])
        # What is not a finite number comes out as null. Looking for the word in the finished bytes
        # costs far less than looking at every value, and a bad value's null only costs the look.
        if b"null" in lines:
            return _encoder.encode_lines([self._row(record, careful=True) for record in records])
        return lines

    def _row(self, record: Record, *, careful: bool = False) -> Any:
        if isinstance(record, Scan):
            return self._frame(record, careful=careful)
        value = record.value
        if type(value) in PLAIN and not (careful and isinstance(value, float)):
            return record
        return msgspec.structs.replace(record, value=portable(value))

    def _frame(self, scan: Scan, *, careful: bool) -> _Frame:
        values: Any = scan.values
        if careful or not PLAIN.issuperset(map(type, values)):
            values = tuple(portable(value) for value in values)
        return _Frame(
            scan.n, scan.mono // 1000, self.tables[scan.routes, scan.source], values,
            scan.qualities, scan.reasons, scan.details,
        )  # fmt: skip

    def _encode_alone(self, record: Record) -> bytes:
        try:
            row = self._row(record, careful=True)
            if isinstance(record, Event):
                row = msgspec.structs.replace(row, value=portable(record.value))
            return _encoder.encode(_with_clean_text(row)) + b"\n"
        except _UNWRITABLE_ERRORS as error:
            self.unwritable += 1
            return (
                _encoder.encode(self._stand_in(record, f"{type(error).__name__}: {error}")) + b"\n"
            )

    def _stand_in(self, record: Record, why: str) -> Any:
        why = clean_text(f"the value cannot be written: {why}")
        if isinstance(record, Event):
            bare = msgspec.structs.replace(
                record, value=None, quality=BAD, reason=UNWRITABLE, detail=why
            )
            return _with_clean_text(bare)
        width = len(record.values)
        return _Frame(
            record.n, record.mono // 1000, self.tables[record.routes, record.source],
            (None,) * width, (BAD,) * width, (UNWRITABLE,) * width, (why,) * width,
        )  # fmt: skip


def _hold_finite_numbers(records: Sequence[Record]) -> bool:
    # One sum tells it of all: only events have one value, only numbers can be added to 0, and what
    # is not finite stays so. A sum that overflows merely costs the closer look.
    try:
        return math.isfinite(sum(map(_value_of, records)))
    except (AttributeError, TypeError, OverflowError):
        return False


def _with_clean_text(row: Any) -> Any:
    if isinstance(row, _Frame):
        texts = {"x": tuple(map(clean_text, row.x)), "w": tuple(map(clean_text, row.w))}
        return msgspec.structs.replace(row, **texts)
    names = ("route", "source", "reason", "detail")
    return msgspec.structs.replace(row, **{name: clean_text(getattr(row, name)) for name in names})


Unreadable: TypeAlias = None  # stands for a line that holds nothing that can be understood
Item: TypeAlias = Event | Scan | Gap | Unreadable

_UNREADABLE_ERRORS: Final = (msgspec.DecodeError, ValueError, RecursionError)

_events: Final = msgspec.json.Decoder(Event)
_frames: Final = msgspec.json.Decoder(_Frame)
_gaps: Final = msgspec.json.Decoder(_GapLine)
_heads: Final = msgspec.json.Decoder(Head)
# The longest beginning of a line before its route or table: two numbers of 19 digits and a sign.
_KIND_WITHIN: Final = 64


def decode_head(line: bytes) -> Head | None:
    """Return the head that a segment's first line holds; None if it cannot be understood."""
    try:
        head = _heads.decode(line)
    except _UNREADABLE_ERRORS:
        return None
    return head if head.format <= FORMAT else None


class LineDecoder:
    """Turns the lines of one segment into records; `head` is None where it is damaged."""

    def __init__(self, boot: int, head: Head | None) -> None:
        self.boot = boot
        self._tables: dict[int, Table] = {}
        if head is not None:
            self._tables = {
                int(number): (tuple(routes), head.sources.get(number, ""))
                for number, routes in head.tables.items()
                if number.isdecimal()
            }

    def block(self, lines: bytes) -> list[Item]:
        """Return what each of several whole lines holds; None for one that is unreadable."""
        try:
            events = _events.decode_lines(lines)
        except _UNREADABLE_ERRORS:
            events = []
        if len(events) != lines.count(b"\n"):
            return [self.line(line) for line in split_lines(lines)]
        if PLAIN.issuperset(map(type, map(_value_of, events))):
            return list(events)
        return [_restored(event) for event in events]

    def line(self, line: bytes) -> Item:
        """Return what one line holds; None if it is unreadable, a head or a trailer."""
        try:
            if line.startswith(b'{"k":'):
                gap = _gaps.decode(line)
                return Gap(gap.first, gap.last, gap.reason)
            if line.find(b',"r":', 0, _KIND_WITHIN) > 0:
                return _restored(_events.decode(line))
            return self._scan(_frames.decode(line))
        except _UNREADABLE_ERRORS:
            return None

    def _scan(self, frame: _Frame) -> Scan | None:
        routes, source = self._tables.get(frame.k, ((), ""))
        width = len(routes)
        marks = (frame.q, frame.x, frame.w)
        if not width or len(frame.v) != width or any(len(m) not in (0, width) for m in marks):
            return None
        values = tuple(restore(value) for value in frame.v)
        return Scan(
            frame.n, frame.m * 1000, routes, values, source, frame.q, frame.x, frame.w, self.boot
        )


def _restored(event: Event) -> Event:
    if type(event.value) in PLAIN:
        return event
    return msgspec.structs.replace(event, value=restore(event.value))
