"""The entrance: the ways in for people, by token, password or claim, and the way out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NoReturn

from leyden.kernel import Clock, Role
from leyden.panel.attempts import BY_EVERYBODY, Attempts
from leyden.panel.auth import PREFIX, AuthError, Principal
from leyden.panel.claim import ClaimedError, Claims
from leyden.panel.errors import PanelError
from leyden.panel.guard import Environ, Guard
from leyden.panel.passwords import PasswordError, Passwords, of_password, require_good
from leyden.panel.sessions import Session

ADMIN: Final = "admin"  # the one person that a password stands for


class Entrance:
    """Lets people in, or says why not.

    Every method that takes the environ of a request raises `PanelError`: 429 after too many wrong
    secrets, from the request's address or from all that nobody has proved to be good.

    Args:
        guard: knows tokens and sessions.
        passwords: knows the password.
        claims: knows whether the appliance waits to be claimed.
        clock: tells the time.
        hang_up: ends the live views of a session.
    """

    def __init__(
        self,
        guard: Guard,
        passwords: Passwords,
        claims: Claims,
        clock: Clock,
        hang_up: Callable[[str], None],
    ) -> None:
        self._guard = guard
        self._passwords = passwords
        self._claims = claims
        self._hang_up = hang_up
        self._attempts = Attempts(clock, BY_EVERYBODY)

    def unclaimed(self) -> bool:
        """Whether the appliance waits for its admin."""
        return self._claims.open()

    def by_password_too(self) -> bool:
        """Whether there is a password to sign in with."""
        return self._passwords.exist()

    def sign_in(self, text: str, environ: Environ) -> Principal:
        """Return whom a token or the password, as a person typed it, signs in.

        Raises:
            PanelError: 401 for one that is wrong.
        """
        if not self.by_password_too():
            return self._guard.sign_in(text.strip(), environ)
        if text.strip().startswith(PREFIX):
            found = self._guard.keyring.consume(text.strip())
            if found is not None:
                return found
        return self.by_password(text, environ)

    def by_password(self, password: str, environ: Environ) -> Principal:
        """Return whom the password signs in.

        Raises:
            PanelError: 401 for a wrong one.
        """
        self._check(password, environ)
        return self._admin()

    def claim(self, code: str, password: str, environ: Environ) -> Principal:
        """Make who knows the code the admin.

        Raises:
            PanelError: 401 for a wrong code, 400 for a password that breaks a rule, 409 when the
                appliance has been claimed, 507 when the password cannot be kept.
        """
        address = _address_of(environ)
        self._require_calm(address, "codes")
        try:
            right = self._claims.take(code, password)
        except ClaimedError as error:
            raise PanelError(409, "claimed", str(error)) from None
        except PasswordError as error:
            raise _weak(error) from None
        except AuthError as error:
            raise _not_kept(error, "the code still works") from error
        if not right:
            self._attempts.failed(address)
            raise PanelError(401, "wrong_code", "this is not the code that the machine shows")
        self._attempts.succeeded(address)
        return self._admin()

    def asks_for_current(self, who: Principal) -> bool:
        """Whether somebody has to say the old password to set a new one."""
        return of_password(who.token)

    def change(self, who: Principal, current: str, new: str, environ: Environ) -> Principal:
        """Set a new password and sign out every browser that no token vouches for.

        Whoever signed in with the old password has to say it again; an admin's token proves enough.

        Raises:
            PanelError: 403 for others than the admin or a wrong current password, 400 for one that
                breaks a rule, 507 when it cannot be kept.
        """
        if who.role is not Role.ADMIN:
            raise PanelError(403, "forbidden", "only the admin may change the password")
        try:
            require_good(new)
            if self.asks_for_current(who):
                self._check(current, environ, "current")
            self._passwords.replace(new)
        except PasswordError as error:
            raise _weak(error) from None
        except AuthError as error:
            raise _not_kept(error, "the old password still holds") from error
        self._claims.forget()  # where an admin's token was faster than the claim
        for session in self._guard.sessions.end_all(but=_by_token):
            self._hang_up(session)
        return self._admin()

    def sign_out(self, session: str) -> None:
        """End a session, by its hash, and the live views that were opened with it."""
        self._guard.sessions.end(session)
        self._hang_up(session)

    def _admin(self) -> Principal:
        return Principal(ADMIN, Role.ADMIN, token=self._passwords.proof())

    def _check(self, password: str, environ: Environ, which: str = "") -> None:
        """Refuse a wrong password."""
        address = _address_of(environ)
        self._require_calm(address, "passwords")
        try:
            right = self._passwords.match(password)
        except TimeoutError:
            words = "many people sign in at this moment; try again"
            raise PanelError(503, "busy", words, {"Retry-After": "2"}) from None
        if right:
            self._attempts.succeeded(address)
            return
        self._attempts.failed(address)
        if which:
            raise PanelError(403, "wrong_password", f"the {which} password is wrong")
        raise PanelError(401, "wrong_password", "this password or token is wrong")

    def _require_calm(self, address: str, what: str) -> None:
        wait_s = self._attempts.wait_s(address)
        if wait_s > 0:
            _too_many(what, wait_s)


def _by_token(session: Session) -> bool:
    return bool(session.token) and not of_password(session.token)


def _too_many(what: str, wait_s: float) -> NoReturn:
    seconds = max(1, round(wait_s))
    words = f"too many wrong {what} lately; wait {seconds} s"
    raise PanelError(429, "too_many_attempts", words, {"Retry-After": str(seconds)})


def _weak(error: PasswordError) -> PanelError:
    return PanelError(400, "weak_password", str(error))


def _not_kept(error: AuthError, what_holds: str) -> PanelError:
    words = f"the password could not be kept: {error}; nothing has changed, {what_holds}"
    return PanelError(507, "not_kept", words)


def _address_of(environ: Environ) -> str:
    return str(environ.get("REMOTE_ADDR", ""))
