"""The messages of the link: each request, answer and row as a record that validates itself.

A request is one line of JSON, `{"id": 1, "op": "read", …}`; its answer is one line with the same
id, `{"id": 1, "ok": {…}}` or `{"id": 1, "error": {"code": …, "message": …}}`. An id of 0 answers a
line whose id could not be read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from leyden.kernel import Event, Gap, LeydenError, Role, Value, iso

VERSION: Final = 1  # of this protocol; said in `hello`
MAX_REQUEST_BYTES: Final = 1 << 20  # one request line
MAX_ANSWER_BYTES: Final = 16 << 20  # one answer line; pages of events stay under a request's size
MAX_EVENTS: Final = 5000  # in one answer to `read`
MAX_WAIT_MS: Final = 30_000

Count: TypeAlias = Annotated[int, Meta(ge=0, le=1 << 62)]
Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200)]
Goal: TypeAlias = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$")]


class LinkRefusal(LeydenError):  # noqa: N818 - an answer, not a fault of the program
    """A request that was understood and cannot be met: a code for programs, words for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


# Requests.


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="op"):
    """What every request has."""

    id: Count


class Hello(Request, frozen=True, tag="hello"):
    """Who is asking; answered with who answers."""

    client: Annotated[str, Meta(max_length=64)] = ""


class Read(Request, frozen=True, tag="read"):
    """Events with numbers above `after`; waits up to `wait_ms` for the first of them."""

    after: Count
    routes: Annotated[tuple[Name, ...], Meta(max_length=64)] | None = None  # prefixes; None: all
    max: Annotated[int, Meta(ge=1, le=MAX_EVENTS)] = 1000
    wait_ms: Annotated[int, Meta(ge=0, le=MAX_WAIT_MS)] = 0


What: TypeAlias = Literal[
    "health",
    "identity",
    "devices",
    "routes",
    "latest",
    "latest_all",
    "history",
    "signals",
    "graph",
    "system",
]
MAX_SPAN_S: Final = 31 * 86_400
MAX_POINTS: Final = 5000


class Query(Request, frozen=True, tag="query"):
    """One question about the present, or a route's past in few points."""

    what: What
    route: Name | None = None  # latest, history
    from_mono: Count | None = None  # history: ns on the monotonic clock of this boot
    span_s: Annotated[float, Meta(gt=0, le=MAX_SPAN_S)] | None = None  # history: up to now
    points: Annotated[int, Meta(ge=2, le=MAX_POINTS)] = 300

    def __post_init__(self) -> None:
        if self.what in {"latest", "history"} and self.route is None:
            raise ValueError(f'"{self.what}" needs a "route"')
        if self.what == "history" and (self.from_mono is None) == (self.span_s is None):
            raise ValueError('"history" needs either "from_mono" or "span_s"')


class IntentBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An intent as it is sent; `role` is what the sender claims, capped by who the peer is."""

    goal: Goal
    payload: Value = None
    key: Annotated[str, Meta(max_length=128)] = ""
    seen: Count = 0
    expires_s: Annotated[float, Meta(gt=0, le=86_400)] | None = None
    who: Annotated[str, Meta(max_length=128)] = ""
    role: Role | None = None  # None: as much as the peer may


class Submit(Request, frozen=True, tag="submit"):
    """Ask the runtime to do something."""

    intent: IntentBody


AnyRequest: TypeAlias = Hello | Read | Query | Submit


# Answers.


class HelloAnswer(msgspec.Struct, frozen=True):
    """Who answers, and where its stream stands."""

    version: str  # of Leyden
    name: str  # of the appliance
    boot: int
    head: int  # last sequence number given out
    mono: int  # ns
    wall: int  # ns since 1970, as far as the machine knows
    clock_state: str  # unsynced | stepped | synced
    role: Role = Role.VIEWER  # the most this peer may do; the server fills it in
    protocol: int = VERSION


class EventRow(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One event in full words, as panel, HTTP clients and the command line see it."""

    n: int
    route: str
    value: Value
    quality: str  # good | uncertain | bad
    time: str  # ISO 8601, UTC, as far as the machine knows
    reason: str = ""
    detail: str = ""
    mono: int = 0  # ns
    source: str = ""
    cause: int = 0
    trace: int = 0

    @classmethod
    def of(cls, event: Event, wall_ns: int) -> EventRow:
        """Return the row of an event whose monotonic time means that wall time."""
        return cls(
            event.n, event.route, event.value, event.quality.word, iso(wall_ns), event.reason,
            event.detail, event.mono, event.source, event.cause, event.trace,
        )  # fmt: skip


