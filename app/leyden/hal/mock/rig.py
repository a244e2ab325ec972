"""A bench of modelled buses: guards above, wires between, chip models at the far end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from leyden.hal.errors import WorldError
from leyden.hal.guard import AnyGuard, GuardedGpio, GuardedI2c, GuardedSpi, GuardedUart
from leyden.hal.lease import LeaseKeeper
from leyden.hal.mock.chip import Chip, I2cChip, LineChip, SpiChip, UartChip
from leyden.hal.mock.gpio import MockGpioChip
from leyden.hal.mock.i2c import MockI2cBus
from leyden.hal.mock.spi import MockSpiBus
from leyden.hal.mock.uart import MockUart
from leyden.hal.mock.world import World
from leyden.kernel import Clock, Executor

AnyMock: TypeAlias = MockI2cBus | MockSpiBus | MockUart | MockGpioChip
C = TypeVar("C", bound=Chip)


class Rig:
    """Makes modelled buses under guard and plugs chip models into them.

        rig = Rig(SimulatedExecutor())
        bus = rig.i2c("i2c1")
        chip = rig.plug("i2c1", CHIP, "air", options)
        device = DEVICE(bus, options)
        rig.world.set("air.present", False)

    Args:
        executor: whose clock everything lives by.
        world: made with `seed` where none is given.
        keeper: of the leases on outputs; made where none is given.
    """

    def __init__(
        self,
        executor: Executor,
        *,
        world: World | None = None,
        seed: int = 0,
        keeper: LeaseKeeper | None = None,
    ) -> None:
        self.executor = executor
        self.world = world or World(executor.clock, seed)
        self.keeper = keeper or LeaseKeeper(executor)
        self.wires: dict[str, AnyMock] = {}  # the modelled buses themselves, by name
        self.buses: dict[str, AnyGuard] = {}  # what drivers get, by name

    def i2c(self, name: str, *, speed_hz: int = 100_000) -> GuardedI2c:
        """Make an I2C bus."""
        mock = MockI2cBus(name, self.executor, self.world, speed_hz=speed_hz)
        return self._keep(mock, GuardedI2c(name, mock.open, self.executor.clock, path="mock"))

    def spi(self, name: str) -> GuardedSpi:
        """Make an SPI bus."""
        mock = MockSpiBus(name, self.executor, self.world)
        return self._keep(mock, GuardedSpi(name, mock.open, self.executor.clock, path="mock"))

    def uart(self, name: str, *, speed_bd: int = 9600) -> GuardedUart:
        """Make a serial line."""
        mock = MockUart(name, self.executor, self.world, speed_bd=speed_bd)
        return self._keep(mock, GuardedUart(name, mock.open, self.executor.clock, path="mock"))

    def gpio(self, name: str, *, lines: int = 54) -> GuardedGpio:
        """Make a GPIO chip."""
        mock = MockGpioChip(name, self.executor, self.world, lines=lines)
        guard = GuardedGpio(name, mock.open, self.executor.clock, keeper=self.keeper, path="mock")
        return self._keep(mock, guard)

    def plug(
        self, bus: str, model: Callable[[World, str, Any, Clock], C], name: str, options: Any
    ) -> C:
        """Make a chip model and connect it to a bus of this rig.

        Raises:
            WorldError: the model is for another kind of bus, or its place is taken.
        """
        chip = model(self.world, name, options, self.executor.clock)
        match self.wires[bus], chip:
            case MockI2cBus() as wire, I2cChip():
                wire.plug(chip)
            case MockSpiBus() as wire, SpiChip():
                wire.plug(chip)
            case MockUart() as wire, UartChip():
                wire.plug(chip)
            case MockGpioChip() as wire, LineChip():
                wire.plug(chip)
            case _:
                raise WorldError(
                    f"{name} is a model for {chip.kind or 'no kind of bus'}, "
                    f"{bus} is {self.buses[bus].kind}"
                )
        return chip

    def close(self) -> None:
        """Drive every output safe and end the keeper's lane."""
        for guard in self.buses.values():
            guard.close()
        self.keeper.stop()

    def _keep(self, mock: AnyMock, guard: G) -> G:
        if guard.name in self.buses:
            raise WorldError(f"there are two buses called {guard.name}")
        self.wires[guard.name] = mock
        self.buses[guard.name] = guard
        return guard


G = TypeVar("G", GuardedI2c, GuardedSpi, GuardedUart, GuardedGpio)
