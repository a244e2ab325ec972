"""SPI over `/dev/spidevB.C`, through spidev."""

from __future__ import annotations

from typing import Any, Final

from leyden.hal.errors import MessageError
from leyden.hal.linux.system import SPI, library, open_error, transfer_error
from leyden.hal.spi import check_transfer

LONGEST: Final = 4096  # bytes a transfer; spidev's `bufsiz` as the kernel ships it


class LinuxSpiBus:
    """One SPI bus of this machine; each chip select is a device file, opened when first used."""

    def __init__(self, name: str, path: str, spidev: Any) -> None:
        self.name = name
        self._path = path
        self._spidev = spidev
        self._open: dict[int, Any] = {}

    def transfer(
        self,
        chip_select: int,
        data: bytes,
        *,
        speed_hz: int,
        mode: int = 0,
        deadline: int | None = None,
    ) -> bytes:
        """Exchange `data`; the deadline is the guard's business."""
        check_transfer(chip_select, data, speed_hz, mode)
        if len(data) > LONGEST:
            raise MessageError(f"found {len(data)} bytes, expected at most {LONGEST} a transfer")
        device = self._open.get(chip_select) or self._open_device(chip_select)
        try:
            if device.mode != mode:
                device.mode = mode
            if device.max_speed_hz != speed_hz:
                device.max_speed_hz = speed_hz
            return bytes(device.xfer2(list(data)))
        except OSError as error:
            what = f"transfer to chip select {chip_select} on {self.name}"
            raise transfer_error(what, error.errno) from error

    def close(self) -> None:
        """Give every chip select back."""
        for device in self._open.values():
            device.close()
        self._open.clear()

    def _open_device(self, chip_select: int) -> Any:
        path = f"{self._path}.{chip_select}"
        device = self._spidev.SpiDev()
        try:
            device.open_path(path)
        except OSError as error:
            raise open_error(path, error.errno, SPI) from error
        self._open[chip_select] = device
        return device


def open_spi(path: str, *, name: str) -> LinuxSpiBus:
    """Open an SPI bus.

    Args:
        path: "/dev/spidev0", without the chip select.
        name: "spi0", for messages.

    Raises:
        MissingLibraryError: spidev is not installed.
    """
    return LinuxSpiBus(name, path, library("spidev", "spi"))
