"""What is emulated: a board as a target file describes it, and the command line that makes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, get_type_hints

from leyden_hil.errors import RigError

STORAGE: Final = ("virtio", "sd")
NETWORK: Final = ("virtio", "usb")
PORTS: Final = {"ssh": 22, "https": 443, "http": 80}
_MAC: Final = "52:54:00:4c:45:59"


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """An emulated board.

    With `firmware` the boot loader is started and finds its way on the card; without it the kernel
    of slot A is started directly, with `arguments`.
    """

    machine: str  # QEMU's name: "virt", "raspi3b"
    cpu: str = ""  # "" is the machine's own
    cores: int = 2
    memory_mb: int = 1024
    storage: str = "virtio"
    network: str = "virtio"
    serials: tuple[str, ...] = ("console",)  # what each serial line is for, in QEMU's order
    firmware: str = ""  # the boot loader: a path, or "card:" or "build:" before one
    firmware_option: str = "-kernel"  # how this machine takes it: "-kernel" or "-bios"
    tree: str = ""  # the device tree, where the machine has none of its own; a path as above
    arguments: str = ""  # of the kernel; with a boot loader they go to `extra-args.txt`
    devices: tuple[str, ...] = ()  # "-device" of the modelled parts
    card_mb: int = 1024  # size of the card; a power of two where the machine wants it

    def __post_init__(self) -> None:
        for name, value, known in (
            ("storage", self.storage, STORAGE),
            ("network", self.network, NETWORK),
            ("firmware_option", self.firmware_option, ("-kernel", "-bios")),
        ):
            if value not in known:
                raise RigError(f"{name}: found {value!r}, expected one of {', '.join(known)}")
        if "console" not in self.serials:
            raise RigError(
                f"serials: found {self.serials!r}, expected one of them to be the console"
            )

    @property
    def direct(self) -> bool:
        """Whether the kernel is started without a boot loader."""
        return not self.firmware


def board_of(table: Mapping[str, Any]) -> Board:
    """Return the board that a table of a target file describes.

    Raises:
        RigError: an unknown key, or a value of another type than its key has.
    """
    known = get_type_hints(Board)
    for key, value in table.items():
        if key not in known:
            raise RigError(f"board.{key}: unknown key; expected one of {', '.join(known)}")
        wanted = list if known[key] == tuple[str, ...] else known[key]
        if not isinstance(value, wanted):
            raise RigError(f"board.{key}: found {value!r}, expected {wanted.__name__}")
    lists = {key: tuple(value) for key, value in table.items() if isinstance(value, list)}
    return Board(**{**table, **lists})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sockets:
    """Where the emulator is to call us: one socket a serial line, one for the monitor."""

    monitor: Path
    serials: Mapping[str, Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What one start of a board needs beside the board."""

    program: str  # the emulator
    card: Path
    sockets: Sockets
    ports: Mapping[str, int]  # ours, by name of `PORTS`
    kernel: Path | None = None  # for direct starts, as is `initrd` and `tree`
    initrd: Path | None = None
    firmware: Path | None = None  # for starts by a boot loader
    tree: Path | None = None
    arguments: str = ""
    journal: Path | None = None  # where every write to the card is noted, if at all
    clock: str = ""  # what the real-time clock says at the start, ISO; "": the host's
    write_protected: bool = False  # the switch of the card
    sees_host: bool = False  # whether the machine may connect to the host, at 10.0.2.2
    extra: tuple[str, ...] = field(default=())


def command(board: Board, start: Start) -> list[str]:
    """Return the emulator's command line."""
    # setpriv: whatever ends the rig ends the emulator, a SIGKILL included.
    line = [
        "setpriv",
        "--pdeathsig",
        "KILL",
        start.program,
        "-nodefaults",
        "-display",
        "none",
        "-S",
    ]
    line += ["-machine", board.machine, "-m", str(board.memory_mb), "-smp", str(board.cores)]
    line += ["-accel", "tcg,thread=multi"]
    if board.cpu:
        line += ["-cpu", board.cpu]
    # A reset ends the emulator, and the rig starts it again: every boot has its own log, and the
    # emulated USB network adapter does not survive a warm reset.
    line += ["-action", "reboot=shutdown", "-action", "watchdog=reset"]
    if start.clock:
        line += ["-rtc", f"base={start.clock},clock=vm"]
    line += _monitor(start.sockets) + _serials(board, start.sockets)
    line += _storage(board, start) + _network(board, start) + _program(board, start)
    for device in board.devices:
        line += ["-device", device]
    return [*line, *start.extra]


def _monitor(sockets: Sockets) -> list[str]:
    return ["-chardev", f"socket,id=monitor,path={sockets.monitor}", "-mon", "monitor,mode=control"]


def _serials(board: Board, sockets: Sockets) -> list[str]:
    line = []
    for name in board.serials:
        line += ["-chardev", f"socket,id={name},path={sockets.serials[name]}"]
        line += ["-serial", f"chardev:{name}"]
    return line


def _storage(board: Board, start: Start) -> list[str]:
    file = f"driver=file,filename={start.card},discard=unmap"
    if start.write_protected:
        file += ",read-only=on"
    if start.journal is None:
        node = f"driver=raw,node-name=card,{_nested('file', file)}"
        node += ",read-only=on" if start.write_protected else ""
    else:
        journal = f"driver=raw,{_nested('file', f'driver=file,filename={start.journal}')}"
        raw = f"driver=raw,{_nested('file', file)}"
        node = (
            f"driver=blklogwrites,node-name=card,log-sector-size=512,"
            f"{_nested('file', raw)},{_nested('log', journal)}"
        )
    if board.storage == "virtio":
        return ["-blockdev", node, "-device", "virtio-blk-pci,drive=card"]
    return ["-blockdev", node, "-device", "sd-card,drive=card"]


def _nested(prefix: str, options: str) -> str:
    return ",".join(f"{prefix}.{option}" for option in options.split(","))


def _network(board: Board, start: Start) -> list[str]:
    # restrict: the machine sees nobody but us, so that nothing can depend on the internet.
    ports = start.ports
    doors = "".join(f",hostfwd=tcp:127.0.0.1:{ports[name]}-:{PORTS[name]}" for name in ports)
    line = ["-netdev", f"user,id=lan,restrict={'off' if start.sees_host else 'on'}{doors}"]
    card = "usb-net,netdev=lan" if board.network == "usb" else "virtio-net-pci,netdev=lan,romfile="
    return [*line, "-device", f"{card},mac={_MAC}"]


def _program(board: Board, start: Start) -> list[str]:
    if not board.direct:
        if start.firmware is None:
            raise RigError(f"{board.machine}: a start by its boot loader needs the boot loader")
        line = [board.firmware_option, str(start.firmware)]
        return [*line, "-dtb", str(start.tree)] if start.tree else line
    if start.kernel is None or start.initrd is None:
        raise RigError(f"{board.machine}: a direct start needs kernel and initrd")
    line = ["-kernel", str(start.kernel), "-initrd", str(start.initrd)]
    line += ["-append", start.arguments]
    return [*line, "-dtb", str(start.tree)] if start.tree else line
