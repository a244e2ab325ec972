"""The link's server: answers other processes from inside the runtime, and is never harmed by them.

Each connection has a lane of its own and at most one request in work; nothing is kept for a reader
between its requests. Who a peer is comes from the kernel (SO_PEERCRED), not from what it says.
"""

from __future__ import annotations

import os
import socket
import stat
import struct
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from leyden.kernel import (
    NS,
    Answer,
    Executor,
    Gap,
    Intent,
    Lane,
    LeydenError,
    Role,
    SystemExecutor,
    freeze,
)
from leyden.link.address import short_address
from leyden.link.protocol import (
    MAX_ANSWER_BYTES,
    MAX_REQUEST_BYTES,
    AnyRequest,
    EventPage,
    Hello,
    HelloAnswer,
    IntentBody,
    LinkRefusal,
    Query,
    Read,
    answer_line,
    error_line,
    parse_request,
    request_id,
)

_CONNECTIONS: Final = 32
_IDLE_S: Final = 600.0  # a peer that asks nothing for this long is let go; it may come back
_SEND_S: Final = 5.0  # a peer that does not take its answer for this long is let go
_SLICE_S: Final = 0.25  # how often a waiting `read` looks whether its peer is still there
_SETTLE_S: Final = 0.01  # until a number that was given out can be read
_BAD_LINES: Final = 20  # one after the other; then it is not a client of ours
_CREDENTIALS: Final = struct.Struct("3i")  # struct ucred: pid, uid, gid (unix(7))


class LinkAddressError(LeydenError):
    """The socket cannot be made where it should be."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is at the other end: `role` is the most it may do."""

    who: str
    role: Role
    uid: int
    pid: int


class Backend(Protocol):
    """What the link needs of a runtime. Called from many threads at a time."""

    def hello(self) -> HelloAnswer:
        """Who answers, and where the stream stands."""
        ...

    def read(self, after: int, prefixes: tuple[str, ...] | None, limit: int) -> EventPage:
        """Return up to `limit` events above `after` whose route begins with a prefix.

        `next` moves past what the filter left out, so that a page may be empty and yet lead on.
        """
        ...

    def wait_for(self, after: int, timeout_s: float) -> bool:
        """Wait until a number above `after` has been given out; return whether one has."""
        ...

    def query(self, query: Query) -> Any:
        """Return the record that `protocol.ANSWERS` names for `query.what`.

        Raises:
            LinkRefusal: `not_found`, or `unavailable` where this runtime has no such thing.
        """
        ...

    def submit(self, intent: Intent, principal: Principal) -> Answer:
        """Carry out an intent, or say why not."""
        ...


