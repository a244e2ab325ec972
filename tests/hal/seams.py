"""The second seam: the system below the real bus libraries, played by the modelled buses.

The libraries run unchanged; what they ask the kernel for is answered from a modelled bus, with the
errno a Pi's controller gives.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import inspect
import os
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gpiod
import pytest
import smbus2.smbus2

from leyden.hal.errors import (
    BusLostError,
    BusStuckError,
    InUseError,
    NoAnswerError,
)
from leyden.hal.gpio import Bias, Edge
from leyden.hal.i2c import Read, Write
from leyden.hal.mock.gpio import MockGpioChip
from leyden.hal.mock.i2c import MockI2cBus
from leyden.hal.mock.spi import MockSpiBus

I2C_FUNCS, I2C_RDWR, I2C_TIMEOUT = 0x0705, 0x0707, 0x0702  # linux/i2c-dev.h
I2C_M_RD = 0x0001


class KernelI2c:
    """Answers the ioctls of one `/dev/i2c-N` from a modelled bus, as i2c-bcm2835 does."""

    def __init__(self, bus: MockI2cBus, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bus = bus
        self.path = folder / "i2c-9"
        self.path.touch()
        self.sysfs = folder / "sys"
        self.timeout: int | None = None
        self.transfers: list[list[str]] = []  # "W" and "R" of each call
        monkeypatch.setattr(smbus2.smbus2, "ioctl", self.ioctl)
        monkeypatch.setattr(fcntl, "ioctl", self.ioctl)

    def ioctl(self, fd: int, request: int, argument: Any) -> int:
        os.fstat(fd)  # EBADF, as from the kernel, when the file is closed
        if request == I2C_TIMEOUT:
            self.timeout = argument
        elif request == I2C_FUNCS:
            argument.value = 0x0EFF0009
        elif request == I2C_RDWR:
            self._transfer([argument.msgs[i] for i in range(argument.nmsgs)])
        else:
            raise OSError(errno.ENOTTY, "not an I2C request")
        return 0

    def _transfer(self, raw: list[Any]) -> None:
        reads = [bool(message.flags & I2C_M_RD) for message in raw]
        self.transfers.append(["R" if read else "W" for read in reads])
        if any(reads[:-1]):
            # i2c-bcm2835.c: "only one read message supported, has to be last"
            raise OSError(errno.EOPNOTSUPP, "only one read message supported")
        messages = [Read(m.len) if m.flags & I2C_M_RD else Write(bytes(m)) for m in raw]
        answers = iter(self._carry(raw[0].addr, messages))
        for message, read in zip(raw, reads, strict=True):
            if read:
                ctypes.memmove(message.buf, next(answers), message.len)

    def _carry(self, address: int, messages: list[Read | Write]) -> list[bytes]:
        try:
            return self.bus.transfer(address, messages)
        except NoAnswerError as error:
            raise OSError(errno.EREMOTEIO, "Remote I/O error") from error
        except BusStuckError as error:
            raise OSError(errno.ETIMEDOUT, "Connection timed out") from error
        except BusLostError as error:
            raise OSError(errno.ENODEV, "No such device") from error

    def own(self, address: int, driver: str) -> None:
        """Let a kernel driver have an address."""
        device = self.sysfs / f"9-{address:04x}"
        device.mkdir(parents=True)
        target = self.sysfs / "drivers" / driver
        target.mkdir(parents=True)
        (device / "driver").symlink_to(target)

    def set_clock(self, hertz: int) -> None:
        """Let the device tree say how fast the bus is."""
        node = self.sysfs / "i2c-9" / "of_node"
        node.mkdir(parents=True)
        (node / "clock-frequency").write_bytes(hertz.to_bytes(4, "big"))


class SpidevModule(types.ModuleType):
    """Stands where `import spidev` looks; its `SpiDev` reaches a modelled bus."""

    def __init__(self, bus: MockSpiBus) -> None:
        super().__init__("spidev")
        self.opened: list[str] = []
        self.closed = 0
        self.failure: int | None = None  # errno of the next transfer
        module = self

        class SpiDev:
            def __init__(self) -> None:
                self.mode = 0
                self.max_speed_hz = 125_000_000
                self._select = 0

            def open_path(self, path: str) -> None:
                if not path.startswith("/dev/spidev0."):
                    raise FileNotFoundError(errno.ENOENT, "No such file or directory")
                self._select = int(path.removeprefix("/dev/spidev0."))
                module.opened.append(path)

            def xfer2(self, values: list[int]) -> list[int]:
                if module.failure is not None:
                    raise OSError(module.failure, os.strerror(module.failure))
                answer = bus.transfer(
                    self._select, bytes(values), speed_hz=self.max_speed_hz, mode=self.mode
                )
                return list(answer)

            def close(self) -> None:
                module.closed += 1

        self.SpiDev = SpiDev


class GpiodSeam:
    """Puts modelled chips where gpiod opens `/dev/gpiochipN`; gpiod's own words stay gpiod's.

    Every call is bound to the signature of the real method, so the seam cannot drift from it.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._chips: dict[str, tuple[str, MockGpioChip]] = {}
        self._request_lines: Callable[..., Any] = gpiod.Chip.request_lines
        monkeypatch.setattr(gpiod, "Chip", self.open)

    def add(self, number: int, label: str, chip: MockGpioChip) -> None:
        """Put a chip at `gpiochip<number>`."""
        path = self.folder / f"gpiochip{number}"
        path.touch()
        self._chips[str(path)] = (label, chip)

    def open(self, path: str) -> Any:
        label, chip = self._chips[path]
        return _GpiodChip(label, chip, inspect.signature(self._request_lines))