class EventPage(msgspec.Struct, frozen=True):
    """A run of events in order.

    Everything above the `after` that was asked for, up to and including `next`, is either in
    `events`, left out by the filter, or named in `gaps`.
    """

    events: tuple[EventRow, ...]
    next: int
    gaps: tuple[Gap, ...]
    head: int


class Health(msgspec.Struct, frozen=True):
    """The five figures of a health check."""

    status: str  # ok | degraded
    version: str
    n: int
    uptime_s: float
    name: str = ""


class Trouble(msgspec.Struct, frozen=True):
    """What went wrong last with a device, and how long ago."""

    reason: str
    detail: str
    age_s: float


class WitnessRow(msgspec.Struct, frozen=True):
    """What proves that a device is there and well, and what it said last."""

    what: str
    result: str = ""
    age_s: float | None = None


class DeviceRow(msgspec.Struct, frozen=True):
    """One device as the devices page shows it."""

    id: str
    driver: str
    state: str  # absent | starting | online | degraded | offline | failed
    label: str = ""
    compatible: str = ""
    bus: str = ""
    address: str = ""
    since_s: float = 0.0  # in this state
    error: Trouble | None = None
    witness: WitnessRow | None = None
    channels: tuple[str, ...] = ()  # route keys
    period_s: float | None = None
    reads: int = 0
    errors: int = 0
    retries: int = 0
    overruns: int = 0
    lateness_p99_ms: float = 0.0
    resets: int = 0


class BusRow(msgspec.Struct, frozen=True):
    """One bus as the devices page shows it."""

    name: str
    kind: str  # i2c | spi | uart | gpio | none
    path: str = ""
    state: str = "ok"  # ok | hung | stuck | closed
    load: float = 0.0  # share of the bus's bits in use, 0 to 1
    transfers: int = 0
    errors: int = 0
    suspect: str = ""


class DeviceList(msgspec.Struct, frozen=True):
    """All devices and buses."""

    devices: tuple[DeviceRow, ...]
    buses: tuple[BusRow, ...] = ()


class RouteRow(msgspec.Struct, frozen=True):
    """What there is to know of a route beside its values."""

    route: str
    kind: str  # float | int | bool | text | …: the schema's id
    unit: str  # UCUM
    origin: str  # input | derived | output | system
    label: str = ""
    group: str = ""
    symbol: str = ""  # the unit as people write it
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    decimals: int | None = None
    period_s: float | None = None  # None: on change
    device: str = ""
    normal: tuple[float, float] | None = None
    plane: str = "read"
    layer: str = "logical"
    variant: str = "payload"


class RouteList(msgspec.Struct, frozen=True):
    """All routes."""

    routes: tuple[RouteRow, ...]


class LatestRow(msgspec.Struct, frozen=True):
    """The newest value of a route and what it is worth now."""

    route: str
    value: Value  # None when bad
    unit: str
    quality: str  # good | uncertain | bad
    reason: str
    age_s: float | None  # None: no value yet
    n: int
    time: str | None
    detail: str = ""
    last_value: Value | UnsetType = UNSET  # the last one that was not bad; only when it is bad now


class LatestList(msgspec.Struct, frozen=True):
    """The newest value of every route.

    `head` is read before the values are: following the stream from there misses nothing.
    """

    latest: tuple[LatestRow, ...]
    head: int


class Point(msgspec.Struct, frozen=True, array_like=True):
    """One step of a history: what a stretch of time held. Written as an array."""

    time_ms: float  # since 1970, start of the stretch
    value: float | None  # mean; None where there was none
    quality: str  # the worst in the stretch
    minimum: float | None = None
    maximum: float | None = None


class History(msgspec.Struct, frozen=True):
    """A route's past, decimated to at most the number of points asked for."""

    points: tuple[Point, ...]
    gaps: tuple[Gap, ...] = ()


class SignalRow(msgspec.Struct, frozen=True):
    """One signal of the simulated world."""

    name: str
    value: Value
    unit: str = ""
    kind: str = ""


class SignalList(msgspec.Struct, frozen=True):
    """All signals of the simulated world."""

    signals: tuple[SignalRow, ...]


class NodeRow(msgspec.Struct, frozen=True):
    """One node of the route graph."""

    name: str
    kind: str
    counters: dict[str, int] = {}
    explain: str = ""


class Graph(msgspec.Struct, frozen=True):
    """The route graph as it runs."""

    nodes: tuple[NodeRow, ...]
    edges: tuple[tuple[str, str], ...] = ()


