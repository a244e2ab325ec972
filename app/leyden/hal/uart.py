"""UART as drivers see it: a stream of bytes each way, that may stop or break off anywhere."""

from __future__ import annotations

from typing import Final, Protocol

BITS_PER_BYTE: Final = 10  # 8N1: start bit, eight data bits, stop bit
IDLE_S: Final = 1.0  # how long a read without any deadline waits


class Uart(Protocol):
    """One serial line; 8 data bits, no parity, one stop bit."""

    name: str

    def read(self, limit: int, *, deadline: int | None = None) -> bytes:
        """Return the bytes that have arrived, at most `limit`, as soon as there is at least one.

        Nothing by the deadline gives `b""`: a silent line is no error here, only to the driver.
        Without a deadline of any kind the wait is `IDLE_S`.

        Raises:
            BusLostError: the adapter is gone; the next call tries to open it again. What had
                arrived of an unfinished frame must not be joined with what comes after.
        """
        ...

    def write(self, data: bytes, *, deadline: int | None = None) -> None:
        """Send all of `data`.

        Raises:
            DeadlineError: it could not be sent in time.
            BusLostError: the adapter is gone.
        """
        ...

    def flush_input(self) -> None:
        """Throw away what has arrived and was not read."""
        ...


class RawUart(Uart, Protocol):
    """A line as a back end opens it, below the guard."""

    speed_bd: int

    def close(self) -> None:
        """Give the line back."""
        ...
