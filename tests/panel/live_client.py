"""A Socket.IO client as small as can be: follows the stream, or stops doing so on purpose."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import simple_websocket  # type: ignore[import-untyped]  # ships no types
from wsproto.utilities import LocalProtocolError

from leyden.panel.tls import TlsSocket


class _Encrypted:
    """A socket over TLS that two threads may use, where the library wants to make its own."""

    def wrap_socket(self, raw: socket.socket, **_: Any) -> Self:
        self._raw = raw
        return self

    def connect(self, address: Any) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self._raw.connect(address)
        self._raw.setblocking(False)
        self._tls = TlsSocket(context.wrap_socket(self._raw, do_handshake_on_connect=False))
        self._tls.handshake()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tls, name)


class LiveClient:
    """One live view. Acknowledges every frame unless told not to."""

    def __init__(
        self,
        port: int,
        headers: dict[str, str],
        *,
        acknowledges: bool = True,
        encrypted: bool = False,
    ) -> None:
        scheme, more = ("wss", {"ssl_context": _Encrypted()}) if encrypted else ("ws", {})
        url = f"{scheme}://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket"
        self.socket = simple_websocket.Client(url, headers=headers, **more)
        self.acknowledges = acknowledges
        self.refusal = ""
        self.frames: list[dict[str, Any]] = []
        self.beats: list[dict[str, Any]] = []
        self.others: list[tuple[str, Any]] = []
        self.last: int | None = None
        self.connected = threading.Event()
        self.changed = threading.Condition()
        self.ended = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def connect(self) -> Self:
        """Open the Socket.IO connection inside the websocket."""
        self.socket.send("40")
        assert self.connected.wait(5.0)
        return self

    def subscribe(self, after: int | None, routes: list[str] | None = None) -> Self:
        self.emit("sub", {"after": after, "routes": routes})
        return self

    def emit(self, name: str, body: Any) -> None:
        self.socket.send("42" + json.dumps([name, body]))

    def wait_for(self, condition: Any, timeout_s: float = 10.0) -> bool:
        with self.changed:
            return bool(self.changed.wait_for(lambda: condition(self), timeout_s))

    def numbers(self) -> list[int]:
        """Every event's number in the order of arrival."""
        return [event["n"] for frame in self.frames for event in frame["events"]]

    def close(self) -> None:
        with suppress(simple_websocket.ConnectionClosed, OSError):
            self.socket.close()
        self._thread.join(5.0)

    def cut(self) -> None:
        """Lose the connection without a word."""
        with suppress(OSError):  # the server was faster
            self.socket.sock.shutdown(2)
        self._thread.join(5.0)

    def _listen(self) -> None:
        try:
            while True:
                text = self.socket.receive()
                with self.changed:
                    self._take(text)
                    self.changed.notify_all()
        except (simple_websocket.ConnectionClosed, LocalProtocolError, OSError):
            pass  # at an end, or an answer was due just while this side was closing
        finally:
            self.ended.set()
            with self.changed:
                self.changed.notify_all()

    def _take(self, text: str) -> None:
        if text == "2":
            self.socket.send("3")
        elif text.startswith("40"):
            self.connected.set()
        elif text.startswith("44{"):
            self.refusal = json.loads(text[2:])["message"]
            self.connected.set()
        elif text.startswith("42"):
            self._event(*json.loads(text[2:]))

    def _event(self, name: str, body: Any) -> None:
        if name == "frame":
            self.frames.append(body)
            self.last = body["last"]
            if self.acknowledges:
                self.emit("ack", {"last": body["last"]})
        elif name == "beat":
            self.beats.append(body)
        else:
            self.others.append((name, body))
