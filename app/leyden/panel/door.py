"""The door: what every request passes before anything looks at it, and every answer on its way out.

WSGI middleware round pages, API and Socket.IO alike, so that no route can be added without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from leyden.panel.errors import PanelError, error_body
from leyden.panel.guard import Hosts

Headers = list[tuple[str, str]]
StartResponse = Callable[..., Any]
WsgiApp = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]

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
REASONS: Final = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    429: "Too Many Requests",
    503: "Service Unavailable",
}


class Door:
    """Refuses requests that call the panel by a foreign name; adds the security headers."""

    def __init__(self, app: WsgiApp, hosts: Hosts) -> None:
        self._app = app
        self._hosts = hosts

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Let a request in or not."""
        start = _with_headers(start_response)
        if not self._hosts.allows(environ):
            name = environ.get("HTTP_HOST", "")
            words = f'the panel does not answer to the name "{name}"; allow it in [panel] hosts'
            return refuse(start, PanelError(403, "foreign_host", words))
        return self._app(environ, start)


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
