"""Socket.IO for the live view: websockets only, known people only, none that hogs a thread.

The client sends `sub {after, routes}` and `ack {last}`; it receives `frame`, `beat`, `reset` when
its numbers are of another stream, and `refused` when it asked for something impossible.
"""

from __future__ import annotations

import errno
import logging
import socket
import threading
from collections.abc import Iterable
from contextlib import suppress
from typing import Annotated, Any, Final

import msgspec
from flask import Flask, request
from flask_socketio import ConnectionRefusedError as RefusedError
from flask_socketio import SocketIO
from msgspec import Meta

from leyden.kernel import NS, Clock
from leyden.panel.auth import Principal
from leyden.panel.door import StartResponse, WsgiApp, refuse
from leyden.panel.errors import PanelError
from leyden.panel.guard import Guard, connection_of, same_origin
from leyden.panel.live import CLIENTS, Feed, Hub, PanelFullError, Subscription
from leyden.panel.tls import TlsSocket

PATH: Final = "/socket.io/"
SPARE: Final = 8  # connections beyond the live views: to be told that they are full, or unknown
_SETTLE_S: Final = 5.0  # from connecting to the first `sub`
_MESSAGE_BYTES: Final = 16_384
_MESSAGES_A_SECOND: Final = 200
_PING_S: Final = 10
_KEY: Final = "leyden.visit"

_log = logging.getLogger("leyden.panel")


class Ack(msgspec.Struct, frozen=True):
    """The client has dealt with everything up to `last`."""

    last: Annotated[int, Meta(ge=0)]


class Json:
    """JSON for Socket.IO; `msgspec.Raw` passes through as it is."""

    @staticmethod
    def dumps(value: Any, **_: Any) -> str:
        """Return `value` as text."""
        return msgspec.json.encode(value).decode()

    @staticmethod
    def loads(text: str | bytes, **_: Any) -> Any:
        """Return what is written in `text`.

        Raises:
            ValueError: it is no JSON; the only error that the library expects.
        """
        try:
            return msgspec.json.decode(text)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise ValueError(str(error)) from None


class Visit:
    """One websocket, from its handshake to its end."""

    def __init__(
        self, principal: Principal | None, peer: socket.socket | TlsSocket | None, begun_ns: int
    ) -> None:
        self.principal = principal  # None: it will be told to sign in
        self.feed: Feed | None = None
        self.settled = False  # it has subscribed
        self.begun_ns = begun_ns
        self._peer = peer
        self._second = 0
        self._messages = 0

    def hang_up(self) -> None:
        """End the connection, whatever it is in the middle of."""
        if self._peer is None:
            return
        try:
            self._peer.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it has ended already

    def flooding(self, now_ns: int) -> bool:
        """Count a message; return whether there were too many this second."""
        second = now_ns // NS
        if second != self._second:
            self._second, self._messages = second, 0
        self._messages += 1
        return self._messages > _MESSAGES_A_SECOND


