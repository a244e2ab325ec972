"""Every kind of value survives JSON, and what reads it back cannot be made to do anything else."""

from __future__ import annotations

import json
import math
from enum import IntEnum, StrEnum
from typing import Any

import msgspec
import pytest
from eventlog.rig import same
from hypothesis import given
from hypothesis import strategies as st

from leyden.eventlog.values import clean_text, portable, restore
from leyden.kernel import FrozenDict, freeze

TEXT = st.text(st.characters(codec=None)) | st.text(st.sampled_from('$"\\{}\ud800é'))
ATOMS = st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.binary()
VALUES = st.recursive(
    ATOMS, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=20
).map(freeze)


@given(value=VALUES)
def test_every_value_comes_back_as_it_was(value: Any) -> None:
    line = msgspec.json.encode(portable(value))
    assert same(restore(msgspec.json.decode(line)), value)


@given(value=VALUES)
def test_what_is_written_is_json_for_any_tool(value: Any) -> None:
    json.loads(msgspec.json.encode(portable(value)), parse_constant=pytest.fail)


@given(value=st.recursive(ATOMS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_objects_that_only_look_like_ours_are_kept(value: Any) -> None:
    try:
        line = msgspec.json.encode(value)
    except UnicodeEncodeError:
        return  # such text cannot stand in a file
    restore(msgspec.json.decode(line))


@pytest.mark.parametrize(
    "written",
    [
        '{"$bytes":"?"}',
        '{"$bytes":7}',
        '{"$float":"one"}',
        '{"$float":[]}',
        '{"$text":"/w=="}',
        '{"$map":7}',
        '{"$map":[[1]]}',
        '{"$map":[["a",1,2]]}',
        '{"$import":"this"}',
    ],
)
def test_a_damaged_special_is_read_as_the_object_it_is(written: str) -> None:
    found = restore(json.loads(written))
    assert isinstance(found, FrozenDict)
    assert list(found) == list(json.loads(written))


def test_members_of_enumerations_are_written_as_their_values() -> None:
    class Number(IntEnum):
        TWO = 2

    class Word(StrEnum):
        ON = "on"

    assert msgspec.json.encode(portable((Number.TWO, Word.ON))) == b'[2,"on"]'


def test_a_record_is_written_as_its_fields() -> None:
    class Blob(msgspec.Struct, frozen=True):
        name: str
        data: bytes
        level: float

    found = restore(json.loads(msgspec.json.encode(portable(Blob("a", b"\xff", math.inf)))))
    assert found == FrozenDict(name="a", data=b"\xff", level=math.inf)


def test_a_value_that_is_not_data_is_refused_with_its_type() -> None:
    with pytest.raises(TypeError, match="found object in a value"):
        portable((1, object()))


@given(text=TEXT)
def test_clean_text_can_always_be_written(text: str) -> None:
    assert clean_text(text).encode().decode() == clean_text(text)
