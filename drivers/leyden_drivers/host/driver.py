"""Driver for the machine itself: load, processor, temperature, memory, disk, uptime, throttling.

It reads the kernel's own files under `/proc` and `/sys`; nothing is modelled. Each channel has a
*meter* of its own, so that one damaged file makes one channel bad and no other.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Protocol, TypeAlias

from leyden.kernel import (
    NS,
    Channel,
    Clock,
    Device,
    DeviceError,
    Doubt,
    NoDataError,
    NotReadyError,
    TableReading,
    Value,
    WrongDeviceError,
)
from leyden_drivers.host import files
from leyden_drivers.host.files import CpuTimes, ImpossibleValueError, Tree

# Names of a processor's own sensor; that of a board, a disk or a battery is no answer.
THERMAL_ZONES: Final = ("cpu-thermal", "cpu_thermal", "cpu0-thermal", "soc-thermal", "x86_pkg_temp")
HWMON_NAMES: Final = ("cpu_thermal", "coretemp", "k10temp", "zenpower")
# Within one hwmon chip: the whole package before a single core.
PACKAGE_LABELS: Final = ("Tctl", "Tdie", "Package id 0")

# Raspberry Pi documentation, "vcgencmd", get_throttled: bit, channel, label.
FLAGS: Final = (
    (0, "under_voltage", "Supply voltage too low"),
    (1, "frequency_capped", "Processor frequency capped"),
    (2, "throttled", "Throttled"),
    (3, "temperature_limited", "Soft temperature limit active"),
)

LOAD = Channel("load", float, "1", 0.0, 100_000.0, 0.01, "Load, 1 min")
CPU_USED = Channel("cpu_used", float, "%", 0.0, 100.0, 0.1, "Processor used")
CPU_TEMPERATURE = Channel(
    "cpu_temperature", float, "Cel", -40.0, 125.0, 0.1, "Processor temperature",
    normal=(0.0, 80.0),  # a Raspberry Pi slows down from 80 °C on
)  # fmt: skip
MEMORY_USED = Channel("memory_used", float, "%", 0.0, 100.0, 0.1, "Memory used", normal=(0.0, 90.0))
DISK_USED = Channel("disk_used", float, "%", 0.0, 100.0, 0.1, "Disk used", normal=(0.0, 90.0))
UPTIME = Channel("uptime", float, "s", 0.0, 1e10, 1.0, "Time since start")

Meter: TypeAlias = Callable[[], Value]


class FileSystemFigures(Protocol):
    """The part of `os.statvfs_result` that is needed here; counts of blocks."""

    @property
    def f_blocks(self) -> int:
        """All there are."""
        ...

    @property
    def f_bfree(self) -> int:
        """Free ones."""
        ...

    @property
    def f_bavail(self) -> int:
        """Free ones that ordinary users may have."""
        ...


@dataclass(frozen=True, slots=True)
class HostOptions:
    """Options of the host device."""

    root: str = "/"  # where `proc` and `sys` are; another place only in tests
    disk_path: str = "/"  # a path on the file system whose use is shown


class Host(Device[TableReading]):
    """Returns what the kernel says about the machine, each channel judged by itself.

    Which channels there are is settled when the device is made: temperature and throttling appear
    only where the machine measures them.
    """

    bus_kind: ClassVar[str] = "none"
    compatible: ClassVar[str] = "linux,host"
    witness: ClassVar[str] = "kernel files whole, numbers possible, two clocks agree"

    def __init__(
        self,
        bus: None,
        options: HostOptions | None = None,
        *,
        statvfs: Callable[[str], FileSystemFigures] = os.statvfs,
    ) -> None:
        del bus  # the machine hangs on no wire
        options = options or HostOptions()
        self._tree = Tree(Path(options.root))
        self._disk = DiskMeter(options.disk_path, statvfs)
        self._cpu = CpuMeter(self._tree)
        self._uptime = UptimeMeter(self._tree)
        self._meters: dict[Channel, Meter] = dict(self._find_meters())

    def channels(self) -> tuple[Channel, ...]:
        """The channels that this machine has."""
        return tuple(self._meters)

    def probe(self) -> None:
        """Raise `WrongDeviceError` unless there is a Linux kernel's `/proc` to read."""
        if not self._tree.find("proc/loadavg") and not self._tree.find("proc/uptime"):
            raise WrongDeviceError(
                f"found neither loadavg nor uptime in {self._tree.root / 'proc'}; is /proc mounted?"
            )

    def start(self) -> None:
        """Take the first look at the processor times, so that the first reading has a share."""
        self._cpu.restart(self.clock)
        self._uptime.restart()

    def read(self) -> TableReading:
        """Return all channels; a channel whose file is missing, damaged or absurd is bad."""
        table: dict[str, Value] = {}
        doubts: dict[str, Doubt] = {}
        for channel, meter in self._meters.items():
            try:
                table[channel.name] = _possible(channel, meter())
            except DeviceError as error:
                table[channel.name] = None
                doubts[channel.name] = Doubt.bad(error.reason, str(error))
        return TableReading(table=table, doubts=doubts)

    def check(self) -> None:
        """Raise `NoDataError` when not one file of the kernel can be trusted."""
        problems: list[DeviceError] = []
        looks = ((LOAD, self._load), (MEMORY_USED, self._memory), (UPTIME, self._uptime.look))
        for channel, look in looks:
            try:
                _possible(channel, look())
            except DeviceError as error:
                problems.append(error)
            else:
                return
        raise NoDataError(f"nothing in {self._tree.root / 'proc'} can be trusted: {problems[0]}")

    def _find_meters(self) -> Iterable[tuple[Channel, Meter]]:
        yield LOAD, self._load
        yield CPU_USED, lambda: self._cpu(self.clock)
        temperature = find_temperature(self._tree)
        if temperature is not None:
            yield CPU_TEMPERATURE, temperature
        yield MEMORY_USED, self._memory
        yield DISK_USED, self._disk
        yield UPTIME, self._uptime
        yield from find_flags(self._tree)

    def _load(self) -> float:
        return files.load(self._tree.read("proc/loadavg"))

    def _memory(self) -> float:
        return files.memory_used(self._tree.read("proc/meminfo"))


