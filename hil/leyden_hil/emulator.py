"""An emulated machine: switched on, reset, cut off from its power, one life after another.

One life is one process of the emulator, from power-on to reset or power-off. A reset of the
machine ends the process, and the next life begins by itself, as it would on a desk.
"""

from __future__ import annotations

import datetime
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from leyden_hil.board import PORTS, Board, Sockets, Start, command
from leyden_hil.console import Console
from leyden_hil.errors import InfraError
from leyden_hil.lock import EmulatorLock
from leyden_hil.monitor import Monitor

PROGRAM: Final = "qemu-system-aarch64"
_CALL_S: Final = 30.0  # from starting the program until it has opened all its lines
_END_S: Final = 10.0  # from SIGKILL until the system has cleaned up
_RESETS: Final = ("guest-reset", "host-qmp-system-reset")
_ROOM_MB: Final = 512  # free space below which nothing is started

_machines: weakref.WeakSet[Machine] = weakref.WeakSet()


def broken() -> InfraError | None:
    """Return what broke an emulator that is in use, if one is broken."""
    return next((machine.trouble for machine in list(_machines) if machine.trouble), None)


class Life:
    """One process of the emulator.

    Args:
        board: what is emulated.
        start: with what.
        folder: where its logs go.
        name: of the logs: "boot-03".
        lock: held; the process inherits it.

    Raises:
        InfraError: the emulator did not start; says what it complained about.
    """

    def __init__(
        self, board: Board, start: Start, folder: Path, name: str, lock: EmulatorLock
    ) -> None:
        self.name = name
        self.consoles: dict[str, Console] = {}
        self.lines: dict[str, socket.socket] = {}  # serial lines that are no console
        self.killed = False
        self.log = folder / f"{name}-emulator.log"
        self.began = time.monotonic()  # and anew when the machine itself begins
        with _listening(start.sockets) as doors:
            self._process = self._spawn(command(board, start), lock)
            try:
                self.monitor = Monitor(self._accept(doors["monitor"]))
                for serial in board.serials:
                    self._take(serial, self._accept(doors[serial]), folder)
                self.began = time.monotonic()
                self.monitor.execute("cont")
            except BaseException:
                self.kill()
                raise

    @property
    def console(self) -> Console:
        """The line that the machine's console is on."""
        return self.consoles["console"]

    def elapsed(self) -> float:
        """Return the seconds since power-on."""
        return time.monotonic() - self.began

    def alive(self) -> bool:
        """Whether the process is still there."""
        return self._process.poll() is None

    def kill(self) -> None:
        """Cut the power: end the process at once, wherever it is."""
        self.killed = True
        if self.alive():
            self._process.send_signal(signal.SIGKILL)
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            raise InfraError(f"{self.name}: the emulator outlived SIGKILL by {_END_S} s") from None

    def wait(self) -> str:
        """Wait until it ended; return why: "killed", "guest-reset", "guest-shutdown", "died"."""
        code = self._process.wait()
        if hasattr(self, "monitor"):
            self.monitor.join()
        if self.killed:
            return "killed"
        ends = self.monitor.events("SHUTDOWN")
        if code == 0 and ends:
            return str(ends[-1].data.get("reason", "unknown"))
        return "died"

    def close(self) -> None:
        """Hang up all lines; the logs are whole afterwards."""
        if hasattr(self, "monitor"):
            self.monitor.close()
            self._note_events()
        for console in self.consoles.values():
            console.close()
        for line in self.lines.values():
            line.close()

    def complaint(self) -> str:
        """Return what the emulator itself said, for a message."""
        return self.log.read_text(errors="replace").strip() or "it said nothing"

    def _note_events(self) -> None:
        with self.log.open("a") as log:
            for event in self.monitor.events():
                log.write(f"{event.at - self.began:9.2f} s {event.name} {event.data}\n")

    def _spawn(self, line: list[str], lock: EmulatorLock) -> subprocess.Popen[bytes]:
        with self.log.open("wb") as log:
            log.write((" ".join(line) + "\n").encode())
            log.flush()
            try:
                return subprocess.Popen(  # the line is made from a target file
                    line,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    pass_fds=[lock.descriptor()],
                    start_new_session=True,
                )
            except OSError as error:
                raise InfraError(f"{line[0]} cannot be started: {error}") from error

    def _accept(self, door: socket.socket) -> socket.socket:
        door.settimeout(1.0)
        until = time.monotonic() + _CALL_S
        while time.monotonic() < until and self.alive():
            try:
                line, _ = door.accept()
            except TimeoutError:
                continue
            line.settimeout(None)
            return line
        how = "did not call" if self.alive() else f"ended with {self._process.returncode}"
        raise InfraError(f"the emulator {how}: {self.complaint()}")

    def _take(self, serial: str, line: socket.socket, folder: Path) -> None:
        if serial.startswith("console"):
            self.consoles[serial] = Console(line, folder / f"{self.name}-{serial}.log")
        else:
            self.lines[serial] = line


