"""The hardware: what a bus is to a driver, whatever wire or model is behind it.

Drivers take an `I2cBus`, `SpiBus`, `Uart` or `GpioChip` and describe their part's memory with
`Register` and its fields, reached through `I2cRegisters`. Real buses are in `hal.linux`, modelled
ones in `hal.mock`, and the guard that stands above either in `hal.guard`.
"""

from leyden.hal.errors import (
    AbandonedError,
    BusError,
    BusHungError,
    BusLostError,
    BusMissingError,
    BusStuckError,
    BusTurnError,
    InUseError,
    MessageError,
    MissingLibraryError,
    NoAnswerError,
    PermissionBusError,
    RegisterError,
)
from leyden.hal.gpio import Bias, Edge, EdgeEvent, GpioChip, InputLine, OutputLine
from leyden.hal.i2c import I2cBus, Message, Read, Write
from leyden.hal.options import Quantity
from leyden.hal.registers import I2cRegisters, Register, registers_of
from leyden.hal.spi import SpiBus
from leyden.hal.uart import Uart

__all__ = [
    "AbandonedError",
    "Bias",
    "BusError",
    "BusHungError",
    "BusLostError",
    "BusMissingError",
    "BusStuckError",
    "BusTurnError",
    "Edge",
    "EdgeEvent",
    "GpioChip",
    "I2cBus",
    "I2cRegisters",
    "InUseError",
    "InputLine",
    "Message",
    "MessageError",
    "MissingLibraryError",
    "NoAnswerError",
    "OutputLine",
    "PermissionBusError",
    "Quantity",
    "Read",
    "Register",
    "RegisterError",
    "SpiBus",
    "Uart",
    "Write",
    "registers_of",
]
