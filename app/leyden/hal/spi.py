"""SPI as drivers see it: bytes out and the same number of bytes in, under one chip select."""

from __future__ import annotations

from typing import Protocol

from leyden.hal.errors import MessageError


class SpiBus(Protocol):
    """One SPI bus, with this machine as its controller."""

    name: str

    def transfer(
        self,
        chip_select: int,
        data: bytes,
        *,
        speed_hz: int,
        mode: int = 0,
        deadline: int | None = None,
    ) -> bytes:
        """Clock `data` out and return what came in at the same time; equal lengths.

        The chip select is held low for the whole transfer.

        Args:
            chip_select: number of the select line.
            data: at least one byte.
            speed_hz: clock, at most what the part's datasheet allows.
            mode: clock polarity and phase, 0 to 3.
            deadline: monotonic time in ns after which nothing is begun and no answer counts.

        Raises:
            DeadlineError: the time allowed is over.
            BusError: the controller reported an error.
            MessageError: the request itself makes no sense.
        """
        ...


class RawSpiBus(SpiBus, Protocol):
    """A bus as a back end opens it, below the guard."""

    def close(self) -> None:
        """Give the bus back."""
        ...


def check_transfer(chip_select: int, data: bytes, speed_hz: int, mode: int) -> None:
    """Refuse a transfer that no bus could carry.

    Raises:
        MessageError: says what is wrong with it.
    """
    if chip_select < 0:
        raise MessageError(f"found chip select {chip_select}, expected 0 or more")
    if not data:
        raise MessageError(f"found no bytes for chip select {chip_select}, expected at least one")
    if speed_hz <= 0:
        raise MessageError(f"found an SPI clock of {speed_hz} Hz, expected more than 0")
    if mode not in (0, 1, 2, 3):
        raise MessageError(f"found SPI mode {mode}, expected 0, 1, 2 or 3")