@contextmanager
def _listening(sockets: Sockets) -> Iterator[dict[str, socket.socket]]:
    """Open the doors that the emulator will knock at."""
    doors = {}
    try:
        for name, path in {"monitor": sockets.monitor, **sockets.serials}.items():
            path.unlink(missing_ok=True)
            doors[name] = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            doors[name].bind(str(path))
            doors[name].listen(1)
        yield doors
    finally:
        for door in doors.values():
            door.close()


class Machine:
    """A machine with a card in it, and what is wanted of its power.

    Args:
        board: what is emulated.
        card: the file of the card.
        folder: where the logs of all lives go.
        prepare: returns what a start needs beside board, card and lines; called before each life.
        program: the emulator.
        patience_s: how long another run's emulator is waited for.
    """

    def __init__(
        self,
        board: Board,
        card: Path,
        folder: Path,
        prepare: Callable[[Start], Start],
        *,
        program: str = PROGRAM,
        patience_s: float = 3600.0,
    ) -> None:
        self.board = board
        self.card = card
        self.folder = folder
        self.ports = free_ports()

        self.on_life: list[Callable[[Life], None]] = []  # called when a life has begun
        self._prepare = prepare
        self._program = program
        self._patience_s = patience_s
        self._lock = EmulatorLock()
        self._lives: list[Life] = []
        self._ends: list[str] = []
        self._wanted = False
        self._trouble: InfraError | None = None
        self._changed = threading.Condition()
        self._watcher: threading.Thread | None = None
        self._sockets = Path(tempfile.mkdtemp(prefix="leyden-"))
        folder.mkdir(parents=True, exist_ok=True)
        _machines.add(self)

    # Power

    def on(self) -> Life:
        """Switch it on and return its first life, or the present one if it is on.

        Raises:
            InfraError: the emulator did not start, another run does not end, the host is full.
        """
        if self._wanted:
            return self.life
        check_room(self.folder)
        self._lock.acquire(self._patience_s)
        try:
            self._trouble = None
            self._begin()
        except BaseException:
            self._lock.release()
            raise
        self._wanted = True
        self._watcher = threading.Thread(target=self._watch, name="machine", daemon=True)
        self._watcher.start()
        return self.life

    def cut(self) -> None:
        """Cut the power, wherever it is; nothing is written any more."""
        self._wanted = False
        if self._lives and self._lives[-1].alive():
            self._lives[-1].kill()
        if self._watcher is not None:
            self._watcher.join()
            self._watcher = None
        self._lock.release()

    def close(self) -> None:
        """Cut the power and remove what only this machine needed."""
        self.cut()
        shutil.rmtree(self._sockets, ignore_errors=True)
        _machines.discard(self)

    # Lives

    @property
    def life(self) -> Life:
        """The present life, or the last one.

        Raises:
            InfraError: it was never on, or the emulator broke.
        """
        with self._changed:
            if self._trouble is not None:
                raise self._trouble
            if not self._lives:
                raise InfraError("the machine was never switched on")
            return self._lives[-1]

    @property
    def lives(self) -> int:
        """How many there were: each is a boot."""
        with self._changed:
            return len(self._lives)

    @property
    def ends(self) -> tuple[str, ...]:
        """Why each life but the present ended, oldest first."""
        with self._changed:
            return tuple(self._ends)

    @property
    def trouble(self) -> InfraError | None:
        """What broke the emulator, as opposed to the machine in it."""
        with self._changed:
            return self._trouble

    def is_on(self) -> bool:
        """Whether there is power and something lives on it."""
        with self._changed:
            return self._wanted and len(self._ends) < len(self._lives)

    def wait_for_life(self, number: int, limit_s: float) -> Life | None:
        """Wait until so many lives have begun; `None` if that takes longer.

        Raises:
            InfraError: the emulator broke.
        """
        with self._changed:
            self._changed.wait_for(lambda: len(self._lives) >= number or self._trouble, limit_s)
            if self._trouble is not None:
                raise self._trouble
            return self._lives[number - 1] if len(self._lives) >= number else None

    def wait_for_end(self, number: int, limit_s: float) -> str | None:
        """Wait until life `number` (from 1) ended; return why, `None` if it goes on.

        Raises:
            InfraError: the emulator broke.
        """
        with self._changed:
            self._changed.wait_for(lambda: len(self._ends) >= number or self._trouble, limit_s)
            if self._trouble is not None:
                raise self._trouble
            return self._ends[number - 1] if len(self._ends) >= number else None

    def _begin(self) -> None:
        number = len(self._lives) + 1
        start = self._prepare(
            Start(
                program=self._program,
                card=self.card,
                sockets=self._socket_paths(),
                ports=self.ports,
            )
        )
        life = Life(self.board, start, self.folder, f"boot-{number:02}", self._lock)
        with self._changed:
            self._lives.append(life)
            self._changed.notify_all()
        for call in self.on_life:
            call(life)

    def _watch(self) -> None:
        """Follow the machine from life to life until there is no more power."""
        while True:
            life = self._lives[-1]
            reason = life.wait()
            life.close()
            broke = reason == "died" and self._wanted
            with self._changed:
                self._ends.append(reason)
                if broke:
                    words = f"the emulator ended by itself: {life.complaint()}"
                    self._trouble = InfraError(words)
                self._changed.notify_all()
            if reason not in _RESETS or not self._wanted:
                return None
            try:
                self._begin()
            except InfraError as error:
                return self._break(error)

    def _break(self, error: InfraError) -> None:
        with self._changed:
            self._trouble = error
            self._changed.notify_all()

    def _socket_paths(self) -> Sockets:
        serials = {name: self._sockets / name for name in self.board.serials}
        return Sockets(monitor=self._sockets / "monitor", serials=serials)


def free_ports(names: Mapping[str, int] = PORTS) -> dict[str, int]:
    """Return free ports of the loopback interface, one a name.

    They were free a moment ago. Should somebody take one, the emulator does not start, and that
    attempt is repeated.
    """
    doors = {name: socket.create_server(("127.0.0.1", 0)) for name in names}
    ports = {name: int(door.getsockname()[1]) for name, door in doors.items()}
    for door in doors.values():
        door.close()
    return ports


def check_room(folder: Path, needed_mb: int = _ROOM_MB) -> None:
    """Check that there is room for logs and cards.

    Raises:
        InfraError: the host's disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    free_mb = shutil.disk_usage(folder).free >> 20
    if free_mb < needed_mb:
        raise InfraError(
            f"{folder}: {free_mb} MB free, {needed_mb} MB needed; "
            "remove old results (`make clean`) and try again"
        )


def iso(when: datetime.datetime) -> str:
    """Return a time as the emulator's clock takes it."""
    return when.strftime("%Y-%m-%dT%H:%M:%S")


def pid_exists(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
