"""The other way into a running appliance: its panel over TLS, as browsers and programs use it."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from leyden_hil.errors import TargetError
from leyden_hil.waiting import until

_ANSWER_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the panel answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body, decoded.

        Raises:
            TargetError: it is no JSON.
        """
        try:
            return json.loads(self.body)
        except ValueError:
            raise TargetError(f"expected JSON, found {self.body[:200]!r}") from None


class Panel:
    """Asks the panel of an appliance.

    Args:
        address: where to connect.
        doors: the ports, by the names "http" and "https".
        name: what the panel calls itself; the certificate has to carry it.
        authority: the certificate (PEM) of the device's own authority; `None`: it is fetched from
            the panel over plain HTTP first, as a person without a second way would.
    """

    def __init__(
        self, address: str, doors: Mapping[str, int], name: str, authority: str | None = None
    ) -> None:
        self.address = address
        self.doors = doors
        self.name = name
        self._authority = authority
        self._cookie = ""
        self._token = ""
        self._safe: http.client.HTTPConnection | None = None

    # Asking

    def plain(self, path: str) -> Answer:
        """Ask over plain HTTP; redirects are not followed."""
        door = http.client.HTTPConnection(self.address, self.doors["http"], timeout=_ANSWER_S)
        try:
            return self._ask(door, "GET", path, None, {})
        finally:
            door.close()

    def get(self, path: str) -> Answer:
        """Ask over TLS, checked against the device's authority and its name."""
        return self._ask_safely("GET", path, None, {})

    def post(self, path: str, body: Any) -> Answer:
        """Send JSON over TLS."""
        data = json.dumps(body).encode()
        own = {"Content-Type": "application/json", "X-Leyden": "1"}
        return self._ask_safely("POST", path, data, own)

    def data(self, path: str) -> Any:
        """Ask the HTTP interface and return what it says.

        Raises:
            TargetError: it refuses, or cannot be reached.
        """
        answer = self.get(path)
        if answer.status != 200:
            raise TargetError(f"{path}: {answer.status} {answer.body[:300]!r}")
        return answer.json()

    # Who asks

    def use_token(self, token: str) -> None:
        """Ask with a token from now on."""
        self._token = token

    def sign_in(self, password: str) -> None:
        """Sign in as the owner, and go on in that session.

        Raises:
            TargetError: the panel refuses.
        """
        self._enter(self.post("/sign-in", {"password": password}))

    def claim(self, code: str, password: str) -> Answer:
        """Claim the appliance; where that succeeds, go on in the session that it opened."""
        answer = self.post("/claim", {"code": code, "password": password})
        if answer.status < 400:
            self._enter(answer)
        return answer

    def _enter(self, answer: Answer) -> None:
        cookie = answer.headers.get("Set-Cookie", "")
        if answer.status >= 400 or not cookie:
            raise TargetError(f"no session: {answer.status} {answer.body[:300]!r}")
        self._cookie = cookie.partition(";")[0]

    # What is asked for most

    def health(self) -> dict[str, Any] | None:
        """Return what `/health` says on the plain port, `None` while nobody answers."""
        try:
            answer = self.plain("/health")
        except TargetError:
            return None
        if answer.status != 200:
            return None
        said: dict[str, Any] = answer.json()
        return said

    def wait(self, limit_s: float) -> float:
        """Wait until the panel answers; return how long it took, in seconds.

        Raises:
            TargetError: it does not.
        """
        began = time.monotonic()
        until(lambda: self.health() is not None, limit_s, "the panel answers /health")
        return time.monotonic() - began

    def latest(self, route: str) -> dict[str, Any]:
        """Return the newest value of a route."""
        said: dict[str, Any] = self.data(f"/api/v1/routes/{route}/latest")
        return said

    def events(self, after: int = 0, *prefixes: str) -> list[dict[str, Any]]:
        """Return all events above a number, and the gaps among them as `{"gap": …}`."""
        found: list[dict[str, Any]] = []
        wanted = "".join(f"&route={prefix}" for prefix in prefixes)
        while True:
            page = self.data(f"/api/v1/events?after={after}&limit=1000{wanted}")
            found += page["events"] + [{"gap": gap} for gap in page["gaps"]]
            if page["next"] >= page["head"] or page["next"] == after:
                return found
            after = page["next"]

    def ask(self, goal: str, payload: Any, key: str) -> dict[str, Any]:
        """Submit an intent and return its answer: `outcome`, `n`, `detail`.

        Raises:
            TargetError: the panel does not take it.
        """
        answer = self.post("/api/v1/intents", {"goal": goal, "payload": payload, "key": key})
        if answer.status != 200:
            raise TargetError(f"{goal}: {answer.status} {answer.body[:300]!r}")
        said: dict[str, Any] = answer.json()
        return said

    def _credentials(self) -> dict[str, str]:
        headers = {"Cookie": self._cookie} if self._cookie else {}
        return headers | ({"Authorization": f"Bearer {self._token}"} if self._token else {})

    def _ask_safely(
        self, method: str, path: str, data: bytes | None, headers: dict[str, str]
    ) -> Answer:
        """Ask over the connection that is kept, or over a new one where that has ended."""
        headers = headers | self._credentials()
        if self._safe is not None:
            try:
                return self._ask(self._safe, method, path, data, headers)
            except TargetError:
                self.hang_up()
        self._safe = _NamedTls(self.address, self.doors["https"], self.name, self._trust())
        return self._ask(self._safe, method, path, data, headers)

    def hang_up(self) -> None:
        """Drop the kept connection."""
        if self._safe is not None:
            self._safe.close()
            self._safe = None

    def _trust(self) -> ssl.SSLContext:
        authority = self._authority or self.plain("/leyden-ca.crt").body.decode()
        return ssl.create_default_context(cadata=authority)

    def _ask(
        self,
        door: http.client.HTTPConnection,
        method: str,
        path: str,
        data: bytes | None,
        headers: Mapping[str, str],
    ) -> Answer:
        try:
            door.request(method, path, data, {"Host": self.name, **headers})
            said = door.getresponse()
            return Answer(said.status, dict(said.headers.items()), said.read())
        except (OSError, http.client.HTTPException) as error:
            raise TargetError(f"{method} {path}: {type(error).__name__} {error}") from error


class _NamedTls(http.client.HTTPSConnection):
    """A connection to an address that asks for, and checks, the certificate of a name."""

    def __init__(self, address: str, port: int, name: str, trust: ssl.SSLContext) -> None:
        super().__init__(address, port, timeout=_ANSWER_S, context=trust)
        self._name = name
        self._trust = trust

    def connect(self) -> None:
        """Connect, and shake hands under the name."""
        line = socket.create_connection((self.host, self.port), self.timeout)
        self.sock = self._trust.wrap_socket(line, server_hostname=self._name)
