"""Tests of the at24 driver: the record's bytes, two copies, and a power cut at every moment."""

from __future__ import annotations

import dataclasses
import re
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

import leyden_drivers.at24
from leyden.hal import Write
from leyden.hal.errors import WorldError
from leyden.hal.linux import rig as linux_rig
from leyden.hal.mock.chip import Nack
from leyden.hal.mock.rig import Rig
from leyden.kernel import (
    ChecksumError,
    ComponentError,
    DeviceError,
    DeviceState,
    NoDataError,
    SimulatedExecutor,
    StuckDataError,
    SystemExecutor,
    WrongDeviceError,
)
from leyden.testing import Bench, DriverConformance, Kit, load_kit
from leyden_drivers.at24.chip import At24Chip, _crc
from leyden_drivers.at24.driver import AT24, At24Options
from leyden_drivers.at24.parts import PARTS
from leyden_drivers.at24.record import Record, capacity, copy_bytes, decode, encode

PACKAGE = "leyden_drivers.at24"
SMALL, LARGE = PARTS["24c02"], PARTS["24c32"]


class TestSmallest(DriverConformance):
    """The whole suite again, with a pointer of one byte and pages of eight."""

    package = PACKAGE
    options: ClassVar[Mapping[str, Any]] = {"part": "24c02", "address": 0x57}

    @pytest.fixture
    def kit(self) -> Kit:
        kit = load_kit(PACKAGE)
        return dataclasses.replace(kit, name="24c02", table={**kit.table, **self.options})


# The record


def test_the_checksum_is_the_standards() -> None:
    assert zlib.crc32(b"123456789") == 0xCBF43926  # ISO 3309, check value
    assert _crc(b"123456789") == 0xCBF43926


def test_a_record_has_these_bytes() -> None:
    data = encode(Record(1, "greenhouse"), SMALL)
    assert data.hex(" ") == (
        "4c 45 59 31 00 00 00 01 00 0a ff f5 43 2a 58 9a 67 72 65 65 6e 68 6f 75 73 65"
    )


@given(st.text(max_size=30), st.integers(1, 0xFFFF_FFFF), st.sampled_from(sorted(PARTS)))
def test_what_is_encoded_is_decoded(text: str, revision: int, part: str) -> None:
    try:
        data = encode(Record(revision, text), PARTS[part])
    except UnicodeEncodeError:  # half a surrogate pair is no text
        return
    assert decode(data.ljust(copy_bytes(PARTS[part]), b"\xff")) == Record(revision, text)


