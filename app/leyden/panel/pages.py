"""The panel's pages: the one document that they all are, and the files it is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

from flask import Flask, Response, render_template, request

from leyden.panel.assets import Assets
from leyden.panel.entrance import Entrance
from leyden.panel.errors import PanelError
from leyden.panel.guard import Guard
from leyden.panel.replies import html, see_other

PAGES: Final = ("/", "/channels/<path:route>", "/devices", "/events", "/system")
_FOR_GOOD: Final = "public, max-age=31536000, immutable"


class Pages:
    """Adds the pages to a Flask application.

    Args:
        guard: tells who asks.
        entrance: tells whether the appliance waits to be claimed.
        assets: the panel's own files.
        name: returns the appliance's name, "" while it is not known.
        full: tells whether as many browsers watch as the panel serves.
    """

    def __init__(
        self,
        guard: Guard,
        entrance: Entrance,
        assets: Assets,
        name: Callable[[], str],
        full: Callable[[], bool],
    ) -> None:
        self._guard = guard
        self._entrance = entrance
        self._assets = assets
        self._name = name
        self._full = full

    def add_to(self, app: Flask) -> None:
        """Register every page, the panel's own files and what templates need."""
        for rule in PAGES:
            app.add_url_rule(rule, endpoint=f"page:{rule}", view_func=self.page)
        app.add_url_rule("/static/<version>/<path:filename>", "static", self.asset)
        app.context_processor(lambda: {"name": self._name()})
        app.url_defaults(self._add_version)

    def page(self, **_: str) -> Response:
        """The document; which page it shows is decided in the browser."""
        if self._entrance.unclaimed():
            return see_other("/claim")
        if self._guard.session(request.environ) is None:
            target = request.full_path.rstrip("?")
            return see_other("/sign-in" if target == "/" else f"/sign-in?next={quote(target)}")
        if self._full():
            return html(render_template("full.html"), 503)
        return html(render_template("panel.html"))

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
