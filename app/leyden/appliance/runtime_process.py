"""The runtime's process: `python -m leyden.appliance.runtime_process DATA`, the plan on stdin.

It touches hardware and has no network: panel, command line and bridges reach it over the Unix
socket in `DATA/run`. It ends with the runtime's exit code; SIGTERM and SIGINT ask for a shutdown.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

from leyden.appliance.assemble import Appliance, assemble
from leyden.appliance.backend import RuntimeBackend
from leyden.appliance.folders import Folders
from leyden.appliance.plan import Plan, decode
from leyden.eventlog.console import Console
from leyden.eventlog.recorder import Recorder
from leyden.kernel import (
    NS,
    BootError,
    Clock,
    LeydenError,
    SystemClock,
    SystemExecutor,
    asked_by_signals,
    die_with_parent,
)
from leyden.link.server import LinkServer
from leyden.storage.errors import InUseError
from leyden.storage.lock import FolderLock

EXIT_BROKEN: Final = 1
_OTHER_ENDS_S: Final = 5.0  # how long a runtime of an earlier supervisor is waited for
_LOOK_S: Final = 0.1


def main() -> int:
    """Run the appliance whose plan is on stdin until told to stop; return the exit code."""
    die_with_parent()
    folders = Folders(Path(sys.argv[1]))
    plan = decode(sys.stdin.buffer.read())
    lock = FolderLock(folders.run)
    try:
        _wait_for(lock, SystemClock())
        return run(plan, folders)
    except BootError as error:
        return _complain(f"the appliance did not start: {error}")
    except (LeydenError, OSError) as error:
        return _complain(str(error))
    finally:
        lock.release()


def run(plan: Plan, folders: Folders) -> int:
    """Assemble, serve the link and run; return the exit code.

    Raises:
        LeydenError: the appliance cannot be put together or started.
    """
    executor = SystemExecutor()
    recorder = Recorder(folders.log, executor, limit_bytes=plan.log.limit_bytes)
    appliance = assemble(plan, executor, store=recorder)
    backend = RuntimeBackend(appliance)
    server = LinkServer(folders.socket, backend, executor=executor, report=_say)
    with asked_by_signals(appliance.runtime.request_shutdown):
        console = _console(appliance)
        backend.start()
        try:
            server.start()
            return appliance.runtime.run()
        finally:
            backend.stop()
            server.stop()
            if console is not None:
                console.detach()
            appliance.close()


def _wait_for(lock: FolderLock, clock: Clock) -> None:
    # A runtime whose supervisor was killed takes a moment to end, and one that hangs in the system
    # takes longer: two of them would write one log and one socket.
    until = clock.monotonic_ns() + round(_OTHER_ENDS_S * NS)
    while True:
        try:
            return lock.acquire()
        except InUseError:
            if clock.monotonic_ns() >= until:
                raise
        clock.sleep(_LOOK_S)


def _console(appliance: Appliance) -> Console | None:
    if os.environ.get("LEYDEN_CONSOLE") != "1":
        return None
    console = Console(sys.stdout, appliance.runtime.clock)
    console.attach(appliance.runtime.events)
    return console


def _say(text: str) -> None:
    sys.stderr.write(f"runtime: {text}\n")


def _complain(text: str) -> int:
    _say(text)
    return EXIT_BROKEN


if __name__ == "__main__":
    sys.exit(main())
