"""The supervisor: starts runtime and panel as children, keeps them running, stops them in order.

It is neither runtime nor panel: it holds the lock on the data directory and the listening socket,
hands the plan to the runtime, starts a killed child again with a growing pause, and takes both down
within five seconds when it is told to. Children have sessions of their own, so Ctrl-C is for the
supervisor alone, and they end with it, however it ends.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import secrets
import select
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TextIO

from leyden.appliance.folders import FolderError, Folders
from leyden.appliance.plan import Plan, encode
from leyden.kernel import NS, Clock, LeydenError, Role, SystemClock
from leyden.panel.auth import AuthError, new_token, sign_in_path
from leyden.storage.errors import StorageError
from leyden.storage.lock import FolderLock

FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 30.0
CAME_UP_PAUSE_S: Final = 2.0  # for one that had come up: samples are back within five seconds
SETTLED_S: Final = 60.0  # a child that ran this long starts over with the shortest pause
HUNG_S: Final = 10.0  # a runtime silent for longer is ended and started again
START_S: Final = 30.0  # how long a runtime may take until it says READY
STOP_S: Final = {"panel": 1.2, "runtime": 3.0}  # together below the five seconds of a Ctrl-C
EXIT_BROKEN: Final = 1
# An address that is nobody's (RFC 5737, RFC 3849), and this machine's own.
_ELSEWHERE: Final[dict[int, tuple[str, str]]] = {
    socket.AF_INET: ("192.0.2.1", "127.0.0.1"),
    socket.AF_INET6: ("2001:db8::1", "::1"),
}
_KEPT: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "VIRTUAL_ENV", "PYTHONPATH")


def say(text: str) -> None:
    """Say one line on the terminal."""
    _write(sys.stdout, f"{text}\n")


def complain(text: str) -> None:
    """Say what is wrong on standard error."""
    _write(sys.stderr, f"leyden: {text}\n")


def _write(stream: TextIO, text: str) -> None:
    # A terminal that was closed, or a file on a full disk: nobody reads it, and nothing must end.
    with contextlib.suppress(OSError):
        stream.write(text)
        stream.flush()


@dataclass(slots=True)
class _Child:
    """One process that is kept running."""

    name: str
    command: list[str]
    environment: dict[str, str]
    stdin: bytes | None = None
    passed: tuple[int, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    started_ns: int = 0
    due_ns: int = 0  # when it is to be started next
    pause_s: float = FIRST_PAUSE_S
    starts: int = 0
    beat_ns: int = field(default=0)  # when it last proved to be alive; 0: not yet

    def running(self) -> bool:
        """Whether the process is there."""
        return self.process is not None and self.process.poll() is None


def supervise(
    plan: Plan,
    *,
    data: Path,
    host: str,
    port: int,
    panel: bool = True,
    console: bool = False,
    clock: Clock | None = None,
) -> int:
    """Run an appliance until told to stop; return the exit code.

    0 after an orderly stop, 1 when it cannot run: directory in use or not writable, port taken, or
    a runtime that does not come up.
    """
    folders = Folders(data)
    lock = FolderLock(data)
    try:
        folders.make()
        lock.acquire()
    except (StorageError, FolderError) as error:
        complain(str(error))
        return EXIT_BROKEN
    try:
        return _Supervisor(plan, folders, clock or SystemClock()).run(host, port, panel, console)
    except (LeydenError, OSError) as error:
        complain(str(error))
        return EXIT_BROKEN
    finally:
        lock.release()


class _Supervisor:
    def __init__(self, plan: Plan, folders: Folders, clock: Clock) -> None:
        self._plan = plan
        self._folders = folders
        self._clock = clock
        self._children: list[_Child] = []
        self._stopping = ""
        self._exit_code = 0
        self._wake_reader, self._wake_writer = os.pipe()
        os.set_blocking(self._wake_writer, False)
        os.set_blocking(self._wake_reader, False)
        # In the abstract namespace: no file to clean up, no limit on the data directory's path; the
        # name cannot be guessed.
        self._notice_name = f"@leyden-{secrets.token_hex(16)}"
        self._notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._notices.bind(f"\0{self._notice_name[1:]}")
        self._notices.setblocking(False)

    def run(self, host: str, port: int, panel: bool, console: bool) -> int:
        listener = _listen(host, port) if panel else None
        self._children = [self._runtime(console)]
        if listener is not None:
            self._children.append(self._panel(listener))
        try:
            self._catch_signals()
            self._note_pid("supervisor", os.getpid())
            self._greet(listener)
            while not self._stopping:
                for child in self._children:
                    self._tend(child)
                self._wait()
        finally:
            self._stop_all()
            if listener is not None:
                listener.close()
            self._folders.forget_pid("supervisor")
            self._close()
        if self._exit_code == 0:
            say(f"stopped: {self._stopping}")
        return self._exit_code

    # What is run

    def _runtime(self, console: bool) -> _Child:
        environment = {
            "NOTIFY_SOCKET": self._notice_name,
            "WATCHDOG_USEC": str(int(HUNG_S * 1e6)),
            "LEYDEN_CONSOLE": "1" if console else "0",
        }
        command = [
            sys.executable, "-m", "leyden.appliance.runtime_process", str(self._folders.data),
        ]  # fmt: skip
        return _Child("runtime", command, environment, encode(self._plan))

    def _panel(self, listener: socket.socket) -> _Child:
        environment = {
            "LEYDEN_SOCKET": str(self._folders.socket),
            "LEYDEN_AUTH": str(self._folders.auth),
            "LEYDEN_LISTEN_FD": str(listener.fileno()),
            "LEYDEN_HOSTS": ",".join(self._plan.hosts),
        }
        command = [sys.executable, "-m", "leyden.panel.server"]
        return _Child("panel", command, environment, passed=(listener.fileno(),))

    def _greet(self, listener: socket.socket | None) -> None:
        buses = "modelled buses" if self._plan.mock else "real buses"
        say(f"leyden runs {self._plan.label} on {buses}; data in {self._folders.data}")
        absent = _absent_buses(self._plan)
        if absent:
            say(f"       this machine has no {', '.join(absent)}; modelled chips with: --mock")
        if listener is None:
            say("no panel; read the log with: leyden log tail --follow")
            return
        host, port = listener.getsockname()[:2]
        named = _own_address(listener.family) if ipaddress.ip_address(host).is_unspecified else host
        shown = f"[{named}]" if ":" in named else named
        self._invite(f"http://{shown}:{port}")
        if host not in ("127.0.0.1", "::1"):
            say("       (not encrypted: whoever is on this network can read along)")
        say("stop with Ctrl-C")

    def _invite(self, panel: str) -> None:
        try:
            token = new_token(self._folders.auth, Role.ADMIN, name="first sign-in", one_time=True)
        except AuthError as error:
            # A machine that starts on a full disk has to sample all the same.
            complain(f"no link that signs in: {error}")
            more = self._token_command(Role.ADMIN)
            say(f"panel: {panel}; when that is mended: {more}")
            return
        say(f"panel: {panel}{sign_in_path(token)}")
        more = self._token_command(Role.VIEWER)
        say(f"       (signs in once, within 15 minutes; more with: {more})")

    def _token_command(self, role: Role) -> str:
        return f"leyden token new --role {role} --data {shlex.quote(str(self._folders.data))}"

    # Keeping them running

    def _tend(self, child: _Child) -> None:
        now = self._clock.monotonic_ns()
        if child.running():
            self._check_life(child, now)
            return
        if child.process is not None:
            self._ended(child, now)
        if not self._stopping and now >= child.due_ns:
            self._start(child, now)

    def _start(self, child: _Child, now: int) -> None:
        child.starts += 1
        child.started_ns, child.beat_ns = now, 0
        try:
            with _readable(child.stdin) as stdin:
                child.process = subprocess.Popen(
                    child.command,
                    stdin=stdin,
                    env=_environment(child.environment),
                    pass_fds=child.passed,
                    start_new_session=True,
                )
        except OSError as error:  # no memory or no process to spare: there may be later
            self._pause(child, now, f"cannot be started: {error.strerror or error}")
            return
        self._note_pid(child.name, child.process.pid)

    def _note_pid(self, name: str, pid: int) -> None:
        # For people and tests; a disk that is full must not keep a killed child from coming back.
        try:
            self._folders.note_pid(name, pid)
        except (StorageError, OSError) as error:
            complain(f"{name}'s number could not be noted: {error}")

    def _ended(self, child: _Child, now: int) -> None:
        assert child.process is not None  # noqa: S101 - the caller has looked
        code = child.process.returncode
        child.process = None
        if child.starts == 1 and child.beat_ns == 0 and child.name == "runtime" and code > 0:
            # It never came up, and has said why: trying again would only say it again.
            self._stop(f"the runtime ended with {code}", EXIT_BROKEN)
            return
        if now - child.started_ns > SETTLED_S * NS:
            child.pause_s = FIRST_PAUSE_S
        if child.beat_ns:
            child.pause_s = min(child.pause_s, CAME_UP_PAUSE_S)
        self._pause(child, now, _ending(code))

    def _pause(self, child: _Child, now: int, what: str) -> None:
        child.due_ns = now + round(child.pause_s * NS)
        complain(f"{child.name} {what}; starting again in {child.pause_s:g} s")
        child.pause_s = min(LONGEST_PAUSE_S, child.pause_s * 2)

    def _check_life(self, child: _Child, now: int) -> None:
        if child.name != "runtime" or child.process is None:
            return
        since, limit = (child.beat_ns, HUNG_S) if child.beat_ns else (child.started_ns, START_S)
        if now - since > limit * NS:
            complain(f"runtime has been silent for {limit:g} s; ending it")
            child.process.kill()

    def _wait(self) -> None:
        timeout = min(self._seconds_to(child) for child in self._children)
        notices = self._notices.fileno()
        ready, _, _ = select.select([self._wake_reader, notices], [], [], timeout)
        if notices in ready:
            self._take_notices()
        if self._wake_reader in ready:
            for number in os.read(self._wake_reader, 64):
                if number in (signal.SIGINT, signal.SIGTERM):
                    self._stop(f"signal {signal.Signals(number).name}", 0)

    def _seconds_to(self, child: _Child) -> float:
        if child.running():
            return 1.0
        return max(0.0, min(1.0, (child.due_ns - self._clock.monotonic_ns()) / NS))

    def _take_notices(self) -> None:
        runtime = self._children[0]
        while True:
            try:
                text = self._notices.recv(4096)
            except BlockingIOError:
                return
            if b"READY=1" in text or b"WATCHDOG=1" in text:
                runtime.beat_ns = self._clock.monotonic_ns()

    # Stopping

    def _stop(self, reason: str, exit_code: int) -> None:
        self._stopping = self._stopping or reason
        self._exit_code = self._exit_code or exit_code

    def _stop_all(self) -> None:
        for child in reversed(self._children):
            self._end(child)

    def _end(self, child: _Child) -> None:
        process = child.process
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_S[child.name])
            except subprocess.TimeoutExpired:
                complain(f"{child.name} did not stop in time and was ended")
                process.kill()
                process.wait()
        self._folders.forget_pid(child.name)

    def _close(self) -> None:
        signal.set_wakeup_fd(-1)
        os.close(self._wake_reader)
        os.close(self._wake_writer)
        self._notices.close()

    def _catch_signals(self) -> None:
        # SIGCHLD only wakes the loop; a handler has to exist for the wake-up to be written.
        signal.set_wakeup_fd(self._wake_writer, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)


@contextlib.contextmanager
def _readable(data: bytes | None) -> Iterator[int]:
    # In memory, whole, before the child is there: written into a pipe, more than a pipe holds would
    # make the supervisor wait for a child that does not read.
    if data is None:
        yield subprocess.DEVNULL
        return
    with os.fdopen(os.memfd_create("plan"), "w+b") as file:
        file.write(data)
        file.seek(0)
        yield file.fileno()


def _absent_buses(plan: Plan) -> tuple[str, ...]:
    # SPI buses are named without their chip select: /dev/spidev0 stands for /dev/spidev0.0.
    files = (bus.path for bus in plan.buses if not plan.mock and bus.path.startswith("/dev/"))
    return tuple(path for path in files if not any(Path("/dev").glob(f"{Path(path).name}*")))


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    # Children get what they are given and a plain environment, not the caller's secrets.
    base = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**base, "PYTHONUNBUFFERED": "1", "LEYDEN_PARENT": str(os.getpid()), **extra}


def _listen(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        # The whole address: the third and fourth parts of an IPv6 one say on which network it is.
        return socket.create_server(address, family=family, backlog=64)
    except OSError as error:
        # Python adds the address to the system's words; the sentence names it already.
        number = error.errno or 0
        reason = os.strerror(number) if number > 0 else error.strerror or str(error)
        raise LeydenError(
            f"cannot listen on {host}:{port}: {reason}; stop what uses it or choose another "
            "with --port or LEYDEN_PORT"
        ) from error


def _own_address(family: int) -> str:
    # "0.0.0.0" is where to listen, not where to go: browsers and the panel both refuse that name.
    other, loopback = _ELSEWHERE[family]
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((other, 9))  # sends nothing; only looks the way up
            return str(probe.getsockname()[0])
    except OSError:
        return loopback  # no network


def _ending(code: int) -> str:
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with {code}"
