"""Readers of the kernel's text files: bytes in, a checked value out, or a `DeviceError` in words.

Every pattern covers its line from first byte to newline, so that a file that ends early, holds NUL
bytes or carries anything the kernel does not write is refused instead of half understood. Digits
are bounded, so that no damaged file can make a number of arbitrary size.

Formats: Linux man-pages 6.9, proc_loadavg(5), proc_stat(5), proc_meminfo(5), proc_uptime(5);
kernel documentation, "Naming and data format standards for sysfs files" (hwmon) and "Generic
Thermal Sysfs driver How To".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from leyden.kernel import DeviceError, NoDataError, NotReadyError

USER_HZ: Final = 100  # ticks a second in /proc/stat; fixed by Linux for user space
_LIMIT: Final = 65_536  # bytes; all files read here are far smaller, a runaway one is cut
_SHOWN: Final = 40  # bytes of a damaged file that an error quotes

_LOAD = re.compile(rb"(\d{1,9}\.\d\d) \d{1,9}\.\d\d \d{1,9}\.\d\d \d{1,9}/\d{1,9} \d{1,10}\n")
_CPU = re.compile(rb"cpu +(\d{1,20}(?: \d{1,20}){7,11})\n")
_PROCESSORS = re.compile(rb"^cpu\d+ ", re.MULTILINE)
_UPTIME = re.compile(rb"(\d{1,12}\.\d\d) \d{1,15}\.\d\d\n")
_INTEGER = re.compile(rb"(-?\d{1,9})\n")
_FLAGS = re.compile(rb"(?:0x)?([0-9a-fA-F]{1,8})\n")
_WORD = re.compile(rb"([ -~]{1,64})\n")


class ImpossibleValueError(DeviceError):
    """A number that arrived whole but that nothing real can have."""

    reason = "out_of_range"


@dataclass(frozen=True, slots=True)
class Tree:
    """The file tree under `root`: `/` on a machine, a captured copy in tests."""

    root: Path

    def read(self, path: str) -> bytes:
        """Return at most 64 KiB of a file.

        Raises:
            NoDataError: it is missing, unreadable or empty.
        """
        try:
            with (self.root / path).open("rb") as file:
                data = file.read(_LIMIT)
        except OSError as error:
            raise NoDataError(f"cannot read /{path}: {error.strerror or error}") from error
        if not data:
            raise NoDataError(f"/{path} is empty")
        return data

    def find(self, pattern: str) -> list[str]:
        """Return the paths that match a glob pattern, in a stable order."""
        return sorted(
            (str(found.relative_to(self.root)) for found in self.root.glob(pattern)),
            key=_natural,
        )


def _natural(path: str) -> tuple[tuple[int, str], ...]:
    # hwmon10 comes after hwmon9.
    parts = re.split(r"(\d{1,9})", path)
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in parts)


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """What all processors together have done since the machine started, in ticks of 10 ms."""

    working: tuple[int, ...]  # user, nice, system, irq, softirq, steal
    idle: tuple[int, ...]  # idle, iowait
    processors: int


def load(data: bytes) -> float:
    """Return the one-minute load average from /proc/loadavg."""
    return float(_match(_LOAD, data, "three load averages, two counts and a process number"))


def cpu_times(data: bytes) -> CpuTimes:
    """Return the processor times from /proc/stat.

    Guest time is left out: it is contained in user time already.
    """
    first, newline, rest = data.partition(b"\n")
    expected = "a line `cpu` with eight or more counts"
    counts = [int(word) for word in _match(_CPU, first + newline, expected).split()]
    user, nice, system, idle, iowait, irq, softirq, steal = counts[:8]
    processors = len(_PROCESSORS.findall(rest))
    if processors == 0:
        raise NoDataError("found no line for a single processor after `cpu`; the file ends early")
    return CpuTimes((user, nice, system, irq, softirq, steal), (idle, iowait), processors)


def cpu_used(before: CpuTimes, after: CpuTimes, elapsed_s: float) -> float:
    """Return the share of time in percent that the processors worked between two looks.

    Args:
        before: The earlier look.
        after: The later look.
        elapsed_s: Upper bound of the time between them, by another clock.

    Raises:
        NotReadyError: not one tick has passed.
        ImpossibleValueError: a count went back, or more time was counted than has passed.
    """
    if any(new < old for old, new in zip(before.working, after.working, strict=True)):
        raise ImpossibleValueError("the counts of /proc/stat went back")
    working = sum(after.working) - sum(before.working)
    # Idle and iowait may fall by a little on real machines: proc_stat(5).
    idle = sum(max(0, new - old) for old, new in zip(before.idle, after.idle, strict=True))
    if working + idle == 0:
        raise NotReadyError("no processor time has been counted since the last look")
    # Half again and half a second per processor leave room for ticks that are booked late.
    possible = (elapsed_s * 1.5 + 0.5) * USER_HZ * after.processors
    if working + idle > possible:
        raise ImpossibleValueError(
            f"/proc/stat counts {working + idle} ticks where at most {possible:.0f} can have passed"
        )
    return 100.0 * working / (working + idle)


def memory_used(data: bytes) -> float:
    """Return the share of memory in percent that programs cannot have, from /proc/meminfo.

    What is left is the kernel's own estimate, MemAvailable: free memory plus what caches give back.
    """
    total, available = _kilobytes(data, b"MemTotal"), _kilobytes(data, b"MemAvailable")
    if not 0 < total >= available:
        raise ImpossibleValueError(f"MemAvailable is {available} kB of MemTotal {total} kB")
    return 100.0 * (total - available) / total


def uptime(data: bytes) -> float:
    """Return the seconds since the machine started, from /proc/uptime."""
    return float(_match(_UPTIME, data, "two numbers of seconds"))


def millidegrees(data: bytes) -> float:
    """Return a temperature in °C from a file that holds it in thousandths."""
    return int(_match(_INTEGER, data, "a whole number of thousandths of a degree")) / 1000.0


def alarm(data: bytes) -> bool:
    """Return an hwmon alarm, `0` or `1`."""
    value = int(_match(_INTEGER, data, "0 or 1"))
    if value not in (0, 1):
        raise ImpossibleValueError(f"found {value}, expected 0 or 1")
    return bool(value)


def throttle_flags(data: bytes) -> int:
    """Return the firmware's throttling bits: 0 to 3 what is now, 16 to 19 what has been.

    Raspberry Pi documentation, "vcgencmd", get_throttled.
    """
    flags = int(_match(_FLAGS, data, "a hexadecimal number"), 16)
    if flags & ~0xF000F:
        raise ImpossibleValueError(f"found {flags:#x}, expected only bits 0 to 3 and 16 to 19")
    return flags


def word(data: bytes) -> str:
    """Return the one line of printable text that a `type` or `name` file holds."""
    return _match(_WORD, data, "one line of text").decode("ascii")


def _kilobytes(data: bytes, name: bytes) -> int:
    found = re.findall(rb"(?m)^" + name + rb": {1,16}(\d{1,15}) kB\n", data)
    if len(found) != 1:
        raise NoDataError(f"found {len(found)} whole lines {name.decode()}, expected one")
    return int(found[0])


def _match(pattern: re.Pattern[bytes], data: bytes, expected: str) -> bytes:
    match = pattern.fullmatch(data)
    if match is None:
        quoted = ascii(data[:_SHOWN])[1:] + (" …" if len(data) > _SHOWN else "")
        raise NoDataError(f"found {quoted}, expected {expected}")
    return match[1]
