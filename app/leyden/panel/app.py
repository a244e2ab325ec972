"""The panel as one WSGI application: door, sockets, API and pages put together."""

from __future__ import annotations

import functools
import importlib.metadata
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import msgspec
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from leyden.kernel import Clock, SystemClock
from leyden.link.client import LinkClient, LinkDownError, LinkRefusal
from leyden.panel.api import BASE, Api, Ask, Endpoint, read_body, read_query
from leyden.panel.assets import Assets
from leyden.panel.auth import Keyring
from leyden.panel.claim import Claims
from leyden.panel.door import HEALTH, Door, StartResponse
from leyden.panel.entrance import Entrance
from leyden.panel.entry_pages import EntryPages
from leyden.panel.errors import PanelError, error_body, of_link
from leyden.panel.guard import Guard, Hosts
from leyden.panel.live import CLIENTS, Hub
from leyden.panel.openapi import document
from leyden.panel.pages import Pages
from leyden.panel.passwords import Passwords
from leyden.panel.replies import plain_error
from leyden.panel.sessions import Sessions
from leyden.panel.settings import Settings
from leyden.panel.sockets import Sockets
from leyden.panel.system import Acknowledged, System
from leyden.panel.tls import Certificates

_HERE: Final = Path(__file__).parent
_BODY_BYTES: Final = 65_536
_CODES: Final = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "bad_request",
}

_log = logging.getLogger("leyden.panel")


class Panel:
    """The application; `start` begins to follow the runtime, `close` hangs up on everybody."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock | None = None,
        certificates: Certificates | None = None,
    ) -> None:
        clock = clock or SystemClock()
        certificates = certificates or Certificates(settings.tls)
        self.link = LinkClient(settings.socket, name="panel")
        keyring = Keyring(settings.auth, clock)
        passwords = Passwords(settings.auth, clock)
        sessions = Sessions(settings.auth, _either(keyring, passwords), clock, _log.warning)
        self.guard = Guard(keyring, sessions, f"leyden_{settings.port}", clock)
        self.hub = Hub(self.link, clock, self.guard.stands)
        claims = Claims(settings.auth, passwords)
        claims.forget()  # what a power cut in the middle of a claim has left
        entrance = Entrance(self.guard, passwords, claims, clock, self.hub.end_session)
        system = System(self.link, certificates, passwords, Acknowledged(settings.auth))
        self.app = _flask()
        version = importlib.metadata.version("leyden")
        self.api = Api(self.link, self.hub, clock, version, entrance, system)
        _add_api(self.app, self.api, version, self.guard)
        assets = Assets(_HERE / "static")
        Pages(self.guard, entrance, assets, self._name, self._full).add_to(self.app)
        EntryPages(self.guard, entrance, certificates).add_to(self.app)
        self.sockets = Sockets(self.app, self.hub, self.guard, clock)
        self._door = Door(
            self.sockets,
            Hosts(settings.hosts),
            settings.https_port,
            lambda: certificates.context() is not None,
        )
        self._appliance = ""

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        return self._door(environ, start_response)

    def start(self) -> None:
        """Begin to follow the runtime."""
        self.hub.start()
        self.sockets.start()

    def close(self) -> None:
        """Hang up on everybody and stop following."""
        self.sockets.close()
        self.hub.close()
        self.link.close()

    def _full(self) -> bool:
        return len(self.hub.feeds()) >= CLIENTS

    def _name(self) -> str:
        if not self._appliance:
            try:
                self._appliance = self.link.hello().name
            except (LinkDownError, LinkRefusal):
                return ""
        return self._appliance


def _either(keyring: Keyring, passwords: Passwords) -> Callable[[str], bool]:
    return lambda proof: passwords.holds(proof) or keyring.holds(proof)


def _flask() -> Flask:
    app = Flask(__name__, static_folder=None, template_folder=str(_HERE / "templates"))
    app.config["MAX_CONTENT_LENGTH"] = _BODY_BYTES
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.jinja_env.trim_blocks = True
    app.register_error_handler(PanelError, _on_panel_error)
    app.register_error_handler(HTTPException, _on_http_error)
    app.register_error_handler(LinkDownError, _on_link_error)
    app.register_error_handler(LinkRefusal, _on_link_error)
    app.register_error_handler(Exception, _on_failure)
    return app


def _add_api(app: Flask, api: Api, version: str, guard: Guard) -> None:
    endpoints = api.endpoints()
    for endpoint in endpoints:
        app.add_url_rule(
            endpoint.path,
            endpoint=f"{endpoint.method} {endpoint.path}",
            view_func=_view(endpoint, guard),
            methods=[endpoint.method],
        )

    @functools.cache
    def description() -> bytes:  # made when first asked for, which hardly anybody does
        return msgspec.json.encode(document(endpoints, version))

    # Under the name that is answered without encryption too, so that a health check on the machine
    # itself depends on no certificate.
    app.add_url_rule(HEALTH, "health", lambda: _json(msgspec.json.encode(api.check())))
    app.add_url_rule(f"{BASE}/openapi.json", "openapi", lambda: _json(description()))


def _view(endpoint: Endpoint, guard: Guard) -> Callable[..., Response]:
    def view(**path: str) -> Response:
        principal = None if endpoint.open else guard.principal(request.environ)
        if endpoint.method == "GET":
            params = read_query(endpoint.params, list(request.args.items(multi=True)))
        else:
            params = read_body(endpoint.params, request.get_data())
        ask = Ask(principal, path, params, request.environ)
        return _json(msgspec.json.encode(endpoint.handle(ask)))

    return view


def _json(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    response = Response(body, status, headers, mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response


def _for_programs() -> bool:
    return request.path.startswith(("/api/", "/health", "/socket.io")) or request.is_json


def _on_panel_error(error: PanelError) -> Response:
    if not _for_programs():
        return plain_error(error)
    return _json(error_body(error.code, error.message), error.status, error.headers)


def _on_link_error(error: LinkDownError | LinkRefusal) -> Response:
    return _on_panel_error(of_link(error))


def _on_http_error(error: HTTPException) -> Response:
    status = error.code or 500
    if status < 400:  # a redirection on the way to a page
        return Response(error.get_response().get_data(), status, error.get_headers())
    if not _for_programs():
        return plain_error(error)
    code = _CODES.get(status, "internal" if status >= 500 else "bad_request")
    allowed = getattr(error, "valid_methods", None)
    headers = {"Allow": ", ".join(allowed)} if allowed else None
    return _json(error_body(code, _words_of(error, status)), status, headers)


def _words_of(error: HTTPException, status: int) -> str:
    words = {
        404: f"there is nothing at {request.path}",
        405: f"{request.method} is not for {request.path}",
        413: f"a body may have at most {_BODY_BYTES} bytes",
    }
    return words.get(status) or error.name.lower()


def _on_failure(error: Exception) -> Response:
    _log.exception("%s %s failed", request.method, request.path, exc_info=error)
    return _on_panel_error(PanelError(500, "internal", "the panel failed; its log says how"))