class _GpiodChip:
    def __init__(self, label: str, chip: MockGpioChip, signature: inspect.Signature) -> None:
        self._label = label
        self._chip = chip
        self._signature = signature
        self._holders: dict[int, str] = {}

    def get_info(self) -> Any:
        return gpiod.ChipInfo("gpiochip0", self._label, self._chip.lines)

    def get_line_info(self, line: int) -> Any:
        holder = self._chip.holder(line)
        return types.SimpleNamespace(consumer=holder)

    def request_lines(self, *args: Any, **kwargs: Any) -> Any:
        bound = self._signature.bind(self, *args, **kwargs).arguments
        [(line, settings)] = bound["config"].items()
        try:
            return _Request(self._chip, line, settings, bound["consumer"])
        except InUseError as error:
            raise OSError(errno.EBUSY, "Device or resource busy") from error

    def close(self) -> None:
        """The lines stay requested, as the kernel keeps them."""


class _Request:
    def __init__(self, chip: MockGpioChip, line: int, settings: Any, consumer: str) -> None:
        words = gpiod.line
        self._released = False
        self._number = 0
        self._input: Any = None
        self._output: Any = None
        if settings.direction is words.Direction.OUTPUT:
            self._output = chip.drive(
                line,
                value=settings.output_value is words.Value.ACTIVE,
                active_low=settings.active_low,
                consumer=consumer,
            )
            return
        assert settings.event_clock is words.Clock.MONOTONIC
        biases = {"AS_IS": Bias.AS_IS, "DISABLED": Bias.NONE, "PULL_UP": Bias.UP}
        self._input = chip.input(
            line,
            bias=biases.get(settings.bias.name, Bias.DOWN),
            active_low=settings.active_low,
            edges=Edge[settings.edge_detection.name],
            debounce_s=settings.debounce_period.total_seconds(),
        )
        self._pending: list[Any] = []

    def get_value(self, line: int) -> Any:
        self._check()
        return gpiod.line.Value(int((self._input or self._output).value()))

    def set_value(self, line: int, value: Any) -> None:
        self._check()
        self._output.drive(value is gpiod.line.Value.ACTIVE)

    def wait_edge_events(self, timeout: Any = None) -> bool:
        self._check()
        assert timeout == 0, "waiting for edges would hold the lane up"
        self._pending += self._input.events(10_000)
        return bool(self._pending)

    def read_edge_events(self, max_events: int | None = None) -> list[Any]:
        taken, self._pending = self._pending[:max_events], self._pending[max_events:]
        kinds = gpiod.EdgeEvent.Type
        events = []
        lost = self._input.missed()
        for edge in taken:
            self._number += 1
            kind = kinds.RISING_EDGE if edge.rising else kinds.FALLING_EDGE
            number = self._number + lost
            events.append(gpiod.EdgeEvent(kind.value, edge.mono, 0, number, number))
        return events

    def release(self) -> None:
        if not self._released:
            self._released = True
            (self._input or self._output).close()

    def _check(self) -> None:
        if self._released:
            raise gpiod.RequestReleasedError
