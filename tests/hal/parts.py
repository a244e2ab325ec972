"""Parts that the tests of the hardware layer share: small chips, and what far ends they have."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from leyden.hal import I2cRegisters, Register
from leyden.hal.mock.chip import Contact, LineChip, RegisterChip, SpiChip, UartChip
from leyden.hal.mock.world import World
from leyden.kernel import NS, Clock

ADDRESS = 0x48


@dataclass(frozen=True, slots=True)
class Options:
    """The options of every part here."""

    address: int = ADDRESS
    chip_select: int = 0
    line: int = 17


class Mode(IntEnum):
    CONTINUOUS = 0
    SHUTDOWN = 1
    ONE_SHOT = 3


class ThermoRegisters:
    """Laid out like a TMP117: whole registers of 16 bits at each address."""

    temp_result = Register(0x00, width=16, reset=0x8000, access="ro", signed=True)
    configuration = Register(0x01, width=16, reset=0x0220)
    alarms = Register(0x05, width=16, access="rc")
    secret = Register(0x06, width=16, access="wo")
    device_id = Register(0x0F, width=16, reset=0x0117, access="ro")

    data_ready = configuration.flag(13)
    mode = configuration.choice(11, 10, Mode)
    average = configuration.bits(6, 5)
    trim = configuration.bits(4, 2, signed=True)


class ThermoPort(ThermoRegisters, I2cRegisters):
    """The thermometer's registers over the bus."""


class ThermoChip(ThermoRegisters, RegisterChip):
    """A thermometer that converts whenever it is asked."""

    word_registers = True
    auto_increment = False

    def __init__(self, world: World, name: str, options: Any, clock: Clock) -> None:
        super().__init__(world, name, options, clock)
        self.power_ons = 0
        self._temperature = world.signal(
            f"{name}.temperature", 21.0, unit="Cel", minimum=-40.0, maximum=85.0
        )

    def power_on(self) -> None:
        super().power_on()
        self.power_ons += 1

    def catch_up(self) -> None:
        self.temp_result = round(self._temperature.number() * 128)


class InvertingChip(SpiChip):
    """Answers every byte with its complement."""

    max_speed_hz = 2_000_000

    def exchange(self, data: bytes) -> bytes:
        return bytes(byte ^ 0xFF for byte in data)


class FarEnd(UartChip):
    """The other end of a serial line, as a test sees it."""

    TICK_S = 0.01

    def __init__(self, world: World, name: str, options: Any, clock: Clock) -> None:
        super().__init__(world, name, options, clock)
        self.heard = b""
        self.queue: deque[bytes] = deque()

    def power_on(self) -> None:
        self.queue.clear()
        self.period_s = self.TICK_S
        self.first_s = 0.0

    def frame(self, at_ns: int) -> bytes:
        return self.queue.popleft() if self.queue else b""

    def hear(self, data: bytes) -> bytes:
        self.heard += data
        return data[::-1] if data.startswith(b"?") else b""


class FrameChip(UartChip):
    """Sends its number and the time in seconds, eight bytes, each second."""

    def power_on(self) -> None:
        self.number = 0
        self.period_s = 1.0
        self.first_s = 0.5

    def frame(self, at_ns: int) -> bytes:
        self.number += 1
        return bytes((0x42, self.number % 256)) + (at_ns // NS).to_bytes(6, "big")


class Switch(LineChip):
    """A contact to the supply, on one line; remembers what the host drives."""

    def __init__(self, world: World, name: str, options: Any, clock: Clock) -> None:
        super().__init__(world, name, options, clock)
        self.lines = (options.line,)
        self.contact = Contact(world.signal(f"{name}.closed", False))
        self.seen: list[bool | None] = []

    def level(self, line: int, at_ns: int) -> bool | None:
        return self.contact.level(at_ns)

    def changes(self, line: int, after_ns: int, until_ns: int) -> list[tuple[int, bool]]:
        return self.contact.changes(after_ns, until_ns)


class Lamp(LineChip):
    """Something that is driven: leaves the line alone and remembers its levels with their times."""

    def __init__(self, world: World, name: str, options: Any, clock: Clock) -> None:
        super().__init__(world, name, options, clock)
        self.lines = (options.line,)
        self.seen: list[tuple[int, bool | None]] = []

    def driven(self, line: int, level: bool | None) -> None:
        self.seen.append((self.clock.monotonic_ns(), level))

    @property
    def levels(self) -> list[bool | None]:
        return [level for _, level in self.seen]