class CpuMeter:
    """Share of time that the processors worked since the last look."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._before: tuple[int, CpuTimes] | None = None  # ns just before that look, and the look

    def restart(self, clock: Clock) -> None:
        """Take a first look; a file that cannot be read now says so at the first reading."""
        try:
            self._before = self._look(clock)
        except DeviceError:
            self._before = None

    def __call__(self, clock: Clock) -> float:
        """Return the share in percent.

        Raises:
            NotReadyError: this is the first look, or no tick has passed since the last.
            DeviceError: the file is damaged, or its numbers cannot be.
        """
        before, self._before = self._before, None  # what fails below starts over
        began, after = self._look(clock)
        if before is None:
            self._before = began, after
            raise NotReadyError("the share of time needs two looks; this is the first")
        elapsed_s = (clock.monotonic_ns() - before[0]) / NS
        try:
            return files.cpu_used(before[1], after, elapsed_s)
        finally:
            self._before = began, after

    def _look(self, clock: Clock) -> tuple[int, CpuTimes]:
        began = clock.monotonic_ns()
        return began, files.cpu_times(self._tree.read("proc/stat"))


class UptimeMeter:
    """Seconds since the machine started, which only rise while this process lives."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._highest = 0.0

    def restart(self) -> None:
        """Forget what was seen."""
        self._highest = 0.0

    def look(self) -> float:
        """Return what the kernel says, without comparing it to what it said before."""
        return files.uptime(self._tree.read("proc/uptime"))

    def __call__(self) -> float:
        """Return the seconds; raise `ImpossibleValueError` when they went back."""
        found, before = self.look(), self._highest
        self._highest = found  # one absurdly high value must not condemn all that follow
        if found < before:
            raise ImpossibleValueError(f"/proc/uptime went back from {before} s to {found} s")
        return found


