"""Guards above the real buses of this machine."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from leyden.hal.guard import AnyGuard, GuardedGpio, GuardedI2c, GuardedSpi, GuardedUart, Rung
from leyden.hal.lease import LeaseKeeper
from leyden.hal.linux.gpio import HEADER, open_gpio
from leyden.hal.linux.i2c import open_i2c
from leyden.hal.linux.spi import open_spi
from leyden.hal.linux.uart import open_uart
from leyden.kernel import Executor


class LinuxRig:
    """Makes guarded buses; each opens its device file when it is first used.

    Args:
        executor: whose clock deadlines are on.
        keeper: of the leases on outputs; made where none is given.
    """

    def __init__(self, executor: Executor, *, keeper: LeaseKeeper | None = None) -> None:
        self.clock = executor.clock
        self.keeper = keeper or LeaseKeeper(executor)
        self.buses: dict[str, AnyGuard] = {}

    def i2c(
        self,
        name: str,
        *,
        path: str = "/dev/i2c-1",
        speed_hz: int = 100_000,
        recovery: Sequence[Rung] = (),
    ) -> GuardedI2c:
        """Make an I2C bus."""
        opener = partial(open_i2c, path, name=name, speed_hz=speed_hz)
        bus = self.buses[name] = GuardedI2c(name, opener, self.clock, path=path, recovery=recovery)
        return bus

    def spi(self, name: str, *, path: str = "/dev/spidev0") -> GuardedSpi:
        """Make an SPI bus."""
        opener = partial(open_spi, path, name=name)
        bus = self.buses[name] = GuardedSpi(name, opener, self.clock, path=path)
        return bus

    def uart(self, name: str, *, path: str = "/dev/serial0", speed_bd: int = 9600) -> GuardedUart:
        """Make a serial line."""
        opener = partial(open_uart, path, name=name, clock=self.clock, speed_bd=speed_bd)
        bus = self.buses[name] = GuardedUart(name, opener, self.clock, path=path)
        return bus

    def gpio(self, name: str, *, chip: str = HEADER) -> GuardedGpio:
        """Make a GPIO chip."""
        opener = partial(open_gpio, chip, name=name)
        bus = self.buses[name] = GuardedGpio(
            name, opener, self.clock, keeper=self.keeper, path=chip
        )
        return bus

    def close(self) -> None:
        """Drive every output safe, give every bus back and end the keeper's lane."""
        for bus in self.buses.values():
            bus.close()
        self.keeper.stop()
