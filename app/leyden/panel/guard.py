"""The guard: by which names the panel may be called, and who a request comes from."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from werkzeug.http import parse_cookie

from leyden.kernel import Clock
from leyden.panel.attempts import Attempts
from leyden.panel.auth import Keyring, Principal
from leyden.panel.errors import PanelError
from leyden.panel.sessions import Sessions
from leyden.panel.tls import TlsSocket

INTENT_HEADER: Final = "X-Leyden"  # no other site's page can send it without being asked first
_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

Environ = Mapping[str, Any]


class Hosts:
    """The names and addresses that a request may call the panel by.

    A page from elsewhere can make its own name resolve to this machine and then read answers as if
    they were its own (DNS rebinding); what it cannot change is the name the browser asks for. So
    names have to be ours: the machine's own, by itself and as mDNS announces it, and those that
    were configured. An address is no name and resolves to nothing but itself: who calls us by one
    got here by it, directly or through a router that forwards a port.
    """

    def __init__(self, extra: Iterable[str] = ()) -> None:
        self._names = {"localhost", *(name.lower() for name in extra)}

    def allows(self, environ: Environ) -> bool:
        """Whether the request's Host header names this machine."""
        name = host_name(environ.get("HTTP_HOST", ""))
        if name in self._names or _is_address(name):
            return True
        own = socket.gethostname().lower()  # first boot gives the machine its name late
        return name in {own, f"{own}.local"}


class Guard:
    """Tells who a request comes from.

    Args:
        keyring: bearer tokens.
        sessions: cookies.
        cookie: the session cookie's name; over TLS it has the prefix that keeps others from
            setting it.
        clock: tells the time.
    """

    def __init__(self, keyring: Keyring, sessions: Sessions, cookie: str, clock: Clock) -> None:
        self.keyring = keyring
        self.sessions = sessions
        self._cookie = cookie
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

    def cookie(self, environ: Environ) -> str:
        """Return the name of the session cookie for requests like this one.

        A browser does not let a plain page replace what an encrypted one has set, so one name for
        both would lock people out while encryption is broken.
        """
        return f"__Host-{self._cookie}" if encrypted(environ) else self._cookie

    def session(self, environ: Environ) -> Principal | None:
        """Return whose session cookie a request carries, if that session stands."""
        try:
            text = parse_cookie(environ.get("HTTP_COOKIE", "")).get(self.cookie(environ))
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
    # A proxy may have ended the encryption, never begun it.
    schemes = {"https"} if encrypted(environ) else {"http", "https"}
    return parts.scheme in schemes and parts.netloc == environ.get("HTTP_HOST")


def host_name(host: str) -> str:
    """Return the name or address in a Host header, in lower case; "" where there is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def connection_of(environ: Environ) -> socket.socket | TlsSocket | None:
    """The socket a request came in by, where the server tells."""
    found = environ.get("gunicorn.socket") or environ.get("werkzeug.socket")
    return found if isinstance(found, socket.socket | TlsSocket) else None


def encrypted(environ: Environ) -> bool:
    """Whether a request came in over TLS that ends here."""
    return environ.get("wsgi.url_scheme") == "https"