class Sockets:
    """Puts Socket.IO in front of a Flask application, and a porter in front of Socket.IO."""

    def __init__(self, app: Flask, hub: Hub, guard: Guard, clock: Clock) -> None:
        self._hub = hub
        self._guard = guard
        self._clock = clock
        self._visits: set[Visit] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._sweeper = threading.Thread(target=self._sweep, name="panel.sweeper", daemon=True)
        self._pages: WsgiApp = app.wsgi_app
        self._io = _socket_io(app)
        self._library: WsgiApp = app.wsgi_app
        for name, handler in (
            ("connect", self._on_connect),
            ("disconnect", self._on_disconnect),
            ("sub", self._on_sub),
            ("ack", self._on_ack),
        ):
            self._io.on_event(name, handler)

    def start(self) -> None:
        """Begin to look after connections that do nothing."""
        self._sweeper.start()

    def close(self) -> None:
        """Hang up on everybody."""
        self._stop.set()
        for visit in self._open_visits():
            visit.hang_up()

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Serve a websocket, or pass the request on to the pages."""
        if not environ.get("PATH_INFO", "").startswith(PATH.rstrip("/")):
            return self._pages(environ, start_response)
        try:
            visit = self._admit(environ)
        except PanelError as error:
            return refuse(start_response, error)
        try:
            return self._serve(environ, start_response, visit)
        finally:
            self._forget(visit)

    def _admit(self, environ: dict[str, Any]) -> Visit:
        """Return the visit that a handshake begins.

        Raises:
            PanelError: it is no handshake of ours, from another site, or there is no room.
        """
        _require_handshake(environ)
        if not same_origin(environ, missing="HTTP_AUTHORIZATION" in environ):
            raise PanelError(403, "cross_site", "the live view is for the panel's own page")
        principal = self._principal(environ)
        visit = Visit(principal, connection_of(environ), self._clock.monotonic_ns())
        with self._lock:
            strangers = sum(1 for each in self._visits if each.principal is None)
            if principal is None and strangers >= SPARE // 2:
                raise PanelError(401, "unauthorised", "sign in first")
            if len(self._visits) >= CLIENTS + SPARE:
                raise PanelError(503, "panel_full", f"panel full: {CLIENTS} live views are open")
            self._visits.add(visit)
        return visit

    def _principal(self, environ: dict[str, Any]) -> Principal | None:
        if "HTTP_AUTHORIZATION" in environ:
            return self._guard.principal(environ)
        # A browser learns why it is refused only inside the connection, so it may come in that far.
        return self._guard.session(environ)

    def _serve(
        self, environ: dict[str, Any], start_response: StartResponse, visit: Visit
    ) -> Iterable[bytes]:
        environ[_KEY] = visit
        # Without extensions there is no compression: a page on the LAN gains nothing from it, and
        # twenty compressors cost megabytes.
        environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)
        try:
            return self._library(environ, start_response)
        except (StopIteration, ConnectionError):
            raise  # how the library says that the websocket is over
        except Exception as error:
            # The library lets some nonsense from the other end surface as an error of its own.
            _log.warning("a live view sent something impossible: %s", error)
            raise ConnectionResetError(errno.ECONNRESET, "hung up") from error

    def _forget(self, visit: Visit) -> None:
        with self._lock:
            self._visits.discard(visit)
        if visit.feed is not None:
            visit.feed.close()

    def _open_visits(self) -> list[Visit]:
        with self._lock:
            return list(self._visits)

    def _sweep(self) -> None:
        while not self._stop.wait(1.0):
            now = self._clock.monotonic_ns()
            for visit in self._open_visits():
                if not visit.settled and now - visit.begun_ns > _SETTLE_S * NS:
                    visit.hang_up()

    # What Socket.IO calls, in the connection's own thread.

    def _on_connect(self, _auth: Any = None) -> None:
        visit, sid = _visit(), _sid()
        if visit.principal is None:
            raise RefusedError("unauthorised: sign in first")
        if visit.feed is not None:
            raise RefusedError("this connection has a live view already")
        try:
            visit.feed = self._hub.open(
                visit.principal,
                lambda name, body: self._io.emit(name, body, to=sid),
                visit.hang_up,
            )
        except PanelFullError as error:
            raise RefusedError(str(error)) from None

    def _on_disconnect(self, *_: Any) -> None:
        feed = _visit().feed
        if feed is not None:
            feed.close()

    def _on_sub(self, body: Any = None, *_: Any) -> None:
        visit = _visit()
        subscription = self._read(visit, body, Subscription)
        if visit.feed is not None and subscription is not None:
            visit.settled = True
            visit.feed.subscribe(subscription)

    def _on_ack(self, body: Any = None, *_: Any) -> None:
        visit = _visit()
        ack = self._read(visit, body, Ack)
        if visit.feed is not None and ack is not None:
            visit.feed.acknowledge(ack.last)

    def _read(self, visit: Visit, body: Any, kind: type[Any]) -> Any:
        if visit.flooding(self._clock.monotonic_ns()):
            visit.hang_up()
            return None
        try:
            return msgspec.convert(body, kind)
        except (msgspec.ValidationError, RecursionError) as error:
            words = {"error": {"code": "bad_request", "message": str(error)}}
            self._io.emit("refused", words, to=_sid())
            return None


def _socket_io(app: Flask) -> SocketIO:
    io = SocketIO(
        app,
        async_mode="threading",
        transports=["websocket"],
        cors_allowed_origins=[],  # checked at the handshake, more strictly
        json=Json,
        manage_session=False,
        async_handlers=False,
        ping_interval=_PING_S,
        ping_timeout=_PING_S,
        max_http_buffer_size=_MESSAGE_BYTES,
        logger=_quiet("socketio"),
        engineio_logger=_quiet("engineio"),
    )
    engine = io.server.eio
    modes = engine._async  # noqa: SLF001 - no public option reaches the websocket itself
    engine._async = {**modes, "websocket": _websocket(modes["websocket"])}  # noqa: SLF001
    return io


def _websocket(library: Any) -> type[Any]:
    """Return the library's websocket with two of its habits mended."""

    class Websocket(library):  # type: ignore[misc]  # it ships no types
        def __init__(self, handler: Any, server: Any) -> None:
            # As it is, a message's length is looked at only when all of it is in memory.
            super().__init__(handler, server, max_message_size=_MESSAGE_BYTES)

        def close(self) -> None:
            # As it is, closing what the other end has closed already raises in a thread.
            with suppress(OSError):
                super().close()

    return Websocket


def _quiet(name: str) -> logging.Logger:
    """Return a logger for a library that logs each piece of nonsense with its stack."""
    logger = logging.getLogger(f"leyden.panel.{name}")
    logger.setLevel(logging.CRITICAL)
    return logger


def _visit() -> Visit:
    found: Visit = request.environ[_KEY]
    return found


def _sid() -> str:
    return str(request.sid)  # type: ignore[attr-defined]  # Flask-SocketIO adds it to the request


def _require_handshake(environ: dict[str, Any]) -> None:
    wanted = {
        "REQUEST_METHOD": "get",
        "HTTP_UPGRADE": "websocket",
        "HTTP_SEC_WEBSOCKET_VERSION": "13",
    }
    query = environ.get("QUERY_STRING", "").split("&")
    if (
        any(environ.get(name, "").lower() != value for name, value in wanted.items())
        or not environ.get("HTTP_SEC_WEBSOCKET_KEY")
        or not {"EIO=4", "transport=websocket"} <= set(query)
        or any(part.startswith("sid=") for part in query)
    ):
        raise PanelError(400, "bad_request", "the live view is Socket.IO 4 over websockets only")
