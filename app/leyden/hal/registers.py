"""Registers and their fields as class attributes, so that a driver reads like the datasheet.

A map of registers holds facts only. Mixed with a port it reaches the chip over a bus; mixed with a
chip model it is the chip's own memory:

    class Tmp117Registers:
        configuration = Register(0x01, width=16, reset=0x0220)
        mode = configuration.choice(11, 10, Mode)
        data_ready = configuration.flag(13)

    class Port(Tmp117Registers, I2cRegisters): ...

    Port(bus, 0x48).mode = Mode.SHUTDOWN   # reads, changes two bits, writes
"""

from __future__ import annotations

from enum import IntEnum
from typing import Generic, Literal, Protocol, TypeAlias, TypeVar, overload

from leyden.hal.errors import RegisterError
from leyden.hal.i2c import I2cBus, Read, Write

Access: TypeAlias = Literal["rw", "ro", "wo", "rc"]  # rc: reading clears it
ByteOrder: TypeAlias = Literal["big", "little"]


class RegisterPort(Protocol):
    """Whatever registers can be reached through: a bus, or a chip model's memory."""

    def read_register(self, register: Register) -> int:
        """Return the unsigned value of a register."""
        ...

    def write_register(self, register: Register, value: int) -> None:
        """Set the unsigned value of a register."""
        ...


class Register:
    """One register: address, width in bits, reset value, access, and how its bytes are ordered."""

    def __init__(
        self,
        address: int,
        width: int = 8,
        reset: int = 0,
        access: Access = "rw",
        *,
        signed: bool = False,
        byteorder: ByteOrder = "big",
    ) -> None:
        if width <= 0 or width % 8:
            raise RegisterError(f"found a register of {width} bits, expected whole bytes")
        if not 0 <= reset < 1 << width:
            raise RegisterError(f"found reset value {reset:#x}, expected one of {width} bits")
        self.address = address
        self.width = width
        self.reset = reset  # unsigned, as the datasheet prints it
        self.access: Access = access
        self.signed = signed
        self.byteorder: ByteOrder = byteorder
        self.name = f"register {address:#04x}"

    @property
    def size(self) -> int:
        """Bytes on the wire."""
        return self.width // 8

    def flag(self, bit: int) -> Flag:
        """One bit as a bool; bit 0 is the lowest of the register's value."""
        return Flag(self, bit, bit)

    def bits(self, high: int, low: int, *, signed: bool = False) -> Bits:
        """Bits `high` down to `low`, both included, as an int."""
        return Bits(self, high, low, signed=signed)

    def choice(self, high: int, low: int, kind: type[E]) -> Choice[E]:
        """Bits `high` down to `low` as a member of `kind`."""
        return Choice(self, high, low, kind)

    def encode(self, value: int) -> bytes:
        """Return the bytes of an unsigned value in the order they travel.

        Raises:
            RegisterError: the value does not fit.
        """
        if not 0 <= value < 1 << self.width:
            raise RegisterError(f"found {value:#x} for {self.name}, expected {self.width} bits")
        return value.to_bytes(self.size, self.byteorder)

    def decode(self, data: bytes) -> int:
        """Return the unsigned value of bytes as they travelled."""
        return int.from_bytes(data, self.byteorder)

    def to_number(self, value: int) -> int:
        """Return an unsigned value as the number it stands for, negative where it is signed."""
        return _signed(value, self.width) if self.signed else value

    def to_raw(self, number: int) -> int:
        """Return the unsigned value that stands for a number.

        Raises:
            RegisterError: the number does not fit.
        """
        return _raw(number, self.width, self.signed, self.name)

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, port: None, owner: type) -> Register: ...
    @overload
    def __get__(self, port: RegisterPort, owner: type) -> int: ...
    def __get__(self, port: RegisterPort | None, owner: type) -> Register | int:
        return self if port is None else self.to_number(port.read_register(self))

    def __set__(self, port: RegisterPort, number: int) -> None:
        port.write_register(self, self.to_raw(number))

    def __repr__(self) -> str:
        return f"<{self.name} at {self.address:#04x}, {self.width} bit {self.access}>"


class Field:
    """Some neighbouring bits of a register; setting them leaves the others as they are."""

    def __init__(self, register: Register, high: int, low: int) -> None:
        if not 0 <= low <= high < register.width:
            raise RegisterError(
                f"found bits {high} to {low}, expected them within {register.width} bits"
            )
        self.register = register
        self.low = low
        self.width = high - low + 1
        self.mask = ((1 << self.width) - 1) << low
        self.name = f"bits {high}:{low}"

    def extract(self, value: int) -> int:
        """Return the field's bits of a register's unsigned value."""
        return (value & self.mask) >> self.low

    def insert(self, value: int, bits: int) -> int:
        """Return the register's unsigned value with the field's bits replaced.

        Raises:
            RegisterError: the bits do not fit the field.
        """
        if not 0 <= bits < 1 << self.width:
            raise RegisterError(f"found {bits} for {self.name}, expected {self.width} bits")
        return (value & ~self.mask) | (bits << self.low)

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def fetch(self, port: RegisterPort) -> int:
        """Read the register and return the field's bits."""
        return self.extract(port.read_register(self.register))

    def store(self, port: RegisterPort, bits: int) -> None:
        """Read the register, replace the field's bits, write it back."""
        port.write_register(self.register, self.insert(port.read_register(self.register), bits))


