"""Who this machine is: its stable id, model, names, versions and clock, read from the kernel.

The id is a keyed hash of the processor's serial number. It is a name, not a secret: the key is in
this file and a serial has few unknown digits, so nothing may ever be allowed because somebody knows
it. Records and logs hold the last eight characters of the serial, enough to find a board on a shelf
(up to the Raspberry Pi 4 the rest is alike on all boards); who needs it whole calls `read_serial`.
The machine id appears only as a keyed hash, as machine-id(5) asks for.

Anyone can compute a device id by hand:

    printf %s 10000000a3f5c27e | openssl dgst -r -sha256 -hmac "leyden device id v1" | cut -c1-16
"""

from __future__ import annotations

import functools
import hmac
import importlib.metadata
import platform
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from leyden.kernel import Clock, Context, Service, SystemClock, WallState

ROUTE: Final = "runtime.identity"
REFRESH_S: Final = 30.0

_DEVICE_KEY: Final = b"leyden device id v1"
_MACHINE_KEY: Final = b"leyden machine id v1"
_ID_DIGITS: Final = 16  # hexadecimal
_TAIL: Final = 8  # characters of the serial that are shown
_LIMIT: Final = 1 << 20  # bytes; /proc/cpuinfo of a large machine is the longest file read

_SERIAL = re.compile(r"[0-9a-z][0-9a-z._-]{3,63}")
_MACHINE_ID = re.compile(r"[0-9a-f]{32}")
_BOOT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_CPUINFO_SERIAL = re.compile(rb"^Serial[ \t]*:[ \t]*(\S+)[ \t]*\n", re.MULTILINE)
_MEM_TOTAL = re.compile(rb"^MemTotal: {1,16}(\d{1,15}) kB\n", re.MULTILINE)


class IdSource(StrEnum):
    """What the device id was made from."""

    CPU_SERIAL = "cpu-serial"  # stays for the life of the board
    MACHINE_ID = "machine-id"  # stays until the system is installed anew
    NONE = "none"


class NetworkInterface(msgspec.Struct, frozen=True):
    """A network interface that is a piece of hardware."""

    name: str
    mac: str


class Identity(msgspec.Struct, frozen=True):
    """Who this machine is. Text is empty where the machine does not tell; `problems` says why."""

    device_id: str  # 16 hexadecimal digits
    id_source: IdSource
    id_detail: str  # in words
    serial_tail: str  # last eight characters of the processor's serial
    model: str
    hostname: str
    machine_id: str  # keyed hash of /etc/machine-id
    boot_id: str  # new each time the kernel starts
    os: str
    kernel: str
    leyden: str  # version
    python: str  # version
    clock: WallState
    memory_total: int | None  # bytes
    interfaces: tuple[NetworkInterface, ...] = ()
    problems: tuple[str, ...] = ()  # what was looked for and not found or damaged, in words


@dataclass(frozen=True, slots=True)
class Serial:
    """The processor's serial number, where it was found, and what was wrong elsewhere."""

    text: str  # empty where there is none
    path: str
    problems: tuple[str, ...]


def discover(root: Path = Path("/"), *, clock: Clock | None = None) -> Identity:
    """Return who this machine is, by what its kernel and files say now; raise nothing.

    Args:
        root: Where `proc`, `sys` and `etc` are; another place only in tests.
        clock: Asked whether wall time is synchronised.
    """
    files = _Files(root)
    serial = read_serial(root)
    machine = _machine_id(files)
    device_id, source, detail = _device_id(serial, machine)
    synchronised = (clock or SystemClock()).synchronised()
    return Identity(
        device_id=device_id,
        id_source=source,
        id_detail=detail,
        serial_tail=serial.text[-_TAIL:],
        model=_model(files),
        hostname=files.line("proc/sys/kernel/hostname"),
        machine_id=_hash(_MACHINE_KEY, machine) if machine else "",
        boot_id=files.line("proc/sys/kernel/random/boot_id", _BOOT_ID),
        os=_os_name(files),
        kernel=files.line("proc/sys/kernel/osrelease"),
        leyden=_leyden_version(),
        python=platform.python_version(),
        clock=WallState.SYNCED if synchronised else WallState.UNSYNCED,
        memory_total=_memory_total(files),
        interfaces=tuple(_interfaces(root)),
        problems=(*serial.problems, *files.problems),
    )


