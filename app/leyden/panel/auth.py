"""Tokens: who may use the panel and its HTTP interface, and as what.

A token is a secret of 256 random bits that is shown once, when it is made. `tokens.json` in the
auth directory keeps its hash, its role and a name, so that reading the file gives nobody access.
A one-time token only signs a browser in, only once, only for a quarter of an hour and only until
the machine restarts.

Public names: `new_token`, `list_tokens`, `revoke`, `rotate`, `sign_in_path`, `Keyring`,
`Principal`, `Expiry`, `AuthError`.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import secrets
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from leyden.kernel import NS, Clock, LeydenError, Role, SystemClock, iso
from leyden.storage.atomic import write_atomic

PREFIX: Final = "ley_"  # lets people and scanners recognise a leaked token
_FILE: Final = "tokens.json"
_SECRET_BYTES: Final = 32
_ONE_TIME_S: Final = 15 * 60
BOOT_VARIABLE: Final = "LEYDEN_BOOT_ID"
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class AuthError(LeydenError):
    """The auth directory cannot be used, or names no such token."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking, and what they may do at most."""

    name: str
    role: Role
    # hash of the token or proof of the password that proves it; "" for a one-time token, now spent
    token: str = ""
    session: str = ""  # hash that names the session; "" for a bearer token


class Expiry(msgspec.Struct, frozen=True):
    """A moment in the future that holds although the wall clock may be set meanwhile.

    A machine without a battery-backed clock starts in 1970 and jumps when it first hears the time;
    what was to last minutes must neither end nor last for ever because of that. So the monotonic
    clock decides until the machine restarts, and only then the wall clock.
    """

    wall_s: float
    mono_s: float
    boot: str

    @classmethod
    def after(cls, seconds: float, clock: Clock) -> Expiry:
        """Return the moment `seconds` from now."""
        wall, mono = clock.time_ns() / NS, clock.monotonic_ns() / NS
        return cls(wall + seconds, mono + seconds, boot_id())

    def left_s(self, clock: Clock) -> float:
        """Seconds until then; 0 or less when it is over."""
        if self.boot == boot_id():
            return self.mono_s - clock.monotonic_ns() / NS
        return self.wall_s - clock.time_ns() / NS


class TokenRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is kept of a token: everything but the token."""

    id: str
    role: Role
    name: str
    hash: str  # SHA-256 of the token's text, hex
    created: str  # ISO 8601, as far as the machine knew
    one_time: bool = False
    expires: Expiry | None = None

    def valid(self, clock: Clock) -> bool:
        """Whether the token may still be used; a one-time one ends with the boot it was made in."""
        if self.expires is None:
            return True
        if self.one_time and self.expires.boot != boot_id():
            return False
        return self.expires.left_s(clock) > 0


def new_token(
    auth_dir: Path,
    role: Role,
    *,
    name: str = "",
    one_time: bool = False,
    clock: Clock | None = None,
) -> str:
    """Make a token and return its text, which is kept nowhere else.

    Args:
        auth_dir: the auth directory; made, for its owner only, if it is not there.
        role: what the holder may do.
        name: what lists call it.
        one_time: signs a browser in once within 15 minutes and is no bearer token.
        clock: tells the time.

    Raises:
        AuthError: the directory cannot be written.
    """
    clock = clock or SystemClock()
    text = _new_text()
    record = TokenRecord(
        id=secrets.token_hex(4),
        role=Role(role),
        name=name or f"{role} token",
        hash=fingerprint(text),
        created=iso(clock.time_ns()),
        one_time=one_time,
        expires=Expiry.after(_ONE_TIME_S, clock) if one_time else None,
    )
    with locked(auth_dir):
        _save(auth_dir, [*_live(_load(auth_dir), clock), record])
    return text


def list_tokens(auth_dir: Path) -> tuple[TokenRecord, ...]:
    """Return what is kept of every token.

    Raises:
        AuthError: the file is there and cannot be read.
    """
    return tuple(_load(auth_dir))


def revoke(auth_dir: Path, token_id: str) -> None:
    """Make a token and the sessions it opened worthless.

    Raises:
        AuthError: no such token.
    """
    with locked(auth_dir):
        records = _load(auth_dir)
        _one(records, token_id)
        _save(auth_dir, [record for record in records if record.id != token_id])


def rotate(auth_dir: Path, token_id: str) -> str:
    """Return a new text for a token that keeps its id, role and name; the old text is worthless.

    Raises:
        AuthError: no such token.
    """
    text = _new_text()
    with locked(auth_dir):
        records = _load(auth_dir)
        old = _one(records, token_id)
        new = msgspec.structs.replace(old, hash=fingerprint(text))
        _save(auth_dir, [new if record is old else record for record in records])
    return text


def sign_in_path(text: str) -> str:
    """Return the path of the link that signs a browser in.

    The token stands behind the `#`: browsers keep that part to themselves, so it reaches no server
    log, and fetching the link ahead of a click does not use the token up.
    """
    return f"/sign-in#token={text}"


class Keyring:
    """The tokens as they stand now, for a process that checks them often.

    The file is read again only when it has changed.
    """

    def __init__(self, auth_dir: Path, clock: Clock | None = None) -> None:
        self._dir = auth_dir
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._by_hash: dict[str, TokenRecord] = {}
        self._spent: set[str] = set()  # hashes of one-time tokens used since the panel started

    def verify(self, text: str) -> Principal | None:
        """Return whose bearer token that is; None for a wrong, revoked or one-time one."""
        record = self._find(text)
        if record is None or record.one_time:
            return None
        return Principal(record.name, record.role, token=record.hash)

    def consume(self, text: str) -> Principal | None:
        """Return whom a token signs in, and use it up if it is a one-time one.

        Of two callers with the same one-time token exactly one gets an answer. That holds too when
        the disk takes nothing any more, the very moment at which people need to look in.
        """
        record = self._find(text)
        if record is None:
            return None
        if not record.one_time:
            return Principal(record.name, record.role, token=record.hash)
        with self._lock:
            if record.hash in self._spent:
                return None  # somebody was faster
            self._spent.add(record.hash)
        with suppress(AuthError), locked(self._dir):
            _save(self._dir, [each for each in _load(self._dir) if each.hash != record.hash])
        return Principal(record.name, record.role)

    def holds(self, token_hash: str) -> bool:
        """Whether the token with that hash still stands."""
        self._refresh()
        return token_hash in self._by_hash

    def _find(self, text: str) -> TokenRecord | None:
        self._refresh()
        # Looking a hash up tells nothing about tokens through time: who could choose the hash of a
        # guess could also compute the token.
        record = self._by_hash.get(fingerprint(text))
        return record if record is not None and record.valid(self._clock) else None

    def _refresh(self) -> None:
        try:
            status = (self._dir / _FILE).stat()
            seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        except OSError:
            seen = (0, 0, 0)
        with self._lock:
            if seen == self._seen:
                return
            try:
                self._by_hash = {record.hash: record for record in _load(self._dir)}
            except AuthError:
                self._by_hash = {}  # a file that cannot be read lets nobody in
            self._seen = seen


def fingerprint(text: str) -> str:
    """Return the hash that stands for a secret; secrets of 256 random bits need no salt."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


@functools.cache
def boot_id() -> str:
    """Return the kernel's name for this boot of the machine; "" where there is none.

    A process that is kept from the kernel's files is told by whoever started it.
    """
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return _as_the_kernel_writes_it(os.environ.get(BOOT_VARIABLE, ""))


def _as_the_kernel_writes_it(boot: str) -> str:
    try:
        return str(uuid.UUID(boot))  # service managers leave the hyphens out
    except ValueError:
        return ""


def _new_text() -> str:
    return PREFIX + secrets.token_urlsafe(_SECRET_BYTES)


def _live(records: list[TokenRecord], clock: Clock) -> list[TokenRecord]:
    return [record for record in records if record.valid(clock)]


def _one(records: list[TokenRecord], token_id: str) -> TokenRecord:
    for record in records:
        if record.id == token_id:
            return record
    known = ", ".join(record.id for record in records) or "none"
    raise AuthError(f'no token has the id "{token_id}"; there are: {known}')


def _load(auth_dir: Path) -> list[TokenRecord]:
    path = auth_dir / _FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[TokenRecord])
    except FileNotFoundError:
        return []
    except OSError as error:
        raise AuthError(f"cannot read {path}: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        raise AuthError(
            f"{path} is damaged: {error}; delete it and make new tokens with `leyden token new`"
        ) from error


def _save(auth_dir: Path, records: list[TokenRecord]) -> None:
    path = auth_dir / _FILE
    try:
        write_atomic(path, msgspec.json.format(msgspec.json.encode(records)), private=True)
    except OSError as error:
        raise AuthError(f"cannot write {path}: {error.strerror}") from error


@contextmanager
def locked(auth_dir: Path) -> Iterator[None]:
    """Keep others, threads included, from writing between our reading and writing.

    Raises:
        AuthError: the directory cannot be used.
    """
    try:
        auth_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory = os.open(auth_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise AuthError(f"cannot use {auth_dir}: {error.strerror}") from error
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)
