"""Serial lines over `/dev/tty…`, through pyserial, held exclusively."""

from __future__ import annotations

import select
import termios
from typing import Any, Final

from leyden.hal.errors import BusError, BusLostError
from leyden.hal.linux.system import UART, library, open_error
from leyden.hal.uart import IDLE_S
from leyden.kernel import NS, Clock, DeadlineError

WRITE_TIMEOUT_S: Final = 1.0  # of the system; the deadline is checked after it


class LinuxUart:
    """One open serial line of this machine."""

    def __init__(self, name: str, serial: Any, port: Any, clock: Clock) -> None:
        self.name = name
        self.speed_bd: int = port.baudrate
        self._serial = serial
        self._port = port
        self._clock = clock

    def read(self, limit: int, *, deadline: int | None = None) -> bytes:
        """Return what has arrived, as `Uart.read` says."""
        try:
            if not self._ready(self._seconds_until(deadline)):
                return b""
            return bytes(self._port.read(limit))
        except (OSError, ValueError, TypeError) as error:
            # TypeError and ValueError: pyserial's file was closed under its feet.
            raise self._lost(error) from error

    def write(self, data: bytes, *, deadline: int | None = None) -> None:
        """Send all of `data`; the line takes it within `WRITE_TIMEOUT_S` or not at all."""
        try:
            self._port.write(data)
        except self._serial.SerialTimeoutException as error:
            raise DeadlineError(f"{self.name} did not take {len(data)} bytes in time") from error
        except (OSError, TypeError) as error:
            raise self._lost(error) from error

    def flush_input(self) -> None:
        """Throw away what has arrived and was not read."""
        try:
            self._port.reset_input_buffer()
        except (OSError, TypeError, termios.error) as error:
            raise self._lost(error) from error

    def close(self) -> None:
        """Give the line back."""
        self._port.close()

    def _ready(self, seconds: float) -> bool:
        ready, _, _ = select.select([self._port.fileno()], [], [], seconds)
        return bool(ready)

    def _seconds_until(self, deadline: int | None) -> float:
        if deadline is None:
            return IDLE_S
        return max(0.0, (deadline - self._clock.monotonic_ns()) / NS)

    def _lost(self, error: Exception) -> BusError:
        return BusLostError(f"{self.name} went away ({error}); was its adapter pulled out?")


def open_uart(path: str, *, name: str, clock: Clock, speed_bd: int = 9600) -> LinuxUart:
    """Open a serial line, so that no other program that asks can open it beside us.

    Args:
        path: "/dev/serial0", or one under "/dev/serial/by-id" that survives replugging.
        name: "uart0", for messages.
        clock: for deadlines.
        speed_bd: speed in baud; 8 data bits, no parity, one stop bit.

    Raises:
        MissingLibraryError: pyserial is not installed.
        BusMissingError: no such file.
        PermissionBusError: not allowed.
        InUseError: another program holds it.
    """
    serial = library("serial", "linux")
    try:
        # timeout=0: how long to wait is decided before each read, by its deadline.
        port = serial.Serial(
            path, speed_bd, timeout=0, write_timeout=WRITE_TIMEOUT_S, exclusive=True
        )
    except serial.SerialException as error:
        raise open_error(path, error.errno, UART) from error
    except termios.error as error:
        raise open_error(path, error.args[0], UART) from error
    except ValueError as error:
        raise BusError(f"{path} could not be opened at {speed_bd} Bd: {error}") from error
    return LinuxUart(name, serial, port, clock)
