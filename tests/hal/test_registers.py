"""Registers: what a field is given it gives back, and nothing beside it moves."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hal.parts import ADDRESS, Mode, Options, ThermoChip, ThermoPort, ThermoRegisters
from hypothesis import given
from hypothesis import strategies as st

from leyden.hal import I2cRegisters, Message, Read, Register, RegisterError, Write, registers_of
from leyden.hal.mock.rig import Rig
from leyden.hal.registers import ByteOrder


class Memory:
    """The smallest port: registers in a dict."""

    def __init__(self) -> None:
        self.cells: dict[int, int] = {}

    def read_register(self, register: Register) -> int:
        return self.cells.get(register.address, register.reset)

    def write_register(self, register: Register, value: int) -> None:
        self.cells[register.address] = value


class ThermoMemory(ThermoRegisters, Memory):
    pass


words = st.integers(0, 0xFFFF)


@given(before=words, high=st.integers(0, 15), low=st.integers(0, 15), data=st.data())
def test_a_field_is_read_as_written_and_its_neighbours_stay(
    before: int, high: int, low: int, data: st.DataObject
) -> None:
    high, low = max(high, low), min(high, low)
    register = Register(0x01, width=16)
    field = register.bits(high, low)
    bits = data.draw(st.integers(0, (1 << (high - low + 1)) - 1))

    after = field.insert(before, bits)

    assert field.extract(after) == bits
    assert after & ~field.mask == before & ~field.mask


@given(before=words, value=st.integers(-4, 3))
def test_a_signed_field_keeps_its_sign_and_its_neighbours(before: int, value: int) -> None:
    port = ThermoMemory()
    port.cells[0x01] = before

    port.trim = value

    assert port.trim == value
    assert port.cells[0x01] & ~0b11100 == before & ~0b11100


@given(before=words, flag=st.booleans(), mode=st.sampled_from(Mode))
def test_flags_and_choices_live_side_by_side(before: int, flag: bool, mode: Mode) -> None:
    port = ThermoMemory()
    port.cells[0x01] = before

    port.data_ready = flag
    port.mode = mode

    assert port.data_ready is flag
    assert port.mode is mode
    assert port.cells[0x01] & 0b1101_0011_1111_1111 == before & 0b1101_0011_1111_1111


@given(number=st.integers(-0x8000, 0x7FFF))
def test_a_signed_register_is_the_number_that_was_put_in(number: int) -> None:
    port = ThermoMemory()
    port.temp_result = number
    assert port.temp_result == number
    assert 0 <= port.cells[0x00] <= 0xFFFF


@given(value=st.integers(0, 0xFFFFFF), order=st.sampled_from(["big", "little"]))
def test_bytes_travel_in_the_order_the_register_says(value: int, order: ByteOrder) -> None:
    register = Register(0xF7, width=24, byteorder=order)
    data = register.encode(value)
    assert register.decode(data) == value
    assert data[0] == (value >> 16 if order == "big" else value & 0xFF)


def test_at_the_class_a_register_is_its_facts() -> None:
    assert ThermoRegisters.device_id.reset == 0x0117
    assert ThermoRegisters.device_id.name == "device_id"
    assert ThermoRegisters.mode.kind is Mode


def test_a_map_lists_its_registers_by_address() -> None:
    names = [register.name for register in registers_of(ThermoChip)]
    assert names == ["temp_result", "configuration", "alarms", "secret", "device_id"]


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: Register(0, width=12), "whole bytes"),
        (lambda: Register(0, reset=0x100), "8 bits"),
        (lambda: Register(0).flag(8), "within 8 bits"),
        (lambda: Register(0).bits(1, 2), "within 8 bits"),
    ],
)
def test_a_register_that_cannot_be_is_refused(made: Callable[[], object], words: str) -> None:
    with pytest.raises(RegisterError, match=words):
        made()


def test_a_number_that_does_not_fit_is_refused() -> None:
    port = ThermoMemory()
    with pytest.raises(RegisterError, match="temp_result, expected -32768 to 32767"):
        port.temp_result = 40_000
    with pytest.raises(RegisterError, match="average, expected 0 to 3"):
        port.average = 4


def test_what_is_encoded_or_inserted_has_to_fit() -> None:
    with pytest.raises(RegisterError, match="found 0x100 for register 0x01, expected 8 bits"):
        Register(0x01).encode(0x100)
    with pytest.raises(RegisterError, match="found 4 for bits 1:0, expected 2 bits"):
        Register(0x01).bits(1, 0).insert(0, 4)


def test_a_field_at_the_class_is_its_facts() -> None:
    assert ThermoRegisters.average.mask == 0x60
    assert ThermoRegisters.data_ready.low == 13
    assert repr(ThermoRegisters.device_id) == "<device_id at 0x0f, 16 bit ro>"


def test_bits_without_a_meaning_are_named() -> None:
    port = ThermoMemory()
    port.cells[0x01] = 2 << 10
    with pytest.raises(RegisterError, match="found 2 in mode, expected one of 0 CONTINUOUS"):
        _ = port.mode


def test_over_i2c_a_read_only_register_is_not_written(rig: Rig) -> None:
    bus = rig.i2c("i2c1")
    port = ThermoPort(bus, ADDRESS)
    with pytest.raises(RegisterError, match="device_id at 0x0f is read-only"):
        port.device_id = 1
    assert bus.transfers == 0


def test_fields_over_i2c_reach_the_chip(rig: Rig) -> None:
    bus = rig.i2c("i2c1")
    chip = rig.plug("i2c1", ThermoChip, "air", Options())
    port = ThermoPort(bus, ADDRESS)

    port.mode = Mode.SHUTDOWN
    port.average = 3

    assert chip.mode is Mode.SHUTDOWN
    assert chip.average == 3
    assert port.device_id == 0x0117
    assert port.temp_result == 21 * 128


def test_a_write_only_register_is_remembered_not_read(rig: Rig) -> None:
    bus = rig.i2c("i2c1")
    chip = rig.plug("i2c1", ThermoChip, "air", Options())
    port = ThermoPort(bus, ADDRESS)

    port.secret = 0x1234

    assert chip.secret == 0x1234
    transfers = bus.transfers
    assert port.secret == 0x1234
    assert bus.transfers == transfers


def test_a_wide_pointer_is_sent_whole() -> None:
    sent: list[object] = []

    class Bus:
        name = "i2c1"

        def transfer(
            self, address: int, messages: Sequence[Message], *, deadline: int | None = None
        ) -> list[bytes]:
            sent.append((address, tuple(messages)))
            return [b"\x12"]

    class Port(I2cRegisters):
        pointer_size = 2
        status = Register(0x0123)

    assert Port(Bus(), 0x29).status == 0x12
    assert sent == [(0x29, (Write(b"\x01\x23"), Read(1)))]
