"""Every line that is no request is refused in words; every request means what it says."""

from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leyden.kernel import BAD, Event, Gap, Role
from leyden.link.protocol import (
    AnyRequest,
    EventPage,
    EventRow,
    Hello,
    LatestRow,
    LinkRefusal,
    Query,
    Read,
    Reply,
    Submit,
    answer_line,
    error_line,
    matches,
    parse_request,
    request_id,
)


def test_each_operation_is_read_with_its_defaults() -> None:
    assert parse_request(b'{"id":1,"op":"hello"}') == Hello(1)
    assert parse_request(b'{"id":2,"op":"read","after":7}') == Read(2, 7, None, 1000, 0)
    assert parse_request(b'{"id":3,"op":"query","what":"health"}') == Query(3, "health")
    submit = parse_request(b'{"id":4,"op":"submit","intent":{"goal":"world.set"}}')
    assert isinstance(submit, Submit)
    assert submit.intent.role is None


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", "truncated"),
        (b"GET / HTTP/1.1", "invalid character"),
        (b"[]", "Expected `object`"),
        (b'{"id":1}', "missing required field `op`"),
        (b'{"id":1,"op":"fly"}', "Invalid value 'fly'"),
        (b'{"op":"hello"}', "missing required field `id`"),
        (b'{"id":-1,"op":"hello"}', ">= 0"),
        (b'{"id":1,"op":"hello","cliend":"x"}', "unknown field `cliend`"),
        (b'{"id":1,"op":"read"}', "missing required field `after`"),
        (b'{"id":1,"op":"read","after":0,"max":5001}', "<= 5000"),
        (b'{"id":1,"op":"read","after":0,"max":0}', ">= 1"),
        (b'{"id":1,"op":"read","after":0,"wait_ms":30001}', "<= 30000"),
        (b'{"id":1,"op":"read","after":0,"routes":[""]}', "length >= 1"),
        (b'{"id":1,"op":"query","what":"weather"}', "Invalid enum value 'weather'"),
        (b'{"id":1,"op":"query","what":"latest"}', 'needs a "route"'),
        (b'{"id":1,"op":"query","what":"history","route":"a.b"}', '"from_mono" or "span_s"'),
        (b'{"id":1,"op":"submit","intent":{"goal":"Rm -rf"}}', "matching regex"),
        (b'{"id":1,"op":"submit","intent":{"goal":"a","role":"root"}}', "Invalid enum value"),
        (b'{"id":1,"op":"submit","intent":{"goal":"a","payload":' + b"[" * 200_000, "too deeply"),
    ],
)
def test_a_line_that_is_no_request_is_refused_with_the_place(line: bytes, words: str) -> None:
    with pytest.raises(LinkRefusal, match=re.escape(words)) as refused:
        parse_request(line)
    assert refused.value.code == "bad_request"


def request_or_refusal(line: bytes) -> AnyRequest | str:
    try:
        return parse_request(line)
    except LinkRefusal as refusal:
        return refusal.message


@given(st.binary(max_size=400))
def test_any_bytes_are_a_request_or_a_refusal(line: bytes) -> None:
    outcome = request_or_refusal(line)
    assert outcome
    assert request_id(line) >= 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    ["id", "op", "after", "routes", "max", "wait_ms", "what", "route", "intent", "points", "span_s"]
)


@given(
    st.dictionaries(FIELDS, JSON, max_size=8),
    st.sampled_from(["hello", "read", "query", "submit", "", None]),
)
def test_any_object_with_our_field_names_is_a_request_or_a_refusal(
    fields: dict[str, object], op: str | None
) -> None:
    line = msgspec.json.encode({**fields, "op": op})
    outcome = request_or_refusal(line)
    assert outcome
    if not isinstance(outcome, str):
        assert outcome.id == request_id(line)


def test_the_id_is_read_from_a_request_that_is_otherwise_wrong() -> None:
    assert request_id(b'{"id":12,"op":"fly"}') == 12
    assert request_id(b'{"id":"x"}') == 0
    assert request_id(b"nonsense") == 0


def test_a_reply_holds_an_answer_or_an_error() -> None:
    page = EventPage((), 3, (Gap(1, 2, "lost"),), 3)
    reply = msgspec.json.decode(answer_line(9, page), type=Reply)
    assert (reply.id, reply.error) == (9, msgspec.UNSET)
    assert msgspec.json.decode(reply.ok, type=EventPage) == page  # type: ignore[arg-type]
    refused = msgspec.json.decode(error_line(9, "busy", "later"), type=Reply)
    assert refused.ok is msgspec.UNSET
    assert answer_line(1, {}).endswith(b"\n")


def test_an_event_row_leaves_out_what_is_empty() -> None:
    event = Event(5, 1_000, "air.temperature", None, quality=BAD, reason="no_data")
    row = EventRow.of(event, 1_767_225_600_000_000_000)
    assert msgspec.to_builtins(row) == {
        "n": 5,
        "route": "air.temperature",
        "value": None,
        "quality": "bad",
        "time": "2026-01-01T00:00:00.000Z",
        "reason": "no_data",
        "mono": 1000,
    }


def test_the_last_value_is_written_only_when_it_is_set() -> None:
    row = LatestRow("a.b", 1.0, "1", "good", "", 0.1, 1, None)
    assert "last_value" not in msgspec.to_builtins(row)
    bad = msgspec.structs.replace(row, value=None, quality="bad", last_value=1.0)
    assert msgspec.to_builtins(bad)["last_value"] == 1.0


def test_prefixes_choose_routes() -> None:
    assert matches("air.temperature", None)
    assert matches("air.temperature", ("dust", "air."))
    assert not matches("air.temperature", ("dust",))
    assert not matches("air.temperature", ())


def test_roles_are_words() -> None:
    line = b'{"id":1,"op":"submit","intent":{"goal":"a.b","role":"operator"}}'
    request = parse_request(line)
    assert isinstance(request, Submit)
    assert request.intent.role is Role.OPERATOR
