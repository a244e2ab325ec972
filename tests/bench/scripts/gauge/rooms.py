"""Devices for simulated time: rooms and racks, warm by day, each out of step with the others."""

import math
from dataclasses import dataclass
from typing import Annotated

from leyden.kernel import Channel, Device, Reading, Span, TableReading


@dataclass(frozen=True, slots=True, kw_only=True)
class Climate(Reading):
    """What a room is like."""

    temperature: Annotated[float, Span("Cel", -40, 85)]
    humidity: Annotated[float, Span("%", 0, 100)]


class Room(Device[Climate]):
    """Two channels that follow the clock."""

    reading = Climate

    def __init__(self, number: int) -> None:
        self.number = number

    def read(self) -> Climate:
        """Return the climate of this moment."""
        day = self.clock.monotonic_ns() / 86_400e9 * math.tau + self.number
        return Climate(
            temperature=round(20 + 5 * math.sin(day), 2), humidity=round(50 - 20 * math.sin(day), 2)
        )


class Rack(Device[TableReading]):
    """Ten thermometers read at once."""

    CHANNELS = tuple(f"slot_{i}" for i in range(10))

    def __init__(self, number: int) -> None:
        self.number = number

    def channels(self) -> tuple[Channel, ...]:
        """Return one channel a slot."""
        return tuple(Channel(name, float, "Cel", -40, 85, 0.01) for name in self.CHANNELS)

    def read(self) -> TableReading:
        """Return the temperatures of this moment."""
        day = self.clock.monotonic_ns() / 86_400e9 * math.tau + self.number
        warm = 20 + 5 * math.sin(day)
        return TableReading(table={name: warm + i for i, name in enumerate(self.CHANNELS)})