@given(st.integers(0, 8 * 26 - 1))
def test_a_record_with_one_bit_wrong_is_none(place: int) -> None:
    data = bytearray(encode(Record(7, "greenhouse"), SMALL).ljust(128, b"\xff"))
    data[place // 8] ^= 0x80 >> place % 8
    assert decode(bytes(data)) is None


@given(st.binary(min_size=16, max_size=128))
def test_what_lies_around_in_a_memory_is_no_record(data: bytes) -> None:
    assert decode(data) is None


def test_a_text_that_does_not_fit_is_refused() -> None:
    assert (capacity(SMALL), capacity(LARGE)) == (112, 240)
    encode(Record(1, "x" * 112), SMALL)
    with pytest.raises(ValueError, match="found 113 bytes of text, expected 112 at most"):
        encode(Record(1, "x" * 113), SMALL)
    with pytest.raises(ValueError, match="revision"):
        encode(Record(1 << 32, ""), SMALL)


# The driver on its bus


class Setup:
    """A driver and its model on a modelled bus, without a runtime."""

    def __init__(self, *, blank: bool = False, **options: Any) -> None:
        self.options = At24Options(**{"part": "24c02", **options})
        self.rig = Rig(SimulatedExecutor())
        self.bus = self.rig.i2c("i2c1")
        self.chip = self.rig.plug("i2c1", At24Chip, "board", self.options)
        self.clock = self.rig.executor.clock
        self.driver = self.another()
        if blank:
            self.chip.memory[:] = b"\xff" * len(self.chip.memory)

    def another(self, bus: Any = None) -> AT24:
        driver = AT24(bus or self.bus, self.options)
        driver.clock = self.clock
        return driver


@pytest.fixture(params=["24c02", "24c16", "24c32", "24c512"])
def setup(request: pytest.FixtureRequest) -> Iterator[Setup]:
    made = Setup(part=request.param)
    yield made
    made.rig.close()


def test_the_record_is_what_somebody_programmed(setup: Setup) -> None:
    setup.driver.probe()
    reading = setup.driver.read()
    assert (reading.record, reading.revision, reading.copies) == ("greenhouse-carrier 0017", 1, 2)
    setup.rig.world.set("board.record", "greenhouse-carrier 0018 ä")
    assert setup.driver.read().record == "greenhouse-carrier 0018 ä"
    assert setup.driver.read().revision == 2


def test_what_is_stored_is_read_by_another_program(setup: Setup) -> None:
    assert setup.driver.store('{"gain": 1.0025}') == 2
    reading = setup.another().read()
    assert (reading.record, reading.revision, reading.copies) == ('{"gain": 1.0025}', 2, 2)


def test_the_first_record_goes_into_a_blank_memory(setup: Setup) -> None:
    setup.chip.memory[:] = b"\xff" * len(setup.chip.memory)
    assert setup.driver.store("board 1") == 1
    assert setup.driver.read().copies == 2


def test_the_longest_record_fits_and_a_longer_one_changes_nothing(setup: Setup) -> None:
    most = capacity(PARTS[setup.options.part])
    setup.driver.store("x" * most)
    assert setup.driver.read().record == "x" * most
    with pytest.raises(ValueError, match="at most"):
        setup.driver.store("y" * (most + 1))
    assert setup.driver.read().record == "x" * most


def test_pages_that_are_right_already_are_not_worn(setup: Setup) -> None:
    setup.driver.store("a" * 100)
    before = setup.chip.programmed
    setup.driver.store("a" * 100)  # only the head differs: its revision and its checksum
    page = PARTS[setup.options.part].page
    assert setup.chip.programmed - before == 2 * -(-16 // page)


class PowerCutError(Exception):
    """The test's own: the lights go out."""


class _Cut:
    """A bus on which the power fails after so many transfers, or within the last of them."""

    def __init__(self, setup: Setup, after: int) -> None:
        self._setup = setup
        self._left = after

    def transfer(self, *args: Any, **kwargs: Any) -> list[bytes]:
        if self._left == 0:
            self._setup.chip.power_on()  # what was in its write cycle is lost
            raise PowerCutError
        self._left -= 1
        return self._setup.bus.transfer(*args, **kwargs)


@pytest.mark.parametrize("blank_copy", [None, 0, 1])
def test_a_power_cut_at_any_moment_leaves_the_old_record_or_the_new_one(
    blank_copy: int | None,
) -> None:
    after = 0
    seen = set()
    while True:
        made = Setup()
        made.driver.store("the old record, of some length")
        if blank_copy is not None:
            made.chip.memory[blank_copy * 128 : blank_copy * 128 + 128] = b"\xff" * 128
        try:
            made.another(_Cut(made, after)).store("the new one, which is rather longer than it")
        except PowerCutError:
            seen.add(made.another().read().record)
        else:
            break
        after += 1
    assert after > 20
    assert seen == {"the old record, of some length", "the new one, which is rather longer than it"}


def test_a_damaged_copy_is_not_counted_and_the_other_one_is_read(setup: Setup) -> None:
    room = copy_bytes(PARTS[setup.options.part])
    setup.chip.memory[room + 20] ^= 0x01
    reading = setup.driver.read()
    assert (reading.record, reading.copies) == ("greenhouse-carrier 0017", 1)
    assert reading.doubts["copies"].reason == "implausible"
    setup.driver.store(reading.record)
    assert not setup.driver.read().doubts


def test_both_copies_damaged_is_an_error_and_no_record(setup: Setup) -> None:
    room = copy_bytes(PARTS[setup.options.part])
    for place in (20, room + 21):
        setup.chip.memory[place] ^= 0x01
    with pytest.raises(ChecksumError, match="in the memory itself"):
        setup.driver.read()


def test_an_older_copy_does_not_count(setup: Setup) -> None:
    room = copy_bytes(PARTS[setup.options.part])
    old = bytes(setup.chip.memory[:room])
    setup.driver.store("newer")
    setup.chip.memory[:room] = old
    reading = setup.driver.read()
    assert (reading.record, reading.copies) == ("newer", 1)


def test_a_blank_memory_is_no_other_part_and_says_what_to_do() -> None:
    with pytest.raises(StuckDataError, match="without a record yet; README.md"):
        Setup(blank=True).driver.probe()


def test_the_eeprom_of_a_hat_is_refused_by_name() -> None:
    made = Setup(blank=True)
    made.chip.memory[:12] = b"R-Pi\x01\x00\x02\x00\x4a\x00\x00\x00"
    with pytest.raises(WrongDeviceError, match="52 2d 50 69 .*the EEPROM of a HAT"):
        made.driver.probe()


def test_another_board_than_expected_is_refused() -> None:
    made = Setup(expect="greenhouse-carrier")
    made.rig.world.set("board.record", "pump-carrier 3")
    with pytest.raises(WrongDeviceError, match='"pump-carrier 3", expected one that begins with'):
        made.driver.probe()


def test_a_board_swapped_while_running_needs_a_person() -> None:
    kit = load_kit(PACKAGE)
    table = {**kit.table, "expect": "greenhouse"}
    with Bench(dataclasses.replace(kit, table=table)) as bench:
        assert bench.settle()
        bench.set("record", "pump-carrier 3")
        bench.run_reads(2)
        assert bench.status().state is DeviceState.FAILED


def test_a_protected_memory_is_not_thought_to_have_been_written(setup: Setup) -> None:
    setup.chip.protected = True
    with pytest.raises(DeviceError, match="WP pin"):
        setup.driver.store("something")
    assert setup.driver.read().record == "greenhouse-carrier 0017"


def test_a_memory_that_stays_busy_after_a_write_is_given_up() -> None:
    made = Setup()
    write = made.chip.write

    def for_ever(data: bytes) -> None:
        write(data)
        if made.chip.programmed:
            made.chip._busy_until_ns = 1 << 62

    made.chip.write = for_ever  # type: ignore[method-assign]  # a broken one
    with pytest.raises(NoDataError, match="after a write"):
        made.driver.store("something")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"part": "24c1024"}, 'part: found "24c1024", expected one of 24c02'),
        ({"address": 0x48}, "address: found 0x48, expected 0x50 to 0x57"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ComponentError, match=words):
        At24Options(**options)


