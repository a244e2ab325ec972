"""gunicorn's threaded worker, made safe against peers that connect and then dawdle.

As it comes, a worker thread waits five seconds for each new connection's first byte and then for
ever for the rest of a request; forty connections from one page that means ill would close the panel
to everybody. Besides, this one encrypts what comes in by some sockets and not by others, and tells
the service manager when it serves and that it still does.
"""

from __future__ import annotations

import logging
import socket
from typing import Any, Final

from gunicorn import glogging, util
from gunicorn.workers import gthread

from leyden.kernel import NS, Clock, SystemClock
from leyden.panel.errors import error_body
from leyden.panel.tls import TlsSocket

SOCKETS: Final = "/socket.io"
REQUEST_S: Final = 20.0  # from a connection's first byte to the end of its answer
HEAD_S: Final = 5.0  # from a connection's first byte to the end of the request's head
CROWDED: Final = 16  # connections whose head is being waited for; from then on they have
CROWDED_HEAD_S: Final = 1.0  # this long
_FIRST_BYTE_S: Final = 0.2  # then the connection waits without a thread
_LINGER_S: Final = 0.2  # for kept-alive connections when the panel stops

gthread.DEFAULT_WORKER_DATA_TIMEOUT = _FIRST_BYTE_S
gthread.STOP_KEEPALIVE_LINGER = _LINGER_S


class PanelWorker(gthread.ThreadWorker):  # type: ignore[misc]  # gunicorn ships no types
    """Serves requests in threads; ends those that take too long, websockets excepted."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._clock: Clock = SystemClock()
        self._reading: dict[Any, int] = {}  # connection -> when its head began to come, ns
        self._busy: dict[Any, int] = {}  # connection -> when its request began, ns
        self._hung_up = False

    def run(self) -> None:
        """Serve until told to stop."""
        self.app.notifier.ready(self.app.places)
        super().run()

    def handle(self, conn: Any) -> Any:
        """Serve one request of a connection, in a thread."""
        self._reading[conn] = self._busy[conn] = self._clock.monotonic_ns()
        try:
            if conn.server in self.app.secure_addresses and not isinstance(conn.sock, TlsSocket):
                if not conn.wait_for_data(_FIRST_BYTE_S):
                    return gthread._DEFER  # noqa: SLF001 - how its own code lets one wait
                if not self._encrypt(conn):
                    return False
            return super().handle(conn)
        finally:
            self._reading.pop(conn, None)
            self._busy.pop(conn, None)

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Answer a request whose head has been read; a live view may last as long as it likes."""
        self._reading.pop(conn, None)
        if isinstance(conn.sock, TlsSocket):
            req.scheme = "https"
        if req.method == "GET" and req.path.startswith(SOCKETS):
            self._busy.pop(conn, None)
        return super().handle_request(req, conn)

    def _encrypt(self, conn: Any) -> bool:
        """Agree on keys with the other end; return whether there is anything to go on with."""
        context = self.app.certificates.context()
        if context is None:
            return False  # what is wrong is told by the pages that are not encrypted
        try:
            conn.sock = TlsSocket.serving(conn.sock, context)
            conn.sock.handshake()
        except OSError as error:
            self.log.debug("no TLS with %s: %s", conn.client, error)
            conn.sock.close()
            return False
        conn.data_ready = False  # the request is yet to come, and may be waited for elsewhere
        return True

    def handle_quit(self, sig: Any, frame: Any) -> None:
        """End on SIGINT as on SIGTERM: with a word to everybody who is connected."""
        self.handle_exit(sig, frame)

    def notify(self) -> None:
        """Once a second: show a sign of life, end what takes too long."""
        super().notify()
        self.app.notifier.watchdog()
        self._end_older(self._busy, REQUEST_S)
        crowded = len(self._reading) > CROWDED
        self._end_older(self._reading, CROWDED_HEAD_S if crowded else HEAD_S)
        if not self.alive and not self._hung_up:
            self._hung_up = True
            self.app.notifier.stopping("the panel stops")
            self.wsgi.close()

    def _end_older(self, connections: dict[Any, int], seconds: float) -> None:
        due = self._clock.monotonic_ns() - round(seconds * NS)
        for conn, begun in list(connections.items()):
            if begun < due:
                connections.pop(conn, None)
                _shut(conn.sock)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Any) -> None:
        """Answer what was no HTTP request, in the same form as every other error."""
        if req is not None:
            super().handle_error(req, client, addr, exc)
            return
        self.log.debug("no request from %s: %s", addr, exc)
        _answer(client, str(exc))


class PanelLogger(glogging.Logger):  # type: ignore[misc]  # gunicorn ships no types
    """Errors as one line that says where they come from."""

    error_fmt = "panel: %(message)s"

    def setup(self, cfg: Any) -> None:
        """Configure the log for errors."""
        super().setup(cfg)
        self.error_log.propagate = False
        self.error_log.setLevel(logging.WARNING)


def _shut(peer: socket.socket | TlsSocket) -> None:
    try:
        peer.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it has ended already


def _answer(peer: socket.socket, words: str) -> None:
    body = error_body("bad_request", f"this is no request that the panel understands: {words}")
    head = (
        "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    try:
        util.write_nonblock(peer, head.encode("ascii") + body)
    except OSError:
        return  # it does not wait for an answer
