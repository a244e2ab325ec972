"""The panel's process: `python -m leyden.panel.server` serves it and never loads the runtime.

Environment:
    LEYDEN_SOCKET: path of the runtime's link.
    LEYDEN_AUTH: the auth directory.
    LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES: listening sockets named `http` and `https`, as the
    service manager passes them (sd_listen_fds(3)).
    LEYDEN_LISTEN_FD: else the number of one inherited listening socket; without it the panel binds
    itself to LEYDEN_HOST (127.0.0.1) and LEYDEN_PORT (8080).
    LEYDEN_HOSTS: further names by which the panel may be called, separated by commas.
    LEYDEN_BOOT_ID: names this boot of the machine, where /proc does not (specifier %b).
    LEYDEN_TLS: the folder of leaf.pem, leaf.key and ca.pem, for sockets named `https`.
    NOTIFY_SOCKET: the service manager is told there when the panel serves, and each second that it
    still does. The process that serves is a child of this one (NotifyAccess=all).

It ends with 0 after SIGTERM or SIGINT, 1 when it cannot serve and 2 when it was told nonsense.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gunicorn.app.base import BaseApplication

from leyden.kernel import Notifier, die_with_parent
from leyden.panel.listening import Listeners, take_listeners
from leyden.panel.settings import ServeError, Settings, read_settings
from leyden.panel.tls import Certificates

if TYPE_CHECKING:
    from leyden.panel.app import Panel

THREADS: Final = 48  # 24 live views, 8 to be told that it is full, 16 requests at a time
_PR_SET_PDEATHSIG: Final = 1  # prctl(2)


def main() -> int:
    """Serve until told to stop; return the exit code."""
    die_with_parent()
    _log_to_stderr()
    try:
        listeners = take_listeners(os.environ)
        settings = read_settings(os.environ, listeners.port, listeners.https_port)
    except ServeError as error:
        sys.stderr.write(f"panel: {error}\n")
        return error.exit_code
    try:
        _Application(settings, listeners, _notifier()).run()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0


class _Application(BaseApplication):  # type: ignore[misc]  # gunicorn ships no types
    """gunicorn, configured here and nowhere else: no file, no command line, no environment."""

    def __init__(self, settings: Settings, listeners: Listeners, notifier: Notifier) -> None:
        self.notifier = notifier
        self.certificates = Certificates(settings.tls)
        self.secure_addresses = listeners.secure_addresses()
        self.places = listeners.describe()
        self._settings = settings
        # gunicorn closes them in its own way.
        self._bind = [f"fd://{each.detach()}" for each in (*listeners.plain, *listeners.secure)]
        super().__init__()

    def load_config(self) -> None:
        from leyden.panel.worker import PanelLogger, PanelWorker  # noqa: PLC0415

        options: dict[str, Any] = {
            "bind": self._bind,
            "workers": 1,  # Socket.IO and the live view keep their clients in one process
            "worker_class": PanelWorker,
            "logger_class": PanelLogger,
            "threads": THREADS,
            "worker_connections": 200,
            "keepalive": 15,
            "graceful_timeout": 3,
            "timeout": 30,
            "accesslog": None,
            "errorlog": "-",
            "loglevel": "warning",
            "limit_request_line": 4094,
            "limit_request_fields": 64,
            "limit_request_field_size": 8190,
            "forwarded_allow_ips": "",
            "worker_tmp_dir": _memory_folder(),
            "control_socket_disable": True,
            "proc_name": "leyden-panel",
            "post_fork": _die_with_parent,
        }
        for name, value in options.items():
            if name in self.cfg.settings:  # releases before 25 have no control socket to disable
                self.cfg.set(name, value)

    def load(self) -> Panel:
        from leyden.panel.app import Panel  # noqa: PLC0415 - only the worker needs it

        panel = Panel(self._settings, certificates=self.certificates)
        panel.start()
        return panel


def _notifier() -> Notifier:
    """Return who tells the service manager; gunicorn would say READY before anything is there."""
    notifier = Notifier()
    os.environ.pop("NOTIFY_SOCKET", None)
    return notifier


def _memory_folder() -> str | None:
    """Where the worker's sign of life is written many times a minute: not on a memory card."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - a unique file is made


def _die_with_parent(_arbiter: object, _worker: object) -> None:
    """Let the worker end when the process that watches it is killed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("panel: %(message)s"))
    logger = logging.getLogger("leyden.panel")
    logger.addHandler(handler)
    logger.propagate = False


if __name__ == "__main__":
    sys.exit(main())
