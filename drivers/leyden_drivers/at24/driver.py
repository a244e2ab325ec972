"""Driver for the 24C02 to 24C512, EEPROMs on I2C, as a place for one record (Atmel, Microchip, ST).

Sources: `parts.py` and README.md name the sheets.

A memory measures nothing. What it is good for on an instrument is to say which board this is, and
how that one was calibrated, and to say it of the board and not of the card in the Pi. So a reading
is the record that was stored there, with the number of its writes and of its sound copies.

Two copies with a checksum each make it bear witness for itself. A copy that does not fit is read
again from another place: bytes that differ were damaged on the wire, bytes that do not are what the
memory holds. `store` writes the copy that does not count, sees it kept, and only then the other
one, so that at any moment of it, power cut included, one whole copy is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final

from leyden.hal.errors import NoAnswerError
from leyden.hal.i2c import I2cBus, Read, Write
from leyden.kernel import (
    ChecksumError,
    ComponentError,
    Device,
    DeviceError,
    Doubt,
    NoDataError,
    Reading,
    Span,
    StuckDataError,
    WrongDeviceError,
)
from leyden_drivers.at24.parts import ADDRESSES, LONGEST_CYCLE_S, PARTS, WRITE_CYCLE_S
from leyden_drivers.at24.record import (
    COPIES,
    LAST_REVISION,
    MAGIC,
    Record,
    copy_bytes,
    decode,
    encode,
)

_POLL_S: Final = 0.001
_HAT: Final = b"R-Pi"  # what the EEPROM of a HAT begins with (raspberrypi/utils, eeptools)


@dataclass(frozen=True, slots=True)
class At24Options:
    """Options of one EEPROM in the configuration.

    Raises:
        ComponentError: no such part, or an address that none of them has.
    """

    part: str = "24c32"
    address: int = ADDRESSES[0]
    expect: str = ""  # the record has to begin with this: another board is refused

    def __post_init__(self) -> None:
        if self.part not in PARTS:
            raise ComponentError(f'part: found "{self.part}", expected one of {", ".join(PARTS)}')
        if self.address not in ADDRESSES:
            raise ComponentError(
                f"address: found {self.address:#04x}, expected {ADDRESSES[0]:#04x} to "
                f"{ADDRESSES[-1]:#04x}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Content(Reading):
    """What the memory holds."""

    record: str
    revision: Annotated[int, Span("1", 1, LAST_REVISION, step=1, label="Times written")]
    copies: Annotated[int, Span("{count}", 1, COPIES, step=1, label="Sound copies")]


class AT24(Device[Content]):
    """Returns the record that an EEPROM holds, and stores another one."""

    bus_kind = "i2c"
    reading = Content
    compatible = "atmel,24c32"
    witness = "two copies of the record with a CRC-32 each; a bad one is read again elsewhere"

    def __init__(self, bus: I2cBus, options: At24Options) -> None:
        self._bus = bus
        self._address = options.address
        self._expect = options.expect
        self._part = PARTS[options.part]
        self._copy_bytes = copy_bytes(self._part)

    def probe(self) -> None:
        """Raise unless a record is there, and the expected one.

        Raises:
            StuckDataError: nothing but ones or zeros: a dead line, or a memory nobody has written.
            WrongDeviceError: something else is stored there, or the record of another board.
        """
        self._refuse_stranger(self._newest(self._copies()))

    def read(self) -> Content:
        """Return the record.

        Raises:
            ChecksumError: damaged on the wire, or both copies in the memory are.
        """
        copies = self._copies()
        record = self._newest(copies)
        self._refuse_stranger(record)
        sound = copies.count(record)
        lone = Doubt.uncertain("implausible", "one copy is damaged or old; store the record again")
        return Content(
            record=record.text,
            revision=record.revision,
            copies=sound,
            doubts={} if sound == COPIES else {"copies": lone},
        )

    def check(self) -> None:
        """See that the record is there."""
        self._refuse_stranger(self._newest(self._copies()))

    def store(self, text: str) -> int:
        """Write a record, twice, and return its revision.

        It may be cut off at any moment: what is read afterwards is the old record or the new one.
        For programs, not for the runtime: it takes 0.1 s to 0.5 s, and the bus as long.

        Raises:
            ValueError: the text is too long for the part.
            DeviceError: the memory does not answer, or does not take what is written.
        """
        copies = self._copies()
        sound = [copy for copy in copies if copy is not None]
        last = max((copy.revision for copy in sound), default=0)
        record = Record(last + 1, text)
        data = encode(record, self._part)
        for index in _oldest_first(copies):
            self._write_copy(index, data)
            if self._copy(index) != record:
                raise DeviceError(
                    f"the memory at {self._address:#04x} does not keep what is written; "
                    "is its WP pin high, or the part another one?"
                )
        return record.revision

    # Copies

    def _copies(self) -> list[Record | None]:
        return [self._copy(index) for index in range(COPIES)]

    def _copy(self, index: int) -> Record | None:
        """Return one copy; None where the memory holds no sound one.

        Raises:
            ChecksumError: it arrived in two ways.
        """
        start, length = index * self._copy_bytes, self._copy_bytes
        data = self._block(start, length)
        record = decode(data)
        if record is not None:
            return record
        # A bit that is always damaged at one place of a transfer hits another byte here.
        if self._block(start + 1, length - 1) != data[1:] or self._block(start, length) != data:
            raise ChecksumError("the memory differs each time it is read; check the wiring")
        return None

    def _newest(self, copies: list[Record | None]) -> Record:
        sound = [copy for copy in copies if copy is not None]
        if sound:
            return max(sound, key=lambda copy: copy.revision)
        start = self._block(0, self._copy_bytes)
        if len(set(start)) == 1 and start[0] in (0x00, 0xFF):
            raise StuckDataError(
                f"nothing but {start[0]:#04x}: a dead line, or a memory without a record yet; "
                "README.md of at24 says how to write one"
            )
        if start.startswith(MAGIC):
            raise ChecksumError("both copies of the record are damaged in the memory itself")
        what = "the EEPROM of a HAT" if start.startswith(_HAT) else "no record of Leyden's"
        raise WrongDeviceError(f"it begins with {start[:8].hex(' ')}: {what}")

    def _refuse_stranger(self, record: Record) -> None:
        if not record.text.startswith(self._expect):
            raise WrongDeviceError(
                f'the record is "{record.text[:40]}", expected one that begins with '
                f'"{self._expect}": is it another board?'
            )

    # Bytes

    def _block(self, start: int, length: int) -> bytes:
        return self._bus.transfer(self._address, (Write(self._pointer(start)), Read(length)))[0]

    def _pointer(self, at: int) -> bytes:
        return at.to_bytes(self._part.pointer, "big")

    def _write_copy(self, index: int, data: bytes) -> None:
        start = index * self._copy_bytes
        old = self._block(start, len(data))
        for at in range(0, len(data), self._part.page):
            page = slice(at, at + self._part.page)
            if data[page] != old[page]:  # cells wear out: what is right already stays
                self._bus.transfer(self._address, (Write(self._pointer(start + at) + data[page]),))
                self._await_write()

    def _await_write(self) -> None:
        """Wait until the memory answers again (acknowledge polling)."""
        self.clock.sleep(WRITE_CYCLE_S)
        waited = WRITE_CYCLE_S
        while not self._answers():
            if waited > LONGEST_CYCLE_S:
                raise NoDataError(f"no answer {waited:.3f} s after a write; is its supply steady?")
            self.clock.sleep(_POLL_S)
            waited += _POLL_S

    def _answers(self) -> bool:
        try:
            self._bus.transfer(self._address, (Write(self._pointer(0)),))
        except NoAnswerError:
            return False
        return True


def _oldest_first(copies: list[Record | None]) -> Iterator[int]:
    """Yield the places of the copies, the one that counts last."""
    revisions = [copy.revision if copy else 0 for copy in copies]
    yield from sorted(range(len(copies)), key=lambda index: (revisions[index], -index))
