"""A seat for a driver: obeys orders, one line of JSON each, and says what came of them.

The same file runs on the appliance, where the driver sits on a real bus, and in the rig, where it
sits on a modelled one: what differs between the answers is drift between model and part. It needs
nothing but Leyden.

    python3 seat.py '{"driver": "lm75", "registers": "Tmp75Registers", "options": {}, "path": "…"}'
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from typing import Any, TextIO

from leyden.hal.linux.rig import LinuxRig
from leyden.hal.registers import I2cRegisters, registers_of
from leyden.kernel import LeydenError, SystemExecutor

Answer = dict[str, Any]


class Seat:
    """One driver on one bus.

    Args:
        driver: its class.
        bus: what it sits on.
        options: of the driver.
        registers: the map of its registers, `None` if it has none.
    """

    def __init__(self, driver: Any, bus: Any, options: Any, registers: Any = None) -> None:
        self._device = driver(bus, options)
        self._channels = {channel.name: channel for channel in self._device.channels()}
        port = type("Port", (registers, I2cRegisters), {}) if registers else None
        self._port: Any = port(bus, options.address) if port else None
        self._registers = {each.name: each for each in registers_of(port)} if port else {}

    def obey(self, order: Answer) -> Answer:
        """Carry out `{"do": "read"}`; return `{"ok": …}`, or `{"error": class, "words": …}`."""
        doings: dict[str, Callable[[Answer], Any]] = {
            "channels": lambda _: sorted(self._channels),
            "probe": lambda _: self._device.probe(),
            "start": lambda _: self._device.start(),
            "check": lambda _: self._device.check(),
            "read": lambda _: self._read(),
            "register": lambda order: self._register(order["name"]),
            "write": lambda order: self._write(order["name"], order["value"]),
        }
        try:
            return {"ok": doings[order["do"]](order)}
        except LeydenError as error:
            return {"error": type(error).__name__, "words": str(error)}

    def _read(self) -> dict[str, Any]:
        reading = self._device.read()
        return {
            name: {
                "value": value,
                "step": self._channels[name].step,
                "doubt": reading.doubts[name].reason if name in reading.doubts else "",
            }
            for name, value in reading.values().items()
        }

    def _register(self, name: str) -> int:
        return int(self._port.read_register(self._registers[name]))

    def _write(self, name: str, value: int) -> int:
        register = self._registers[name]
        self._port.write_register(register, value & (1 << register.width) - 1)
        return int(self._port.read_register(register))


def serve(seat: Seat, orders: TextIO, answers: TextIO) -> None:
    """Obey until there are no more orders."""
    for line in orders:
        answers.write(json.dumps(seat.obey(json.loads(line))) + "\n")
        answers.flush()


def make(subject: Answer, bus: Any) -> Seat:
    """Return the seat of a driver as `subject` names it, on a bus."""
    package = f"leyden_drivers.{subject['driver']}"
    module = importlib.import_module(package)
    maps = importlib.import_module(f"{package}.registers")
    registers = getattr(maps, subject["registers"])
    return Seat(module.DEVICE, bus, module.OPTIONS(**subject["options"]), registers)


def main() -> None:
    """Sit on a real bus and obey what comes in."""
    subject = json.loads(sys.argv[1])
    rig = LinuxRig(SystemExecutor())
    try:
        serve(make(subject, rig.i2c("bus", path=subject["path"])), sys.stdin, sys.stdout)
    finally:
        rig.close()


if __name__ == "__main__":
    main()
