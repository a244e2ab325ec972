"""The link's client: asks a runtime from another process, and survives its restarts.

One `LinkClient` may be used by many threads. Connections are made when needed and kept; one that a
restarted runtime left dead is replaced without the caller noticing.
"""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import msgspec

from leyden.kernel import Answer, Gap, LeydenError, Role, Value
from leyden.link.address import short_address
from leyden.link.protocol import (
    MAX_ANSWER_BYTES,
    MAX_EVENTS,
    MAX_POINTS,
    MAX_SPAN_S,
    BusRow,
    CertificateRow,
    ClockRow,
    DeviceList,
    DeviceRow,
    ErrorBody,
    EventPage,
    EventRow,
    Graph,
    Health,
    HelloAnswer,
    History,
    Identity,
    IntentBody,
    LatestList,
    LatestRow,
    LinkRefusal,
    NodeRow,
    NoteRow,
    Point,
    ReleaseRow,
    Reply,
    RouteList,
    RouteRow,
    SignalList,
    SignalRow,
    SlotRow,
    StagedRow,
    SystemAnswer,
    Trouble,
    UpdateRow,
    What,
    WitnessRow,
    matches,
)

__all__ = [
    "MAX_EVENTS",
    "MAX_POINTS",
    "MAX_SPAN_S",
    "BusRow",
    "CertificateRow",
    "ClockRow",
    "DeviceList",
    "DeviceRow",
    "ErrorBody",
    "EventPage",
    "EventRow",
    "Gap",
    "Graph",
    "Health",
    "HelloAnswer",
    "History",
    "Identity",
    "LatestList",
    "LatestRow",
    "LinkClient",
    "LinkDownError",
    "LinkRefusal",
    "NodeRow",
    "NoteRow",
    "Point",
    "ReleaseRow",
    "RouteList",
    "RouteRow",
    "SignalList",
    "SignalRow",
    "SlotRow",
    "StagedRow",
    "SystemAnswer",
    "Trouble",
    "UpdateRow",
    "WitnessRow",
    "matches",
]

_IDLE: Final = 4  # connections kept for the next request
_HISTORY_S: Final = 15.0  # a month of a log on a memory card takes its time
_ID: Final = 1  # one request at a time on a connection, so one id is enough

T = TypeVar("T")


class LinkDownError(LeydenError):
    """No runtime answers; it may be starting, restarting or not running at all."""


