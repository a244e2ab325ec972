"""Records become lines that any tool can read, and lines become the same records."""

from __future__ import annotations

import json
import math
import zlib
from typing import Any

import msgspec
import pytest
from eventlog.rig import same
from eventlog.test_values import TEXT, VALUES
from hypothesis import given
from hypothesis import strategies as st

from leyden.eventlog.schema import (
    FIELDS,
    UNWRITABLE,
    About,
    ClockRecord,
    Head,
    LineDecoder,
    LineEncoder,
    decode_head,
    describe,
    encode_gap,
    encode_head,
    parse_trailer,
    split_lines,
    trailer,
)
from leyden.kernel import (
    BAD,
    GOOD,
    UNCERTAIN,
    Event,
    FrozenDict,
    Gap,
    Record,
    Route,
    RouteInfo,
    Scan,
)

NUMBERS = st.integers(1, 10**15)
QUALITIES = st.sampled_from([GOOD, UNCERTAIN, BAD])
ROUTES = ("air.temperature", "air.humidity", "air.pressure")
EVENTS = st.builds(
    Event,
    NUMBERS,
    st.integers(0, 10**19 - 1),
    st.sampled_from(ROUTES),
    VALUES,
    TEXT,
    QUALITIES,
    TEXT,
    TEXT,
    NUMBERS,
    NUMBERS,
    st.integers(0, 10**6),
    st.integers(0, 32),
)


@st.composite
def scans(draw: st.DrawFn) -> Scan:
    width = draw(st.integers(1, 3))
    values = tuple(draw(VALUES) for _ in range(width))

    def marks(strategy: st.SearchStrategy[Any]) -> tuple[Any, ...]:
        return tuple(draw(strategy) for _ in range(width)) if draw(st.booleans()) else ()

    words = st.text(st.characters(exclude_categories=["Cs"]))
    return Scan(
        draw(NUMBERS), draw(st.integers(0, 10**15)) * 1000, ROUTES[:width], values, "device.air",
        marks(QUALITIES), marks(words), marks(words), 7,
    )  # fmt: skip


def head_of(encoder: LineEncoder) -> Head:
    tables = encoder.tables.items()
    return Head(
        boot=7,
        tables={str(number): list(routes) for (routes, _), number in tables},
        sources={str(number): source for (_, source), number in tables},
    )


def written(records: list[Record]) -> tuple[bytes, LineDecoder, LineEncoder]:
    encoder = LineEncoder()
    tables, _ = encoder.learn(records, set(map(type, records)))
    encoder.add_tables(tables)
    return encoder.encode(records), LineDecoder(7, head_of(encoder)), encoder


def same_record(one: Any, other: Any) -> bool:
    fields = type(one).__struct_fields__
    return type(one) is type(other) and all(
        same(getattr(one, name), getattr(other, name)) for name in fields
    )


@given(records=st.lists(EVENTS | scans(), min_size=1, max_size=6))
def test_records_come_back_as_they_were(records: list[Record]) -> None:
    lines, decoder, encoder = written(records)
    found = decoder.block(lines)
    assert encoder.unwritable == 0
    for record, other in zip(records, found, strict=True):
        one = record
        if isinstance(one, Event):  # the words around a value are cleaned, the value never is
            words = {
                name: getattr(one, name).encode("utf-8", "replace").decode()
                for name in ("source", "reason", "detail")
            }
            one = msgspec.structs.replace(one, **words)
        assert same_record(one, other)


@given(records=st.lists(EVENTS | scans(), min_size=1, max_size=6))
def test_every_record_is_one_line_of_json(records: list[Record]) -> None:
    lines, decoder, _ = written(records)
    parts = split_lines(lines)
    assert [json.loads(part)["n"] for part in parts] == [record.n for record in records]
    assert [decoder.line(part) for part in parts].count(None) == 0


def test_an_event_is_written_with_short_names_and_without_defaults() -> None:
    lines, _, _ = written([Event(7, 73_000_000, "air.temperature", 21.5, "device.air", boot=3)])
    assert lines == b'{"n":7,"m":73000000,"r":"air.temperature","v":21.5,"s":"device.air","b":3}\n'


def test_a_good_scan_is_written_as_numbers_only() -> None:
    lines, _, _ = written([Scan(8, 73_000, ROUTES[:2], (21.5, 40.25), "device.air", boot=3)])
    assert lines == b'{"n":8,"m":73,"k":1,"v":[21.5,40.25]}\n'


