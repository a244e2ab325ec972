"""Chip models: what a part does at the far end of a wire, one base class for each kind of wire.

A model senses the world and answers bytes. It is written from the datasheet, not from the driver:
it turns quantities into raw codes, the driver turns raw codes into quantities. Faults are not its
business; they live on the wire.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, TypeAlias

from leyden.hal.mock.curves import seed_of, uniform
from leyden.hal.mock.world import Source, World
from leyden.hal.registers import Register, registers_of
from leyden.kernel import NS, Clock


class Nack(Exception):  # noqa: N818 - the field's word for it; a chip's answer, not an error
    """Raised by a model that does not acknowledge."""


class Chip:
    """Anything at the far end of a wire.

    Args:
        world: where its surroundings are; declare them with `world.signal(f"{name}.…", …)`.
        name: the device id of the configuration.
        options: the driver's OPTIONS as configured.
        clock: the time by which conversions finish.
    """

    kind: ClassVar[str] = ""  # "i2c", "spi", "uart" or "gpio"

    def __init__(self, world: World, name: str, options: Any, clock: Clock) -> None:
        self.world = world
        self.name = name
        self.options = options
        self.clock = clock

    def power_on(self) -> None:
        """Go to the state after power-on; called at the beginning and after each loss of power."""

    def catch_up(self) -> None:
        """Do what time has brought since the last call, such as finishing a conversion.

        Called before each transfer, never between two bytes of one.
        """


class I2cChip(Chip):
    """A target on I2C; `address` is taken from the options."""

    kind = "i2c"

    def __init__(self, world: World, name: str, options: Any, clock: Clock) -> None:
        super().__init__(world, name, options, clock)
        self.address: int = options.address

    def write(self, data: bytes) -> None:
        """Take bytes that were written; raise `Nack` to refuse them."""
        raise Nack

    def read(self, length: int) -> bytes:
        """Return bytes that are read; raise `Nack` to refuse the address."""
        raise Nack


Position: TypeAlias = tuple[int, int]  # register address, byte within a whole-register address


class RegisterChip(I2cChip):
    """A target whose memory is a map of registers, reached through a pointer.

    Mix it after the map: `class Chip(Bme280Registers, RegisterChip)`. The model itself sets
    registers as attributes, read-only ones too: `self.temp_result = 3`.

    Class attributes say how the part addresses its memory:
        word_registers: each address holds one whole register of any width (as on a TMP117), rather
            than one byte.
        auto_increment: the pointer moves on to the next address while reading or writing.
        write_pairs: a write is a row of (address, value) pairs (as on a BME280), rather than one
            address followed by values.
        unmapped: what addresses without a register read as.
    """

    word_registers: ClassVar[bool] = False
    auto_increment: ClassVar[bool] = True
    write_pairs: ClassVar[bool] = False
    unmapped: ClassVar[int] = 0x00
    pointer_size: ClassVar[int] = 1

    def __init__(self, world: World, name: str, options: Any, clock: Clock) -> None:
        super().__init__(world, name, options, clock)
        self._bytes: dict[Position, int] = {}
        self._pointer = 0
        self._owners = self._layout()
        self.restore()

    def power_on(self) -> None:
        """Put every register at its reset value and the pointer at 0."""
        self.restore()

    def restore(self) -> None:
        """Put every register at its reset value and the pointer at 0."""
        self._pointer = 0
        for register in registers_of(type(self)):
            self.write_register(register, register.reset)

    # What a model overrides.

    def on_read(self, register: Register) -> int:
        """Return what the bus reads of a register; called once, at its first byte.

        A register declared "rc" is cleared by it, a write-only one reads as 0.
        """
        if register.access == "wo":
            return 0
        value = self.read_register(register)
        if register.access == "rc":
            self.write_register(register, 0)
        return value

    def on_write(self, register: Register, value: int) -> None:
        """Take what the bus writes to a register; called once its bytes are there."""
        if register.access in ("rw", "wo"):
            self.write_register(register, value)

    # The model's own access, through the attributes of the map.

    def read_register(self, register: Register) -> int:
        """Return a register's unsigned value from memory."""
        places = self._places(register)
        return register.decode(bytes(self._bytes.get(place, 0) for place in places))

    def write_register(self, register: Register, value: int) -> None:
        """Set a register's unsigned value in memory, whatever its access."""
        self._bytes.update(zip(self._places(register), register.encode(value), strict=True))

    # What the bus calls.

    def write(self, data: bytes) -> None:
        """Take a pointer, and the values after it."""
        if self.write_pairs:
            self._write_pairs(data)
            return
        if len(data) < self.pointer_size:
            return
        self._pointer = int.from_bytes(data[: self.pointer_size], "big")
        if len(data) > self.pointer_size:
            self._pointer = self._write_run(self._pointer, data[self.pointer_size :])

    def read(self, length: int) -> bytes:
        """Return `length` bytes from the pointer on."""
        answer = bytearray()
        position = (self._pointer, 0)
        while len(answer) < length:
            chunk, position = self._read_from(position)
            answer += chunk
        if self.auto_increment and not self.word_registers:
            position = (self._pointer + length, 0)
        self._pointer = position[0] & self._last_pointer
        return bytes(answer[:length])

    @property
    def _last_pointer(self) -> int:
        return (1 << 8 * self.pointer_size) - 1

    def _layout(self) -> dict[Position, tuple[Register, int]]:
        # Where registers overlap, the narrower one answers for the byte.
        owners: dict[Position, tuple[Register, int]] = {}
        for register in sorted(registers_of(type(self)), key=lambda r: -r.width):
            for index, place in enumerate(self._places(register)):
                owners[place] = (register, index)
        return owners

    def _places(self, register: Register) -> Sequence[Position]:
        if self.word_registers:
            return [(register.address, index) for index in range(register.size)]
        return [(register.address + index, 0) for index in range(register.size)]

    def _following(self, position: Position, register: Register | None, count: int) -> Position:
        address, _ = position
        if self.word_registers or register is None:
            return (address + 1 if self.auto_increment else address, 0)
        return (address + count if self.auto_increment else address, 0)

    def _read_from(self, position: Position) -> tuple[bytes, Position]:
        """Return the bytes of the register at `position` from there on, and where to go on."""
        owner = self._owners.get((position[0] & self._last_pointer, position[1]))
        if owner is None:
            return bytes((self.unmapped,)), self._following(position, None, 1)
        register, index = owner
        if index == 0:
            data = register.encode(self.on_read(register))
        else:  # begun in the middle: no side effects
            data = register.encode(self.read_register(register))[index:]
        if not self.auto_increment and not self.word_registers:
            data = data[:1]
        return data, self._following(position, register, len(data))

    def _write_run(self, address: int, data: bytes) -> int:
        """Write bytes from `address` on; return where the pointer ends."""
        position: Position = (address, 0)
        while data:
            owner = self._owners.get(position)
            if owner is None:
                data, position = data[1:], self._following(position, None, 1)
                continue
            register, index = owner
            count = min(len(data), register.size - index)
            self._write_part(register, index, data[:count])
            position = self._following(position, register, count)
            data = data[count:]
        return position[0] & self._last_pointer

    def _write_part(self, register: Register, index: int, data: bytes) -> None:
        whole = bytearray(register.encode(self.read_register(register)))
        whole[index : index + len(data)] = data
        self.on_write(register, register.decode(bytes(whole)))

    def _write_pairs(self, data: bytes) -> None:
        if data:
            self._pointer = data[0]
        for address, value in zip(data[::2], data[1::2], strict=False):
            self._write_run(address, bytes((value,)))
            self._pointer = address


