"""A modelled I2C bus: bytes, acknowledge and time-outs as the Pi's controller shows them."""

from __future__ import annotations

from collections.abc import Sequence

from leyden.hal.errors import BusLostError, BusMissingError, WorldError
from leyden.hal.i2c import Message, Read, Write, bus_stuck, check_messages, no_answer
from leyden.hal.mock.chip import I2cChip, Nack
from leyden.hal.mock.faults import Fault, FaultKind, FaultLine, Wire, deaf
from leyden.hal.mock.world import World
from leyden.kernel import Executor

# What can befall the whole bus rather than one chip; set with the signal `<bus>.fault`.
BUS_FAULTS = frozenset(
    {
        FaultKind.NONE,
        FaultKind.NACK,
        FaultKind.STUCK_LOW,  # a line held low: nothing moves, the controller gives up
        FaultKind.STUCK_HIGH,  # no acknowledge can ever be seen
        FaultKind.HANG,
        FaultKind.SLOW,
        FaultKind.UNPLUG,  # the controller itself is gone, as with a USB adapter
    }
)


class MockI2cBus:
    """An I2C bus with chip models on it.

    Args:
        name: "i2c1".
        executor: whose clock the bus lives by, and what a hanging call waits with.
        world: where the faults of the bus and of its chips are set.
        speed_hz: clock, for the load figure.
        timeout_s: how long the controller waits for a stretched clock.
    """

    def __init__(
        self,
        name: str,
        executor: Executor,
        world: World,
        *,
        speed_hz: int = 100_000,
        timeout_s: float = 0.1,
    ) -> None:
        self.name = name
        self.speed_hz = speed_hz
        self._executor = executor
        self._world = world
        self._timeout_s = timeout_s
        self._wires: dict[int, tuple[I2cChip, Wire]] = {}
        self._faults = FaultLine(world, name, BUS_FAULTS)
        self._changed = executor.signal()
        world.watch(f"{name}.fault", self._changed.set)

    def plug(self, chip: I2cChip) -> None:
        """Connect a chip.

        Raises:
            WorldError: another one has its address.
        """
        taken = self._wires.get(chip.address)
        if taken is not None:
            raise WorldError(
                f"{chip.name} and {taken[0].name} are both at {chip.address:#04x} on {self.name}"
            )
        self._wires[chip.address] = (chip, Wire(chip, self._world, self._executor))

    def open(self) -> MockI2cBus:
        """Return the bus, as opening its device file would.

        Raises:
            BusMissingError: the bus is unplugged.
        """
        if self._faults.current().kind is FaultKind.UNPLUG:
            raise BusMissingError(f"{self.name} is not there; is its adapter plugged in?")
        return self

    def close(self) -> None:
        """Give nothing back: the wiring stays."""

    def transfer(
        self, address: int, messages: Sequence[Message], *, deadline: int | None = None
    ) -> list[bytes]:
        """Carry out `messages`; the deadline is the guard's business, as with a real bus."""
        check_messages(address, messages)
        self._meet_bus_fault(address)
        if address not in self._wires:
            raise no_answer(self.name, address)
        chip, wire = self._wires[address]
        fault = wire.touch(self._timeout_s)
        if fault.kind in (FaultKind.UNPLUG, FaultKind.NACK):
            raise no_answer(self.name, address)
        if fault.kind is FaultKind.SLOW and fault.seconds > self._timeout_s:
            raise bus_stuck(self.name, address)
        try:
            answers = [self._carry(chip, message, fault) for message in messages]
        except Nack:
            raise no_answer(self.name, address) from None
        return _spoilt(wire, fault, [answer for answer in answers if answer is not None])

    def _carry(self, chip: I2cChip, message: Message, fault: Fault) -> bytes | None:
        if isinstance(message, Write):
            if not deaf(fault):
                chip.write(message.data)
            return None
        return bytes(message.length) if deaf(fault) else _exactly(chip, message)

    def _meet_bus_fault(self, address: int) -> None:
        self._wait_out_hang()
        fault = self._faults.strike()
        if fault.kind is FaultKind.UNPLUG:
            raise BusLostError(f"{self.name} went away")
        if fault.kind is FaultKind.SLOW:
            self._executor.clock.sleep(min(fault.seconds, self._timeout_s))
        too_slow = fault.kind is FaultKind.SLOW and fault.seconds > self._timeout_s
        if fault.kind is FaultKind.STUCK_LOW:
            self._executor.clock.sleep(self._timeout_s)
        if fault.kind is FaultKind.STUCK_LOW or too_slow:
            raise bus_stuck(self.name, address)
        if fault.kind in (FaultKind.NACK, FaultKind.STUCK_HIGH):
            raise no_answer(self.name, address)

    def _wait_out_hang(self) -> None:
        while self._hanging():
            self._changed.clear()
            if self._hanging():  # not released just before the signal was lowered
                self._changed.wait()

    def _hanging(self) -> bool:
        return self._faults.current().kind is FaultKind.HANG


def _exactly(chip: I2cChip, message: Read) -> bytes:
    data = chip.read(message.length)
    if len(data) != message.length:
        raise WorldError(
            f"the model of {chip.name} answered {len(data)} bytes, expected {message.length}"
        )
    return data


def _spoilt(wire: Wire, fault: Fault, answers: list[bytes]) -> list[bytes]:
    """Send the answers through the fault as one stream, so that one bit is one bit."""
    stream = wire.spoil(fault, b"".join(answers))
    spoilt, at = [], 0
    for answer in answers:
        spoilt.append(stream[at : at + len(answer)])
        at += len(answer)
    return spoilt
