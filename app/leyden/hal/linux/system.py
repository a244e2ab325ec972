"""What Linux says when something is wrong, turned into words with a remedy."""

from __future__ import annotations

import errno
import importlib
import os
from dataclasses import dataclass
from types import ModuleType
from typing import Final

from leyden.hal.errors import (
    BusError,
    BusLostError,
    BusMissingError,
    InUseError,
    MissingLibraryError,
    PermissionBusError,
)


@dataclass(frozen=True, slots=True)
class Remedy:
    """What helps when a kind of bus cannot be opened."""

    absent: str
    group: str  # whose members may open it


I2C: Final = Remedy("switch I2C on (dtparam=i2c_arm=on in config.txt) and restart", "i2c")
SPI: Final = Remedy("switch SPI on (dtparam=spi=on in config.txt) and restart", "spi")
UART: Final = Remedy("plug the adapter in, or switch the port on (enable_uart=1)", "dialout")
GPIO: Final = Remedy("this kernel has no GPIO character devices", "gpio")

_GONE: Final = frozenset({errno.ENODEV, errno.ESHUTDOWN, errno.EBADF})


def library(name: str, extra: str) -> ModuleType:
    """Return a library that only this bus needs.

    Raises:
        MissingLibraryError: names the extra to install.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingLibraryError(
            f"the library {name} cannot be loaded ({error}); pip install 'leyden[{extra}]'"
        ) from None


def open_error(path: str, number: int | None, remedy: Remedy) -> BusError:
    """Return the error for a device file that could not be opened, by its errno."""
    if number in (errno.ENOENT, errno.ENXIO, errno.ENODEV, errno.ENOTDIR):
        return BusMissingError(f"there is no {path}; {remedy.absent}")
    if number in (errno.EACCES, errno.EPERM):
        return PermissionBusError(
            f"this user may not open {path}; add it to the group {remedy.group} "
            f"(sudo usermod -aG {remedy.group} $USER) and sign in again"
        )
    if number in (errno.EBUSY, errno.EAGAIN):
        return InUseError(f"{path} is used by another program; end that one first")
    return BusError(f"{path} could not be opened: {words_of(number)}")


def transfer_error(what: str, number: int | None) -> BusError:
    """Return the error for a transfer that failed in a way common to all buses, by its errno."""
    if number in _GONE:
        return BusLostError(f"{what}: the bus went away ({words_of(number)})")
    return BusError(f"{what} failed: {words_of(number)}")


def words_of(number: int | None) -> str:
    """Return what an errno means: "Input/output error, EIO 5"."""
    if number is None:
        return "no reason given"
    return f"{os.strerror(number)}, {errno.errorcode.get(number, 'errno')} {number}"