def read_serial(root: Path = Path("/")) -> Serial:
    """Return the processor's serial number, lower case, from the first place that has one.

    Places, in order: `/proc/device-tree/serial-number` (any kernel started by Raspberry Pi
    firmware), `/sys/devices/soc0/serial_number` (kernels with a SoC driver), the `Serial` line of
    `/proc/cpuinfo` (Raspberry Pi's own kernels). One that is all zeros, or all of any one
    character, counts as absent.
    """
    problems: list[str] = []
    for path, cut_out, end in _SERIAL_PLACES:
        data = _read(root, path)
        found = cut_out(data) if data is not None else None
        if found is None:
            continue
        text = found.removesuffix(end).decode("ascii", "replace").strip().lower()
        wrong = _wrong_serial(found, end, text)
        if not wrong:
            return Serial(text, f"/{path}", tuple(problems))
        problems.append(f"the serial in /{path} {wrong}")
    return Serial("", "", (*problems, "no serial number of the processor was found"))


class IdentityService(Service):
    """Looks again every 30 s and publishes `runtime.identity` when something has changed.

    The runtime publishes the first one of each boot; a changed hostname, network interface or clock
    state makes another.

    Args:
        look: Returns the identity now; `discover` on this machine unless given.
    """

    name = "identity"
    period_s = REFRESH_S

    def __init__(self, look: Callable[[], Identity] | None = None) -> None:
        self._look = look
        self._known: Identity | None = None

    def start(self, ctx: Context) -> None:
        """Begin with what this boot has published already."""
        latest = ctx.events.latest(ROUTE)
        if latest is not None and isinstance(latest.value, Identity):
            self._known = latest.value

    def tick(self, ctx: Context) -> None:
        """Look, and publish what has changed."""
        found = self._look() if self._look is not None else discover(clock=ctx.clock)
        if found != self._known:
            ctx.publish(ROUTE, found, detail=changes(self._known, found))
            self._known = found


def changes(before: Identity | None, after: Identity) -> str:
    """Return in words what differs between two identities."""
    if before is None:
        return ""
    old, new = msgspec.structs.asdict(before), msgspec.structs.asdict(after)
    plain = [name for name in new if old[name] != new[name]]
    return "; ".join(
        f"{name}: {old[name]} → {new[name]}" if isinstance(new[name], str) else f"{name} changed"
        for name in plain
    )


# Where each part comes from.


def _cpuinfo_serial(data: bytes) -> bytes | None:
    match = _CPUINFO_SERIAL.search(data)
    return match[1] if match else None


def _whole(data: bytes) -> bytes:
    return data


_SERIAL_PLACES: Final[tuple[tuple[str, Callable[[bytes], bytes | None], bytes], ...]] = (
    # file, what cuts the serial out of it, how the serial ends
    ("proc/device-tree/serial-number", _whole, b"\0"),
    ("sys/devices/soc0/serial_number", _whole, b"\n"),
    ("proc/cpuinfo", _cpuinfo_serial, b""),
)


def _wrong_serial(found: bytes, end: bytes, text: str) -> str:
    # What was found is not quoted: it may be the serial. One without its terminator may be cut
    # short, and a cut serial is somebody else's.
    if not found.strip(b"\0\n"):
        return "is empty"
    if not found.endswith(end) or not _SERIAL.fullmatch(text):
        return f"is damaged: {len(found)} bytes that are no whole serial"
    if len(set(text)) == 1:
        return f'is all "{text[0]}", which means that there is none'
    return "" if any(each.isdigit() for each in text) else f'is "{text}", which is no serial'