class ReleaseRow(msgspec.Struct, frozen=True):
    """Which release of the image runs."""

    version: str
    commit: str = ""
    epoch: int = 0  # s since 1970, when its sources were committed: tells older from newer
    compatible: str = ""  # which machines it is for, as bundles name them


class SlotRow(msgspec.Struct, frozen=True):
    """One of the two slots of the card."""

    name: str  # A | B
    state: str  # running | good | bad | empty | staged | trying
    version: str | None = None
    boot: bool = False  # the boot loader starts this one next
    tries_left: int = 0  # starts that the boot loader still gives it
    detail: str = ""  # why it is so, in words


class StagedRow(msgspec.Struct, frozen=True):
    """An update that is installed and not committed yet."""

    slot: str
    version: str
    state: str  # intent | written | verified | tried | healthy


class UpdateRow(msgspec.Struct, frozen=True):
    """One line of the history of updates."""

    time: str | None  # ISO 8601, UTC, as far as the machine knew
    what: (
        str  # installed | trying | healthy | committed | rolled-back | refused | failed | recovered
    )
    slot: str = ""
    version: str = ""
    from_version: str = ""
    reason: str = ""  # in words
    detail: str = ""


class NoteRow(msgspec.Struct, frozen=True):
    """Something that people should know of this boot."""

    level: str  # info | warning | error
    what: str  # "data-remade"
    text: str


class ClockRow(msgspec.Struct, frozen=True):
    """How far the machine's time of day can be trusted."""

    state: str  # unsynced | stepped | synced
    detail: str = ""


class CertificateRow(msgspec.Struct, frozen=True):
    """The certificate authority of this machine, and how long its certificate holds."""

    fingerprint: str  # SHA-256 of the authority's certificate, hex in pairs
    not_after: str | None = None  # ISO 8601, UTC, of the certificate in use


class SystemAnswer(msgspec.Struct, frozen=True):
    """The machine as an appliance: release, slots, updates. What is not known is None or empty."""

    available: bool  # False: not an appliance from our image; `detail` says so
    detail: str = ""
    release: ReleaseRow | None = None
    board: str = ""
    slots: tuple[SlotRow, ...] = ()
    running: str | None = None
    committed: str | None = None
    staged: StagedRow | None = None
    history: tuple[UpdateRow, ...] = ()  # newest first
    notes: tuple[NoteRow, ...] = ()
    clock: ClockRow | None = None
    certificate: CertificateRow | None = None


Identity: TypeAlias = dict[str, Any]  # what the machine can say of itself; see the identity module

ANSWERS: Final[dict[What, Any]] = {
    "health": Health,
    "identity": Identity,
    "devices": DeviceList,
    "routes": RouteList,
    "latest": LatestRow,
    "latest_all": LatestList,
    "history": History,
    "signals": SignalList,
    "graph": Graph,
    "system": SystemAnswer,
}


# Envelopes.


class ErrorBody(msgspec.Struct, frozen=True):
    """Why there is no answer."""

    code: str
    message: str


class Reply(msgspec.Struct, frozen=True):
    """One line back: exactly one of `ok` and `error` is there."""

    id: int
    ok: msgspec.Raw | UnsetType = UNSET
    error: ErrorBody | UnsetType = UNSET


class _OnlyId(msgspec.Struct):
    id: Count = 0


_decode_request: Callable[[bytes], AnyRequest] = msgspec.json.Decoder(AnyRequest).decode
_decode_id = msgspec.json.Decoder(_OnlyId).decode
_encode = msgspec.json.Encoder().encode


def parse_request(line: bytes) -> AnyRequest:
    """Return the request that a line holds.

    Raises:
        LinkRefusal: `bad_request`, naming the place and what was expected there.
    """
    try:
        return _decode_request(line)
    except msgspec.MsgspecError as error:
        raise LinkRefusal("bad_request", str(error)) from None
    except RecursionError:
        raise LinkRefusal("bad_request", "found JSON nested too deeply") from None


def request_id(line: bytes) -> int:
    """Return the id in a line that is otherwise no request; 0 where there is none to read."""
    try:
        return _decode_id(line).id
    except (msgspec.MsgspecError, RecursionError):
        return 0


def answer_line(request: int, answer: Any) -> bytes:
    """Return the line that answers a request."""
    return _encode({"id": request, "ok": answer}) + b"\n"


def error_line(request: int, code: str, message: str) -> bytes:
    """Return the line that refuses a request."""
    return _encode({"id": request, "error": ErrorBody(code, message)}) + b"\n"


def matches(route: str, prefixes: tuple[str, ...] | None) -> bool:
    """Whether a route's key begins with one of the prefixes; no prefixes match everything."""
    return prefixes is None or route.startswith(prefixes)
