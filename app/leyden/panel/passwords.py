"""The password: what a person signs in with on an appliance that has been claimed.

There is one, it belongs to the admin, and only its argon2id hash is kept, in `password.json` in the
auth directory. Making or checking one takes 19 MiB and two passes (RFC 9106; the smallest that
OWASP's password storage sheet names), 0.03 s on a desktop core; so that a board of 512 MB never
spends more, one is checked at a time.

Public names: `hash_password`, `check_hash`, `write_password_hash`, `require_good`, `Passwords`,
`PasswordError`.
"""

from __future__ import annotations

import threading
import unicodedata
from pathlib import Path
from typing import Final

import msgspec

from leyden.kernel import Clock, LeydenError, SystemClock, iso
from leyden.panel.auth import AuthError, fingerprint, locked
from leyden.storage.atomic import write_atomic

SHORTEST: Final = 10  # characters
LONGEST: Final = 1024
MEMORY_KIB: Final = 19 * 1024
PASSES: Final = 2
LANES: Final = 1
# What a hash that was made elsewhere may ask of the smallest board.
_MOST_MEMORY_KIB: Final = 64 * 1024
_MOST_PASSES: Final = 10
_MOST_LANES: Final = 4
_FILE: Final = "password.json"
_PROOF: Final = "password:"


class PasswordError(LeydenError):
    """A password or a hash of one that cannot be taken, with the rule in words."""


class PasswordRecord(msgspec.Struct, frozen=True):
    """What is kept of the password: everything but the password."""

    hash: str  # argon2id, in PHC form
    set: str  # ISO 8601, as far as the machine knew


def require_good(password: str) -> None:
    """Refuse what is too short or absurdly long.

    Raises:
        PasswordError: with the rule.
    """
    length = len(_prepared(password))
    if length < SHORTEST:
        words = f"the password has {length} characters; it needs at least {SHORTEST}"
        raise PasswordError(f"{words}, for instance four words")
    if length > LONGEST:
        raise PasswordError(f"the password has {length} characters; at most {LONGEST} are taken")


def hash_password(password: str) -> str:
    """Return the argon2id hash of a password in PHC form.

    Raises:
        PasswordError: it is too short or too long.
    """
    import argon2  # noqa: PLC0415 - a library of C code that most processes need not load

    require_good(password)
    hasher = argon2.PasswordHasher(PASSES, MEMORY_KIB, LANES)
    return hasher.hash(_bytes_of(password))


def check_hash(text: str) -> None:
    """Refuse what is no argon2id hash, or one that the smallest board could not check.

    Raises:
        PasswordError: with what was found and what was expected.
    """
    import argon2  # noqa: PLC0415 - as above

    expected = "expected an argon2id hash in PHC form, as `leyden password hash` makes"
    try:
        found = argon2.extract_parameters(text)
    except argon2.exceptions.InvalidHashError:
        raise PasswordError(f"found a password hash that is none; {expected}") from None
    if found.type is not argon2.Type.ID:
        raise PasswordError(f"found a password hash of another kind; {expected}")
    asked = (found.memory_cost, found.time_cost, found.parallelism)
    most = (_MOST_MEMORY_KIB, _MOST_PASSES, _MOST_LANES)
    if any(one > other for one, other in zip(asked, most, strict=True)):
        words = "found a password hash with m={},t={},p={}; at most m={},t={},p={} can be checked"
        raise PasswordError(words.format(*asked, *most))


def write_password_hash(auth_dir: Path, text: str, clock: Clock | None = None) -> None:
    """Set the password by its hash, as a preseed brings it; there is nothing to claim then.

    Raises:
        PasswordError: the hash cannot be taken.
        AuthError: the directory cannot be written; the old password stands.
    """
    check_hash(text)
    with locked(auth_dir):
        _save(auth_dir, text, clock or SystemClock())


class Passwords:
    """The password as it stands now; the file is read again only when it has changed."""

    def __init__(self, auth_dir: Path, clock: Clock) -> None:
        self._dir = auth_dir
        self._path = auth_dir / _FILE
        self._clock = clock
        self._lock = threading.Lock()
        self._one_at_a_time = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._hash = ""

    def exist(self) -> bool:
        """Whether a password has been set, be the file readable or not."""
        return self._path.exists()

    def proof(self) -> str:
        """Return what stands for the present password; "" where none can be checked."""
        self._refresh()
        return _PROOF + fingerprint(self._hash) if self._hash else ""

    def holds(self, proof: str) -> bool:
        """Whether a proof is of the password that is set now."""
        return proof.startswith(_PROOF) and proof == self.proof()

    def match(self, password: str, patience_s: float = 10.0) -> bool:
        """Whether that is the password.

        Raises:
            TimeoutError: others are being checked, and more than `patience_s` went by.
        """
        import argon2  # noqa: PLC0415 - as above

        self._refresh()
        if not self._hash or len(password) > LONGEST:
            return False
        if not self._one_at_a_time.acquire(timeout=patience_s):
            raise TimeoutError
        try:
            return argon2.PasswordHasher().verify(self._hash, _bytes_of(password))
        except argon2.exceptions.VerificationError:
            return False
        finally:
            self._one_at_a_time.release()

    def replace(self, password: str) -> None:
        """Set a new password.

        Raises:
            PasswordError: it is too short or too long.
            AuthError: the directory cannot be written; the old password stands.
        """
        with locked(self._dir):
            self.write(password)

    def write(self, password: str) -> None:
        """Set a new password, by one who has locked the directory; raises as `replace`."""
        with self._one_at_a_time:
            text = hash_password(password)
        _save(self._dir, text, self._clock)

    def _refresh(self) -> None:
        try:
            status = self._path.stat()
            seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        except OSError:
            seen = (0, 0, 0)
        with self._lock:
            if seen != self._seen:
                self._hash = self._load()
                self._seen = seen

    def _load(self) -> str:
        """Return the hash; "" for a file that is damaged, which lets nobody in."""
        try:
            record = msgspec.json.decode(self._path.read_bytes(), type=PasswordRecord)
            check_hash(record.hash)
        except (OSError, msgspec.MsgspecError, PasswordError):
            return ""
        return record.hash


def of_password(proof: str) -> bool:
    """Whether a session was opened with the password, the present one or an earlier one."""
    return proof.startswith(_PROOF)


def _save(auth_dir: Path, text: str, clock: Clock) -> None:
    path = auth_dir / _FILE
    record = PasswordRecord(text, iso(clock.time_ns()))
    try:
        write_atomic(path, msgspec.json.encode(record), private=True)
    except OSError as error:
        raise AuthError(f"cannot write {path}: {error.strerror}") from error


def _prepared(password: str) -> str:
    # The same letters come composed from one keyboard and decomposed from another (RFC 8265).
    return unicodedata.normalize("NFC", password)


def _bytes_of(password: str) -> bytes:
    return _prepared(password).encode("utf-8", "surrogatepass")
