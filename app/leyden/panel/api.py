"""The HTTP interface: every endpoint as one row, from which routes and OpenAPI are both made.

An endpoint's parameters are a record that validates itself, its answer is a record too; what is
refused is refused in words that name the parameter.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, NoReturn

import msgspec
from msgspec import Meta

from leyden.kernel import NS, Answer, Clock, Role, Value
from leyden.link.client import (
    MAX_EVENTS,
    MAX_POINTS,
    MAX_SPAN_S,
    DeviceList,
    EventPage,
    Health,
    History,
    Identity,
    LatestList,
    LatestRow,
    LinkClient,
    LinkDownError,
    LinkRefusal,
    RouteList,
)
from leyden.panel.auth import Principal
from leyden.panel.entrance import Entrance
from leyden.panel.errors import PanelError
from leyden.panel.guard import Environ, encrypted
from leyden.panel.live import CLIENTS, Hub
from leyden.panel.pace import A_SECOND, Pace
from leyden.panel.system import System, SystemInfo

BASE: Final = "/api/v1"
_FRESH_S: Final = 0.5  # an open health check asks the runtime at most this often

RouteName = Annotated[str, Meta(min_length=1, max_length=200)]


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No parameters."""


class EventsParams(Params, frozen=True):
    """Which events."""

    after: Annotated[int, Meta(ge=0, le=1 << 62, description="numbers above this one")] = 0
    limit: Annotated[int, Meta(ge=1, le=MAX_EVENTS, description="at most so many")] = 1000
    route: Annotated[
        tuple[RouteName, ...],
        Meta(max_length=64, description="only routes that begin so; may be repeated"),
    ] = ()


Span = Annotated[float, Meta(gt=0, le=MAX_SPAN_S, description="seconds, up to now")]
Points = Annotated[int, Meta(ge=2, le=MAX_POINTS, description="at most so many points")]


class SpanParams(Params, frozen=True):
    """How much of the past, in how many points."""

    span_s: Span = 600.0
    points: Points = 300


class HistoryParams(Params, frozen=True):
    """Of what, how much of the past, in how many points."""

    route: RouteName
    span_s: Span = 600.0
    points: Points = 300


class IntentParams(Params, frozen=True):
    """Something asked of the runtime; sent as JSON."""

    goal: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$")]
    payload: Value = None
    key: Annotated[str, Meta(max_length=128, description="equal keys are carried out once")] = ""
    seen: Annotated[int, Meta(ge=0, le=1 << 62, description="number you had seen")] = 0
    expires_s: Annotated[float, Meta(gt=0, le=30)] | None = None


class PasswordParams(Params, frozen=True):
    """A new password for the admin; sent as JSON."""

    new: Annotated[str, Meta(min_length=1, description="at least ten characters")]
    current: Annotated[str, Meta(description="the old one, by who signed in with it")] = ""


class NoticeParams(Params, frozen=True):
    """A sentence that need not stand on every page any more; sent as JSON."""

    id: Annotated[str, Meta(min_length=1, max_length=64, description="as in the system's answer")]


class HealthCheck(msgspec.Struct, frozen=True):
    """Whether the appliance works, for anybody who asks."""

    status: str  # ok | degraded: the runtime does not answer
    version: str
    n: int  # newest sequence number
    uptime_s: float  # of the runtime; 0 while it does not answer


class PanelHealth(msgspec.Struct, frozen=True):
    """The same with the panel's own figures."""

    status: str
    version: str
    n: int
    uptime_s: float
    name: str
    clients: int  # live views open
    clients_limit: int
    runtime_age_s: float  # since the runtime last answered the live view


class SessionInfo(msgspec.Struct, frozen=True):
    """Who you are here."""

    role: Role
    name: str


class Done(msgspec.Struct, frozen=True):
    """It is done."""

    ok: bool = True