def _device_id(serial: Serial, machine: str) -> tuple[str, IdSource, str]:
    if serial.text:
        detail = f"keyed hash of the serial in {serial.path}"
        return _hash(_DEVICE_KEY, serial.text), IdSource.CPU_SERIAL, detail
    if machine:
        return (
            _hash(_DEVICE_KEY, machine),
            IdSource.MACHINE_ID,
            "this machine tells no serial; the id is made from /etc/machine-id and changes when "
            "the system is installed anew",
        )
    return (
        "",
        IdSource.NONE,
        "this machine has no stable id: it tells no serial, and /etc/machine-id is missing, "
        "damaged or not yet set",
    )


def _hash(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode(), "sha256").hexdigest()[:_ID_DIGITS]


def _machine_id(files: _Files) -> str:
    data = _read(files.root, "etc/machine-id")
    text = (data or b"").decode("ascii", "replace").removesuffix("\n")
    if _MACHINE_ID.fullmatch(text) and len(set(text)) > 1:
        return text
    # Not quoted, like the serial; "uninitialized" is what it holds before the first boot is over.
    found = "missing" if data is None else "not set yet" if text == "uninitialized" else "damaged"
    files.problems.append(f"/etc/machine-id is {found}")
    return ""


def _model(files: _Files) -> str:
    model = files.text("proc/device-tree/model", b"\0", optional=True)
    if model:
        return model
    vendor = files.text("sys/class/dmi/id/sys_vendor", b"\n", optional=True)
    product = files.text("sys/class/dmi/id/product_name", b"\n", optional=True)
    return " ".join(part for part in (vendor, product) if part)


def _os_name(files: _Files) -> str:
    for path in ("etc/os-release", "usr/lib/os-release"):
        data = _read(files.root, path)
        name = _pretty_name(data) if data is not None else ""
        if name:
            return name
    files.problems.append("/etc/os-release names no system")
    return ""


def _pretty_name(data: bytes) -> str:
    for line in data.decode("utf-8", "replace").splitlines():
        if line.startswith("PRETTY_NAME="):
            try:
                words = shlex.split(line.partition("=")[2])
            except ValueError:  # an open quote: the file ends early
                return ""
            return " ".join(words)
    return ""


def _memory_total(files: _Files) -> int | None:
    data = _read(files.root, "proc/meminfo")
    match = _MEM_TOTAL.search(data) if data is not None else None
    if match is None:
        files.problems.append("/proc/meminfo tells no MemTotal")
        return None
    return int(match[1]) * 1024


def _interfaces(root: Path) -> Iterator[NetworkInterface]:
    # Only hardware has a `device`: bridges, tunnels and the loopback come and go.
    try:
        found = sorted((root / "sys/class/net").iterdir())
    except OSError:
        return
    for folder in found:
        mac = (_read(folder, "address") or b"").decode("ascii", "replace").strip().lower()
        if (folder / "device").exists() and _MAC.fullmatch(mac) and mac != "00:00:00:00:00:00":
            yield NetworkInterface(folder.name, mac)


@functools.cache
def _leyden_version() -> str:
    try:
        return importlib.metadata.version("leyden")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"  # run from a source tree that was never installed


class _Files:
    """Reads small text files and keeps in words what was wrong with them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.problems: list[str] = []

    def line(self, path: str, shape: re.Pattern[str] | None = None) -> str:
        """Return the one line of a file; empty where it is missing, damaged or of another shape."""
        text = self.text(path, b"\n")
        if text and shape is not None and not shape.fullmatch(text):
            self.problems.append(f'/{path} is not what it should be: found "{text[:40]}"')
            return ""
        return text

    def text(self, path: str, end: bytes, *, optional: bool = False) -> str:
        """Return the text before the terminator `end`, that has to be there."""
        data = _read(self.root, path)
        if data is None:
            if not optional:
                self.problems.append(f"/{path} is missing")
            return ""
        text = data.removesuffix(end).decode("utf-8", "replace").strip()
        if not data.endswith(end) or not text.isprintable() or "�" in text:
            self.problems.append(f"/{path} is damaged: found {ascii(data[:40])[1:]}")
            return ""
        return text


def _read(root: Path, path: str) -> bytes | None:
    try:
        with (root / path).open("rb") as file:
            return file.read(_LIMIT)
    except OSError:
        return None
