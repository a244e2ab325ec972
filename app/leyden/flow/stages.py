"""Stages by name: builds each from the plain options that a configuration file holds.

through = [
  { resistor = { deadband = "0.5 K" } },
  { capacitor = { keep = 120 } },
  { watchdog = { silence = "15 s" } },
]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from leyden.flow.capacitor import Capacitor, OverflowPolicy
from leyden.flow.errors import StageError
from leyden.flow.laws import Deadband, Gate, Law, Throttle
from leyden.flow.node import Stage
from leyden.flow.options import (
    Option,
    count,
    distance,
    flag,
    percentage,
    quantity,
    rate,
    read,
    route_key,
    word,
)
from leyden.flow.resistor import Resistor
from leyden.flow.watchdog import Counts, Watchdog
from leyden.flow.words import did_you_mean, short


@dataclass(frozen=True, slots=True)
class CapacitorOptions:
    """Options of `capacitor`; see `Capacitor`."""

    keep: Annotated[int, Option(count(1))] = 1
    overflow: Annotated[OverflowPolicy, Option(word(OverflowPolicy))] = OverflowPolicy.DROP_OLDEST
    demand: Annotated[str, Option(route_key)] = ""
    timeout_s: Annotated[float, Option(quantity("s", "1 s"), "timeout")] = 1.0


@dataclass(frozen=True, slots=True)
class ResistorOptions:
    """Options of `resistor`: one law at most; see `leyden.flow.laws`."""

    at_most: Annotated[tuple[int, float] | None, Option(rate)] = None
    strict: Annotated[bool, Option(flag)] = False
    gate: Annotated[str, Option(route_key)] = ""
    deadband: Annotated[float | str | None, Option(distance)] = None
    deadband_percent: Annotated[float, Option(percentage)] = 0.0
    changes: Annotated[bool, Option(flag)] = False


@dataclass(frozen=True, slots=True)
class WatchdogOptions:
    """Options of `watchdog`; see `Watchdog`."""

    silence_s: Annotated[float, Option(quantity("s", "15 s"), "silence")]
    raises: Annotated[str, Option(route_key, "raise")] = ""
    expect_first: Annotated[bool, Option(flag)] = False
    counts: Annotated[Counts, Option(word(Counts))] = Counts.USABLE


@dataclass(frozen=True, slots=True)
class StageKind:
    """One row of the table: the options a stage takes and how it is built from them."""

    options: type
    build: Callable[[Any], Stage]


def stage(name: str, /, **options: Any) -> Stage:
    """Return a new stage, named as in a configuration file, with its options as written there.

    Raises:
        StageError: an unknown stage or option, or a value that cannot be.
    """
    return build(name, options)


def build(name: str, options: Mapping[str, Any]) -> Stage:
    """Return a new stage; for option names that Python keeps for itself, such as `raise`.

    Raises:
        StageError: an unknown stage or option, or a value that cannot be.
    """
    kind = STAGES.get(name)
    if kind is None:
        known = ", ".join(STAGES)
        raise StageError(
            name, f"unknown stage, expected one of {known}{did_you_mean(name, STAGES)}"
        )
    return kind.build(read(kind.options, name, options))


def through(rows: Iterable[Any]) -> tuple[Stage, ...]:
    """Return the stages of a `through` list, each row a table of one stage with its options.

    Raises:
        StageError: as `stage`; the path begins with the row, `through[1].capacitor.keep`.
    """
    return tuple(_row(i, row) for i, row in enumerate(rows))


def _row(i: int, row: Any) -> Stage:
    if not isinstance(row, Mapping) or len(row) != 1:
        raise StageError(
            f"through[{i}]",
            f"found {short(row)}, expected one stage with its options, "
            "such as { capacitor = { keep = 10 } }",
        )
    ((name, options),) = row.items()
    if not isinstance(options, Mapping):
        raise StageError(
            f"through[{i}].{name}", f"found {short(options)}, expected a table of options"
        )
    try:
        return build(name, options)
    except StageError as error:
        raise StageError(f"through[{i}].{error.path}", error.text) from None


def _capacitor(options: CapacitorOptions) -> Stage:
    return Capacitor(options.keep, options.overflow, options.demand, options.timeout_s)


def _resistor(options: ResistorOptions) -> Stage:
    laws: dict[str, Callable[[], Law]] = {}
    if options.at_most is not None:
        many, span = options.at_most
        laws["at_most"] = lambda: Throttle(many, span, strict=options.strict)
    if options.gate:
        laws["gate"] = lambda: Gate(options.gate)
    if options.deadband is not None:
        width = options.deadband
        laws["deadband"] = lambda: Deadband(width)
    if options.deadband_percent:
        laws["deadband_percent"] = lambda: Deadband(percent=options.deadband_percent)
    if options.changes:
        laws["changes"] = Deadband
    if len(laws) > 1:
        raise StageError(
            "resistor", f"found {' and '.join(laws)}; write one resistor for each, in order"
        )
    if options.strict and "at_most" not in laws:
        raise StageError("resistor.strict", "found without at_most, which it belongs to")
    if not laws:
        known = "at_most, gate, deadband, deadband_percent, changes"
        raise StageError("resistor", f"found no law, expected one of {known}")
    (law,) = laws.values()
    return Resistor(law())


def _watchdog(options: WatchdogOptions) -> Stage:
    return Watchdog(
        options.silence_s,
        options.raises,
        expect_first=options.expect_first,
        counts=options.counts,
    )


STAGES: Final[Mapping[str, StageKind]] = {
    "capacitor": StageKind(CapacitorOptions, _capacitor),
    "resistor": StageKind(ResistorOptions, _resistor),
    "watchdog": StageKind(WatchdogOptions, _watchdog),
}