class LinkServer:
    """Listens at `path` and answers from `backend`.

    Args:
        path: where the socket is made; its directory must exist.
        backend: what answers.
        executor: starts a lane for the listener and one a connection; real threads only, since
            sockets do not wait in simulated time.
        roles: what peers of other users may do, by uid; this process's own user and root may do
            everything, everybody else is refused.
        mode: permissions of the socket file.
        report: takes one sentence for each fault inside the backend.
    """

    def __init__(
        self,
        path: Path,
        backend: Backend,
        *,
        executor: Executor | None = None,
        roles: Mapping[int, Role] | None = None,
        mode: int = 0o600,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.path = path
        self._stopping = threading.Event()
        self._backend = backend
        self._executor = executor or SystemExecutor()
        self._roles = {**(roles or {}), os.getuid(): Role.ADMIN, 0: Role.ADMIN}
        self._mode = mode
        self._report = report
        self._listener: socket.socket | None = None
        self._lanes: list[Lane] = []
        self._connections: set[_Connection] = set()
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Make the socket and answer from now on.

        Raises:
            LinkAddressError: somebody else answers there, or the place cannot be used.
        """
        self._listener = _listen(self.path, self._mode)
        self._lanes.append(self._executor.start_lane("link", self._accept_all))

    def stop(self, timeout_s: float = 2.0) -> None:
        """Close every connection, wait for their lanes, remove the socket."""
        self._stopping.set()
        if self._listener is None:
            return
        _shut(self._listener)
        with self._lock:
            connections, lanes = list(self._connections), list(self._lanes)
        for connection in connections:
            connection.shut()
        due = self._executor.clock.monotonic_ns() + round(timeout_s * NS)
        for lane in lanes:
            lane.join(max(0.0, (due - self._executor.clock.monotonic_ns()) / NS))
        self._listener.close()
        self._listener = None
        self.path.unlink(missing_ok=True)

    def stopping(self) -> bool:
        """Whether `stop` has been called."""
        return self._stopping.is_set()

    def counters(self) -> dict[str, int]:
        """Connections open now, and requests, refusals and faults since the start."""
        with self._lock:
            return {"connections": len(self._connections), **self._counts}

    def count(self, what: str) -> None:
        """Add one to a counter."""
        with self._lock:
            self._counts[what] += 1

    def _accept_all(self) -> None:
        listener = self._listener
        assert listener is not None  # noqa: S101 - start() sets it before this lane begins
        while not self._stopping.is_set():
            try:
                peer, _ = listener.accept()
            except OSError:
                # Stopping; or no descriptor is left, then give the others time to end.
                self._stopping.wait(0.1)
                continue
            self._admit(peer)

    def _admit(self, peer: socket.socket) -> None:
        principal = self._principal(peer)
        if principal is None:
            self._turn_away(peer, "forbidden", "this user may not use the link")
            return
        connection = _Connection(self, peer, principal)
        with self._lock:
            full = len(self._connections) >= _CONNECTIONS or self.stopping()
            if not full:
                self._connections.add(connection)
                self._lanes = [lane for lane in self._lanes if lane.alive()]
                self._lanes.append(
                    self._executor.start_lane(
                        f"link.{principal.pid}", lambda: self._attend(connection)
                    )
                )
        if full:
            self._turn_away(peer, "busy", f"{_CONNECTIONS} connections are open; close one")

    def _principal(self, peer: socket.socket) -> Principal | None:
        raw = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid, uid, _ = _CREDENTIALS.unpack(raw)
        role = self._roles.get(uid)
        return None if role is None else Principal(f"uid {uid}", role, uid, pid)

    def _turn_away(self, peer: socket.socket, code: str, message: str) -> None:
        self.count("turned_away")
        with peer:
            try:
                peer.settimeout(_SEND_S)
                peer.sendall(error_line(0, code, message))
            except OSError:
                return  # gone already

    def _attend(self, connection: _Connection) -> None:
        try:
            connection.serve()
        finally:
            connection.close()
            with self._lock:
                self._connections.discard(connection)

    # What a connection asks for.

    def parse(self, line: bytes) -> AnyRequest | bytes:
        """Return the request in a line, or the line that refuses it."""
        self.count("requests")
        try:
            return parse_request(line)
        except LinkRefusal as refusal:
            self.count("refused")
            return error_line(request_id(line), refusal.code, refusal.message)

    def answer(self, request: AnyRequest, connection: _Connection) -> bytes:
        """Return the line that answers a request; never raises for what a peer asked."""
        try:
            return self._answer(request, connection)
        except LinkRefusal as refusal:
            self.count("refused")
            return error_line(request.id, refusal.code, refusal.message)
        except Exception as error:  # noqa: BLE001 - a peer must not end the runtime's lane; reported
            self.count("faults")
            self._report(f"link: answering a request failed: {type(error).__name__}: {error}")
            return error_line(request.id, "internal", "the runtime failed to answer this")

    def _answer(self, request: AnyRequest, connection: _Connection) -> bytes:
        if isinstance(request, Read):
            return self._read(request, connection)
        if isinstance(request, Hello):
            hello = self._backend.hello()
            return answer_line(
                request.id, msgspec.structs.replace(hello, role=connection.principal.role)
            )
        if isinstance(request, Query):
            return _bounded(request.id, self._backend.query(request))
        intent = _intent_of(request.intent, connection.principal)
        return _bounded(request.id, self._backend.submit(intent, connection.principal))

    def _read(self, request: Read, connection: _Connection) -> bytes:
        page = self._await_page(request, connection)
        line = answer_line(request.id, page)
        if len(line) <= MAX_REQUEST_BYTES:
            return line
        # Long values: fewer events a page, down to one that fits no page at all and is a gap then.
        while len(line) > MAX_REQUEST_BYTES and len(page.events) > 1:
            limit = len(page.events) // 2
            page = self._backend.read(request.after, request.routes, limit)
            page = _settled(page, request.after)
            line = answer_line(request.id, page)
        if len(line) > MAX_ANSWER_BYTES:
            n = page.events[0].n
            gap = Gap(n, n, "the value is too long for the link")
            page = EventPage((), page.next, (*page.gaps, gap), page.head)
            line = answer_line(request.id, page)
        return line

    def _await_page(self, request: Read, connection: _Connection) -> EventPage:
        clock = self._executor.clock
        due = clock.monotonic_ns() + request.wait_ms * 1_000_000
        after = request.after
        while True:
            page = _settled(self._backend.read(after, request.routes, request.max), after)
            left_s = (due - clock.monotonic_ns()) / NS
            if page.events or page.gaps or left_s <= 0 or self.stopping():
                return page
            if after < page.next < page.head:
                after = page.next  # the filter left all of these out; more are there to look at
                continue
            given_out = page.head > page.next  # and cannot be read yet: it is being written
            after = page.next
            if given_out:
                clock.sleep(min(left_s, _SETTLE_S))
            else:
                self._backend.wait_for(after, min(left_s, _SLICE_S))
            if connection.gone():
                return page


def _settled(page: EventPage, after: int) -> EventPage:
    """Return a page whose gaps all lie above `after` and not beyond `next`."""
    if not page.gaps:
        return page
    upto = page.next
    for gap in sorted(page.gaps, key=lambda gap: gap.first):
        if gap.first <= upto + 1:
            upto = max(upto, gap.last)
    gaps = tuple(gap for gap in page.gaps if gap.last > after and gap.first <= upto)
    return EventPage(page.events, upto, gaps, page.head)


def _intent_of(body: IntentBody, principal: Principal) -> Intent:
    try:
        payload = freeze(body.payload)
    except (TypeError, RecursionError):
        raise LinkRefusal("bad_request", "found a payload that is not plain data") from None
    asked = body.role or principal.role
    return Intent(
        goal=body.goal,
        payload=payload,
        who=body.who or principal.who,
        role=min(asked, principal.role, key=lambda role: role.rank),
        key=body.key,
        seen=body.seen,
        expires_s=body.expires_s,
    )


def _bounded(request: int, answer: Any) -> bytes:
    line = answer_line(request, answer)
    if len(line) > MAX_ANSWER_BYTES:
        raise LinkRefusal(
            "too_large", f"the answer has {len(line)} bytes, at most {MAX_ANSWER_BYTES} are sent"
        )
    return line


class _Connection:
    """One peer: reads its lines, sends its answers."""

    def __init__(self, server: LinkServer, peer: socket.socket, principal: Principal) -> None:
        self.principal = principal
        self._server = server
        self._peer = peer
        self._buffer = bytearray()

    def serve(self) -> None:
        """Answer line after line until the peer goes, idles too long or talks nonsense."""
        bad = 0
        while bad < _BAD_LINES and not self._server.stopping():
            try:
                line = self._line()
                if line is None:
                    return
                request = self._server.parse(line)
                if isinstance(request, bytes):
                    bad += 1
                    self._send(request)
                else:
                    bad = 0
                    self._send(self._server.answer(request, self))
            except OSError:
                return  # timed out or gone

    def _line(self) -> bytes | None:
        self._peer.settimeout(_IDLE_S)
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            if searched > MAX_REQUEST_BYTES:
                words = f"found a line of more than {MAX_REQUEST_BYTES} bytes"
                self._send(error_line(0, "too_large", words))
                return None
            chunk = self._peer.recv(65_536)
            if not chunk:
                return None
            self._buffer += chunk
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line

    def _send(self, line: bytes) -> None:
        self._peer.settimeout(_SEND_S)
        self._peer.sendall(line)

    def gone(self) -> bool:
        """Whether the peer has closed its end."""
        self._peer.settimeout(0.0)
        try:
            return self._peer.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def shut(self) -> None:
        """End whatever the connection's lane waits for; any thread may call this."""
        _shut(self._peer)

    def close(self) -> None:
        """Give the descriptor back; only the connection's own lane calls this."""
        self._peer.close()


def _listen(path: Path, mode: int) -> socket.socket:
    _clear(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short_address(path) as address:
            listener.bind(address)
            path.chmod(mode)
        listener.listen(_CONNECTIONS)
    except OSError as error:
        listener.close()
        raise LinkAddressError(f"cannot listen at {path}: {error.strerror}") from error
    return listener


def _clear(path: Path) -> None:
    """Remove a socket that nobody listens at any more."""
    try:
        kind = path.lstat().st_mode
    except OSError:
        return  # nothing there, or bind will say what is wrong
    if not stat.S_ISSOCK(kind):
        raise LinkAddressError(f"cannot listen at {path}: found a file that is not a socket")
    if _answers(path):
        raise LinkAddressError(f"cannot listen at {path}: another runtime answers there")
    path.unlink(missing_ok=True)


def _answers(path: Path) -> bool:
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with probe, short_address(path) as address:
        try:
            probe.settimeout(_SEND_S)
            probe.connect(address)
        except OSError:
            return False
    return True


def _shut(peer: socket.socket) -> None:
    try:
        peer.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # not connected any more
