"""The injector's firmware: its part on I2C with every fault, its words, its plans in time."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hil.modelled_board import ModelledBoard
from hypothesis import given
from hypothesis import strategies as st

from firmware.injector import PROTOCOL, pinout
from firmware.injector.chip import FLIP, KINDS, RESET, STICK, STRETCH, Chip
from firmware.injector.core import QUIET_MS, Core, shifted
from firmware.injector.peers import Noise, Speaker, bounces
from firmware.injector.protocol import LONGEST_LINE

FIRMWARE = Path(__file__).parents[2] / "hil" / "firmware"
BENCH = FIRMWARE.with_name("bench")


def written(chip: Chip, data: bytes) -> None:
    chip.begin_write()
    for byte in data:
        chip.take(byte)


def read(chip: Chip, pointer: bytes, length: int) -> bytes:
    written(chip, pointer)
    chip.begin_read()
    data = bytes(chip.give() for _ in range(length))
    chip.end_read()
    return data


# A part on I2C


def test_bytes_behind_a_pointer_are_read_round_the_end() -> None:
    chip = Chip(4)
    chip.load(0, b"\x01\x02\x03\x04")
    assert read(chip, b"\x02", 4) == b"\x03\x04\x01\x02"
    written(chip, b"\x01\xaa\xbb")
    assert read(chip, b"\x00", 4) == b"\x01\xaa\xbb\x04"


def test_words_behind_a_pointer_that_stays() -> None:
    chip = Chip(8, word=2)
    chip.load(0, bytes(range(8)))
    assert read(chip, b"\x02", 3) == b"\x04\x05\x04"
    written(chip, b"\x03\x12\x34")
    assert read(chip, b"\x03", 2) == b"\x12\x34"


def test_a_pointer_of_two_bytes_and_pages_that_roll_over() -> None:
    chip = Chip(512, pointer_bytes=2, page=8)
    written(chip, b"\x01\x06abcd")
    assert read(chip, b"\x01\x00", 8) == b"cd\x00\x00\x00\x00ab"


@given(st.binary(min_size=1, max_size=1), st.binary(min_size=1, max_size=1))
def test_bits_that_may_not_be_changed_are_not(mask: bytes, byte: bytes) -> None:
    chip = Chip(1)
    chip.load(0, b"\x5a")
    chip.protect(0, mask)
    written(chip, b"\x00" + byte)
    assert chip.memory[0] == 0x5A & ~mask[0] | byte[0] & mask[0]


def test_a_flip_strikes_the_byte_and_the_reads_it_is_meant_for() -> None:
    chip = Chip(4)
    chip.fault(FLIP, byte=1, value=7, count=2)
    assert [read(chip, b"\x00", 3) for _ in range(3)] == [b"\0\x80\0", b"\0\x80\0", b"\0\0\0"]
    assert chip.struck == 2


def test_a_stuck_line_is_every_byte_until_it_is_taken_away() -> None:
    chip = Chip(4)
    chip.fault(STICK, value=0xFF)
    assert read(chip, b"\x00", 3) == b"\xff\xff\xff"
    chip.fault(0)
    assert read(chip, b"\x00", 3) == b"\0\0\0"


def test_a_reset_in_the_middle_of_a_read_is_silence_and_the_power_on_state() -> None:
    chip = Chip(4)
    chip.load(0, b"\x01\x02\x03\x04")
    chip.put(0, b"\x0a\x0b\x0c\x0d")
    chip.fault(RESET, byte=2, count=1)
    assert read(chip, b"\x00", 4) == b"\x0a\x0b\xff\xff"
    assert read(chip, b"\x00", 4) == b"\x01\x02\x03\x04"


def test_a_stretched_clock_says_how_long_before_its_byte() -> None:
    chip = Chip(4)
    chip.fault(STRETCH, byte=1, value=40_000)
    chip.begin_read()
    held = []
    for _ in range(3):
        chip.give()
        held.append(chip.stretch_us)
        chip.stretch_us = 0
    assert held == [0, 40_000, 0]


# Words


class Desk:
    """A core, and somebody who speaks to it."""

    def __init__(self, *, greeted: bool = True) -> None:
        self.board = ModelledBoard()
        self.core = Core(self.board)
        self._number = 0
        if greeted:
            self.say(f"hello protocol={PROTOCOL}")

    def say(self, words: str) -> dict[str, Any]:
        self._number += 1
        answer: dict[str, Any] = json.loads(self.core.line(f"{self._number} {words}"))
        assert answer["n"] == self._number
        return answer

    def later(self, ms: int) -> None:
        self.board.now_ms += ms
        self.core.poll()


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_the_handshake_says_who_it_is() -> None:
    answer = Desk(greeted=False).say("hello protocol=1")
    assert answer["ok"]
    assert (answer["what"], answer["protocol"]) == ("leyden-injector", 1)
    assert answer["serial"] == "e6614c311b7e9b2c"
    assert "i2c.fault" in answer["words"]


def test_another_protocol_is_refused_with_what_to_do() -> None:
    answer = Desk(greeted=False).say("hello protocol=2")
    assert answer["error"] == ("protocol: found 2, expected 1; flash the firmware of this release")


def test_nothing_is_done_before_the_handshake() -> None:
    desk = Desk(greeted=False)
    assert desk.say("power rail=pi on=0")["error"] == "expected hello protocol=1 first"
    assert desk.board.power_on["pi"]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("i2c.brake", "found i2c.brake, expected one of hello, "),
        ("i2c.attach", "found no address, expected a number"),
        ("i2c.attach address=0x99", "address: found 153, expected 8 to 119"),
        ("i2c.attach address=warm", "address: found warm, expected a number"),
        ("i2c.attach address=8 adress=9", "found adress, which this word does not know"),
        ("i2c.attach address=8 address=9", "found address=9, expected each value once"),
        ("i2c.attach address", "found address, expected each value once as name=value"),
        ("i2c.load data=4b0", "data: found 4b0, expected hexadecimal pairs"),
        ("i2c.load data=4b00", "found 2 bytes at 0, expected them within 1"),
        ("i2c.load", "found no data, expected bytes such as 4b00"),
        ("i2c.fault kind=bit", "kind: found bit, expected one of flip, nack, none, "),
        ("i2c.fault kind=nack", "found no part, expected i2c.attach before"),
        ("pin.bounce pin=in0 level=1 us=1,b", "us: found 1,b, expected numbers such as 800,200"),
    ],
)
def test_what_cannot_be_is_refused_in_words(desk: Desk, words: str, error: str) -> None:
    answer = desk.say(words)
    assert not answer["ok"]
    assert answer["error"].startswith(error)


@pytest.mark.parametrize("line", ["", "hello", "x hello", "1", "12"])
def test_what_is_no_line_is_refused(line: str) -> None:
    answer = json.loads(Core(ModelledBoard()).line(line))
    assert not answer["ok"]
    assert "a number, a word and values" in answer["error"]


def test_a_line_that_is_too_long_is_refused(desk: Desk) -> None:
    answer = json.loads(desk.core.line("1 uart.say data=" + "00" * LONGEST_LINE))
    assert answer["error"] == f"found {16 + 2 * LONGEST_LINE} characters, expected 1024 at most"


@given(st.text(max_size=60))
def test_no_line_at_all_stops_it(line: str) -> None:
    json.loads(Core(ModelledBoard()).line(line))


def test_a_part_is_attached_filled_and_read_back(desk: Desk) -> None:
    desk.say("i2c.attach address=0x48 size=8 word=2")
    desk.say("i2c.load at=0 data=158000004b005000")
    desk.say("i2c.put at=0 data=1900")
    assert desk.say("i2c.dump length=4")["data"] == "19000000"
    desk.say("i2c.power")
    assert desk.say("i2c.dump length=4")["data"] == "15800000"
    assert desk.say("status")["address"] == 0x48
    desk.say("i2c.detach")
    assert desk.board.parts == {}


def test_a_part_that_refuses_its_address_is_back_by_itself(desk: Desk) -> None:
    desk.say("i2c.attach address=0x48 size=8")
    desk.say("i2c.fault kind=nack ms=100")
    assert desk.board.parts == {}
    desk.later(99)
    assert desk.board.parts == {}
    desk.later(1)
    assert list(desk.board.parts) == [0x48]


def test_a_line_that_is_held_is_released_in_time(desk: Desk) -> None:
    desk.say("i2c.hold line=sda ms=200")
    assert desk.say("status")["sda"] == 0
    desk.later(200)
    assert desk.say("status")["sda"] == 1


def test_power_is_cut_for_a_while(desk: Desk) -> None:
    desk.say("power rail=pi on=0 ms=3000")
    assert desk.board.power_on == {"pi": False, "sensors": True}
    desk.later(3000)
    assert desk.board.power_on["pi"]


def test_a_host_that_is_gone_leaves_nothing_broken(desk: Desk) -> None:
    desk.say("power rail=pi on=0")
    desk.say("i2c.hold line=scl")
    desk.later(QUIET_MS)
    assert desk.board.held == {"scl"}
    desk.later(1)
    assert desk.board.held == set()
    assert desk.board.power_on["pi"]
    assert desk.say("status")["error"] == "expected hello protocol=1 first"


def test_a_host_may_ask_for_more_patience() -> None:
    desk = Desk(greeted=False)
    desk.say("hello protocol=1 quiet_ms=3600000")
    desk.say("power rail=pi on=0")
    desk.later(3_599_000)
    assert not desk.board.power_on["pi"]


def test_a_serial_peer_speaks_is_silent_babbles_and_breaks(desk: Desk) -> None:
    desk.say("uart.open speed=9600")
    desk.say("uart.every data=424d ms=1000")
    desk.later(0)
    desk.later(2500)  # late: not caught up in a burst
    assert desk.board.said == b"BMBM"
    desk.say("uart.silence")
    desk.later(5000)
    assert desk.board.said == b"BMBM"
    desk.say("uart.garbage count=3 seed=1")
    assert desk.board.said[4:] == Noise(1).bytes(3)
    desk.say("uart.break ms=20")
    assert desk.board.told[-1] == ("uart_break", True)
    desk.later(20)
    assert desk.board.told[-1] == ("uart_break", False)
    desk.board.heard = b"\x42"
    assert desk.say("uart.heard")["data"] == "42"
    desk.say("uart.say data=00ff")
    assert desk.board.said.endswith(b"\x00\xff")


def test_a_part_on_spi_answers_late_or_not_at_all(desk: Desk) -> None:
    desk.say("spi.answer data=80ff shift=1")
    assert desk.board.told[-2:] == [("spi_answer", b"\x40\x7f"), ("spi_state", "answer")]
    desk.say("spi.state state=high")
    assert desk.board.told[-1] == ("spi_state", "high")
    assert desk.say("spi.seen")["data"] == "0180"
    assert shifted(b"\xff\x00", 0) == b"\xff\x00"


def test_lines_are_driven_bounced_and_watched(desk: Desk) -> None:
    desk.say("pin.set pin=in0 level=1")
    desk.say("pin.set pin=in0 level=z")
    assert desk.board.told[-2:] == [("pin_set", "in0", 1), ("pin_float", "in0")]
    assert desk.say("pin.bounce pin=in1 level=1 us=300,100")["edges"] == 3
    assert desk.board.told[-1] == ("pin_play", "in1", [(1, 300), (0, 100), (1, 0)])
    desk.say("pin.pulses pin=in0 count=2 half_us=500")
    assert desk.board.told[-1] == ("pin_play", "in0", [(1, 500), (0, 500), (1, 500), (0, 500)])
    desk.board.edges["out1"] = 7
    answer = desk.say("pin.read pin=out1")
    assert (answer["level"], answer["edges"]) == (1, 7)


@given(st.integers(0, 1), st.lists(st.integers(1, 10_000), min_size=1, max_size=9))
def test_a_contact_that_bounces_ends_where_it_should(level: int, gaps: list[int]) -> None:
    plan = bounces(level, gaps)
    levels = [each for each, _ in plan]
    assert levels[0] == levels[-1] == level
    assert all(a != b for a, b in itertools.pairwise(levels)), "each is an edge"
    desk = Desk()
    us = ",".join(map(str, gaps))
    assert desk.say(f"pin.bounce pin=in0 level={level} us={us}")["edges"] == len(plan)


def test_a_speaker_is_silent_until_told() -> None:
    assert Speaker().due(10_000) == b""


# The bench's drawing

LABELS = {
    "SDA": "SDA", "SCL": "SCL", "HOLD_SDA": "holds SDA low", "HOLD_SCL": "holds SCL low",
    "UART_TX": "TX", "UART_RX": "RX", "SPI_MISO": "MISO", "SPI_CS": "CS", "SPI_SCK": "SCK",
    "SPI_MOSI": "MOSI", "IN0": "in0", "IN1": "in1", "OUT0": "out0", "OUT1": "out1",
    "POWER_PI": "Pi on", "POWER_SENSORS": "sensors on",
}  # fmt: skip


def test_the_drawing_and_the_table_have_the_pins_of_the_firmware() -> None:
    pins = {name: value for name, value in vars(pinout).items() if name.isupper()}
    assert set(pins) == set(LABELS)
    drawing = (BENCH / "wiring.svg").read_text("utf-8")
    drawn = dict(re.findall(r">GP(\d+)  ([^<]+)<", drawing))
    assert drawn == {str(pins[name]): label for name, label in LABELS.items()}
    table = set(re.findall(r"GP(\d+)", (BENCH / "README.md").read_text("utf-8")))
    assert table == set(drawn)


def test_every_word_is_in_the_readme_with_its_fault_kinds() -> None:
    readme = (FIRMWARE / "README.md").read_text("utf-8")
    words = Desk(greeted=False).say("hello protocol=1")["words"]
    assert [word for word in words if f"`{word}`" not in readme] == []
    assert [kind for kind in KINDS if f"| `{kind}` |" not in readme] == []


# On the microcontroller's own Python


MICROPYTHON = shutil.which("micropython")
NO_MICROPYTHON = "no MicroPython on this machine; CPython runs the same code in the tests above"
NO_ALLOCATION = """
import micropython, sys
sys.path.insert(0, {path!r})
from injector.chip import KINDS, Chip
from injector.core import Core
chip = Chip(64, 2, 0, 8)
word = Chip(8, 1, 2, 0)
parts = [chip, word]
for kind in KINDS.values():
    chip.fault(kind, 1, 3, 5)
    word.fault(kind, 1, 3, 5)
    micropython.heap_lock()
    for each in parts:
        each.begin_write()
        each.take(1)
        each.take(2)
        each.take(0x55)
        each.begin_read()
        each.give()
        each.give()
        each.give()
        each.end_read()
    micropython.heap_unlock()
print("ok")
"""


@pytest.mark.skipif(MICROPYTHON is None, reason=NO_MICROPYTHON)
def test_what_runs_in_an_interrupt_allocates_nothing() -> None:
    code = NO_ALLOCATION.format(path=str(FIRMWARE))
    run = subprocess.run(
        [str(MICROPYTHON), "-c", code], capture_output=True, text=True, check=False
    )
    assert run.stdout == "ok\n", run.stderr + run.stdout
