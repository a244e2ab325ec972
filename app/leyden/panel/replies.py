"""Replies: what pages answer with, a document, another address or an error in words."""

from __future__ import annotations

from flask import Response, render_template
from werkzeug.exceptions import HTTPException

from leyden.panel.errors import PanelError


def html(page: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a page; none is kept by browsers, since what it shows is of this moment."""
    response = Response(page, status, headers, mimetype="text/html")
    response.headers["Cache-Control"] = "no-store"
    return response


def see_other(target: str) -> Response:
    """Return the answer that leads to another address."""
    return Response(status=303, headers={"Location": target, "Cache-Control": "no-store"})


def plain_error(error: HTTPException | PanelError) -> Response:
    """Return the page of an error outside the API."""
    status = error.status if isinstance(error, PanelError) else error.code or 500
    if status == 404:
        return html(render_template("not_found.html"), 404)
    words = error.message if isinstance(error, PanelError) else error.name
    page = render_template("error.html", message=sentence(words or ""), status=status)
    return html(page, status, error.headers if isinstance(error, PanelError) else None)


def local(target: str) -> str:
    """Return a path of this panel; anything that could lead elsewhere becomes the first page."""
    ours = target.startswith("/") and not target.startswith(("//", "/\\", "/sign-in", "/claim"))
    return target if ours and target.isprintable() else "/"


def sentence(words: str) -> str:
    """Return words as they begin a sentence."""
    return words[:1].upper() + words[1:]
