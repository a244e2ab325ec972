"""What `core` asks of a board: for readers and type checkers, not for the board itself."""

from typing import Protocol

from .chip import Chip


class Hardware(Protocol):
    """Pins, bus blocks and power of one microcontroller; `board.Board` is the real one."""

    name: str  # "rp2040"

    def serial(self) -> str:
        """Return the number that tells this one from others."""
        ...

    def ticks_ms(self) -> int:
        """Return milliseconds that never go back."""
        ...

    def i2c_attach(self, address: int, chip: Chip) -> None:
        """Be `chip` at an address."""
        ...

    def i2c_detach(self) -> None:
        """Be nobody: no address is acknowledged."""
        ...

    def hold_low(self, line: str) -> None:
        """Pull "sda" or "scl" low."""
        ...

    def release(self, line: str) -> None:
        """Let go of "sda" or "scl"."""
        ...

    def line_level(self, line: str) -> int:
        """Return the level of "sda" or "scl"."""
        ...

    def spi_answer(self, data: bytes) -> None:
        """Shift these bytes out in every exchange."""
        ...

    def spi_state(self, state: str) -> None:
        """Answer, or let MISO float, or hold it low or high."""
        ...

    def spi_seen(self) -> bytes:
        """Return what the controller has sent since this was last asked."""
        ...

    def uart_open(self, speed: int) -> None:
        """Be a peer on the serial line at this speed (Bd)."""
        ...

    def uart_write(self, data: bytes) -> None:
        """Send bytes."""
        ...

    def uart_read(self) -> bytes:
        """Return what has come since this was last asked."""
        ...

    def uart_break(self, on: bool) -> None:
        """Hold the line low, or go on."""
        ...

    def pin_set(self, name: str, level: int) -> None:
        """Drive a line that the Pi reads."""
        ...

    def pin_float(self, name: str) -> None:
        """Let go of it."""
        ...

    def pin_play(self, name: str, plan: list[tuple[int, int]]) -> None:
        """Drive it along a plan of (level, microseconds)."""
        ...

    def pin_read(self, name: str) -> int:
        """Return the level of a line that the Pi drives."""
        ...

    def pin_edges(self, name: str) -> int:
        """Return how often it has changed."""
        ...

    def power(self, rail: str, on: bool) -> None:
        """Switch a rail, "pi" or "sensors"."""
        ...
