"""Events: the one record of everything that happens, and the value with its quality.

An `Event` is one value on one route at one moment. A `Scan` is all channels of one device read at
one moment, kept and logged as one record; channel *i* of a scan with sequence number *n* is event
*n + i*. Both are immutable all the way down.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import Any, Final, NoReturn, TypeAlias

import msgspec

from leyden.kernel.route import Route


class Quality(IntEnum):
    """How far a value may be trusted; higher is worse."""

    GOOD = 0
    UNCERTAIN = 1
    BAD = 2

    @property
    def word(self) -> str:
        """The word that API and panel use."""
        return self.name.lower()


GOOD: Final = Quality.GOOD
UNCERTAIN: Final = Quality.UNCERTAIN
BAD: Final = Quality.BAD

Value: TypeAlias = Any  # None, bool, int, float, str, bytes, or a frozen tuple, mapping or Struct


class FrozenDict(dict[str, Any]):
    """A mapping that refuses every change, so that an event's payload stays what was published."""

    __slots__ = ()

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("an event's payload cannot be changed; publish a new event instead")

    __setitem__ = __delitem__ = _refuse
    __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))


class Event(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, rename={
    "mono": "m", "route": "r", "value": "v", "source": "s", "quality": "q", "reason": "x",
    "detail": "w", "trace": "t", "cause": "c", "boot": "b",
    "hops": "h",
}):  # fmt: skip
    """One value on one route at one moment.

    The one-letter names are those of the log's lines; each segment's head spells them out.
    """

    n: int  # sequence number: unique and rising for the life of a data directory
    mono: int  # ns on the monotonic clock of that boot
    route: str  # the route's key
    value: Value
    source: str = ""  # component that published it: "device.air"
    quality: Quality = GOOD
    reason: str = ""  # code: "stale", "no_data", "checksum", …
    detail: str = ""  # the reason in words
    trace: int = 0  # n of the event that began the causal chain; 0: this one
    cause: int = 0  # n of the event this one follows from; 0: none
    boot: int = 0  # which boot of the data directory
    hops: int = 0  # length of the causal chain up to here


class Scan(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """All channels of one device, read at one moment: one record, `len(values)` sequence numbers.

    `qualities`, `reasons` and `details` are empty when every value is good, otherwise one entry a
    channel.
    """

    n: int  # sequence number of the first channel
    mono: int  # ns
    routes: tuple[str, ...]  # the channel table, in order
    values: tuple[Value, ...]
    source: str = ""
    qualities: tuple[Quality, ...] = ()
    reasons: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    boot: int = 0
    trace: int = 0  # these three as in `Event`; a scan that a handler publishes has a cause
    cause: int = 0
    hops: int = 0

    def events(self) -> Iterator[Event]:
        """Yield the event of each channel, in order."""
        for i, (route, value) in enumerate(zip(self.routes, self.values, strict=True)):
            quality = self.qualities[i] if self.qualities else GOOD
            reason = self.reasons[i] if self.reasons else ""
            detail = self.details[i] if self.details else ""
            yield Event(
                self.n + i, self.mono, route, value, self.source, quality, reason, detail,
                self.trace, self.cause, self.boot, self.hops,
            )  # fmt: skip


Record: TypeAlias = Event | Scan


def last_number(record: Record) -> int:
    """Return the highest sequence number that a record uses."""
    return record.n + len(record.values) - 1 if isinstance(record, Scan) else record.n


def freeze(value: Any) -> Value:
    """Return `value` with every list, set and mapping in it replaced by an immutable one.

    Raises:
        TypeError: something in it is neither plain data nor a frozen record.
    """
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        return value
    if isinstance(value, Mapping):
        return FrozenDict({_text_key(key): freeze(item) for key, item in value.items()})
    if isinstance(value, (list, tuple)):
        items = tuple(freeze(item) for item in value)
        same = isinstance(value, tuple) and all(map(operator.is_, items, value))
        return value if same else items
    if isinstance(value, (set, frozenset)):
        return tuple(sorted((freeze(item) for item in value), key=repr))
    if isinstance(value, msgspec.Struct) and value.__struct_config__.frozen:
        return _deep_frozen(value)
    raise TypeError(
        f"found {type(value).__name__} in a payload, expected plain data or a frozen msgspec.Struct"
    )


def _deep_frozen(record: msgspec.Struct) -> msgspec.Struct:
    # Frozen says only that its fields stay bound to what they are bound to.
    fields = {name: getattr(record, name) for name in record.__struct_fields__}
    changed = {
        name: frozen
        for name, value in fields.items()
        if not isinstance(value, frozenset) and (frozen := freeze(value)) is not value
    }
    return msgspec.structs.replace(record, **changed) if changed else record


def _text_key(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"found mapping key {key!r} in a payload, expected text")
    return key


class RouteInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """What people and panels need to know of a route beside its identity."""

    route: Route
    label: str = ""
    group: str = ""
    decimals: int | None = None
    period_s: float | None = None  # expected distance of values; None: on change
    normal: tuple[float, float] | None = None  # the range it should be in
