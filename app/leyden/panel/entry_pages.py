"""The pages at the entrance: signing in and out, the claim, the password, the authority to trust.

They are whole documents that need no script, so that they work in whatever browser is at hand.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from flask import Flask, Response, render_template, request

from leyden.kernel import Role
from leyden.panel.api import SessionInfo
from leyden.panel.auth import Principal
from leyden.panel.door import AUTHORITY
from leyden.panel.entrance import Entrance
from leyden.panel.errors import PanelError
from leyden.panel.guard import INTENT_HEADER, Guard, encrypted, same_origin
from leyden.panel.passwords import SHORTEST
from leyden.panel.replies import html, local, see_other, sentence
from leyden.panel.system import unencrypted
from leyden.panel.tls import Certificates

_TYPE: Final = "application/x-x509-ca-cert"


class Credentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What signing in takes, as JSON: exactly one of the two."""

    token: str = ""
    password: str = ""

    def __post_init__(self) -> None:
        if bool(self.token) == bool(self.password):
            raise ValueError("expected either a token or a password")


class ClaimBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a claim takes, as JSON."""

    code: str
    password: str


class EntryPages:
    """Adds the pages at the entrance to a Flask application.

    Args:
        guard: tells who asks.
        entrance: lets people in and out.
        certificates: what the panel encrypts with.
    """

    def __init__(self, guard: Guard, entrance: Entrance, certificates: Certificates) -> None:
        self._guard = guard
        self._entrance = entrance
        self._certificates = certificates

    def add_to(self, app: Flask) -> None:
        """Register every page and what their templates need."""
        for rule, method, view in (
            ("/sign-in", "GET", self.sign_in_page),
            ("/sign-in", "POST", self.sign_in),
            ("/sign-out", "POST", self.sign_out),
            ("/claim", "GET", self.claim_page),
            ("/claim", "POST", self.claim),
            ("/password", "GET", self.password_page),
            ("/password", "POST", self.change_password),
            (AUTHORITY, "GET", self.authority),
        ):
            app.add_url_rule(rule, f"{method} {rule}", view, methods=[method])
        app.context_processor(lambda: {"warning": self._warning(), "shortest": SHORTEST})

    # Signing in and out

    def sign_in_page(self) -> Response:
        """The form; a browser that is signed in already goes on."""
        if self._entrance.unclaimed():
            return see_other("/claim")
        target = local(request.args.get("next", ""))
        if self._guard.session(request.environ) is not None:
            return see_other(target)
        return html(self._sign_in_form(target))

    def sign_in(self) -> Response:
        """Open a session for a token or the password, sent by the form or as JSON."""
        _require_own_page("sign in")
        if request.is_json:
            return self._sign_in_by_json()
        target = local(request.form.get("next", ""))
        secret = request.form.get("password") or request.form.get("token", "")
        try:
            principal = self._entrance.sign_in(secret, request.environ)
        except PanelError as error:
            page = self._sign_in_form(target, error=sentence(error.message))
            return html(page, error.status, error.headers)
        return self._with_session(see_other(target), principal)

    def _sign_in_form(self, target: str, **more: Any) -> str:
        by_password = self._entrance.by_password_too()
        return render_template("sign_in.html", next=target, by_password=by_password, **more)

    def _sign_in_by_json(self) -> Response:
        found = _read_json(Credentials)
        if found.password:
            principal = self._entrance.by_password(found.password, request.environ)
        else:
            principal = self._guard.sign_in(found.token.strip(), request.environ)
        return self._signed_in(principal)

    def sign_out(self) -> Response:
        """End the session and go to the form."""
        if not same_origin(request.environ, missing=False):
            raise PanelError(403, "cross_site", "sign out on the panel's own page")
        principal = self._guard.session(request.environ)
        if principal is not None:
            self._entrance.sign_out(principal.session)
        response = see_other("/sign-in")
        secure = encrypted(request.environ)
        response.delete_cookie(self._guard.cookie(request.environ), path="/", secure=secure)
        return response

    # The claim

    def claim_page(self) -> Response:
        """The form that makes who holds the code the admin."""
        if not self._entrance.unclaimed():
            return see_other("/")
        return html(self._claim_form())

    def claim(self) -> Response:
        """Take the code and the new password, sent by the form or as JSON."""
        _require_own_page("claim the appliance")
        if request.is_json:
            body = _read_json(ClaimBody)
            return self._signed_in(self._entrance.claim(body.code, body.password, request.environ))
        code = request.form.get("code", "")
        try:
            password = _twice(request.form)
            principal = self._entrance.claim(code, password, request.environ)
        except PanelError as error:
            if error.code == "claimed":
                raise
            page = self._claim_form(code=code, error=sentence(error.message), wrong=error.code)
            return html(page, error.status, error.headers)
        return self._with_session(see_other("/"), principal)

    def _claim_form(self, **more: Any) -> str:
        return render_template("claim.html", authority=self._certificates.authority(), **more)

    # The password

    def password_page(self) -> Response:
        """The form that changes the password."""
        found = self._guard.session(request.environ)
        if found is None:
            return see_other("/sign-in?next=/password")
        if found.role is not Role.ADMIN:
            raise PanelError(403, "forbidden", "only the admin may change the password")
        return html(self._password_form(found))

    def change_password(self) -> Response:
        """Take a new password by the form; everybody else is signed out."""
        if not same_origin(request.environ, missing=False):
            raise PanelError(403, "cross_site", "change the password on the panel's own page")
        found = self._guard.session(request.environ)
        if found is None:
            return see_other("/sign-in?next=/password")
        try:
            new, current = _twice(request.form), request.form.get("current", "")
            principal = self._entrance.change(found, current, new, request.environ)
        except PanelError as error:
            if error.code == "forbidden":
                raise
            page = self._password_form(found, error=sentence(error.message), wrong=error.code)
            return html(page, error.status, error.headers)
        done = html(render_template("password_changed.html"))
        return self._with_session(done, principal)

    def _password_form(self, who: Principal, **more: Any) -> str:
        asks = self._entrance.asks_for_current(who)
        return render_template("password.html", asks_for_current=asks, **more)

    # Trust

    def authority(self) -> Response:
        """The certificate authority, for people to trust."""
        found = self._certificates.authority()
        if found is None:
            raise PanelError(404, "not_found", "this panel has no certificate authority")
        response = Response(found.pem, content_type=_TYPE)
        response.headers["Content-Disposition"] = 'attachment; filename="leyden-ca.crt"'
        response.headers["Cache-Control"] = "no-store"
        return response

    def _warning(self) -> str:
        if not self._certificates.wanted or encrypted(request.environ):
            return ""
        return unencrypted(self._certificates.problem())

    def _signed_in(self, principal: Principal) -> Response:
        body = msgspec.json.encode(SessionInfo(principal.role, principal.name))
        return self._with_session(Response(body, mimetype="application/json"), principal)

    def _with_session(self, response: Response, principal: Principal) -> Response:
        response.set_cookie(
            self._guard.cookie(request.environ),
            self._guard.sessions.open(principal),
            httponly=True,
            samesite="Strict",
            secure=encrypted(request.environ),
            path="/",
        )
        response.headers["Cache-Control"] = "no-store"
        return response


def _require_own_page(what: str) -> None:
    if not same_origin(request.environ, missing=INTENT_HEADER in request.headers):
        raise PanelError(403, "cross_site", f"{what} on the panel's own page")


def _read_json(kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(request.get_data(), type=kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise PanelError(400, "bad_request", str(error)) from None


def _twice(form: Any) -> str:
    """Return the new password, which a form asks for twice since nobody sees what they type.

    Raises:
        PanelError: the two differ.
    """
    password: str = form.get("new", "")
    if password != form.get("again", ""):
        raise PanelError(400, "weak_password", "the two passwords differ; type the same twice")
    return password
