"""The panel's process: `python -m leyden.panel.server` serves it and never loads the runtime.

Environment:
    LEYDEN_SOCKET: path of the runtime's link.
    LEYDEN_AUTH: the auth directory.
    LEYDEN_LISTEN_FD: number of an inherited listening socket; without it the panel binds itself to
    LEYDEN_HOST (127.0.0.1) and LEYDEN_PORT (8080).
    LEYDEN_HOSTS: further names by which the panel may be called, separated by commas.

It ends with 0 after SIGTERM or SIGINT, 1 when it cannot serve and 2 when it was told nonsense.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gunicorn.app.base import BaseApplication

from leyden.kernel import die_with_parent
from leyden.panel.settings import ServeError, Settings, read_settings

if TYPE_CHECKING:
    from leyden.panel.app import Panel

THREADS: Final = 48  # 24 live views, 8 to be told that it is full, 16 requests at a time
_BACKLOG: Final = 64
_STALLED_MS: Final = 20_000  # a peer that takes nothing that long is gone (tcp(7), USER_TIMEOUT)
_PR_SET_PDEATHSIG: Final = 1  # prctl(2)


def main() -> int:
    """Serve until told to stop; return the exit code."""
    die_with_parent()
    _log_to_stderr()
    try:
        listener = listen(os.environ)
        settings = read_settings(os.environ, listener.getsockname()[1])
    except ServeError as error:
        sys.stderr.write(f"panel: {error}\n")
        return error.exit_code
    try:
        _Application(settings, listener).run()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0


def listen(environ: Mapping[str, str]) -> socket.socket:
    """Return the listening socket: the inherited one, or one bound here.

    Raises:
        ServeError: the descriptor is no listening socket, or the address cannot be had.
    """
    inherited = environ.get("LEYDEN_LISTEN_FD", "")
    listener = _inherited(inherited) if inherited else _bound(environ)
    # Set here they hold for every connection: a browser that vanished without a word, or that
    # stopped reading, must not keep a thread for ever.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _STALLED_MS)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return listener


def _inherited(number: str) -> socket.socket:
    try:
        listener = socket.socket(fileno=int(number))
        listening = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except (ValueError, OSError):
        raise ServeError(f"LEYDEN_LISTEN_FD is {number}, which is no socket", 2) from None
    if not listening or listener.family not in (socket.AF_INET, socket.AF_INET6):
        listener.close()
        raise ServeError(f"LEYDEN_LISTEN_FD is {number}, which does not listen for TCP", 2)
    return listener


def _bound(environ: Mapping[str, str]) -> socket.socket:
    host = environ.get("LEYDEN_HOST", "127.0.0.1")
    port = environ.get("LEYDEN_PORT", "8080")
    if not port.isdecimal() or int(port) > 65_535:
        raise ServeError(f'LEYDEN_PORT is "{port}", expected a number up to 65535', 2)
    try:
        found = socket.getaddrinfo(
            host, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, _, _, _, address = found[0]
        return socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        # The resolver numbers its errors below 0; the others' texts repeat the address.
        number = error.errno or 0
        words = os.strerror(number) if number > 0 else error.strerror
        raise ServeError(
            f"cannot listen on {host}:{port}: {words}; "
            "stop what uses it or choose another with LEYDEN_PORT"
        ) from error


class _Application(BaseApplication):  # type: ignore[misc]  # gunicorn ships no types
    """gunicorn, configured here and nowhere else: no file, no command line, no environment."""

    def __init__(self, settings: Settings, listener: socket.socket) -> None:
        self._settings = settings
        self._descriptor = listener.detach()  # gunicorn closes it in its own way
        super().__init__()

    def load_config(self) -> None:
        from leyden.panel.worker import PanelLogger, PanelWorker  # noqa: PLC0415

        options: dict[str, Any] = {
            "bind": f"fd://{self._descriptor}",
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

        panel = Panel(self._settings)
        panel.start()
        return panel


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