def test_a_scan_that_is_not_all_good_says_so_for_each_channel() -> None:
    scan = Scan(
        8, 0, ROUTES[:2], (21.5, None), "device.air", (GOOD, BAD), ("", "checksum"), ("", "CRC")
    )  # fmt: skip
    lines, _, _ = written([scan])
    line = json.loads(lines)
    assert (line["q"], line["x"], line["w"]) == ([0, 2], ["", "checksum"], ["", "CRC"])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("company", [1.0, None, "text", True])
def test_what_is_not_a_finite_number_is_never_written_as_null(value: float, company: Any) -> None:
    records: list[Record] = [
        Event(1, 0, "air.temperature", value),
        Event(2, 0, "air.temperature", company),
        Scan(3, 0, ROUTES[:2], (value, company), "device.air"),
    ]
    lines, decoder, _ = written(records)
    event, other, scan = decoder.block(lines)
    assert isinstance(event, Event)
    assert isinstance(other, Event)
    assert isinstance(scan, Scan)
    assert same(event.value, value)
    assert same(other.value, company)
    assert same(scan.values, (value, company))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_one_odd_number_among_many_plain_ones_is_seen(value: float) -> None:
    records: list[Record] = [Event(n, 0, "air.temperature", float(n)) for n in range(1, 100)]
    records[50] = Event(51, 0, "air.temperature", value)
    lines, decoder, _ = written(records)
    assert b"null" not in lines
    for record, found in zip(records, decoder.block(lines), strict=True):
        assert same_record(record, found)


def test_numbers_whose_sum_overflows_are_written_as_they_are() -> None:
    records: list[Record] = [Event(n, 0, "air.temperature", 1.7e308) for n in (1, 2)]
    records.append(Event(3, 0, "air.temperature", 10**400))
    lines, decoder, _ = written(records)
    assert decoder.block(lines) == records


def test_a_value_no_line_can_carry_leaves_its_event_and_spares_the_others() -> None:
    records: list[Record] = [
        Event(1, 0, "air.temperature", 20.5),
        Event(2, 0, "air.temperature", object(), "device.air"),
        Scan(3, 0, ROUTES[:2], (object(), 1.0), "device.air"),
        Event(5, 0, "air.temperature", 21.5),
    ]
    lines, decoder, encoder = written(records)
    first, bad, scan, last = decoder.block(lines)
    assert (first, last) == (records[0], records[3])
    assert isinstance(bad, Event)
    assert isinstance(scan, Scan)
    assert (bad.value, bad.quality, bad.reason, bad.source) == (None, BAD, UNWRITABLE, "device.air")
    assert "found object" in bad.detail
    assert scan.values == (None, None)
    assert scan.qualities == (BAD, BAD)
    assert encoder.unwritable == 2


def test_a_table_is_known_by_its_routes_and_its_source() -> None:
    records: list[Record] = [
        Scan(1, 0, ROUTES, (1.0, 2.0, 3.0), "device.air", boot=7),
        Scan(4, 0, ROUTES, (1.0, 2.0, 3.0), "device.other", boot=7),
    ]
    lines, decoder, encoder = written(records)
    assert decoder.block(lines) == records
    assert encoder.learn(records, {Scan}) == (set(), set())


def test_new_routes_are_noticed_once() -> None:
    encoder = LineEncoder()
    events = [Event(n, 0, route, 1.0) for n, route in enumerate(ROUTES, 1)]
    assert encoder.learn(events, {Event}) == (set(), set(ROUTES))
    encoder.routes |= set(ROUTES)
    assert encoder.learn([*events, Gap(4, 5, "why")], {Event, Gap}) == (set(), set())


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\0\0\0",
        b"not json",
        b'{"n":1}',
        b'{"n":1,"m":0,"r":7,"v":1}',
        b'{"n":1,"m":0,"r":"a.b","v":1e999}',
        b'{"n":1,"m":0,"r":"a.b","v":1,"q":9}',
        b'{"n":1,"m":0,"k":2,"v":[1]}',
        b'{"n":1,"m":0,"k":1,"v":[1]}',
        b'{"n":1,"m":0,"k":1,"v":[1,2,3],"q":[0]}',
        b'{"n":1,"m":0,"k":1,"v":7}',
        b'{"n":1,"m":0,"r":"\xff.b","v":1}',
        b'{"n":1,"m":0,"r":"a.b","v":' + b"[" * 100_000,
        b'{"k":"gap","first":1}',
        b'{"k":"head"}',
        b'{"k":"commit","n":1,"crc":"00000000"}',
        b'{"k":"tomorrow","n":1}',
        b"[1,2,3]",
    ],
)
def test_a_line_that_holds_no_record_is_unreadable_not_an_error(line: bytes) -> None:
    encoder = LineEncoder()
    encoder.add_tables({(ROUTES, "device.air")})
    decoder = LineDecoder(7, head_of(encoder))
    assert decoder.line(line) is None
    assert decoder.block(line + b"\n") == [None]


