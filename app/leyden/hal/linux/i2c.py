"""I2C over `/dev/i2c-N`, through smbus2 and the kernel's combined transfers."""

from __future__ import annotations

import errno
import fcntl
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from leyden.hal.errors import BusError, InUseError
from leyden.hal.i2c import Message, Read, Write, bus_stuck, check_messages, no_answer
from leyden.hal.linux.system import I2C, library, open_error, transfer_error

I2C_TIMEOUT: Final = 0x0702  # linux/i2c-dev.h; the argument counts tens of milliseconds
SYSFS: Final = Path("/sys/bus/i2c/devices")

# Which errno the controllers of the Pi give (i2c-bcm2835.c, i2c-designware-master.c).
_NO_ANSWER: Final = frozenset({errno.EREMOTEIO, errno.ENXIO})
_STUCK: Final = frozenset({errno.ETIMEDOUT, errno.EAGAIN})  # EAGAIN: arbitration lost


class LinuxI2cBus:
    """One open I2C bus of this machine."""

    def __init__(self, name: str, smbus2: Any, bus: Any, speed_hz: int, sysfs: Path) -> None:
        self.name = name
        self.speed_hz = speed_hz
        self._message = smbus2.i2c_msg
        self._bus = bus
        self._sysfs = sysfs  # "/sys/bus/i2c/devices/i2c-1"
        self._free: set[int] = set()  # addresses that no kernel driver had when first used

    def transfer(
        self, address: int, messages: Sequence[Message], *, deadline: int | None = None
    ) -> list[bytes]:
        """Carry out `messages`; the deadline is the guard's business, the time-out the kernel's."""
        check_messages(address, messages)
        self._refuse_owned(address)
        answers: list[bytes] = []
        for group in _groups(messages):
            raw = [self._raw(address, message) for message in group]
            self._send(address, raw)
            if isinstance(group[-1], Read):
                answers.append(bytes(raw[-1]))
        return answers

    def close(self) -> None:
        """Give the bus back."""
        self._bus.close()

    def _raw(self, address: int, message: Message) -> Any:
        if isinstance(message, Write):
            return self._message.write(address, message.data)
        return self._message.read(address, message.length)

    def _send(self, address: int, raw: list[Any]) -> None:
        try:
            self._bus.i2c_rdwr(*raw)
        except OSError as error:
            raise self._error(address, error.errno) from error
        except TypeError as error:  # smbus2 keeps no file any more: closed under its feet
            raise transfer_error(
                f"transfer to {address:#04x} on {self.name}", errno.EBADF
            ) from error

    def _error(self, address: int, number: int | None) -> BusError:
        if number in _NO_ANSWER:
            return no_answer(self.name, address)
        if number in _STUCK:
            return bus_stuck(self.name, address)
        if number == errno.EBUSY:
            return _owned(self.name, address, "another driver")
        return transfer_error(f"transfer to {address:#04x} on {self.name}", number)

    def _refuse_owned(self, address: int) -> None:
        # Combined transfers, unlike SMBus calls, do not check whether a kernel driver has the
        # address; two masters of one chip would spoil each other's settings without a word.
        if address in self._free:
            return
        number = self._sysfs.name.removeprefix("i2c-")
        driver = self._sysfs.parent / f"{number}-{address:04x}" / "driver"
        if driver.exists():
            raise _owned(self.name, address, f"the kernel driver {driver.resolve().name}")
        self._free.add(address)


def open_i2c(
    path: str,
    *,
    name: str,
    speed_hz: int = 100_000,
    timeout_s: float = 0.1,
    sysfs: Path = SYSFS,
) -> LinuxI2cBus:
    """Open an I2C bus.

    Args:
        path: "/dev/i2c-1", or a link to it.
        name: "i2c1", for messages.
        speed_hz: the clock for the load figure where the device tree does not tell; a program
            cannot change it.
        timeout_s: after which the kernel gives a transfer up, in steps of 10 ms.
        sysfs: where the kernel lists its I2C devices.

    Raises:
        MissingLibraryError: smbus2 is not installed.
        BusMissingError: no such file.
        PermissionBusError: not allowed.
    """
    smbus2 = library("smbus2", "linux")
    bus = smbus2.SMBus()  # opened below: its constructor keeps the file when the bus refuses
    try:
        bus.open(path)
        fcntl.ioctl(bus.fd, I2C_TIMEOUT, max(1, round(timeout_s * 100)))
    except OSError as error:
        bus.close()
        raise open_error(path, error.errno, I2C) from error
    folder = sysfs / Path(path).resolve().name
    return LinuxI2cBus(name, smbus2, bus, _speed_in_device_tree(folder) or speed_hz, folder)


def _groups(messages: Sequence[Message]) -> Iterator[list[Message]]:
    """Split messages so that each group ends with its only read, as the Pi's controller wants."""
    group: list[Message] = []
    for message in messages:
        group.append(message)
        if isinstance(message, Read):
            yield group
            group = []
    if group:
        yield group


def _speed_in_device_tree(folder: Path) -> int | None:
    """Return the clock (Hz) that the device tree sets; None where it does not say."""
    try:
        cells = (folder / "of_node" / "clock-frequency").read_bytes()
    except OSError:
        return None
    return int.from_bytes(cells[:4], "big") or None


def _owned(bus: str, address: int, owner: str) -> InUseError:
    return InUseError(
        f"{address:#04x} on {bus} belongs to {owner}; use what that offers, or unbind it first"
    )
