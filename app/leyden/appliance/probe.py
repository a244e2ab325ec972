"""Probing: which configured devices answer, and what else answers on an I2C bus.

A device is asked by its own driver, whose witness knows its part. A bus is searched the careful
way: a quick write to most addresses, one byte read where chips may take a write for a command, none
of the addresses a kernel driver has, and no bus at all that drives outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from leyden.appliance import drivers
from leyden.appliance.assemble import Appliance
from leyden.appliance.options import OptionError, read_options
from leyden.hal.errors import (
    BusError,
    BusHungError,
    BusLostError,
    BusMissingError,
    BusStuckError,
    InUseError,
    MissingLibraryError,
    NoAnswerError,
    PermissionBusError,
)
from leyden.hal.guard import AnyGuard, GuardedI2c
from leyden.hal.i2c import FIRST_ADDRESS, LAST_ADDRESS, Message, Read, Write
from leyden.kernel import (
    NS,
    Device,
    DeviceError,
    Direction,
    Executor,
    LeydenError,
    NoDataError,
    SimulatedExecutor,
    WrongDeviceError,
)

ADDRESSES: Final = range(FIRST_ADDRESS, LAST_ADDRESS + 1)

# i2cdetect(8): at these a quick write may corrupt an EEPROM or hang a clock chip, so one byte is
# read instead; elsewhere a read may confuse parts that are only written to.
_READ_RANGES: Final = (range(0x30, 0x38), range(0x50, 0x60))

_LIMIT_S: Final = 3.0  # for one device's answer
_TOUCH_S: Final = 1.0  # for one address; the kernel gives up after a tenth of that
_PATIENCE_S: Final = {"uart": 6.0}  # a part that speaks when it likes is listened to this long
_BETWEEN_S: Final = 0.25
_FATAL: Final = (
    BusStuckError, BusHungError, BusLostError, BusMissingError, PermissionBusError,
    MissingLibraryError,
)  # fmt: skip


class Found(StrEnum):
    """What came of asking."""

    FOUND = "found"
    ABSENT = "absent"  # nothing answers
    WRONG = "wrong"  # something else answers
    TROUBLE = "trouble"  # an answer that cannot be believed, or a bus that cannot be used
    UNASKED = "unasked"  # its driver has no way to ask
    SILENT = "silent"  # an address at which nothing answers
    KERNEL = "kernel"  # an address that a kernel driver has; not touched
    UNKNOWN = "unknown"  # an address that this bus cannot be asked about safely


@dataclass(frozen=True, slots=True)
class DeviceFinding:
    """What a configured device answered."""

    id: str
    driver: str
    bus: str
    address: str
    found: Found
    detail: str  # in words


@dataclass(frozen=True, slots=True)
class AddressFinding:
    """What answered at an address of an I2C bus."""

    bus: str
    address: int
    found: Found
    device: str = ""  # the configured device there
    candidates: tuple[str, ...] = ()  # drivers that recognise the part
    detail: str = ""  # in words


class ScanError(LeydenError):
    """A bus that cannot be searched, or only partly; the text says why."""


def probe_devices(
    appliance: Appliance, executor: Executor, note: Callable[[str], None]
) -> Iterator[DeviceFinding]:
    """Ask each configured device by its driver and yield what came of it.

    Args:
        appliance: assembled and not booted.
        executor: the one it was assembled with.
        note: told what is asked next.
    """
    for status in appliance.runtime.devices():
        note(f"asking {status.id}")
        bus = appliance.rig.buses.get(status.bus)
        found, detail = _ask(appliance.runtime.device(status.id), bus, executor)
        driver, address = status.driver, status.address
        yield DeviceFinding(status.id, driver, status.bus, address, found, detail)


def scan(
    bus: GuardedI2c,
    executor: Executor,
    note: Callable[[str], None],
    asked: Mapping[int, DeviceFinding] | None = None,
) -> Iterator[AddressFinding]:
    """Search a bus and yield every address at which something is, or that cannot be asked.

    Args:
        bus: searched with one lane's right to it.
        executor: its clock bounds the search.
        note: told which address is asked next.
        asked: what configured devices answered, by address; these are not asked again.

    Raises:
        ScanError: the bus cannot be used, or stopped moving; the text says where.
    """
    for address in ADDRESSES:
        device = (asked or {}).get(address)
        if device is not None:
            yield AddressFinding(bus.name, address, device.found, device.id, detail=device.detail)
            continue
        note(f"{bus.name}: asking {address:#04x}")
        found, detail = _touch(bus, address, executor)
        if found is Found.FOUND:
            yield _recognise(bus, address, executor)
        elif found is not Found.SILENT:
            yield AddressFinding(bus.name, address, found, detail=detail)


def outputs_on(appliance: Appliance, bus: str) -> tuple[str, ...]:
    """Return the devices on a bus that drive outputs: reason enough not to search it."""
    return tuple(
        status.id
        for status in appliance.runtime.devices()
        if status.bus == bus and _drives(appliance.runtime.device(status.id))
    )


def _drives(device: Device[Any]) -> bool:
    return any(channel.direction is Direction.OUT for channel in device.channels())


# Devices


def _ask(device: Device[Any], bus: AnyGuard | None, executor: Executor) -> tuple[Found, str]:
    if type(device).probe is Device.probe:
        return _open(bus)
    limit_s = _PATIENCE_S.get(bus.kind if bus is not None else "", _LIMIT_S)
    error = _in_lane(executor, bus, lambda: _probe(device, executor, limit_s), limit_s)
    return _words(error, device)


def _open(bus: AnyGuard | None) -> tuple[Found, str]:
    try:
        if bus is not None:
            bus.run("look at it", lambda _: None, None)  # opens it, and asks nothing
    except BusError as error:
        return Found.TROUBLE, str(error)
    return Found.UNASKED, "the bus is there; what hangs on it has no way to say so"


def _probe(device: Device[Any], executor: Executor, limit_s: float) -> None:
    """Probe once, or as long as nothing is said yet by a part that speaks when it likes."""
    clock = executor.clock
    end = clock.monotonic_ns() + round((limit_s - 2 * _BETWEEN_S) * NS)
    patient = limit_s > _LIMIT_S
    while True:
        try:
            device.probe()
        except NoDataError as error:
            last = isinstance(error, _FATAL) or clock.monotonic_ns() > end
            if last or not patient:
                raise
            clock.sleep(_BETWEEN_S)
        else:
            return


def _words(error: Exception | None, device: Device[Any]) -> tuple[Found, str]:
    match error:
        case None:
            return Found.FOUND, device.witness
        case WrongDeviceError():
            return Found.WRONG, str(error)
        case NoDataError() if not isinstance(error, _FATAL):
            return Found.ABSENT, str(error)
        case LeydenError():
            return Found.TROUBLE, str(error)
    return Found.TROUBLE, f"the driver failed: {type(error).__name__}: {error}"


def _in_lane(
    executor: Executor, bus: AnyGuard | None, body: Callable[[], None], limit_s: float
) -> Exception | None:
    """Run `body` with the right to the bus; return its error, or that it hangs."""
    errors: list[Exception] = []

    def turn() -> None:
        if bus is not None:
            bus.allow("probe", executor.clock.monotonic_ns() + round(limit_s * NS))
        try:
            body()
        except Exception as error:  # noqa: BLE001 - a driver's mistake is told, and asking goes on
            errors.append(error)
        finally:
            if bus is not None:
                bus.release()

    lane = executor.start_lane("probe", turn)
    if isinstance(executor, SimulatedExecutor):
        executor.run_for(limit_s + 1.0)
    if not lane.join(limit_s + 1.0):
        suspect = bus.abandon() if bus is not None else "its driver"
        return BusHungError(f"the {suspect} does not come back")
    return errors[0] if errors else None


# Addresses


def _touch(bus: GuardedI2c, address: int, executor: Executor) -> tuple[Found, str]:
    reading = any(address in each for each in _READ_RANGES)
    message: Message = Read(1) if reading else Write(b"")
    # In a lane, so that a call that never comes back from the kernel ends the search and not us.
    error = _in_lane(executor, bus, lambda: _send(bus, address, message), _TOUCH_S)
    match error:
        case None:
            return Found.FOUND, ""
        case NoAnswerError():
            return Found.SILENT, ""
        case InUseError():
            return Found.KERNEL, str(error)
        case BusError() if not isinstance(error, _FATAL):
            # Some controllers cannot send an address alone; reading instead would not be safe.
            return Found.UNKNOWN, str(error)
    raise ScanError(str(error)) from error


def _send(bus: GuardedI2c, address: int, message: Message) -> None:
    bus.transfer(address, [message])


def _recognise(bus: GuardedI2c, address: int, executor: Executor) -> AddressFinding:
    """Ask every driver that could be for this address whether it knows the part."""
    candidates: list[str] = []
    refusals: list[str] = []
    for driver, device in _possible(bus, address):
        device.clock = executor.clock
        error = _in_lane(executor, bus, device.probe, _LIMIT_S)
        if error is None:
            candidates.append(driver)
        elif isinstance(error, WrongDeviceError):
            refusals.append(f"not a {driver}: {error}")
    detail = "" if candidates else "; ".join(refusals) or "no driver knows a part at this address"
    return AddressFinding(
        bus.name, address, Found.FOUND, candidates=tuple(candidates), detail=detail
    )


def _possible(bus: GuardedI2c, address: int) -> Iterable[tuple[str, Device[Any]]]:
    for name in drivers.names():
        try:
            driver = drivers.load(name)
            if driver.bus_kind == "i2c":
                options = read_options(driver.options, {"address": address})
                yield name, driver.make(bus, options)
        except (OptionError, DeviceError, LeydenError):
            continue  # not an address of that part
