"""The door: what every request passes before anything looks at it, and every answer on its way out.

WSGI middleware round pages, API and Socket.IO alike, so that no route can be added without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final
from urllib.parse import quote

from leyden.panel.errors import PanelError, error_body
from leyden.panel.guard import Environ, Hosts, encrypted, host_name

Headers = list[tuple[str, str]]
StartResponse = Callable[..., Any]
WsgiApp = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]

HEALTH: Final = "/health"
AUTHORITY: Final = "/leyden-ca.crt"
IN_THE_CLEAR: Final = (HEALTH, AUTHORITY)  # without encryption, where there is any
_HTTPS: Final = 443
HEADERS: Final = (
    (
        "Content-Security-Policy",
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
        "object-src 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    # Under "no-referrer" a browser sends forms with "Origin: null", which is rightly refused.
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)
# There is no Strict-Transport-Security on purpose: under it a browser offers no way past the
# warning that an authority of the appliance's own causes, and a machine whose certificate was made
# anew could not be reached by anybody who had been there before.
REASONS: Final = {
    308: "Permanent Redirect",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    429: "Too Many Requests",
    503: "Service Unavailable",
}


class Door:
    """Refuses requests that call the panel by a foreign name; adds the security headers.

    Where the panel encrypts, requests that came in without are led to where it does.

    Args:
        app: what lies behind.
        hosts: the names that are ours.
        https_port: where requests are to come in; 0: nowhere else.
        encrypts: whether they can, at this moment.
    """

    def __init__(
        self, app: WsgiApp, hosts: Hosts, https_port: int, encrypts: Callable[[], bool]
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._https_port = https_port
        self._encrypts = encrypts

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Let a request in or not."""
        start = _with_headers(start_response)
        if not self._hosts.allows(environ):
            name = environ.get("HTTP_HOST", "")
            words = f'the panel does not answer to the name "{name}"; allow it in [panel] hosts'
            return refuse(start, PanelError(403, "foreign_host", words))
        if self._led_on(environ):
            return self._lead_on(environ, start)
        return self._app(environ, start)

    def _led_on(self, environ: Environ) -> bool:
        if encrypted(environ) or not self._https_port:
            return False
        return environ.get("PATH_INFO") not in IN_THE_CLEAR and self._encrypts()

    def _lead_on(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Redirect a request; refuse one that has just told everybody what was to be secret."""
        address = self._encrypted_address(environ)
        if environ["REQUEST_METHOD"] not in {"GET", "HEAD"} or "HTTP_AUTHORIZATION" in environ:
            words = f"this is not encrypted, and whatever you sent could be read; use {address}"
            return refuse(start_response, PanelError(403, "not_encrypted", words))
        query = environ.get("QUERY_STRING", "")
        path = quote(environ.get("PATH_INFO", "/").encode("latin-1"), safe="/:@!$&'()*+,;=~")
        location = f"{address}{path}{'?' if query else ''}{query}"
        headers = [("Location", location), ("Content-Length", "0"), ("Cache-Control", "no-store")]
        start_response(f"308 {REASONS[308]}", headers)
        return []

    def _encrypted_address(self, environ: Environ) -> str:
        name = host_name(environ.get("HTTP_HOST", ""))
        host = f"[{name}]" if ":" in name else name
        port = "" if self._https_port == _HTTPS else f":{self._https_port}"
        return f"https://{host}{port}"


def refuse(start_response: StartResponse, error: PanelError) -> list[bytes]:
    """Answer with an error, as JSON."""
    headers = [
        ("Content-Type", "application/json"),
        ("Cache-Control", "no-store"),
        *error.headers.items(),
    ]
    start_response(f"{error.status} {REASONS.get(error.status, 'Error')}", headers)
    return [error_body(error.code, error.message)]


def _with_headers(start_response: StartResponse) -> StartResponse:
    def start(status: str, headers: Headers, exc_info: Any = None) -> Any:
        return start_response(status, [*headers, *HEADERS], exc_info)

    return start