@dataclass(frozen=True, slots=True)
class Ask:
    """One request: who asks, what the path and the parameters say."""

    principal: Principal | None  # None only at open endpoints
    path: Mapping[str, str]
    params: Any  # an instance of the endpoint's `params`
    environ: Environ  # the request as the server tells it


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One thing that can be asked for."""

    path: str  # "/routes/<route>/latest", below BASE unless it is `open`
    summary: str
    answer: Any  # the type of the answer
    handle: Callable[[Ask], Any]
    params: type[Params] = Params
    method: str = "GET"
    open: bool = False  # no token needed


class Api:
    """The endpoints over a link and a hub.

    Args:
        link: reaches the runtime.
        hub: the live view, for its figures.
        clock: tells the time.
        version: the panel's own, said while the runtime is away.
        entrance: signs people out, and changes the password.
        system: knows the machine as an appliance.
    """

    def __init__(
        self,
        link: LinkClient,
        hub: Hub,
        clock: Clock,
        version: str,
        entrance: Entrance,
        system: System,
    ) -> None:
        self._link = link
        self._hub = hub
        self._clock = clock
        self._version = version
        self._entrance = entrance
        self._system = system
        self._pace = Pace(clock)
        self._health: Health | None = None
        self._health_ns = 0
        self._lock = threading.Lock()

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Every endpoint."""
        one = "/routes/<route>"
        return (
            Endpoint("/healthz", "Whether it works", HealthCheck, self._check, open=True),
            Endpoint(f"{BASE}/identity", "Who this machine is", Identity, self._identity),
            Endpoint(f"{BASE}/health", "Health in figures", PanelHealth, self._panel_health),
            Endpoint(f"{BASE}/session", "Who you are here", SessionInfo, _session),
            Endpoint(f"{BASE}/sign-out", "End the session", Done, self._end, method="POST"),
            Endpoint(
                f"{BASE}/password", "Set a new password and sign every browser out", Done,
                self._change_password, PasswordParams, method="POST",
            ),
            Endpoint(
                f"{BASE}/system", "The machine as an appliance", SystemInfo, self._system_info
            ),
            Endpoint(
                f"{BASE}/system/acknowledge", "Take note of a notice", Done, self._acknowledge,
                NoticeParams, method="POST",
            ),
            Endpoint(f"{BASE}/devices", "Devices and buses", DeviceList, self._devices),
            Endpoint(f"{BASE}/routes", "All routes", RouteList, self._routes),
            Endpoint(f"{BASE}/latest", "Newest value of each route", LatestList, self._latest_all),
            Endpoint(f"{BASE}{one}/latest", "Newest value of one route", LatestRow, self._latest),
            Endpoint(
                f"{BASE}{one}/history", "A route's past in few points", History,
                self._route_history, SpanParams,
            ),
            Endpoint(
                f"{BASE}/history", "A route's past in few points", History, self._history,
                HistoryParams,
            ),
            Endpoint(
                f"{BASE}/events", "Events in order, from any number on", EventPage, self._events,
                EventsParams,
            ),
            Endpoint(
                f"{BASE}/intents", "Ask the runtime to do something", Answer, self._submit,
                IntentParams, method="POST",
            ),
        )  # fmt: skip

    def check(self) -> HealthCheck:
        """Return whether it works, for anybody who asks."""
        health = self._fresh_health()
        if health is None:
            return HealthCheck("degraded", self._version, self._hub.ring.high, 0.0)
        return HealthCheck(health.status, health.version, health.n, health.uptime_s)

    def _check(self, _: Ask) -> HealthCheck:
        return self.check()

    def _fresh_health(self) -> Health | None:
        """The runtime's health, asked for at most twice a second however many want to know."""
        with self._lock:
            now = self._clock.monotonic_ns()
            if now - self._health_ns > _FRESH_S * NS or self._health_ns == 0:
                try:
                    self._health = self._link.health()
                except (LinkDownError, LinkRefusal):
                    self._health = None
                self._health_ns = self._clock.monotonic_ns()
            return self._health

    def _panel_health(self, _: Ask) -> PanelHealth:
        health = self._link.health()
        return PanelHealth(
            health.status, health.version, health.n, health.uptime_s, health.name,
            len(self._hub.feeds()), CLIENTS, round(self._hub.age_s(), 3),
        )  # fmt: skip

    def _identity(self, _: Ask) -> Identity:
        hello = self._link.hello()
        about = {
            "name": hello.name,
            "version": hello.version,
            "boot": hello.boot,
            "clock_state": hello.clock_state,
        }
        return about | self._link.identity()

    def _end(self, ask: Ask) -> Done:
        if ask.principal is not None and ask.principal.session:
            self._entrance.sign_out(ask.principal.session)
        return Done()

    def _change_password(self, ask: Ask) -> Done:
        params: PasswordParams = ask.params
        self._entrance.change(_known(ask), params.current, params.new, ask.environ)
        return Done()

    def _system_info(self, ask: Ask) -> SystemInfo:
        return self._system.info(encrypted=encrypted(ask.environ))

    def _acknowledge(self, ask: Ask) -> Done:
        if _known(ask).role.rank < Role.OPERATOR.rank:
            raise PanelError(403, "forbidden", "taking note for all needs the role operator")
        params: NoticeParams = ask.params
        self._system.acknowledge(params.id)
        return Done()

    def _devices(self, _: Ask) -> DeviceList:
        return self._link.devices()

    def _routes(self, _: Ask) -> RouteList:
        return self._link.routes()

    def _latest_all(self, _: Ask) -> LatestList:
        return self._link.latest_all()

    def _latest(self, ask: Ask) -> LatestRow:
        return self._link.latest(ask.path["route"])

    def _route_history(self, ask: Ask) -> History:
        params: SpanParams = ask.params
        return self._link.history(ask.path["route"], span_s=params.span_s, points=params.points)

    def _history(self, ask: Ask) -> History:
        params: HistoryParams = ask.params
        return self._link.history(params.route, span_s=params.span_s, points=params.points)

    def _events(self, ask: Ask) -> EventPage:
        params: EventsParams = ask.params
        return self._link.read(params.after, routes=params.route or None, limit=params.limit)

    def _submit(self, ask: Ask) -> Answer:
        params: IntentParams = ask.params
        who = _known(ask)
        if self._pace.wait_s(who.session or who.token) > 0:
            words = f"more than {A_SECOND:g} intents a second are refused; wait a second"
            raise PanelError(429, "too_many_intents", words, {"Retry-After": "1"})
        return self._link.submit(
            params.goal, params.payload, key=params.key, seen=params.seen,
            expires_s=params.expires_s, who=who.name, role=who.role,
        )  # fmt: skip