class Flag(Field):
    """One bit, as a bool."""

    @overload
    def __get__(self, port: None, owner: type) -> Flag: ...
    @overload
    def __get__(self, port: RegisterPort, owner: type) -> bool: ...
    def __get__(self, port: RegisterPort | None, owner: type) -> Flag | bool:
        return self if port is None else bool(self.fetch(port))

    def __set__(self, port: RegisterPort, value: bool) -> None:
        self.store(port, int(value))


class Bits(Field):
    """Several bits, as an int."""

    def __init__(self, register: Register, high: int, low: int, *, signed: bool = False) -> None:
        super().__init__(register, high, low)
        self.signed = signed

    @overload
    def __get__(self, port: None, owner: type) -> Bits: ...
    @overload
    def __get__(self, port: RegisterPort, owner: type) -> int: ...
    def __get__(self, port: RegisterPort | None, owner: type) -> Bits | int:
        if port is None:
            return self
        bits = self.fetch(port)
        return _signed(bits, self.width) if self.signed else bits

    def __set__(self, port: RegisterPort, number: int) -> None:
        self.store(port, _raw(number, self.width, self.signed, self.name))


E = TypeVar("E", bound=IntEnum)


class Choice(Field, Generic[E]):
    """Several bits, as a member of an enumeration."""

    def __init__(self, register: Register, high: int, low: int, kind: type[E]) -> None:
        super().__init__(register, high, low)
        self.kind = kind

    @overload
    def __get__(self, port: None, owner: type) -> Choice[E]: ...
    @overload
    def __get__(self, port: RegisterPort, owner: type) -> E: ...
    def __get__(self, port: RegisterPort | None, owner: type) -> Choice[E] | E:
        return self if port is None else self.pick(self.fetch(port))

    def __set__(self, port: RegisterPort, value: E) -> None:
        self.store(port, int(value))

    def pick(self, bits: int) -> E:
        """Return the member that bits stand for.

        Raises:
            RegisterError: the datasheet gives these bits no meaning.
        """
        try:
            return self.kind(bits)
        except ValueError:
            known = ", ".join(f"{int(member)} {member.name}" for member in self.kind)
            raise RegisterError(f"found {bits} in {self.name}, expected one of {known}") from None


def registers_of(owner: type) -> tuple[Register, ...]:
    """Return every register that a class declares or inherits, by rising address."""
    found = {
        name: value
        for base in reversed(owner.__mro__)
        for name, value in vars(base).items()
        if isinstance(value, Register)
    }
    return tuple(sorted(found.values(), key=lambda register: register.address))


class I2cRegisters:
    """Registers over I2C: the register's address is written, then its bytes are read or written.

    Mix it after a map of registers. `pointer_size` is how many bytes the register address takes.
    """

    pointer_size = 1

    def __init__(self, bus: I2cBus, address: int) -> None:
        self.bus = bus
        self.address = address
        self._written: dict[int, int] = {}  # what write-only registers hold, as far as we know

    def read_register(self, register: Register) -> int:
        """Return a register's unsigned value; of a write-only one what was last written to it."""
        if register.access == "wo":
            return self._written.get(register.address, register.reset)
        return register.decode(self.read_block(register, register.size))

    def write_register(self, register: Register, value: int) -> None:
        """Write a register's unsigned value.

        Raises:
            RegisterError: the register is read-only or the value does not fit.
        """
        if register.access in ("ro", "rc"):
            raise RegisterError(f"{register.name} at {register.address:#04x} is read-only")
        self.write_block(register, register.encode(value))
        if register.access == "wo":
            self._written[register.address] = value

    def read_block(self, first: Register, length: int) -> bytes:
        """Read `length` bytes in one transfer, starting at `first`; the chip moves its pointer."""
        return self.bus.transfer(self.address, (Write(self._pointer(first)), Read(length)))[0]

    def write_block(self, first: Register, data: bytes) -> None:
        """Write `data` in one transfer, starting at `first`."""
        self.bus.transfer(self.address, (Write(self._pointer(first) + data),))

    def _pointer(self, register: Register) -> bytes:
        return register.address.to_bytes(self.pointer_size, "big")


def _signed(value: int, width: int) -> int:
    return value - (1 << width) if value >> (width - 1) else value


def _raw(number: int, width: int, signed: bool, name: str) -> int:
    low, high = (-(1 << width - 1), (1 << width - 1) - 1) if signed else (0, (1 << width) - 1)
    if not low <= number <= high:
        raise RegisterError(f"found {number} for {name}, expected {low} to {high}")
    return number & ((1 << width) - 1)
