"""Driver for the DS1307, DS1338 and DS3231, clocks on a battery over I2C (Maxim).

Sources: `registers.py` and README.md name the sheets.

A clock may be wrong in more ways than a thermometer: stopped and not saying so, started anew after
its battery was empty, set by somebody else, or read half before and half after a second. What this
driver believes of one:

- a read takes time and flags four times, over the turning point of the chip's pointer and from
  changing places, and counts when four in a row agree;
- the clock has to be seen to move before its time is good, and a time that stands still is bad,
  whatever the flags say (the DS1307 has none for a dead crystal);
- with memory on the battery, eight bytes of it hold a signature that travels in front of the time:
  gone means that everything was without power, and that the time is not to be believed until the
  machine's own, synchronised, agrees with it or somebody sets it.

It never sets the clock unless `set_from_system` asks for that.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Annotated, Final

from leyden.hal.i2c import I2cBus
from leyden.hal.registers import I2cRegisters, Register
from leyden.kernel import (
    NS,
    ChecksumError,
    ComponentError,
    Device,
    DeviceResetError,
    Doubt,
    Reading,
    Span,
    StuckDataError,
    WrongDeviceError,
)
from leyden.units import Seconds
from leyden_drivers.ds1307.calendar import (
    EARLIEST,
    LATEST,
    TIME_BYTES,
    registers_of_time,
    seconds_of,
)
from leyden_drivers.ds1307.registers import ADDRESS, PARTS, Ds1307Registers, Part

_AGREEING: Final = 4  # reads in a row
_LOOKS: Final = 3  # before another part is named
_MOST_READS: Final = 2 * _AGREEING - 1  # one second may begin in between
_FURTHEST: Final = 8_640_000.0  # s, 100 days: beyond that it is no drift, but another time
_CLOSE_S: Final = 2.0  # so far from the system's time it counts as confirmed
_STILL_NS: Final = round(2.5 * NS)  # a second that lasts longer is none
_RATE: Final = 500e-6  # how much faster or slower a crystal may be than this machine's clock
_JUMP_S: Final = 2.0  # on top of that; seconds are read whole

# At the end of the memory on the battery: each bit of a byte is 1 in one place and 0 in another.
# The fifth byte says whether the time beside it has been confirmed, the sixth is its complement.
_UNPROVEN: Final = bytes((0x4C, 0xB3, 0x59, 0xA6, 0x0F, 0xF0, 0x55, 0xAA))
_PROVEN: Final = bytes((0x4C, 0xB3, 0x59, 0xA6, 0x3C, 0xC3, 0x55, 0xAA))


@dataclass(frozen=True, slots=True)
class Ds1307Options:
    """Options of one clock in the configuration.

    Raises:
        ComponentError: no such part, or an address that none of them has.
    """

    part: str = "ds1307"
    address: int = ADDRESS
    set_from_system: bool = False  # set it when it is wrong and the machine's time is synchronised

    def __post_init__(self) -> None:
        if self.part not in PARTS:
            raise ComponentError(f'part: found "{self.part}", expected one of {", ".join(PARTS)}')
        if self.address != ADDRESS:
            raise ComponentError(f"address: found {self.address:#04x}, expected {ADDRESS:#04x}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Time(Reading):
    """What the clock says, how far that is from the machine's own time, and whether it runs."""

    time: Annotated[Seconds, Span("s", EARLIEST, LATEST, step=1.0, label="Seconds since 1970, UTC")]
    offset: Annotated[Seconds, Span("s", -_FURTHEST, _FURTHEST, step=0.5, label="Ahead of system")]
    running: bool


@dataclass(frozen=True, slots=True)
class _Look:
    """The time registers and the flags beside them, as four reads agree on them."""

    registers: bytes
    flags: int
    mono_ns: int  # when the last of them was taken
    wall_ns: int


class Port(Ds1307Registers, I2cRegisters):
    """The register map, reached over the bus."""


