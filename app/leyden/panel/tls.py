"""TLS: the appliance's certificate, taken anew when it is renewed, and connections that use it.

The certificate lies in a folder: `leaf.pem` and `leaf.key` are what the panel serves with, `ca.pem`
is the authority that people may trust. Where they are missing or do not belong together the panel
says so and serves without encryption, because a machine nobody can reach can tell nobody why.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import select
import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

LEAF: Final = "leaf.pem"
KEY: Final = "leaf.key"
AUTHORITY: Final = "ca.pem"

_log = logging.getLogger("leyden.panel")

Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Authority:
    """The appliance's own certificate authority, for people to compare and to trust."""

    pem: bytes
    fingerprint: str  # SHA-256 of the certificate: "AB:CD:…"


class Certificates:
    """What is in the certificate folder as it stands now; files are read when they have changed.

    Args:
        folder: the certificate folder; None where the panel is not to encrypt.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._seen: tuple[Stamp, ...] | None = None
        self._context: ssl.SSLContext | None = None
        self._problem = ""
        self._authority_seen: Stamp | None = None
        self._authority: Authority | None = None

    @property
    def wanted(self) -> bool:
        """Whether the panel is to encrypt."""
        return self._folder is not None

    def context(self) -> ssl.SSLContext | None:
        """Return what to encrypt with; None where there is nothing that fits together.

        A pair that is just being renewed does not fit for a moment: then the last one that did is
        used on.
        """
        self._refresh()
        return self._context

    def problem(self) -> str:
        """Return in words why the panel does not encrypt although it is to; "" if it does."""
        self._refresh()
        return "" if self._context is not None else self._problem

    def authority(self) -> Authority | None:
        """Return the certificate authority; None where there is none to be read."""
        if self._folder is None:
            return None
        stamp = _stamp(self._folder / AUTHORITY)
        with self._lock:
            if stamp != self._authority_seen:
                self._authority = _read_authority(self._folder / AUTHORITY)
                self._authority_seen = stamp
            return self._authority

    def _refresh(self) -> None:
        if self._folder is None:
            return
        seen = (_stamp(self._folder / LEAF), _stamp(self._folder / KEY))
        with self._lock:
            if seen == self._seen:
                return
            self._seen = seen
            try:
                self._context = _load(self._folder)
                self._problem = ""
            except (OSError, ValueError) as error:  # an SSLError is an OSError
                self._problem = _problem(self._folder, error)
                kept = "; the former certificate is used on" if self._context else ""
                _log.warning("%s%s", self._problem, kept)


class TlsSocket:
    """A connection over TLS that one thread may read while another writes.

    OpenSSL allows no two calls at once on one connection, and Python does not keep them apart
    (CPython issue 151508); a websocket is read and written by two threads. So each call is made
    without blocking and under a lock, and what has to be waited for is waited for outside of it.

    Behaves as a socket does as far as the server and the websocket use one; a time-out holds for
    each wait, not for the whole of a call.

    Args:
        wrapped: either end of a connection, without blocking and before its handshake; it belongs
            to this object from now on.
    """

    def __init__(self, wrapped: ssl.SSLSocket) -> None:
        self._tls = wrapped
        self._timeout: float | None = None
        self._calls = threading.Lock()
        self._writes = threading.Lock()
        self._parted = False

    @classmethod
    def serving(cls, raw: socket.socket, context: ssl.SSLContext) -> Self:
        """Return the server's end of TLS over a connection, which belongs to it from now on.

        Raises:
            OSError: the connection is over already.
        """
        raw.setblocking(False)
        return cls(context.wrap_socket(raw, server_side=True, do_handshake_on_connect=False))

    def handshake(self) -> None:
        """Agree on keys with the other end.

        Raises:
            OSError: the other end does not, or not in time.
        """
        self._call(self._tls.do_handshake)

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Return what has come, at most `size` bytes; b"" at the end."""
        del flags  # TLS has none
        try:
            data: bytes = self._call(self._tls.recv, size)
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""
        except ssl.SSLError as error:
            raise ConnectionResetError(errno.ECONNRESET, f"no TLS: {error.reason}") from error
        return data

    def send(self, data: bytes) -> int:
        """Send all of `data`; return its length."""
        self.sendall(data)
        return len(data)

    def sendall(self, data: bytes) -> None:
        """Send all of `data`; what two threads send does not get mixed."""
        with self._writes, memoryview(data) as rest:
            sent = 0
            try:
                while sent < len(rest):
                    sent += self._call(self._tls.send, rest[sent:])
            except ssl.SSLError as error:
                raise BrokenPipeError(errno.EPIPE, f"no TLS: {error.reason}") from error

    def setblocking(self, blocking: bool) -> None:
        """Wait for as long as it takes, or not at all."""
        self._timeout = None if blocking else 0.0

    def settimeout(self, timeout: float | None) -> None:
        """Wait for at most so many seconds; None: as long as it takes."""
        self._timeout = timeout

    def gettimeout(self) -> float | None:
        """Return how long is waited."""
        return self._timeout

    def fileno(self) -> int:
        """Return the descriptor; -1 once it is closed."""
        return self._tls.fileno()

    def getsockname(self) -> Any:
        """Return this end's address."""
        return self._tls.getsockname()

    def getpeername(self) -> Any:
        """Return the other end's address."""
        return self._tls.getpeername()

    def shutdown(self, how: int) -> None:
        """Say that no more is written, read or either, in TLS as well as below it."""
        with self._calls:
            self._say_goodbye()
            # `SSLSocket.shutdown` drops the keys, and a read in work would go on in the clear.
            socket.socket.shutdown(self._tls, how)

    def close(self) -> None:
        """Give the connection up."""
        with self._calls:
            self._say_goodbye()
            self._tls.close()

    def _say_goodbye(self) -> None:
        # Once, and without waiting for the other end to say it too. It may be gone.
        if not self._parted:
            self._parted = True
            with suppress(OSError, ValueError):
                self._tls.unwrap()

    def _call(self, function: Any, *args: Any) -> Any:
        while True:
            with self._calls:
                try:
                    return function(*args)
                except ssl.SSLWantReadError:
                    wanted = select.POLLIN
                except ssl.SSLWantWriteError:
                    wanted = select.POLLOUT
            self._wait(wanted)

    def _wait(self, wanted: int) -> None:
        if self._timeout == 0.0:
            raise BlockingIOError(errno.EAGAIN, "nothing to be had without waiting")
        descriptor = self._tls.fileno()
        if descriptor < 0:
            raise OSError(errno.EBADF, "the connection is closed")
        poll = select.poll()
        poll.register(descriptor, wanted)
        if not poll.poll(None if self._timeout is None else self._timeout * 1000):
            raise TimeoutError(errno.ETIMEDOUT, "the other end took too long")


