"""Listening: the sockets that the panel serves at, bound here or handed over by who started it."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from leyden.panel.settings import ServeError

PLAIN: Final = "http"
SECURE: Final = "https"
_FIRST_FD: Final = 3  # sd_listen_fds(3)
_PASSED: Final = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID")
_BACKLOG: Final = 64
_STALLED_MS: Final = 20_000  # a peer that takes nothing that long is gone (tcp(7), USER_TIMEOUT)


@dataclass(frozen=True, slots=True)
class Listeners:
    """Sockets that listen: some for HTTP, some for HTTP over TLS."""

    plain: tuple[socket.socket, ...] = ()
    secure: tuple[socket.socket, ...] = ()

    @property
    def port(self) -> int:
        """The port people know: the encrypted one, where there is one."""
        return _port(next(iter(self.secure or self.plain)))

    @property
    def https_port(self) -> int:
        """The encrypted port; 0 where there is none."""
        return _port(self.secure[0]) if self.secure else 0

    def secure_addresses(self) -> frozenset[Any]:
        """The addresses of the encrypted sockets, by which connections are told apart."""
        return frozenset(each.getsockname() for each in self.secure)

    def describe(self) -> str:
        """Return where the panel serves, in words."""
        places = [f"{PLAIN} at port {_port(each)}" for each in self.plain]
        places += [f"{SECURE} at port {_port(each)}" for each in self.secure]
        return f"serving {' and '.join(places)}"


def take_listeners(environ: MutableMapping[str, str]) -> Listeners:
    """Return the sockets that the service manager passed; without them the one of `listen`.

    What passed them is removed from `environ`: a web server that found it too would take them
    again.

    Raises:
        ServeError: a socket is of another kind, or cannot be had.
    """
    meant = environ.get("LISTEN_PID") == str(os.getpid())
    passed = {name: environ.pop(name, "") for name in _PASSED}
    if not meant or not passed["LISTEN_FDS"].isdecimal() or passed["LISTEN_FDS"] == "0":
        return Listeners(plain=(listen(environ),))
    count, names = int(passed["LISTEN_FDS"]), passed["LISTEN_FDNAMES"].split(":")
    if len(names) != count or not set(names) <= {PLAIN, SECURE}:
        found = f"LISTEN_FDNAMES is {passed['LISTEN_FDNAMES']} for {count} sockets"
        words = f"each must be {PLAIN} or {SECURE}; give each socket unit its FileDescriptorName="
        raise ServeError(f"{found}; {words}", 2)
    sockets = [_inherited(str(_FIRST_FD + i), "LISTEN_FDS") for i in range(count)]
    pairs = list(zip(names, sockets, strict=True))
    return Listeners(
        tuple(each for name, each in pairs if name == PLAIN),
        tuple(each for name, each in pairs if name == SECURE),
    )


def listen(environ: Mapping[str, str]) -> socket.socket:
    """Return one listening socket: the inherited one, or one bound here.

    Raises:
        ServeError: the descriptor is no listening socket, or the address cannot be had.
    """
    number = environ.get("LEYDEN_LISTEN_FD", "")
    return _inherited(number, "LEYDEN_LISTEN_FD") if number else _made_patient(_bound(environ))


def _inherited(number: str, variable: str) -> socket.socket:
    try:
        listener = socket.socket(fileno=int(number))
        listening = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except (ValueError, OSError):
        raise ServeError(f"{variable} names {number}, which is no socket", 2) from None
    if not listening or listener.family not in (socket.AF_INET, socket.AF_INET6):
        listener.close()
        raise ServeError(f"{variable} names {number}, which does not listen for TCP", 2)
    return _made_patient(listener)


def _made_patient(listener: socket.socket) -> socket.socket:
    # Set here they hold for every connection: a browser that vanished without a word, or that
    # stopped reading, must not keep a thread for ever.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _STALLED_MS)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
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


def _port(listener: socket.socket) -> int:
    port: int = listener.getsockname()[1]
    return port