def _session(ask: Ask) -> SessionInfo:
    return SessionInfo(_known(ask).role, _known(ask).name)


def _known(ask: Ask) -> Principal:
    assert ask.principal is not None  # noqa: S101 - the endpoint is not open
    return ask.principal


def read_query(kind: type[Params], query: Sequence[tuple[str, str]]) -> Params:
    """Return the parameters in a query string's pairs.

    Raises:
        PanelError: 400, naming the parameter, what was found and what was expected.
    """
    lists = {field.name for field in msgspec.structs.fields(kind) if field.default == ()}
    given: dict[str, Any] = {}
    for name, value in query:
        if name in lists:
            given.setdefault(name, []).append(value)
        elif name in given:
            raise PanelError(400, "bad_request", f'found the parameter "{name}" twice')
        else:
            given[name] = value
    return _convert(kind, given, strict=False)


def read_body(kind: type[Params], body: bytes) -> Params:
    """Return the parameters in a JSON body; an empty body has none.

    Raises:
        PanelError: 400, naming the field, what was found and what was expected.
    """
    try:
        given = msgspec.json.decode(body) if body.strip() else {}
    except (msgspec.MsgspecError, RecursionError) as error:
        raise PanelError(400, "bad_request", f"found a body that is no JSON: {error}") from None
    return _convert(kind, given, strict=True)


def _convert(kind: type[Params], given: Any, *, strict: bool) -> Params:
    try:
        return msgspec.convert(given, kind, strict=strict)
    except (msgspec.ValidationError, RecursionError) as error:
        _refuse(kind, given, str(error))


def _refuse(kind: type[Params], given: Any, words: str) -> NoReturn:
    message, _, place = words.partition(" - at `$")
    name = place.rstrip("`").removeprefix(".").partition("[")[0]
    if name and isinstance(given, dict):
        found = str(given.get(name))[:80]
        message = f'{name}: found "{found}"; {message[:1].lower()}{message[1:]}'
    elif "unknown field" in message:
        known = ", ".join(field.name for field in msgspec.structs.fields(kind)) or "none"
        message = f"{message}; there are: {known}"
    raise PanelError(400, "bad_request", message)
