"""What Linux refuses comes back in words, with the remedy."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import gpiod
import pytest
from hal.seams import GpiodSeam
from hal.test_uart import Pty

from leyden.hal import (
    Bias,
    BusError,
    BusLostError,
    BusMissingError,
    InUseError,
    PermissionBusError,
)
from leyden.hal.linux import uart as linux_uart
from leyden.hal.linux.gpio import open_gpio
from leyden.hal.linux.system import GPIO, I2C, SPI, UART, Remedy, open_error, transfer_error
from leyden.hal.linux.uart import open_uart
from leyden.hal.mock.gpio import MockGpioChip
from leyden.hal.mock.world import World
from leyden.kernel import DeadlineError, SimulatedExecutor, SystemClock


@pytest.mark.parametrize(
    ("number", "remedy", "kind", "words"),
    [
        (errno.ENOENT, I2C, BusMissingError, "there is no /dev/x; switch I2C on"),
        (errno.ENXIO, SPI, BusMissingError, "there is no /dev/x; switch SPI on"),
        (errno.EACCES, I2C, PermissionBusError, "usermod -aG i2c "),
        (errno.EACCES, SPI, PermissionBusError, "usermod -aG spi "),
        (errno.EPERM, UART, PermissionBusError, "usermod -aG dialout "),
        (errno.EACCES, GPIO, PermissionBusError, "usermod -aG gpio "),
        (errno.EBUSY, UART, InUseError, "/dev/x is used by another program"),
        (errno.EIO, UART, BusError, "could not be opened: Input/output error, EIO 5"),
        (None, UART, BusError, "could not be opened: no reason given"),
    ],
)
def test_a_file_that_cannot_be_opened_says_what_helps(
    number: int | None, remedy: Remedy, kind: type[BusError], words: str
) -> None:
    error = open_error("/dev/x", number, remedy)
    assert type(error) is kind
    assert words in str(error)


def test_a_bus_that_went_away_is_not_just_a_failed_transfer() -> None:
    assert isinstance(transfer_error("a transfer", errno.ENODEV), BusLostError)
    assert not isinstance(transfer_error("a transfer", errno.EIO), BusLostError)


# Rare ends of the back ends


@pytest.fixture
def seam(tmp_path: Path, executor: SimulatedExecutor, monkeypatch: pytest.MonkeyPatch) -> GpiodSeam:
    made = GpiodSeam(tmp_path, monkeypatch)
    made.add(0, "pinctrl-rp1", MockGpioChip("gpio", executor, World(executor.clock)))
    return made


def test_a_gpio_chip_without_permission_names_the_group(
    seam: GpiodSeam, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(gpiod, "Chip", refuse)
    with pytest.raises(PermissionBusError, match="usermod -aG gpio"):
        open_gpio("header", name="gpio", folder=seam.folder)


def test_a_request_the_kernel_refuses_says_why(
    seam: GpiodSeam, monkeypatch: pytest.MonkeyPatch
) -> None:
    chip = open_gpio("header", name="gpio", folder=seam.folder)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(chip._chip, "request_lines", refuse)
    with pytest.raises(BusError, match="request of line 4 of gpio failed: .*EINVAL"):
        chip.input(4, bias=Bias.UP)
    chip.close()


def test_a_line_that_fails_in_use_says_why(
    seam: GpiodSeam, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = open_gpio("header", name="gpio", folder=seam.folder).input(4)

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("hal.seams._Request.get_value", fail)
    with pytest.raises(BusError, match="line 4 of gpio failed: .*EIO 5"):
        line.value()


def test_a_line_that_does_not_take_what_is_sent_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(linux_uart, "WRITE_TIMEOUT_S", 0.02)
    pty = Pty()
    uart = open_uart(pty.path, name="uart0", clock=SystemClock())
    with pytest.raises(DeadlineError, match="did not take 100000 bytes in time"):
        uart.write(bytes(100_000))
    uart.close()
    pty.close()


def test_a_read_of_a_real_line_without_deadline_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linux_uart, "IDLE_S", 0.01)
    pty = Pty()
    uart = open_uart(pty.path, name="uart0", clock=SystemClock())
    assert uart.read(1) == b""
    uart.close()
    pty.close()