class LinkClient:
    """Asks the runtime that listens at `path`.

    Every method raises `LinkDownError` when no runtime answers in time and `LinkRefusal` when it
    answers that it will not.

    Args:
        path: the link's socket.
        name: what the client calls itself, for the runtime's own records.
        timeout_s: how long one answer may take, on top of what the request itself waits for.
    """

    def __init__(self, path: Path, *, name: str = "", timeout_s: float = 5.0) -> None:
        self.path = path
        self._name = name
        self._timeout_s = timeout_s
        self._idle: list[_Wire] = []
        self._lock = threading.Lock()
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def hello(self) -> HelloAnswer:
        """Who answers, and where its stream stands."""
        return self._ask({"op": "hello", "client": self._name}, HelloAnswer)

    def read(
        self,
        after: int,
        *,
        routes: Sequence[str] | None = None,
        limit: int = 1000,
        wait_s: float = 0.0,
    ) -> EventPage:
        """Return events with numbers above `after`; wait up to `wait_s` (≤ 30 s) for the first."""
        request = {
            "op": "read",
            "after": after,
            "routes": None if routes is None else list(routes),
            "max": limit,
            "wait_ms": round(wait_s * 1000),
        }
        return self._ask(request, EventPage, wait_s)

    def health(self) -> Health:
        """The figures of a health check."""
        return self._query("health", Health)

    def identity(self) -> Identity:
        """What the machine can say of itself."""
        return self._query("identity", Identity)

    def devices(self) -> DeviceList:
        """All devices and buses."""
        return self._query("devices", DeviceList)

    def routes(self) -> RouteList:
        """All routes."""
        return self._query("routes", RouteList)

    def latest(self, route: str) -> LatestRow:
        """The newest value of one route."""
        return self._query("latest", LatestRow, route=route)

    def latest_all(self) -> LatestList:
        """The newest value of every route."""
        return self._query("latest_all", LatestList)

    def history(
        self,
        route: str,
        *,
        span_s: float | None = None,
        from_mono: int | None = None,
        points: int = 300,
    ) -> History:
        """A route's past in at most `points` points: the last `span_s`, or since `from_mono`."""
        request = {
            "op": "query",
            "what": "history",
            "route": route,
            "span_s": span_s,
            "from_mono": from_mono,
            "points": points,
        }
        return self._ask(request, History, _HISTORY_S)

    def signals(self) -> SignalList:
        """All signals of a simulated world."""
        return self._query("signals", SignalList)

    def graph(self) -> Graph:
        """The route graph as it runs."""
        return self._query("graph", Graph)

    def system(self) -> SystemAnswer:
        """The machine as an appliance: release, slots, updates."""
        return self._query("system", SystemAnswer)

    def submit(
        self,
        goal: str,
        payload: Value = None,
        *,
        key: str = "",
        seen: int = 0,
        expires_s: float | None = None,
        who: str = "",
        role: Role | None = None,
    ) -> Answer:
        """Ask the runtime to do something; without a `key` one is made up.

        A key lets the request be sent again over a new connection without being done twice.
        """
        key = key or secrets.token_urlsafe(12)
        body = IntentBody(goal, payload, key, seen, expires_s, who, role)
        return self._ask({"op": "submit", "intent": body}, Answer, expires_s or 0.0)

    def close(self) -> None:
        """Close what is open; requests in work in other threads finish first."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for wire in idle:
            wire.close()

    def _query(self, what: What, kind: type[T], **params: str) -> T:
        return self._ask({"op": "query", "what": what, **params}, kind)

    def _ask(self, request: dict[str, Any], kind: type[T], wait_s: float = 0.0) -> T:
        line = msgspec.json.encode({"id": _ID, **request}) + b"\n"
        reply = self._exchange(line, self._timeout_s + wait_s)
        if isinstance(reply.error, ErrorBody):
            raise LinkRefusal(reply.error.code, reply.error.message)
        if not isinstance(reply.ok, msgspec.Raw):
            raise LinkDownError(f"found an answer without content at {self.path}")
        try:
            return msgspec.json.decode(reply.ok, type=kind)
        except msgspec.MsgspecError as error:
            raise LinkDownError(f"found another kind of answer at {self.path}: {error}") from None

    def _exchange(self, line: bytes, timeout_s: float) -> Reply:
        wire = self._take()
        if wire is not None:
            try:
                return self._use(wire, line, timeout_s)
            except TimeoutError as error:
                raise self._down(error) from error
            except (OSError, msgspec.MsgspecError):
                self._forget()  # its peers are of the same runtime, which is gone
        try:
            return self._use(_Wire(self.path, self._timeout_s), line, timeout_s)
        except (OSError, msgspec.MsgspecError) as error:
            raise self._down(error) from error

    def _use(self, wire: _Wire, line: bytes, timeout_s: float) -> Reply:
        try:
            reply = wire.exchange(line, timeout_s)
        except BaseException:
            wire.close()
            raise
        self._give_back(wire, reply)
        return reply

    def _take(self) -> _Wire | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _give_back(self, wire: _Wire, reply: Reply) -> None:
        turned_away = reply.id != _ID  # the server closes such a connection
        with self._lock:
            keep = not turned_away and not self._closed and len(self._idle) < _IDLE
            if keep:
                self._idle.append(wire)
        if not keep:
            wire.close()

    def _forget(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for wire in idle:
            wire.close()

    def _down(self, error: Exception) -> LinkDownError:
        words = "no answer in time" if isinstance(error, TimeoutError) else str(error)
        return LinkDownError(f"no runtime answers at {self.path}: {words}")


class _Wire:
    """One connection: a line out, a line back."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(timeout_s)
            with short_address(path) as address:
                self._socket.connect(address)
        except OSError:
            self._socket.close()
            raise

    def exchange(self, line: bytes, timeout_s: float) -> Reply:
        """Send a line and return what comes back.

        Raises:
            OSError: the other end is gone, silent or endless.
            msgspec.MsgspecError: what came back is not a reply.
        """
        self._socket.settimeout(timeout_s)
        # A server that turns a peer away says why and hangs up before it has read anything.
        with suppress(BrokenPipeError, ConnectionResetError):
            self._socket.sendall(line)
        return msgspec.json.decode(self._line(), type=Reply)

    def _line(self) -> bytes:
        buffer = bytearray()
        while not buffer.endswith(b"\n"):
            chunk = self._socket.recv(262_144)
            if not chunk:
                raise ConnectionResetError("it closed the connection")
            buffer += chunk
            if len(buffer) > MAX_ANSWER_BYTES + 4096:
                raise ConnectionAbortedError("its answer has no end")
        return bytes(buffer)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()
