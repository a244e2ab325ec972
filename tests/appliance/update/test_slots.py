"""The slot record: whatever is torn, the state before or the state after can be read."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from appliance.update.machine import FragileFiles, PowerCut
from hypothesis import given
from hypothesis import strategies as st

from leyden.appliance.update.release import Release, order
from leyden.appliance.update.slots import (
    COPY_BYTES,
    Before,
    Entry,
    SlotFacts,
    SlotRecord,
    SlotStore,
    Trial,
    brief,
    decode,
    encode,
)
from leyden.storage.raw import RawArea

words = st.text(max_size=60)
slots = st.sampled_from(("A", "B"))
entries = st.builds(Entry, n=st.integers(1, 1 << 40), what=words, reason=words, detail=words)
trials = st.builds(
    Trial,
    slot=slots,
    version=words,
    from_version=words,
    state=st.sampled_from(("intent", "written", "verified", "tried", "healthy")),
    boots=st.integers(0, 9),
    reason=words,
    before=st.builds(Before, devices_down=st.lists(words, max_size=3).map(tuple)),
)
records = st.builds(
    SlotRecord,
    committed=slots,
    trial=st.none() | trials,
    slots=st.dictionaries(slots, st.builds(SlotFacts, version=words, detail=words)),
    entry=st.none() | entries,
)


def store_in(folder: Path, files: FragileFiles | None = None) -> SlotStore:
    disk = folder / "disk"
    if not disk.exists():
        disk.write_bytes(bytes(3 * COPY_BYTES))
    areas = [RawArea(disk, at, COPY_BYTES, files or FragileFiles()) for at in (0, 2 * COPY_BYTES)]
    return SlotStore((areas[0], areas[1]))


@given(records, st.integers(0, 1 << 62))
def test_what_is_written_is_read(record: SlotRecord, counter: int) -> None:
    block = encode(record, counter)
    assert len(block) == COPY_BYTES
    assert decode(block) == (counter, record)


@given(records, st.data())
def test_a_single_changed_byte_is_noticed(record: SlotRecord, data: st.DataObject) -> None:
    block = bytearray(encode(record, 7))
    used = len(block.rstrip(b"\0")) - 1  # the line's end after the text is covered by nothing
    block[data.draw(st.integers(0, used - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ValueError, match=r"damaged|does not fit|another program"):
        decode(bytes(block))


@given(before=records, after=records, sectors=st.lists(st.booleans(), min_size=8, max_size=8))
def test_a_torn_block_is_the_old_one_the_new_one_or_refused(
    before: SlotRecord, after: SlotRecord, sectors: list[bool]
) -> None:
    old, new = encode(before, 3), encode(after, 5)
    torn = b"".join(
        (new if arrived else old)[index * 512 : index * 512 + 512]
        for index, arrived in enumerate(sectors)
    )
    try:
        found = decode(torn)
    except ValueError:
        return
    assert found in ((3, before), (5, after))


@given(st.lists(records, min_size=1, max_size=6), st.integers(0, 1 << 16))
def test_after_a_cut_in_any_write_the_last_state_or_the_one_before_is_there(
    tmp_path_factory: pytest.TempPathFactory, history: list[SlotRecord], seed: int
) -> None:
    folder = tmp_path_factory.mktemp("card")
    files = FragileFiles()
    store = store_in(folder, files)
    chance = random.Random(seed)  # noqa: S311 - not a secret
    known: SlotRecord | None = None
    for record in history:
        cut = chance.random() < 0.5
        files.cut(1 if cut else None, seed)
        try:
            store.write(record)
        except PowerCut:
            found = store.read().record
            assert found in (known, record)
            known = found
        else:
            known = record
            assert store.read().record == record


def test_a_fresh_card_has_no_record_and_no_problem(tmp_path: Path) -> None:
    found = store_in(tmp_path).read()
    assert (found.record, found.counter, found.problems) == (None, 0, ())


def test_a_disk_that_is_not_there_is_a_problem_not_an_exception(tmp_path: Path) -> None:
    area = RawArea(tmp_path / "none", 0, COPY_BYTES)
    found = SlotStore((area, area)).read()
    assert found.record is None
    assert len(found.problems) == 2
    assert "No such file" in found.problems[0]


def test_a_shell_can_read_it() -> None:
    trial = Trial("B", "0.2.0", from_version="0.1.0", state="tried", boots=1)
    head, text, rest = encode(SlotRecord("A", trial), 42).split(b"\n", 2)
    assert head.startswith(b"leyden-slots 1 00000000000000000042 ")
    assert text.startswith(b'{"committed":"A","trial":{"slot":"B","version":"0.2.0","from":"0.1.0"')
    assert not rest.strip(b"\0")


def test_a_slot_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="a slot that there is not"):
        decode(encode(SlotRecord("C"), 1))


def test_the_longest_words_fit() -> None:
    long = brief("°" * 5000)
    facts = SlotFacts("1" * 64, 1, "bad", long)
    trial = Trial(
        "B", "1" * 64, from_version="1" * 64, state="tried", reason=long,
        before=Before(tuple(f"a_rather_long_device_name_{n:02}" for n in range(32)), ("http",)),
    )  # fmt: skip
    entry = Entry(1, "rolled-back", "B", "1" * 64, "1" * 64, "ended-early", long, long)
    record = SlotRecord("A", trial, {"A": facts, "B": facts}, entry)
    assert decode(encode(record, 1))[1] == record


ORDERED = ("0.1.0.dev1", "0.1.0a1", "0.1.0rc1", "0.1.0rc2", "0.1.0", "0.1.1", "0.2", "0.10.0", "1")


def test_versions_have_an_order() -> None:
    assert sorted(set(ORDERED), key=order) == list(ORDERED)
    assert order("1.0") == order("1.0.0") == order("1+build.7")
    assert order("nonsense") < order("0.0.1.dev0")


def test_of_one_version_the_later_sources_are_newer() -> None:
    assert Release("0.1.0", epoch=1).older_than(Release("0.1.0", epoch=2))
    assert Release("0.1.0", epoch=9).older_than(Release("0.1.1", epoch=1))
    assert not Release("0.1.0", epoch=1).older_than(Release("0.1.0", epoch=1))
