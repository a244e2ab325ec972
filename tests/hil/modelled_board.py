"""A microcontroller that is a record of what it was told, and an I2C bus with its part on it."""

from __future__ import annotations

import os
import select
import threading
import tty
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from firmware.injector.chip import Chip
from firmware.injector.core import Core
from leyden.hal.i2c import Message, Write, bus_stuck, check_messages, no_answer


class ModelledBoard:
    """Has what `core` asks of a board; time is set by hand."""

    name = "modelled"

    def __init__(self) -> None:
        self.now_ms = 0
        self.told: list[tuple[Any, ...]] = []
        self.parts: dict[int, Chip] = {}
        self.held: set[str] = set()
        self.said = b""
        self.heard = b""
        self.power_on = {"pi": True, "sensors": True}
        self.edges = {"out0": 0, "out1": 0}

    def serial(self) -> str:
        return "e6614c311b7e9b2c"

    def ticks_ms(self) -> int:
        return self.now_ms

    def i2c_attach(self, address: int, chip: Chip) -> None:
        self.parts = {address: chip}

    def i2c_detach(self) -> None:
        self.parts = {}

    def hold_low(self, line: str) -> None:
        self.held.add(line)

    def release(self, line: str) -> None:
        self.held.discard(line)

    def line_level(self, line: str) -> int:
        return int(line not in self.held)

    def spi_answer(self, data: bytes) -> None:
        self.told.append(("spi_answer", data))

    def spi_state(self, state: str) -> None:
        self.told.append(("spi_state", state))

    def spi_seen(self) -> bytes:
        return b"\x01\x80"

    def uart_open(self, speed: int) -> None:
        self.told.append(("uart_open", speed))

    def uart_write(self, data: bytes) -> None:
        self.said += data

    def uart_read(self) -> bytes:
        heard, self.heard = self.heard, b""
        return heard

    def uart_break(self, on: bool) -> None:
        self.told.append(("uart_break", on))

    def pin_set(self, name: str, level: int) -> None:
        self.told.append(("pin_set", name, level))

    def pin_float(self, name: str) -> None:
        self.told.append(("pin_float", name))

    def pin_play(self, name: str, plan: list[tuple[int, int]]) -> None:
        self.told.append(("pin_play", name, plan))

    def pin_read(self, name: str) -> int:
        return 1

    def pin_edges(self, name: str) -> int:
        return self.edges[name]

    def power(self, rail: str, on: bool) -> None:
        self.power_on[rail] = on


class ModelledWire:
    """The I2C bus with the injector as its only part, and the errors of a Pi's controller."""

    name = "i2c1"
    timeout_us = 35_000  # of the controller, for a clock that is held

    def __init__(self, board: ModelledBoard) -> None:
        self._board = board

    def transfer(
        self, address: int, messages: Sequence[Message], *, deadline: int | None = None
    ) -> list[bytes]:
        check_messages(address, messages)
        if self._board.held:
            raise bus_stuck(self.name, address)
        chip = self._board.parts.get(address)
        if chip is None:
            raise no_answer(self.name, address)
        answers = []
        for message in messages:
            if isinstance(message, Write):
                chip.begin_write()
                for byte in message.data:
                    chip.take(byte)
            else:
                answers.append(self._read(chip, address, message.length))
        return answers

    def _read(self, chip: Chip, address: int, length: int) -> bytes:
        chip.begin_read()
        data = bytearray()
        for _ in range(length):
            data.append(chip.give())
            held_us, chip.stretch_us = chip.stretch_us, 0
            if held_us > self.timeout_us:
                raise bus_stuck(self.name, address)
        chip.end_read()
        return bytes(data)


class Firmware:
    """The firmware's core behind a pseudo-terminal, in place of a USB port."""

    def __init__(self, board: ModelledBoard, *, banner: bytes = b"") -> None:
        self.board = board
        self.core = Core(board)
        self.deaf = False
        self._host, self._device = os.openpty()
        tty.setraw(self._device)
        self.path = os.ttyname(self._device)
        self._ended = threading.Event()
        self._banner = banner
        self._thread = threading.Thread(target=self._serve, name="firmware", daemon=True)

    def __enter__(self) -> Firmware:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        os.close(self._host)
        os.close(self._device)

    def _serve(self) -> None:
        rest = b""
        while not self._ended.is_set():
            self.core.poll()
            readable, _, _ = select.select([self._host], [], [], 0.01)
            if not readable:
                continue
            rest += os.read(self._host, 4096)
            *lines, rest = rest.split(b"\n")
            for line in lines:
                if not self.deaf:
                    answer = self.core.line(line.decode()).encode()
                    os.write(self._host, self._banner + answer + b"\n")
