"""The panel's pages: the one document that they all are, signing in and out, plain errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

import msgspec
from flask import Flask, Response, render_template, request
from werkzeug.exceptions import HTTPException

from leyden.panel.api import SessionInfo
from leyden.panel.assets import Assets
from leyden.panel.auth import Principal
from leyden.panel.errors import PanelError
from leyden.panel.guard import INTENT_HEADER, Guard, same_origin

PAGES: Final = ("/", "/channels/<path:route>", "/devices", "/events", "/system")
_FOR_GOOD: Final = "public, max-age=31536000, immutable"


class Credentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What signing in takes, as JSON."""

    token: str


class Pages:
    """Adds the pages to a Flask application.

    Args:
        guard: tells who asks.
        name: returns the appliance's name, "" while it is not known.
        full: tells whether as many browsers watch as the panel serves.
        sign_out: ends a session by its hash.
    """

    def __init__(
        self,
        guard: Guard,
        assets: Assets,
        name: Callable[[], str],
        full: Callable[[], bool],
        sign_out: Callable[[str], None],
    ) -> None:
        self._guard = guard
        self._assets = assets
        self._name = name
        self._full = full
        self._sign_out = sign_out

    def add_to(self, app: Flask) -> None:
        """Register every page, the panel's own files and what templates need."""
        for rule in PAGES:
            app.add_url_rule(rule, endpoint=f"page:{rule}", view_func=self.page)
        app.add_url_rule("/sign-in", view_func=self.sign_in_page, methods=["GET"])
        app.add_url_rule("/sign-in", view_func=self.sign_in, methods=["POST"])
        app.add_url_rule("/sign-out", view_func=self.sign_out, methods=["POST"])
        app.add_url_rule("/static/<version>/<path:filename>", "static", self.asset)
        app.context_processor(lambda: {"name": self._name()})
        app.url_defaults(self._add_version)

    def page(self, **_: str) -> Response:
        """The document; which page it shows is decided in the browser."""
        if self._guard.session(request.environ) is None:
            target = request.full_path.rstrip("?")
            return _see_other("/sign-in" if target == "/" else f"/sign-in?next={quote(target)}")
        if self._full():
            return _html(render_template("full.html"), 503)
        return _html(render_template("panel.html"))

    def sign_in_page(self) -> Response:
        """The form; a browser that is signed in already goes on."""
        target = _local(request.args.get("next", ""))
        if self._guard.session(request.environ) is not None:
            return _see_other(target)
        return _html(render_template("sign_in.html", next=target))

    def sign_in(self) -> Response:
        """Open a session for a token, sent by the form or as JSON."""
        if not same_origin(request.environ, missing=INTENT_HEADER in request.headers):
            raise PanelError(403, "cross_site", "sign in on the panel's own page")
        if request.is_json:
            return self._sign_in_by_json()
        target = _local(request.form.get("next", ""))
        try:
            principal = self._guard.sign_in(request.form.get("token", "").strip(), request.environ)
        except PanelError as error:
            page = render_template("sign_in.html", next=target, error=_sentence(error.message))
            return _html(page, error.status, error.headers)
        return self._with_session(_see_other(target), principal)

    def _sign_in_by_json(self) -> Response:
        try:
            credentials = msgspec.json.decode(request.get_data(), type=Credentials)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise PanelError(400, "bad_request", str(error)) from None
        principal = self._guard.sign_in(credentials.token.strip(), request.environ)
        body = msgspec.json.encode(SessionInfo(principal.role, principal.name))
        return self._with_session(Response(body, mimetype="application/json"), principal)

    def _with_session(self, response: Response, principal: Principal) -> Response:
        response.set_cookie(
            self._guard.cookie,
            self._guard.sessions.open(principal),
            httponly=True,
            samesite="Strict",
            secure=request.is_secure,
            path="/",
        )
        response.headers["Cache-Control"] = "no-store"
        return response

    def sign_out(self) -> Response:
        """End the session and go to the form."""
        if not same_origin(request.environ, missing=False):
            raise PanelError(403, "cross_site", "sign out on the panel's own page")
        principal = self._guard.session(request.environ)
        if principal is not None:
            self._sign_out(principal.session)
        response = _see_other("/sign-in")
        response.delete_cookie(self._guard.cookie, path="/")
        return response

    def asset(self, version: str, filename: str) -> Response:
        """One of the panel's own files."""
        asset = self._assets.get(filename)
        if asset is None or version != self._assets.version:
            raise PanelError(404, "not_found", "no such file")
        response = Response(asset.body, content_type=asset.type)
        if asset.packed is not None:
            response.vary.add("Accept-Encoding")
            if request.accept_encodings.quality("gzip") > 0:
                response.set_data(asset.packed)
                response.headers["Content-Encoding"] = "gzip"
        response.headers["Cache-Control"] = _FOR_GOOD
        response.set_etag(asset.etag)
        response.make_conditional(request)
        return response

    def _add_version(self, endpoint: str, values: dict[str, Any]) -> None:
        if endpoint == "static":
            values.setdefault("version", self._assets.version)


def plain_error(error: HTTPException | PanelError) -> Response:
    """Return the page of an error outside the API."""
    status = error.status if isinstance(error, PanelError) else error.code or 500
    if status == 404:
        return _html(render_template("not_found.html"), 404)
    words = error.message if isinstance(error, PanelError) else error.name
    page = render_template("error.html", message=_sentence(words or ""), status=status)
    return _html(page, status, error.headers if isinstance(error, PanelError) else None)


def _html(page: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    response = Response(page, status, headers, mimetype="text/html")
    response.headers["Cache-Control"] = "no-store"
    return response


def _see_other(target: str) -> Response:
    return Response(status=303, headers={"Location": target, "Cache-Control": "no-store"})


def _local(target: str) -> str:
    """Return a path of this panel; anything that could lead elsewhere becomes the first page."""
    local = target.startswith("/") and not target.startswith(("//", "/\\", "/sign-in"))
    return target if local and target.isprintable() else "/"


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]