# The page of the manual


def test_the_program_of_the_readme_stores_a_record(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = Path(leyden_drivers.at24.__file__).with_name("README.md").read_text("utf-8")
    (program,) = re.findall(r"```python\n(.*?)```", readme, re.S)
    made = Setup(part="24c32")

    class ModelledRig:
        def __init__(self, executor: SystemExecutor) -> None:
            pass

        def i2c(self, name: str, *, path: str) -> Any:
            assert path == "/dev/i2c-1"
            return made.bus

        def close(self) -> None:
            pass

    monkeypatch.setattr(linux_rig, "LinuxRig", ModelledRig)
    monkeypatch.setattr(AT24, "clock", made.clock)
    exec(compile(program, "README.md", "exec"), {})  # noqa: S102 - our own page
    assert capsys.readouterr().out == "2\n"
    assert made.driver.read().record.startswith("greenhouse-carrier 0017 {")


# The model


def test_the_models_pages_roll_over() -> None:
    made = Setup()
    made.bus.transfer(0x50, [Write(bytes((0x06, 1, 2, 3, 4)))])
    assert bytes(made.chip.memory[:8]) == bytes((3, 4)) + b"Y1\x00\x00" + bytes((1, 2))


def test_the_model_is_deaf_while_it_writes() -> None:
    made = Setup()
    made.chip.write(bytes((0x80, 1)))
    with pytest.raises(Nack):
        made.chip.read(1)


def test_the_models_world_takes_no_record_that_does_not_fit() -> None:
    made = Setup()
    with pytest.raises(WorldError, match="more than the memory holds"):
        made.rig.world.set("board.record", "x" * 200)
