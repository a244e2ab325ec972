"""Routes: the typed, unambiguous name of one stream of values.

A route's `key` is its address with defaults left out, so that everyday names stay short:
`air.temperature`, `vent.opening;variant=desired`. Its `text` adds the schema, so that two routes
have equal texts only if they are equal in every part; the stream refuses two schemas at an address.
"""

from __future__ import annotations

import math
import re
from enum import StrEnum
from typing import Any, Final

import msgspec

from leyden.kernel.errors import RouteError

# First words that only the system publishes under.
RESERVED: Final = frozenset(
    [
        "runtime",
        "device",
        "service",
        "process",
        "event",
        "alarm",
        "output",
        "intent",
        "clock",
        "log",
        "link",
    ]
)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_SCHEMA_ID = re.compile(r"[a-z][a-z0-9_.]{0,62}")


class Plane(StrEnum):
    """What a route is for."""

    READ = "read"
    WRITE = "write"
    STATE = "state"
    QUERY = "query"
    DEBUG = "debug"


class Layer(StrEnum):
    """How far a value is from the wire."""

    LOGICAL = "logical"
    RAW = "raw"
    SHADOW = "shadow"
    BULK = "bulk"
    INTERNAL = "internal"
    EPHEMERAL = "ephemeral"


class Variant(StrEnum):
    """Which face of a stream: its values, or what was asked of it and what came of that."""

    PAYLOAD = "payload"
    META = "meta"
    REQUEST = "request"
    DESIRED = "desired"
    REPORTED = "reported"
    EFFECTIVE = "effective"
    ACK = "ack"
    STATE = "state"
    EVENT = "event"
    HEALTH = "health"


class Origin(StrEnum):
    """Where values come from, which decides what a replay does with them."""

    INPUT = "input"  # replayed
    DERIVED = "derived"  # recomputed and compared
    OUTPUT = "output"  # compared, never moved
    SYSTEM = "system"  # lifecycle and bookkeeping


class Schema(msgspec.Struct, frozen=True, omit_defaults=True):
    """The type of a route's values: an id with a version, a unit and a range."""

    id: str = "float"  # float | int | bool | text | bytes | json | <name of a record type>
    version: int = 1
    unit: str = "1"  # UCUM code
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None  # smallest difference that means something

    def __post_init__(self) -> None:
        if not _SCHEMA_ID.fullmatch(self.id):
            raise RouteError(f'found schema id "{self.id}", expected a lower-case name')
        if self.version < 1:
            raise RouteError(f"found schema version {self.version}, expected 1 or more")
        low, high, step = self.minimum, self.maximum, self.step
        if low is not None and high is not None and not low <= high:
            raise RouteError(f"found range {low} … {high}, expected the lower end first")
        if step is not None and not 0 <= step < math.inf:
            raise RouteError(f"found step {step}, expected nought or more")


_PYTHON_SCHEMAS: Final[dict[type, Schema]] = {
    float: Schema("float"),
    int: Schema("int"),
    bool: Schema("bool"),
    str: Schema("text"),
    bytes: Schema("bytes"),
    dict: Schema("json"),
}


class Route(msgspec.Struct, frozen=True):
    """The identity of one stream of values, with the schema of those values and their origin.

    Make one with `Route.of`, which splits the dotted name and validates each part.
    """

    owner: str
    stream: str
    family: str = ""
    plane: Plane = Plane.READ
    layer: Layer = Layer.LOGICAL
    variant: Variant = Variant.PAYLOAD
    schema: Schema = _PYTHON_SCHEMAS[float]
    origin: Origin = Origin.INPUT
    key: str = ""  # derived: the address, unique in an appliance

    @classmethod
    def of(
        cls,
        name: str,
        schema: Schema | type = float,
        *,
        unit: str = "",
        origin: Origin = Origin.INPUT,
        plane: Plane = Plane.READ,
        layer: Layer = Layer.LOGICAL,
        variant: Variant = Variant.PAYLOAD,
    ) -> Route:
        """Return the route called `name`, written `owner.stream` or `owner.family.stream`.

        Raises:
            RouteError: a part of the name is empty, too long or has a character outside a-z 0-9 _.
        """
        owner, family, stream = _split(name)
        found = schema if isinstance(schema, Schema) else _schema_of(schema)
        if unit:
            found = msgspec.structs.replace(found, unit=unit)
        bare = cls(owner, stream, family, plane, layer, variant, found, origin)
        return msgspec.structs.replace(bare, key=_key(bare))

    @property
    def name(self) -> str:
        """The dotted name without qualifiers."""
        return self.key.partition(";")[0]

    @property
    def text(self) -> str:
        """The full text form, schema included; equal texts mean equal identities."""
        return f"{self.key};schema={self.schema.id}@{self.schema.version}"


def parse_text(text: str) -> dict[str, str]:
    """Split a key or text form into `name` and each qualifier that is written out.

    Raises:
        RouteError: a part is malformed, unknown or written twice.
    """
    name, *qualifiers = text.split(";")
    _split(name)
    parts: dict[str, str] = {"name": name}
    for qualifier in qualifiers:
        word, equals, value = qualifier.partition("=")
        if not equals or word not in _QUALIFIERS or word in parts or not value:
            raise RouteError(
                f'found "{qualifier}" in route "{text}", expected one each of '
                + ", ".join(f"{word}=…" for word in _QUALIFIERS)
            )
        parts[word] = value
    return parts


_QUALIFIERS: Final = ("plane", "layer", "variant", "schema")


def _split(name: str) -> tuple[str, str, str]:
    parts = name.split(".")
    if not 2 <= len(parts) <= 3 or not all(_NAME.fullmatch(part) for part in parts):
        raise RouteError(
            f'found route name "{name}", expected two or three parts of a-z 0-9 _ joined by dots, '
            'such as "air.temperature"'
        )
    return (parts[0], "", parts[1]) if len(parts) == 2 else (parts[0], parts[1], parts[2])


def _key(route: Route) -> str:
    words = [".".join(part for part in (route.owner, route.family, route.stream) if part)]
    if route.plane is not Plane.READ:
        words.append(f"plane={route.plane}")
    if route.layer is not Layer.LOGICAL:
        words.append(f"layer={route.layer}")
    if route.variant is not Variant.PAYLOAD:
        words.append(f"variant={route.variant}")
    return ";".join(words)


def _schema_of(kind: Any) -> Schema:
    try:
        return _PYTHON_SCHEMAS[kind]
    except (KeyError, TypeError):
        known = ", ".join(each.__name__ for each in _PYTHON_SCHEMAS)
        raise RouteError(
            f"found {kind!r} as a schema, expected a Schema or one of {known}"
        ) from None