class SpiChip(Chip):
    """A target on SPI; `chip_select` is taken from the options."""

    kind = "spi"
    modes: ClassVar[tuple[int, ...]] = (0,)  # clock modes it understands
    max_speed_hz: ClassVar[int] = 1_000_000

    def __init__(self, world: World, name: str, options: Any, clock: Clock) -> None:
        super().__init__(world, name, options, clock)
        self.chip_select: int = options.chip_select

    def exchange(self, data: bytes) -> bytes:
        """Return the bytes clocked out while `data` is clocked in; equal lengths."""
        return bytes(len(data))


class UartChip(Chip):
    """A part on a serial line, that speaks by itself, when asked, or both."""

    kind = "uart"
    speed_bd: ClassVar[int] = 9600

    def __init__(self, world: World, name: str, options: Any, clock: Clock) -> None:
        super().__init__(world, name, options, clock)
        self.period_s: float | None = None  # distance of frames sent unasked; None: only asked
        self.first_s = 0.0  # from power-on to the first of them

    def frame(self, at_ns: int) -> bytes:
        """Return the frame whose first bit leaves at the monotonic time `at_ns`.

        Sense the world at that time, `source.number(at_ns)`: a frame may be read long after.
        """
        return b""

    def hear(self, data: bytes) -> bytes:
        """Take bytes that were sent to the part; return what it answers at once."""
        return b""


Change: TypeAlias = tuple[int, bool]  # monotonic ns, level from then on


class LineChip(Chip):
    """Whatever is connected to GPIO lines: a switch, a relay, a flow meter. Levels are physical."""

    kind = "gpio"

    def __init__(self, world: World, name: str, options: Any, clock: Clock) -> None:
        super().__init__(world, name, options, clock)
        self.lines: tuple[int, ...] = ()  # a model names the lines it is connected to

    def level(self, line: int, at_ns: int) -> bool | None:
        """Return the level it drives a line to; None where it leaves the line alone."""
        return None

    def changes(self, line: int, after_ns: int, until_ns: int) -> Sequence[Change]:
        """Return each change of its level in (after, until], oldest first."""
        return ()

    def driven(self, line: int, level: bool | None) -> None:
        """Notice that the host drives a line; None when it lets go."""


class Contact:
    """A mechanical contact that follows a bool of the world and bounces.

    Args:
        source: true while the contact gives a high level.
        bounce_s: how long it bounces after each change; 0 for a clean one.
        bounces: how many extra pairs of edges that makes.
    """

    def __init__(self, source: Source, bounce_s: float = 0.0, bounces: int = 4) -> None:
        self._source = source
        self._bounce_ns = round(bounce_s * NS)
        self._bounces = bounces
        self._seed = seed_of(0, f"{source.name}.bounce")

    def level(self, at_ns: int) -> bool:
        """Return the level at a time, bounces included."""
        changes = self.changes(at_ns - self._bounce_ns - 1, at_ns)
        return changes[-1][1] if changes else self._source.flag(at_ns)

    def changes(self, after_ns: int, until_ns: int) -> list[Change]:
        """Return each change in (after, until], bounces included, oldest first."""
        clean = self._source.changes(after_ns - self._bounce_ns, until_ns)
        ragged = [edge for at, value in clean for edge in self._bounced(at, bool(value))]
        return sorted(edge for edge in ragged if after_ns < edge[0] <= until_ns)

    def _bounced(self, at_ns: int, level: bool) -> list[Change]:
        edges: list[Change] = [(at_ns, level)]
        if not self._bounce_ns:
            return edges
        count = 2 * self._bounces
        times = sorted(int(uniform(self._seed + at_ns, i) * self._bounce_ns) for i in range(count))
        return edges + [
            (at_ns + 1 + i + time, level if i % 2 else not level) for i, time in enumerate(times)
        ]
