"""Chip models: memory that behaves on the wire as the datasheet's does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import pytest
from hal.parts import Options, Switch, ThermoChip
from hypothesis import given
from hypothesis import strategies as st

from leyden.hal import Register
from leyden.hal.mock.chip import Contact, I2cChip, Nack, RegisterChip
from leyden.hal.mock.curves import Step
from leyden.hal.mock.world import World
from leyden.kernel import NS, ManualClock

C = TypeVar("C", bound=RegisterChip)


class ByteRegisters:
    """Laid out like a BME280: one byte at each address, words over two."""

    dig_t1 = Register(0x88, width=16, reset=0x6B70, access="ro", byteorder="little")
    chip_id = Register(0xD0, reset=0x60, access="ro")
    status = Register(0xF3, reset=0x09, access="rc")
    ctrl_meas = Register(0xF4)
    config = Register(0xF5)
    temp = Register(0xFA, width=24, reset=0x800000, access="ro")


class ByteChip(ByteRegisters, RegisterChip):
    write_pairs = True
    unmapped = 0x55


class RunChip(ByteRegisters, RegisterChip):
    """The same memory, written in runs."""


@pytest.fixture
def world() -> World:
    return World(ManualClock())


def make(kind: type[C], world: World) -> C:
    return kind(world, "air", Options(), world.clock)


def test_reading_goes_on_from_register_to_register(world: World) -> None:
    chip = make(ByteChip, world)
    chip.write(b"\xf9")
    assert chip.read(5) == bytes((0x55, 0x80, 0x00, 0x00, 0x55))


def test_a_word_can_be_read_from_its_middle(world: World) -> None:
    chip = make(ByteChip, world)
    chip.write(b"\x89")
    assert chip.read(2) == b"\x6b\x55"


def test_the_pointer_stays_where_reading_ended(world: World) -> None:
    chip = make(ByteChip, world)
    chip.write(b"\x88")
    assert chip.read(1) == b"\x70"
    assert chip.read(1) == b"\x6b"


def test_the_pointer_wraps_at_the_end_of_memory(world: World) -> None:
    chip = make(ByteChip, world)
    chip.write(b"\xff")
    chip.read(1)
    assert chip.read(1) == b"\x55"


def test_pairs_are_written_where_each_says(world: World) -> None:
    chip = make(ByteChip, world)
    chip.write(b"\xf5\x10\xf4\x27")
    assert (chip.ctrl_meas, chip.config) == (0x27, 0x10)


def test_runs_are_written_one_after_another(world: World) -> None:
    chip = make(RunChip, world)
    chip.write(b"\xf4\x27\x10")
    assert (chip.ctrl_meas, chip.config) == (0x27, 0x10)


def test_what_is_read_only_stays_and_what_is_not_there_is_ignored(world: World) -> None:
    chip = make(RunChip, world)
    chip.write(b"\xd0\x11\x22")
    assert chip.chip_id == 0x60


def test_reading_clears_what_says_so_once(world: World) -> None:
    chip = make(ByteChip, world)
    chip.write(b"\xf3")
    assert chip.read(1) == b"\x09"
    chip.write(b"\xf3")
    assert chip.read(1) == b"\x00"


def test_words_at_one_address_repeat_without_moving_on(world: World) -> None:
    chip = ThermoChip(world, "air", Options(), world.clock)
    chip.write(b"\x0f")
    assert chip.read(4) == b"\x01\x17\x01\x17"


def test_half_a_word_written_keeps_the_other_half(world: World) -> None:
    chip = ThermoChip(world, "air", Options(), world.clock)
    chip.write(b"\x01\xab")
    assert chip.configuration == 0xAB20


def test_a_write_only_register_reads_as_nothing(world: World) -> None:
    chip = ThermoChip(world, "air", Options(), world.clock)
    chip.write(b"\x06\x12\x34")
    assert chip.secret == 0x1234
    chip.write(b"\x06")
    assert chip.read(2) == b"\x00\x00"


def test_power_on_brings_the_reset_values_back(world: World) -> None:
    chip = make(RunChip, world)
    chip.write(b"\xf4\x27")
    chip.power_on()
    assert chip.ctrl_meas == 0x00
    assert chip.read(1) == b"\x00"


@given(
    address=st.sampled_from([0xF4, 0xF5]),
    data=st.binary(min_size=1, max_size=2),
)
def test_what_is_written_to_memory_is_read_from_it(address: int, data: bytes) -> None:
    chip = make(RunChip, World(ManualClock()))
    chip.write(bytes((address,)) + data)
    chip.write(bytes((address,)))
    kept = data[: 0xF6 - address]
    assert chip.read(len(kept)) == kept


def test_a_bare_chip_does_not_acknowledge(world: World) -> None:
    chip = I2cChip(world, "air", Options(), world.clock)
    with pytest.raises(Nack):
        chip.write(b"\x00")
    with pytest.raises(Nack):
        chip.read(1)


@dataclass(frozen=True)
class Press:
    """A bouncing contact closed at one second and opened at two."""

    world: World
    contact: Contact


@pytest.fixture
def press(world: World) -> Press:
    source = world.signal("door.closed", Step(((0.0, False), (1.0, True), (2.0, False))))
    return Press(world, Contact(source, bounce_s=0.005, bounces=3))


def test_a_contact_bounces_after_each_change_and_then_rests(press: Press) -> None:
    edges = press.contact.changes(0, 3 * NS)
    closing = [edge for edge in edges if edge[0] < 2 * NS]

    assert len(edges) == 2 * 7
    assert closing[0] == (NS, True)
    assert closing[-1][1] is True
    assert all(at <= NS + 6_000_000 for at, _ in closing)
    assert [level for _, level in closing] == [True, False] * 3 + [True]


def test_the_same_press_is_the_same_edges_however_it_is_asked_for(press: Press) -> None:
    at_once = press.contact.changes(0, 3 * NS)
    step = 700_000  # finer than a bounce, so that windows cut through it
    in_parts = [
        edge
        for begin in range(0, 3 * NS, step)
        for edge in press.contact.changes(begin, min(begin + step, 3 * NS))
    ]
    assert in_parts == at_once


def test_between_bounces_the_level_is_the_last_edge(press: Press) -> None:
    for at, level in press.contact.changes(0, 3 * NS):
        assert press.contact.level(at) is level


def test_a_clean_contact_changes_once(world: World) -> None:
    chip = Switch(world, "door", Options(), world.clock)
    clock = world.clock
    assert isinstance(clock, ManualClock)
    clock.advance(1.0)
    world.set("door.closed", True)
    clock.advance(1.0)
    assert chip.changes(17, 0, 2 * NS) == [(NS, True)]
    assert chip.level(17, NS - 1) is False