class DS1307(Device[Time]):
    """Returns the time of a clock that somebody set, and what it is worth."""

    bus_kind = "i2c"
    reading = Time
    compatible = "dallas,ds1307"
    witness = "reserved bits, a second that moves, signature in the memory on the battery"

    def __init__(self, bus: I2cBus, options: Ds1307Options) -> None:
        self.port = Port(bus, options.address)
        self._options = options
        self._part: Part = PARTS[options.part]
        self._proven = False  # whether the time is to be believed; in the memory, if there is one
        self._moved: tuple[int, int] | None = None  # (mono ns, time) when the second last changed
        self._seen_to_move = False

    def probe(self) -> None:
        """Raise `WrongDeviceError` unless the registers look like a clock's; write nothing."""
        # Looked at from the first register on before the pointer is trusted to come round: only a
        # clock of this family does that.
        looks = [self._block(0x00, TIME_BYTES) for _ in range(_LOOKS)]
        for index, zeros in enumerate(self._part.zeros):
            if all(look[index] & zeros for look in looks):
                raise self._no_clock(index, looks[-1][index])
        flags = self._agreed(signed=False).flags
        if flags & self._part.flags_zeros:
            raise self._no_clock(self._part.flags.address, flags)

    def start(self) -> None:
        """Look for the signature, write it where there is none; set the clock if that is wanted."""
        self._moved, self._seen_to_move = None, False
        self._proven = True  # a part without memory says by its flag whether it ever stopped
        if self._part.ram:
            found = self._memory()
            self._proven = found == _PROVEN
            if found not in (_PROVEN, _UNPROVEN):
                self._sign()
        look = self._agreed()
        if self._options.set_from_system and self._wrong(look) and self.clock.synchronised():
            self.set_time(round(self.clock.time_ns() / NS))

    def read(self) -> Time:
        """Return the time.

        Raises:
            DeviceResetError: the memory on the battery lost its content; or the time is wrong and
                is to be set, which `start` does.
            ChecksumError: what arrived differs from one time to the next.
            StuckDataError: every bit is the same.
        """
        look = self._agreed()
        if self._options.set_from_system and self._wrong(look) and self.clock.synchronised():
            raise DeviceResetError("the clock stood, or is off; it is set from the system's time")
        seconds = seconds_of(look.registers, self._part)
        if seconds is None:
            return self._no_time(look)
        standing = self._follow(look, seconds)
        running = not (self._halted(look) or standing)
        offset = seconds + 0.5 - look.wall_ns / NS
        self._prove(running, offset)
        return Time(
            time=Seconds(seconds),
            offset=Seconds(offset),
            running=running,
            doubts=self._doubts(running),
        )

    def check(self) -> None:
        """See that a clock is there and its memory holds what it was told."""
        self._agreed()

    def set_time(self, seconds: int) -> None:
        """Set the clock to so many seconds since 1970 (UTC), start it, and take it for right.

        The chip begins the second anew when it is written.

        Raises:
            ValueError: before 2000 or after 2099.
            DeviceError: the part is not there, or did not take it.
        """
        self.port.write_block(Ds1307Registers.seconds, registers_of_time(seconds))
        if self._part.stopped:
            flags = self._agreed().flags & ~self._part.stopped
            self.port.write_block(self._part.flags, bytes((flags,)))
        self._believe(True)
        self._moved, self._seen_to_move = None, False
        after = seconds_of(self._agreed().registers, self._part)
        if after is None or not 0 <= after - seconds <= 1:
            raise ChecksumError(f"set to {seconds} s, the clock says {after}; check the wiring")

    # What the time is worth

    def _follow(self, look: _Look, seconds: int) -> bool:
        """Note how the time moves; return whether it stands still."""
        if self._moved is None:
            self._moved = (look.mono_ns, seconds)
            return False
        since, before = self._moved
        elapsed = (look.mono_ns - since) / NS
        if seconds == before:
            return look.mono_ns - since > _STILL_NS
        if abs(seconds - before - elapsed) > _JUMP_S + elapsed * _RATE:
            self._believe(False)  # set by somebody, or it stood for a while
        self._moved, self._seen_to_move = (look.mono_ns, seconds), True
        return False

    def _prove(self, running: bool, offset: float) -> None:
        """Confirm the time with the system's, or take the confirmation back."""
        if not running:
            self._believe(False)
        elif self._seen_to_move and self.clock.synchronised() and abs(offset) <= _CLOSE_S:
            self._believe(True)

    def _doubts(self, running: bool) -> dict[str, Doubt]:
        doubts = {}
        if not self.clock.synchronised():
            doubts["offset"] = Doubt.bad("no_reference", "the machine's own time is not set")
        if not running:
            stopped = Doubt.bad("stopped", "the oscillator stood; the clock has to be set")
            return {"time": stopped, "offset": stopped}
        if not self._seen_to_move:
            unseen = Doubt.uncertain("not_ready", "it has not been seen to move yet")
            return {"time": unseen, "running": unseen, "offset": unseen, **doubts}
        if not self._proven:
            doubts["time"] = Doubt.uncertain(
                "implausible", "lost power or was set by somebody, and nothing has confirmed it"
            )
        return doubts

    def _no_time(self, look: _Look) -> Time:
        found = look.registers.hex(" ")
        doubt = Doubt.bad("out_of_range", f"the registers hold {found}, which is no time")
        self._moved, self._seen_to_move = None, False
        return Time(
            time=Seconds(0.0),
            offset=Seconds(0.0),
            running=False,
            doubts=dict.fromkeys(("time", "offset", "running"), doubt),
        )

    def _wrong(self, look: _Look) -> bool:
        seconds = seconds_of(look.registers, self._part)
        if seconds is None or self._halted(look):
            return True
        return abs(seconds + 0.5 - look.wall_ns / NS) > _CLOSE_S

    def _halted(self, look: _Look) -> bool:
        return bool(look.registers[0] & self._part.halt or look.flags & self._part.stopped)

    # The memory on the battery

    def _believe(self, proven: bool) -> None:
        """Note whether the time is to be believed, so that it outlives this program."""
        if proven != self._proven:
            self._proven = proven
            if self._part.ram:
                self._sign()

    def _signature(self) -> bytes:
        return _PROVEN if self._proven else _UNPROVEN

    def _sign(self) -> None:
        """Write the signature, and see it kept."""
        self.port.write_block(Ds1307Registers.ram_end, self._signature())
        if self._memory() != self._signature():
            raise WrongDeviceError(
                f"the memory from {Ds1307Registers.ram_end.address:#04x} on does not keep what is "
                f"written: not a {self._options.part.upper()}; a DS3231 has none"
            )

    def _memory(self) -> bytes:
        """Return what the end of the memory holds, as three reads from changing places agree."""
        end = Ds1307Registers.ram_end
        seen = set()
        for before in range(3):
            earlier = Register(end.address - before)
            seen.add(self.port.read_block(earlier, end.size + before)[before:])
        if len(seen) > 1:
            raise ChecksumError("the memory differs each time it is read; check the wiring")
        (found,) = seen
        if found in (bytes(end.size), b"\xff" * end.size):
            self._refuse_dead_line()
        return found

    def _refuse_dead_line(self) -> None:
        # Memory may hold all zeros or all ones; then the time after it tells whether the line does.
        self._agreed(signed=False)

    # Reading

    def _agreed(self, *, signed: bool = True) -> _Look:
        """Return time and flags once four reads in a row agree on them."""
        seen: list[tuple[bytes, int]] = []
        for first, length in itertools.islice(itertools.cycle(self._part.windows), _MOST_READS):
            data = self._block(first, length)
            if signed:
                self._refuse_unsigned(data)
            seen.append(self._taken_apart(data))
            if len(seen) >= _AGREEING and not _changes(seen[-_AGREEING:]):
                registers, flags = seen[-1]
                return _Look(registers, flags, self.clock.monotonic_ns(), self.clock.time_ns())
            if _changes(seen) > 1:
                break
        raise ChecksumError(
            "the time differs each time it is read; check the wiring, and that it is a "
            f"{self._options.part.upper()}"
        )

    def _taken_apart(self, data: bytes) -> tuple[bytes, int]:
        """Return time registers and flags of what one read brought."""
        if self._part.ram:  # … seconds to year, control
            return data[-TIME_BYTES - 1 : -1], data[-1]
        return data[-TIME_BYTES:], data[-TIME_BYTES - 4]  # status, aging, 2 × temperature, time

    def _block(self, first: int, length: int) -> bytes:
        data = self.port.read_block(Register(first), length)
        if data == b"\xff" * length or data == bytes(length):
            raise StuckDataError(f"{length} bytes are all {data[0]:#04x}: the data line is dead")
        return data

    def _refuse_unsigned(self, data: bytes) -> None:
        """Refuse a read from the memory on that does not begin with the signature."""
        size = Ds1307Registers.ram_end.size
        if not self._part.ram or len(data) <= size + 1 or data[:size] == self._signature():
            return
        if self._memory() == self._signature():
            raise ChecksumError("the signature read wrong once; check the wiring")
        raise DeviceResetError("the memory beside the clock lost its content: was it unpowered?")

    def _no_clock(self, address: int, found: int) -> WrongDeviceError:
        return WrongDeviceError(
            f"register {address:#04x} is {found:#04x}, with bits that a "
            f"{self._options.part.upper()} always reads as 0; is it an MPU-6050, or another clock?"
        )


def _changes(seen: list[tuple[bytes, int]]) -> int:
    return sum(before != after for before, after in itertools.pairwise(seen))
