"""Driver for GPIO lines: levels with debouncing, counters of edges, and outputs held by leases."""

from __future__ import annotations

from typing import ClassVar

from leyden.hal import GpioChip, MessageError
from leyden.kernel import (
    Channel,
    ComponentError,
    Device,
    DeviceError,
    Doubt,
    TableReading,
    Value,
    WrongDeviceError,
)
from leyden_drivers.gpio.lines import OutputPort, Port, Sample, port_of
from leyden_drivers.gpio.options import GpioOptions

SHORTEST_LEASE_S = 1.0
PERIODS_IN_A_LEASE = 3.0


class Gpio(Device[TableReading]):
    """Some lines of one chip, each named in the configuration.

    `period_s` is how often it is read; the leases of its outputs follow from it.
    """

    bus_kind: ClassVar[str] = "gpio"
    compatible: ClassVar[str] = "linux,gpio"
    witness: ClassVar[str] = "outputs read back as asked, edges agree with levels"

    def __init__(self, bus: GpioChip, options: GpioOptions) -> None:
        self.period_s = 1.0
        self._chip = bus
        self._options = options
        self._ports: dict[str, Port] = {
            name: port_of(name, line, settle_s=options.settle)
            for name, line in options.lines.items()
        }
        self._channels = tuple(
            channel for port in self._ports.values() for channel in port.channels()
        )
        _refuse_doubles(self._channels)

    def channels(self) -> tuple[Channel, ...]:
        """The channels of all lines, in the order of the configuration."""
        return self._channels

    def start(self) -> None:
        """Take all lines; outputs are safe first, then as `initial` says.

        Raises:
            WrongDeviceError: the chip has no such line.
            BusError: a line is held by somebody else, or the chip does not answer.
        """
        self._close()
        try:
            for port in self._ports.values():
                self._open(port)
        except DeviceError:
            self._close()
            raise

    def read(self) -> TableReading:
        """Renew the leases of all outputs and return all lines; each is judged by itself.

        Raises:
            DeviceError: not one line could be read.
        """
        samples: list[Sample] = []
        failures: list[DeviceError] = []
        # Outputs first: their leases run.
        for port in sorted(self._ports.values(), key=lambda port: not isinstance(port, OutputPort)):
            try:
                samples.append(port.sample(self.clock.monotonic_ns()))
            except DeviceError as error:
                failures.append(error)
                samples.append(_lost(port, error))
        if len(failures) == len(self._ports):
            raise failures[0]
        return self._reading(samples)

    def write(self, channel: str, value: Value) -> None:
        """Hold an output at `value` from now on.

        Raises:
            ComponentError: there is no such output, or `value` is not a bool.
            BusError: the line could not be set.
        """
        port = self._ports.get(channel)
        if not isinstance(port, OutputPort):
            outputs = [name for name, port in self._ports.items() if isinstance(port, OutputPort)]
            raise ComponentError(
                f"{channel} is no output; this device has " + (", ".join(outputs) or "none")
            )
        if not isinstance(value, bool):
            raise ComponentError(f"found {value!r} for {channel}, expected true or false")
        port.lease_ms = self._lease_ms()
        port.write(value, self.clock.monotonic_ns())

    def check(self) -> None:
        """Ask each line for its level; raise `DeviceError` when not one can be asked."""
        failures: list[DeviceError] = []
        for port in self._ports.values():
            try:
                port.look()
            except DeviceError as error:
                failures.append(error)
        if len(failures) == len(self._ports):
            raise failures[0]

    def stop(self) -> None:
        """Drive every output to its safe value and give all lines back."""
        failure = self._close()
        if failure is not None:
            raise failure

    def _open(self, port: Port) -> None:
        if isinstance(port, OutputPort):
            port.lease_ms = self._lease_ms()
        try:
            port.open(self._chip, self.clock)
        except MessageError as error:
            raise WrongDeviceError(f"{port.name}: {error}") from error

    def _close(self) -> DeviceError | None:
        # One line that cannot be closed must not keep the others from their safe value.
        failure: DeviceError | None = None
        for port in self._ports.values():
            try:
                port.close()
            except DeviceError as error:
                failure = failure or error
        return failure

    def _lease_ms(self) -> int:
        lease_s = self._options.lease
        if lease_s is None:
            lease_s = max(SHORTEST_LEASE_S, PERIODS_IN_A_LEASE * self.period_s)
        return max(1, round(lease_s * 1000))

    def _reading(self, samples: list[Sample]) -> TableReading:
        values: dict[str, Value] = {}
        doubts: dict[str, Doubt] = {}
        for sample in samples:
            values.update(sample.values)
            doubts.update(sample.doubts)
        table = {channel.name: values[channel.name] for channel in self._channels}
        return TableReading(table=table, doubts=doubts)


def _lost(port: Port, error: DeviceError) -> Sample:
    names = [channel.name for channel in port.channels()]
    doubt = Doubt.bad(error.reason, str(error))
    return Sample(dict.fromkeys(names), dict.fromkeys(names, doubt))


def _refuse_doubles(channels: tuple[Channel, ...]) -> None:
    seen: set[str] = set()
    for channel in channels:
        if channel.name in seen:
            raise ComponentError(f"lines: two channels are called {channel.name}; rename a line")
        seen.add(channel.name)
