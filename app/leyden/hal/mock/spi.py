"""A modelled SPI bus: full duplex bytes; a chip that is not there leaves the input line low."""

from __future__ import annotations

from leyden.hal.errors import WorldError
from leyden.hal.mock.chip import SpiChip
from leyden.hal.mock.faults import FaultKind, Wire, deaf
from leyden.hal.mock.world import World
from leyden.hal.spi import check_transfer
from leyden.kernel import Executor


class MockSpiBus:
    """An SPI bus with chip models on it.

    Nothing acknowledges on SPI: a missing chip reads as zeros, because the Pi pulls the undriven
    input line down (BCM2711 peripherals, 5.3: GPIO 9 resets to pull-down).

    Args:
        name: "spi0".
        executor: whose clock the bus lives by, and what a hanging call waits with.
        world: where the faults of its chips are set.
    """

    def __init__(self, name: str, executor: Executor, world: World) -> None:
        self.name = name
        self._executor = executor
        self._world = world
        self._wires: dict[int, tuple[SpiChip, Wire]] = {}

    def plug(self, chip: SpiChip) -> None:
        """Connect a chip.

        Raises:
            WorldError: another one has its chip select.
        """
        taken = self._wires.get(chip.chip_select)
        if taken is not None:
            raise WorldError(
                f"{chip.name} and {taken[0].name} are both at chip select {chip.chip_select} "
                f"on {self.name}"
            )
        self._wires[chip.chip_select] = (chip, Wire(chip, self._world, self._executor))

    def open(self) -> MockSpiBus:
        """Return the bus, as opening its device file would."""
        return self

    def close(self) -> None:
        """Give nothing back: the wiring stays."""

    def transfer(
        self,
        chip_select: int,
        data: bytes,
        *,
        speed_hz: int,
        mode: int = 0,
        deadline: int | None = None,
    ) -> bytes:
        """Exchange `data`; the deadline is the guard's business, as with a real bus."""
        check_transfer(chip_select, data, speed_hz, mode)
        if chip_select not in self._wires:
            return bytes(len(data))
        chip, wire = self._wires[chip_select]
        fault = wire.touch()
        if fault.kind is FaultKind.UNPLUG:
            return bytes(len(data))
        answer = bytes(len(data)) if deaf(fault) else _exchange(chip, data, speed_hz, mode)
        return wire.spoil(fault, answer)


def _exchange(chip: SpiChip, data: bytes, speed_hz: int, mode: int) -> bytes:
    if speed_hz > chip.max_speed_hz:
        return b"\xff" * len(data)  # the chip cannot follow; what arrives means nothing
    answer = chip.exchange(data)
    if len(answer) != len(data):
        raise WorldError(
            f"the model of {chip.name} answered {len(answer)} bytes, expected {len(data)}"
        )
    return answer if mode in chip.modes else _one_bit_late(answer)


def _one_bit_late(data: bytes) -> bytes:
    """Return what the controller samples on the wrong edge: everything moved by one bit."""
    return (int.from_bytes(data, "big") >> 1).to_bytes(len(data), "big")