def test_a_line_of_a_later_version_may_say_more() -> None:
    line = b'{"n":1,"m":5,"r":"a.b","v":1.5,"later":{"x":[1]}}\n'
    assert LineDecoder(1, None).block(line) == [Event(1, 5, "a.b", 1.5)]


def test_values_that_were_read_cannot_be_changed() -> None:
    (event,) = LineDecoder(1, None).block(b'{"n":1,"m":5,"r":"a.b","v":{"list":[1,{"a":2}]}}\n')
    assert isinstance(event, Event)
    assert event.value == FrozenDict(list=(1, FrozenDict(a=2)))
    assert isinstance(event.value["list"][1], FrozenDict)


def test_a_gap_comes_back_as_it_was() -> None:
    gap = Gap(9, 12, "not recorded: the disk was full")
    assert LineDecoder(1, None).block(encode_gap(gap)) == [gap]


@given(last=st.integers(-1, 10**18), crc=st.integers(0, 2**32 - 1))
def test_a_trailer_comes_back_as_it_was(last: int, crc: int) -> None:
    line = trailer(last, crc)
    assert parse_trailer(line) == (last, crc)
    assert json.loads(line) == {"k": "commit", "n": last, "crc": f"{crc:08x}"}


def test_a_head_is_a_block_of_its_own_and_says_all_that_replay_needs() -> None:
    info = RouteInfo(Route.of("air.temperature", unit="Cel"), label="Air")
    about = About("0f2c", FrozenDict(appliance=FrozenDict(name="green")), {"leyden": "0.1.0"})
    head = Head(
        boot=3,
        boot_id=about.boot_id,
        first=17,
        config=about.config,
        config_digest=about.digest(),
        versions=about.versions,
        routes=[describe(info)],
        tables={"1": ["air.temperature"]},
        sources={"1": "device.air"},
        clock=ClockRecord(1, 2, "synced"),
    )
    line, closing, rest = encode_head(head).split(b"\n")
    assert rest == b""
    assert parse_trailer(closing + b"\n") == (16, zlib.crc32(line + b"\n"))
    found = json.loads(line)
    assert list(found)[:4] == ["k", "format", "boot", "boot_id"]
    assert (found["k"], found["format"], found["first"]) == ("head", 1, 17)
    assert found["config"] == {"appliance": {"name": "green"}}
    assert found["config_digest"].startswith("sha256:")
    assert found["fields"] == FIELDS
    assert found["routes"] == [
        {
            "key": "air.temperature",
            "text": "air.temperature;schema=float@1",
            "unit": "Cel",
            "origin": "input",
            "schema": {"unit": "Cel"},
            "label": "Air",
        }
    ]
    assert decode_head(line) == msgspec.structs.replace(
        head, config=found["config"], versions={"leyden": "0.1.0"}
    )


def test_the_legend_explains_every_letter_an_event_uses() -> None:
    assert set(Event.__struct_encode_fields__) <= set(FIELDS)


def test_equal_configurations_have_one_digest_whatever_their_order() -> None:
    one = About(config={"a": 1, "b": {"c": 2, "d": 3}}).digest()
    other = About(config={"b": {"d": 3, "c": 2}, "a": 1}).digest()
    assert one == other != About(config={"a": 2}).digest()


def test_a_head_of_a_later_format_is_not_guessed_at() -> None:
    assert decode_head(b'{"k":"head","format":2}') is None
    assert decode_head(b'{"k":"head","format":"one"}') is None
    assert decode_head(b"\0\0") is None
