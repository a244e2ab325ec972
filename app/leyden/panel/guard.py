"""The guard: by which names the panel may be called, and who a request comes from."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from werkzeug.http import parse_cookie

from leyden.kernel import Clock
from leyden.panel.auth import Keyring, Principal
from leyden.panel.errors import PanelError
from leyden.panel.sessions import Attempts, Sessions

INTENT_HEADER: Final = "X-Leyden"  # no other site's page can send it without being asked first
_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

Environ = Mapping[str, Any]


class Hosts:
    """The names and addresses that a request may call the panel by.

    A page from elsewhere can make its own name resolve to this machine and then read answers as if
    they were its own (DNS rebinding); what it cannot change is the name the browser asks for.
    """

    def __init__(self, extra: Iterable[str] = ()) -> None:
        own = socket.gethostname().lower()
        self._names = {"localhost", own, f"{own}.local", *(name.lower() for name in extra)}

    def allows(self, environ: Environ) -> bool:
        """Whether the request's Host header names this machine."""
        name = _host_name(environ.get("HTTP_HOST", ""))
        if name in self._names:
            return True
        address = _address(name)
        if address is None:
            return False
        return address.is_loopback or address == _address(_own_address(environ))


class Guard:
    """Tells who a request comes from.

    Args:
        keyring: bearer tokens.
        sessions: cookies.
        cookie: the session cookie's name.
        clock: tells the time.
    """

    def __init__(self, keyring: Keyring, sessions: Sessions, cookie: str, clock: Clock) -> None:
        self.keyring = keyring
        self.sessions = sessions
        self.cookie = cookie
        self._attempts = Attempts(clock)

    def principal(self, environ: Environ) -> Principal:
        """Return who asks.

        Raises:
            PanelError: 401 without a valid token or session, 429 after too many wrong tokens, 403
                for a change asked for by another site's page.
        """
        header = environ.get("HTTP_AUTHORIZATION", "")
        if header:
            return self._bearer(header, environ)
        found = self.session(environ)
        if found is None:
            raise unauthenticated("sign in, or send a token as Authorization: Bearer")
        if environ["REQUEST_METHOD"] not in _READS:
            self.require_own_page(environ)
        return found

    def session(self, environ: Environ) -> Principal | None:
        """Return whose session cookie a request carries, if that session stands."""
        try:
            text = parse_cookie(environ.get("HTTP_COOKIE", "")).get(self.cookie)
        except UnicodeError:
            return None  # bytes that are no text: not a cookie of ours
        return self.sessions.find(text) if text else None

    def sign_in(self, text: str, environ: Environ) -> Principal:
        """Return whom a token signs in; a one-time token is used up.

        Raises:
            PanelError: 401 for a token that is none, 429 after too many of them.
        """
        found = self.keyring.consume(text)
        if found is None:
            self.failed(environ)
            raise PanelError(401, "wrong_token", "this token is wrong, used up or too old")
        return found

    def stands(self, principal: Principal) -> bool:
        """Whether what was proved once is still so: session not ended, token not revoked."""
        if principal.session:
            return self.sessions.stands(principal.session)
        return self.keyring.holds(principal.token)

    def require_own_page(self, environ: Environ) -> None:
        """Refuse what another site's page may have sent with our cookie.

        Raises:
            PanelError: 403.
        """
        if not environ.get("HTTP_X_LEYDEN") or not same_origin(environ, missing=True):
            words = f"a change needs the header {INTENT_HEADER} and must come from the panel's page"
            raise PanelError(403, "cross_site", words)

    def failed(self, environ: Environ) -> None:
        """Count a wrong secret against the address it came from.

        Raises:
            PanelError: 429 when there were too many.
        """
        wait_s = self._attempts.failed(environ.get("REMOTE_ADDR", ""))
        if wait_s > 0:
            seconds = max(1, round(wait_s))
            words = f"too many wrong tokens from this address; wait {seconds} s"
            raise PanelError(429, "too_many_attempts", words, {"Retry-After": str(seconds)})

    def _bearer(self, header: str, environ: Environ) -> Principal:
        scheme, _, text = header.partition(" ")
        found = self.keyring.verify(text.strip()) if scheme.lower() == "bearer" else None
        if found is None:
            self.failed(environ)
            raise unauthenticated("this token is wrong or revoked")
        return found


def unauthenticated(words: str) -> PanelError:
    """Return the error of a request that proves nothing."""
    return PanelError(401, "unauthorised", words, {"WWW-Authenticate": "Bearer"})


def same_origin(environ: Environ, *, missing: bool) -> bool:
    """Whether a request comes from a page of this panel; `missing` if it does not say."""
    origin = environ.get("HTTP_ORIGIN")
    if origin is None:
        return missing
    try:
        parts = urlsplit(origin)
    except ValueError:  # "http://[" and the like
        return False
    return parts.scheme in {"http", "https"} and parts.netloc == environ.get("HTTP_HOST")


def _host_name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def _own_address(environ: Environ) -> str:
    """The address of this machine that the request came in by."""
    peer = connection_of(environ)
    if peer is None:
        return ""
    try:
        name = peer.getsockname()
    except OSError:
        return ""
    return str(name[0]) if isinstance(name, tuple) else ""


def connection_of(environ: Environ) -> socket.socket | None:
    """The socket a request came in by, where the server tells."""
    found = environ.get("gunicorn.socket") or environ.get("werkzeug.socket")
    return found if isinstance(found, socket.socket) else None
