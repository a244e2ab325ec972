"""The claim: how a person who holds a new appliance becomes its admin.

First boot makes a code of 60 random bits, shows it where only somebody with the machine before them
sees it, and leaves its hash in `claim.json` in the auth directory. While that file is there and no
`password.json`, the appliance is unclaimed: every page leads to the claim, which takes the code and
a new password. The password's file decides, and it appears whole or not at all, so an appliance is
never half claimed, whenever the power goes.

Public names: `new_code`, `normalise`, `write_claim`, `Claims`, `ClaimedError`.
"""

from __future__ import annotations

import hmac
import secrets
from pathlib import Path
from typing import Final

import msgspec

from leyden.kernel import Clock, LeydenError, SystemClock, iso
from leyden.panel.auth import AuthError, fingerprint, locked
from leyden.panel.passwords import PasswordError, Passwords, require_good
from leyden.storage.atomic import write_atomic
from leyden.storage.files import FILES

# Crockford's base 32: digits and letters without I, L, O (taken for 1, 1, 0) and U.
ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LETTERS: Final = 12  # of five bits each
_GROUP: Final = 4
# However it was copied down: with any dash, and as O, I or L what can only be 0 or 1.
_READ_AS: Final = str.maketrans("OIL", "011", "-\u2010\u2011\u2012\u2013\u2014\u2212")
_FILE: Final = "claim.json"


class ClaimedError(LeydenError):
    """The appliance has been claimed already."""


class ClaimRecord(msgspec.Struct, frozen=True):
    """What is kept of the code: its hash."""

    hash: str  # SHA-256 of the normalised code, hex
    created: str  # ISO 8601, as far as the machine knew


def new_code() -> str:
    """Return a new code as people see it: "7KQM-2XRD-9WTH"."""
    letters = "".join(secrets.choice(ALPHABET) for _ in range(LETTERS))
    return "-".join(letters[i : i + _GROUP] for i in range(0, LETTERS, _GROUP))


def normalise(code: str) -> str:
    """Return a code as it is hashed, however it was typed."""
    return "".join(code.split()).upper().translate(_READ_AS)


def write_claim(auth_dir: Path, code: str, clock: Clock | None = None) -> None:
    """Let the appliance be claimed with `code`.

    Raises:
        AuthError: the directory cannot be written.
    """
    created = iso((clock or SystemClock()).time_ns())
    record = ClaimRecord(fingerprint(normalise(code)), created)
    with locked(auth_dir):
        try:
            write_atomic(auth_dir / _FILE, msgspec.json.encode(record), private=True)
        except OSError as error:
            raise AuthError(f"cannot write {auth_dir / _FILE}: {error.strerror}") from error


class Claims:
    """Whether the appliance waits for its admin, and how that one comes in."""

    def __init__(self, auth_dir: Path, passwords: Passwords) -> None:
        self._dir = auth_dir
        self._path = auth_dir / _FILE
        self._passwords = passwords

    def open(self) -> bool:
        """Whether the appliance is unclaimed."""
        return self._path.exists() and not self._passwords.exist()

    def take(self, code: str, password: str) -> bool:
        """Set the password if the code is right; return whether it was.

        Of several with the right code exactly one gets in.

        Raises:
            ClaimedError: somebody was faster.
            PasswordError: the password breaks a rule, of which the code's being right is no part.
            AuthError: the directory cannot be written or `claim.json` is damaged; nothing changed.
        """
        require_good(password)
        if normalise(password) == normalise(code):
            raise PasswordError("the code stands on the machine for all to see; choose a password")
        with locked(self._dir):
            if not self.open():
                raise ClaimedError("this appliance has been claimed already; sign in")
            if not hmac.compare_digest(fingerprint(normalise(code)), self._expected()):
                return False
            self._passwords.write(password)
            self.forget()
        return True

    def forget(self) -> bool:
        """Remove what a claim has made useless; return whether that is done.

        Where it fails, as on a disk that has just gone read-only, the password decides all the same
        and the next start tries again.
        """
        if not self._passwords.exist() or not self._path.exists():
            return True
        try:
            FILES.remove(self._path)
            FILES.sync_folder(self._dir)
        except OSError:
            return False
        return True

    def _expected(self) -> str:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=ClaimRecord).hash
        except OSError as error:
            raise AuthError(f"cannot read {self._path}: {error.strerror}") from error
        except msgspec.MsgspecError as error:
            words = "a factory reset makes a new code"
            raise AuthError(f"{self._path} is damaged: {error}; {words}") from error
