"""Sessions: browsers that have signed in.

A session lives on the server; the browser holds a random name for it in a cookie that scripts
cannot read. Sessions survive a restart of the panel, so that updating it signs nobody out.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from leyden.kernel import Clock, Role
from leyden.panel.auth import Expiry, Principal, fingerprint
from leyden.storage.atomic import write_atomic

_FILE: Final = "sessions.json"
_IDLE_S: Final = 8 * 3600.0
_WHOLE_S: Final = 7 * 86_400.0  # however busy
_RENEW_S: Final = 600.0  # an active session is written this often, not at each request
_MOST: Final = 64


class Session(msgspec.Struct, frozen=True):
    """One signed-in browser, as it is kept."""

    hash: str  # SHA-256 of the cookie's text, hex
    role: Role
    name: str
    token: str  # hash of the token, or proof of the password, it was opened with; "": one-time
    idle: Expiry
    whole: Expiry

    def principal(self) -> Principal:
        """Who this is."""
        return Principal(self.name, self.role, token=self.token, session=self.hash)


class Sessions:
    """All sessions of the panel.

    On a disk that takes nothing they are kept in memory only, which `report` is told in words.

    Args:
        auth_dir: the auth directory.
        holds: whether the token or password that a session was opened with still stands.
        clock: tells the time.
        report: is told what goes wrong.
    """

    def __init__(
        self,
        auth_dir: Path,
        holds: Callable[[str], bool],
        clock: Clock,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._report = report
        self._path = auth_dir / _FILE
        self._holds = holds
        self._clock = clock
        self._lock = threading.Lock()
        self._by_hash = {session.hash: session for session in self._load()}

    def open(self, principal: Principal) -> str:
        """Begin a session and return the text of its cookie."""
        text = secrets.token_urlsafe(32)
        session = Session(
            hash=fingerprint(text),
            role=principal.role,
            name=principal.name,
            token=principal.token,
            idle=Expiry.after(_IDLE_S, self._clock),
            whole=Expiry.after(_WHOLE_S, self._clock),
        )
        with self._lock:
            self._drop_over()
            while len(self._by_hash) >= _MOST:
                self._by_hash.pop(next(iter(self._by_hash)))
            self._by_hash[session.hash] = session
            self._save()
        return text

    def find(self, text: str) -> Principal | None:
        """Return whose cookie that is, and count it as a sign of life; None when it is over."""
        session = self._by_hash.get(fingerprint(text))
        if session is None or not self._stands(session):
            return None
        if session.idle.left_s(self._clock) < _IDLE_S - _RENEW_S:
            self._renew(session)
        return session.principal()

    def stands(self, session_hash: str) -> bool:
        """Whether a session goes on, without counting this as a sign of life."""
        session = self._by_hash.get(session_hash)
        return session is not None and self._stands(session)

    def end(self, session_hash: str) -> None:
        """Sign a browser out."""
        with self._lock:
            if self._by_hash.pop(session_hash, None) is not None:
                self._save()

    def end_all(self, but: Callable[[Session], bool]) -> tuple[str, ...]:
        """Sign out every browser but some; return the hashes of the sessions that ended."""
        with self._lock:
            over = [key for key, session in self._by_hash.items() if not but(session)]
            for key in over:
                del self._by_hash[key]
            if over:
                self._save()
        return tuple(over)

    def _stands(self, session: Session) -> bool:
        if min(session.idle.left_s(self._clock), session.whole.left_s(self._clock)) <= 0:
            return False
        return not session.token or self._holds(session.token)

    def _renew(self, session: Session) -> None:
        with self._lock:
            if session.hash in self._by_hash:
                self._by_hash[session.hash] = msgspec.structs.replace(
                    session, idle=Expiry.after(_IDLE_S, self._clock)
                )
                self._save()

    def _drop_over(self) -> None:
        self._by_hash = {
            key: session for key, session in self._by_hash.items() if self._stands(session)
        }

    def _load(self) -> list[Session]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=list[Session])
        except (OSError, msgspec.MsgspecError):
            return []  # then everybody signs in again

    def _save(self) -> None:
        data = msgspec.json.encode(list(self._by_hash.values()))
        try:
            write_atomic(self._path, data, private=True)
        except OSError as error:
            self._report(f"sessions will not survive a restart: {self._path}: {error.strerror}")