class DiskMeter:
    """Share of a file system that is used, as `df` shows it: of what ordinary users can have."""

    def __init__(self, path: str, statvfs: Callable[[str], FileSystemFigures]) -> None:
        self._path = path
        self._statvfs = statvfs

    def __call__(self) -> float:
        """Return the share in percent."""
        try:
            found = self._statvfs(self._path)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            raise NoDataError(f"cannot ask the file system of {self._path}: {error}") from error
        used, open_to_all = found.f_blocks - found.f_bfree, found.f_bavail
        if used < 0 or open_to_all < 0 or used + open_to_all == 0:
            raise ImpossibleValueError(
                f"the file system of {self._path} has {found.f_blocks} blocks, {found.f_bfree} "
                f"free and {found.f_bavail} of them for ordinary users"
            )
        return 100.0 * used / (used + open_to_all)


@dataclass(frozen=True, slots=True)
class TemperatureMeter:
    """One sensor of the processor; its name is read with its value, since numbers can move."""

    tree: Tree
    name_path: str
    name: str
    value_path: str

    def __call__(self) -> float:
        """Return the temperature in °C; raise `WrongDeviceError` when the sensor is another."""
        found = files.word(self.tree.read(self.name_path))
        if found != self.name:
            raise WrongDeviceError(
                f'/{self.name_path} is "{found}", was "{self.name}" at the start; restart to '
                "find the sensor again"
            )
        return files.millidegrees(self.tree.read(self.value_path))


def find_temperature(tree: Tree) -> TemperatureMeter | None:
    """Return the processor's sensor: a thermal zone by its type, else an hwmon chip by its name."""
    for wanted in THERMAL_ZONES:
        for path in tree.find("sys/class/thermal/thermal_zone*/type"):
            if _word(tree, path) == wanted:
                return TemperatureMeter(tree, path, wanted, _beside(path, "temp"))
    for wanted in HWMON_NAMES:
        for path in tree.find("sys/class/hwmon/hwmon*/name"):
            if _word(tree, path) == wanted and (value := _hwmon_input(tree, path)):
                return TemperatureMeter(tree, path, wanted, value)
    return None


def find_flags(tree: Tree) -> Iterable[tuple[Channel, Meter]]:
    """Yield under-voltage and throttling as far as this machine tells them.

    Mainline kernels tell under-voltage through hwmon `rpi_volt`, whose alarm covers the two seconds
    before; Raspberry Pi's own kernels give the firmware's bits as `get_throttled` beside it.
    """
    bits = next(iter(tree.find("sys/devices/platform/*/*:firmware/get_throttled")), "")
    volt = next((path for path in tree.find("sys/class/hwmon/hwmon*/name")
                 if _word(tree, path) == "rpi_volt"), "")  # fmt: skip
    for bit, name, label in FLAGS:
        channel = Channel(name, bool, label=label)
        if name == "under_voltage" and volt:
            yield channel, _alarm_meter(tree, _beside(volt, "in0_lcrit_alarm"))
        elif bits:
            yield channel, _bit_meter(tree, bits, bit)


def _alarm_meter(tree: Tree, path: str) -> Meter:
    return lambda: files.alarm(tree.read(path))


def _bit_meter(tree: Tree, path: str, bit: int) -> Meter:
    return lambda: bool(files.throttle_flags(tree.read(path)) >> bit & 1)


def _hwmon_input(tree: Tree, name_path: str) -> str | None:
    # Labels are optional; without the package's own label the first input is the package.
    for label in PACKAGE_LABELS:
        for path in tree.find(_beside(name_path, "temp*_label")):
            if _word(tree, path) == label:
                return path.removesuffix("_label") + "_input"
    return next(iter(tree.find(_beside(name_path, "temp*_input"))), None)


def _beside(path: str, name: str) -> str:
    return str(Path(path).with_name(name))


def _word(tree: Tree, path: str) -> str:
    # While looking for a sensor, one whose name cannot be read is simply not the one.
    try:
        return files.word(tree.read(path))
    except DeviceError:
        return ""


def _possible(channel: Channel, value: Value) -> Value:
    if channel.minimum is None or channel.maximum is None:
        return value
    if not channel.minimum <= value <= channel.maximum:
        raise ImpossibleValueError(
            f"found {value:g} {channel.unit}, expected {channel.minimum:g} to {channel.maximum:g}"
        )
    return value