def _load(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(folder / LEAF, folder / KEY, _no_pass_phrase)
    return context


def _no_pass_phrase() -> str:
    # Without this a key that is locked would be asked for on the terminal.
    raise ValueError("it is locked by a pass phrase")


def _problem(folder: Path, error: Exception) -> str:
    missing = [name for name in (LEAF, KEY) if not (folder / name).exists()]
    if missing:
        return f"there is no {' and no '.join(missing)}"
    if isinstance(error, ssl.SSLError):
        if error.reason == "KEY_VALUES_MISMATCH":
            return f"{KEY} does not belong to {LEAF}"
        return f"{LEAF} or {KEY} is damaged"
    words = error.strerror if isinstance(error, OSError) else str(error)
    return f"{LEAF} and {KEY} cannot be used: {words}"


def _read_authority(path: Path) -> Authority | None:
    try:
        pem = path.read_bytes()
        der = ssl.PEM_cert_to_DER_cert(pem.decode("ascii").strip())
    except (OSError, ValueError) as error:
        _log.warning("no certificate authority to show: %s", error)
        return None
    digest = hashlib.sha256(der).hexdigest().upper()
    return Authority(pem, ":".join(digest[i : i + 2] for i in range(0, len(digest), 2)))


def _stamp(path: Path) -> Stamp:
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return (status.st_ino, status.st_mtime_ns, status.st_size)
