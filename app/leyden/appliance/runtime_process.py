"""The runtime's process: `python -m leyden.appliance.runtime_process DATA [--config FILE]`.

With a configuration file it finds its plan itself, which is how a service manager starts it;
without one the plan is on stdin, which is how `leyden run` does. It touches hardware and has no
network: panel, command line and bridges reach it over the Unix socket in `DATA/run`. It ends with
the runtime's exit code; SIGTERM and SIGINT ask for a shutdown.

Environment:
    LEYDEN_LINK_PEERS: further users who may connect to the link: `leyden-panel:admin`.
    LEYDEN_PARENT: number of the process to end with; not set where a service manager takes care.
    LEYDEN_CONSOLE: 1 prints every event as a line of JSON.
    NOTIFY_SOCKET, WATCHDOG_USEC: see sd_notify(3).
"""

from __future__ import annotations

import os
import sys
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Final

from leyden.appliance.assemble import Appliance, Opening, assemble
from leyden.appliance.attempts import Attempts
from leyden.appliance.backend import RuntimeBackend
from leyden.appliance.choosing import DEFAULT, ROUTE, Choice, Chooser
from leyden.appliance.folders import Folders
from leyden.appliance.judge import judge_in_child
from leyden.appliance.plan import Plan, decode
from leyden.appliance.plan_cache import PlanCache
from leyden.appliance.stuck import stuck_in_kernel
from leyden.eventlog.console import Console
from leyden.eventlog.recorder import Recorder
from leyden.kernel import (
    GOOD,
    NS,
    UNCERTAIN,
    BootError,
    Clock,
    Delivery,
    Event,
    LeydenError,
    SystemClock,
    SystemExecutor,
    asked_by_signals,
    die_with_parent,
)
from leyden.link.peers import VARIABLE, mode_for, read_peers
from leyden.link.server import LinkServer
from leyden.storage.errors import InUseError, StorageError
from leyden.storage.lock import FolderLock

EXIT_BROKEN: Final = 1
EXIT_USAGE: Final = 2
EXIT_STUCK: Final = 75  # EX_TEMPFAIL: nothing but a restart of the machine frees the hardware
RARELY_S: Final = 3600.0  # uptime from which on a restart is asked for: never one after the other
RELEASE: Final = Path("/usr/lib/leyden/release.json")
_USAGE: Final = "python -m leyden.appliance.runtime_process DATA [--config FILE]"
_OTHER_ENDS_S: Final = 5.0  # how long a runtime of an earlier supervisor is waited for
_LOOK_S: Final = 0.1


class _RefusedPlanError(LeydenError):
    """A plan that cannot be put together."""


def main() -> int:
    """Run an appliance until told to stop; return the exit code."""
    die_with_parent()
    arguments = _arguments(sys.argv[1:])
    if arguments is None:
        return _complain(f"usage: {_USAGE}", EXIT_USAGE)
    folders, config = arguments
    lock = FolderLock(folders.run)
    try:
        if config is not None:
            _wait_for(lock, SystemClock())
            return run_configured(config, folders)
        plan = decode(sys.stdin.buffer.read())
        _wait_for(lock, SystemClock())
        return run(plan, folders)
    except BootError as error:
        return _complain(f"the appliance did not start: {error}")
    except InUseError as error:
        return _complain(str(error), EXIT_STUCK if _only_a_reboot_helps(error.pid) else EXIT_BROKEN)
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
    return _serve(_assembled(plan, executor, _recorder(plan, folders, executor)), folders)


def run_configured(config: Path, folders: Folders, default: Path = DEFAULT) -> int:
    """Run the best plan there is, as `choosing` says; return the exit code.

    Raises:
        LeydenError: something else than a configuration keeps the appliance from starting.
    """
    attempts = Attempts(folders.run / "starts.json")
    cache = PlanCache(folders.plan, _say)
    chooser = Chooser(config, default, cache, attempts, judge_in_child, code_version())
    executor = SystemExecutor()
    recorder: Recorder | None = None
    for choice in chooser.choices():
        attempts.begin(choice.key)
        try:
            # One for all: to open the log is to begin a boot, and there is only one.
            recorder = recorder or _recorder(choice.plan, folders, executor)
            return _serve(_appliance(choice, chooser, executor, recorder), folders)
        except _RefusedPlanError as error:
            chooser.refuse(choice, str(error))
        finally:
            attempts.over(choice.key)  # whatever became of it: the process has lived to tell
    return EXIT_BROKEN


def code_version(release: Path = RELEASE) -> str:
    """Return what names this version of the program: the image's own record, else the package's."""
    try:
        return release.read_text()
    except OSError:
        return metadata.version("leyden")


# One start


def _appliance(
    choice: Choice, chooser: Chooser, executor: SystemExecutor, recorder: Recorder
) -> Appliance:
    words = chooser.words(choice)
    if chooser.problems:
        _say(words)
    opening = Opening(
        ROUTE,
        chooser.told(choice),
        "configuration",
        UNCERTAIN if chooser.problems else GOOD,
        "fallback" if chooser.problems else "",
        words,
    )
    appliance = _assembled(choice.plan, executor, recorder, opening)
    # In a lane of its own: it writes to the disk, and boot waits for no disk.
    appliance.runtime.events.subscribe(
        partial(_note_booted, chooser, choice),
        name="configuration",
        prefix="runtime.booted",
        delivery=Delivery.QUEUE,
    )
    return appliance


def _note_booted(chooser: Chooser, choice: Choice, _: Event) -> None:
    chooser.came_up(choice)


def _recorder(plan: Plan, folders: Folders, executor: SystemExecutor) -> Recorder:
    return Recorder(folders.log, executor, limit_bytes=plan.log.limit_bytes)


def _assembled(
    plan: Plan, executor: SystemExecutor, recorder: Recorder, *openings: Opening
) -> Appliance:
    try:
        return assemble(plan, executor, store=recorder, openings=openings)
    except StorageError:
        raise  # the disk's fault: another plan would meet it too
    except LeydenError as error:
        raise _RefusedPlanError(str(error)) from error


def _serve(appliance: Appliance, folders: Folders) -> int:
    backend = RuntimeBackend(appliance)
    peers = read_peers(os.environ.get(VARIABLE, ""), _say)
    server = LinkServer(
        folders.socket,
        backend,
        executor=appliance.runtime.executor,
        roles=peers,
        mode=mode_for(peers),
        report=_say,
    )
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


def _arguments(words: list[str]) -> tuple[Folders, Path | None] | None:
    match words:
        case [data]:
            return Folders(Path(data)), None
        case [data, "--config", config]:
            return Folders(Path(data)), Path(config)
    return None


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


def _only_a_reboot_helps(pid: int) -> bool:
    # The monotonic clock begins with the machine.
    return SystemClock().monotonic_ns() > RARELY_S * NS and stuck_in_kernel(pid)


def _console(appliance: Appliance) -> Console | None:
    if os.environ.get("LEYDEN_CONSOLE") != "1":
        return None
    console = Console(sys.stdout, appliance.runtime.clock)
    console.attach(appliance.runtime.events)
    return console


def _say(text: str) -> None:
    sys.stderr.write(f"runtime: {text}\n")


def _complain(text: str, exit_code: int = EXIT_BROKEN) -> int:
    _say(text)
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
