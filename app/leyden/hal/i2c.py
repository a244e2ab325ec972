"""I2C as drivers see it: messages to an address, in one transfer with repeated starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from leyden.hal.errors import BusStuckError, MessageError, NoAnswerError

FIRST_ADDRESS: Final = 0x08  # UM10204, 3.1.12: addresses below and above are reserved
LAST_ADDRESS: Final = 0x77


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes sent to the target."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Read:
    """A number of bytes wanted from the target."""

    length: int


Message: TypeAlias = Write | Read


class I2cBus(Protocol):
    """One I2C bus, with this machine as its controller."""

    name: str

    def transfer(
        self, address: int, messages: Sequence[Message], *, deadline: int | None = None
    ) -> list[bytes]:
        """Carry out `messages` one after another and return the bytes of each `Read`, in order.

        A `Write` followed by a `Read` is joined by a repeated start. Further messages after a
        `Read` begin with a new start, because the Pi's controller takes one read a transfer, last.

        Args:
            address: 7-bit address of the target.
            messages: at least one.
            deadline: monotonic time in ns after which nothing is begun and no answer counts.

        Raises:
            NoAnswerError: the target did not acknowledge.
            BusStuckError: a line is held, or the clock stretched too long.
            DeadlineError: the time allowed is over.
            BusError: anything else on the wire.
            MessageError: the request itself makes no sense.
        """
        ...


class RawI2cBus(I2cBus, Protocol):
    """A bus as a back end opens it, below the guard."""

    speed_hz: int

    def close(self) -> None:
        """Give the bus back."""
        ...


def check_messages(address: int, messages: Sequence[Message]) -> None:
    """Refuse a transfer that no bus could carry.

    Raises:
        MessageError: says what is wrong with it.
    """
    if fault := address_fault(address):
        raise MessageError(fault)
    if not messages:
        raise MessageError(f"found no messages for {address:#04x}, expected at least one")
    for message in messages:
        if isinstance(message, Read) and message.length < 1:
            raise MessageError(
                f"found a read of {message.length} bytes from {address:#04x}, expected 1 or more"
            )


def address_fault(address: int) -> str:
    """Return what is wrong with an I2C address, in words, or nothing."""
    possible = range(FIRST_ADDRESS, LAST_ADDRESS + 1)
    if address in possible:
        return ""
    # Some datasheets print the address shifted left by one, with the read bit below it.
    hint = f"; did you mean {address >> 1:#04x}?" if address >> 1 in possible else ""
    return (
        f"found I2C address {address:#04x}, expected {FIRST_ADDRESS:#04x} to "
        f"{LAST_ADDRESS:#04x}{hint}"
    )


def bits_of(messages: Sequence[Message]) -> int:
    """Return how many clocks a transfer takes: 9 a byte, the address before each message, S and P.

    Source: UM10204 rev. 7.0, 3.1.5 and 3.1.10.
    """
    sizes = (len(m.data) if isinstance(m, Write) else m.length for m in messages)
    return sum(1 + 9 * (1 + size) for size in sizes) + 1


def bytes_of(messages: Sequence[Message]) -> int:
    """Return how many data bytes a transfer carries, either way."""
    return sum(len(m.data) if isinstance(m, Write) else m.length for m in messages)


def no_answer(bus: str, address: int) -> NoAnswerError:
    """Return the error for a target that did not acknowledge, in words."""
    return NoAnswerError(f"no answer from {address:#04x} on {bus}; check its cable and its power")


def bus_stuck(bus: str, address: int) -> BusStuckError:
    """Return the error for a bus that did not move in time, in words."""
    return BusStuckError(
        f"{bus} did not move during a transfer to {address:#04x}: a line is held low or a part "
        "stretches the clock too long; unplug parts one by one"
    )
