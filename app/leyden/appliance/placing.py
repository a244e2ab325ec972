"""Placing: which bus each device hangs on, with which options, and whether that can be."""

from __future__ import annotations

import dataclasses
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from leyden.appliance import drivers
from leyden.appliance.options import OptionError, read_options
from leyden.appliance.plan import BusPlan, DevicePlan
from leyden.appliance.tables import NAME, BusTable, DeviceTable, keys
from leyden.appliance.words import Complaints, circle_words, near, one_of, shown
from leyden.hal.conflicts import Claim, claims_of, conflicts
from leyden.hal.i2c import address_fault
from leyden.kernel import RESERVED, Channel, LeydenError
from leyden.units import UnitError, parse

_DEFAULT_PATHS: Final = {
    "i2c": "/dev/i2c-1",
    "spi": "/dev/spidev0",
    "uart": "/dev/serial0",
    "gpio": "header",
}
_SPEED_UNITS: Final = {"i2c": "Hz", "uart": "Bd"}
# Which option of a device takes its place on a bus of that kind.
_PLACES: Final = {"i2c": "address", "spi": "chip_select", "uart": "bus", "gpio": "lines"}
_TAKEN: Final = RESERVED | {"flow"}  # first words of routes that are not a device's


@dataclass(frozen=True, slots=True)
class Placed:
    """A device in its place; without channels where something is wrong with it."""

    plan: DevicePlan
    channels: tuple[Channel, ...] = ()
    sound: bool = True


# Buses


def place_buses(tables: Mapping[str, BusTable], complaints: Complaints) -> tuple[BusPlan, ...]:
    """Return the plan of each bus, complaining about what cannot be."""
    plans = tuple(_bus(name, table, complaints) for name, table in tables.items())
    owners: dict[tuple[str, str], str] = {}
    for plan in plans:
        owner = owners.setdefault((plan.kind, plan.path), plan.name)
        if owner != plan.name:
            complaints.add(
                ("bus", plan.name),
                f'is {plan.path}, which "{owner}" is already; put its devices on "{owner}"',
            )
    return plans


def _bus(name: str, table: BusTable, complaints: Complaints) -> BusPlan:
    gpio = table.kind == "gpio"
    if gpio and table.path:
        complaints.add(
            ("bus", name, "path"),
            f'found "{table.path}"; a GPIO chip is named by its label: chip = "pinctrl-rp1"',
        )
    if not gpio and table.chip:
        complaints.add(("bus", name, "chip"), "only a bus of kind gpio has a chip")
    if table.kind == "spi" and (match := re.fullmatch(r"(/dev/spidev\d+)\.\d+", table.path)):
        complaints.add(
            ("bus", name, "path"),
            f'found "{table.path}", expected the bus alone, "{match[1]}"; '
            "the chip select is the device's: chip_select = 0",
        )
    path = table.chip if gpio else table.path
    return BusPlan(
        name, table.kind, path or _DEFAULT_PATHS[table.kind], _speed(name, table, complaints)
    )


def _speed(name: str, table: BusTable, complaints: Complaints) -> float | None:
    if not table.speed:
        return None
    place = ("bus", name, "speed")
    code = _SPEED_UNITS.get(table.kind)
    if code is None:
        complaints.add(
            place, f"a bus of kind {table.kind} has no speed of its own; remove the line"
        )
        return None
    try:
        speed = parse(table.speed, code)
    except UnitError as error:
        complaints.add(place, str(error))
        return None
    if not speed >= 1:
        complaints.add(place, f'found "{table.speed}", expected 1 {code} or more')
    return speed


# Devices


def place_devices(
    tables: Mapping[str, DeviceTable], buses: Mapping[str, BusTable], complaints: Complaints
) -> dict[str, Placed]:
    """Return each device in its place, complaining about what cannot be."""
    judge = _Judge(buses, complaints)
    placed = {id: judge.device(id, table) for id, table in tables.items()}
    _refuse_clashes(judge.claims, buses, complaints)
    _refuse_needs(tables, complaints)
    return placed


class _Judge:
    """Judges devices one by one and gathers what they claim."""

    def __init__(self, buses: Mapping[str, BusTable], complaints: Complaints) -> None:
        self.claims: list[Claim] = []
        self._buses = buses
        self._complaints = complaints

    def device(self, id: str, table: DeviceTable) -> Placed:
        """Judge one device."""
        if id in _TAKEN:
            self._complain(id, text=f'"{id}" is a word of the system; choose another name')
            return Placed(_plan(id, table, None), sound=False)
        driver = self._driver(id, table)
        options: Any = None
        channels: tuple[Channel, ...] | None = None
        if driver is not None:
            self._fits(id, table, driver)
            options = self._options(id, table, driver)
        if driver is not None and options is not None:
            self.claims += claims_of(id, table.bus, driver.bus_kind, options)
            channels = self._channels(id, driver, options)
        plan = _plan(id, table, options)
        if channels is None:
            return Placed(plan, sound=False)
        known = {channel.name: channel for channel in channels}
        self._known(id, "labels", table.labels, known)
        bands = self._bands(id, table.normal, known)
        return Placed(msgspec.structs.replace(plan, normal=bands), channels)

    def _complain(self, id: str, *path: str, text: str) -> None:
        self._complaints.add(("device", id, *path), text)

    def _driver(self, id: str, table: DeviceTable) -> drivers.Driver | None:
        known = drivers.names()
        try:
            return drivers.load(table.driver)
        except drivers.UnknownDriverError:
            text = f'found "{table.driver}", expected {one_of(known)}{near(table.driver, known)}'
            self._complain(id, "driver", text=text)
        except LeydenError as error:
            self._complain(id, "driver", text=str(error))
        return None

    def _fits(self, id: str, table: DeviceTable, driver: drivers.Driver) -> None:
        kind, found = driver.bus_kind, self._buses.get(table.bus)
        fitting = [name for name, bus in self._buses.items() if bus.kind == kind]
        if kind == "none":
            text = f"{driver.name} needs no bus; remove the line" if table.bus else ""
        elif not table.bus:
            hint = f'such as "{fitting[0]}"' if fitting else f"and there is none: add [bus.{kind}0]"
            text = f"missing; {driver.name} needs a bus of kind {kind}, {hint}"
        elif found is None:
            text = (
                f'found "{table.bus}", expected a bus of this file: '
                f"{one_of(self._buses)}{near(table.bus, self._buses)}"
            )
        elif found.kind != kind:
            hint = f'; did you mean "{fitting[0]}"?' if fitting else ""
            text = f'found "{table.bus}", which is {found.kind}; {driver.name} needs {kind}{hint}'
        else:
            return
        if text:
            self._complain(id, "bus", text=text)

    def _options(self, id: str, table: DeviceTable, driver: drivers.Driver) -> Any | None:
        own = table.model_extra or {}
        address = own.get("address")
        if driver.bus_kind == "i2c" and type(address) is int and (flaw := address_fault(address)):
            self._complain(id, "address", text=flaw)
            return None
        try:
            return read_options(driver.options, own, placement=keys(DeviceTable))
        except OptionError as error:
            for path, text in error.problems:
                self._complain(id, *path, text=text)
        return None

    def _channels(
        self, id: str, driver: drivers.Driver, options: Any
    ) -> tuple[Channel, ...] | None:
        try:
            channels = driver.make(None, options).channels()
        except LeydenError as error:
            self._complain(id, text=str(error))
            return None
        except Exception as error:  # noqa: BLE001 - a driver is anybody's code, and is named here
            text = f"driver {driver.name} cannot be made: {type(error).__name__}: {error}"
            self._complain(id, text=text)
            return None
        wrong = [each.name for each in channels if not re.fullmatch(NAME, each.name)]
        if wrong:
            text = f"found {shown(wrong[0])} as a channel, expected a-z 0-9 _ after a letter"
            self._complain(id, text=text)
            return None
        return channels

    def _known(
        self, id: str, key: str, names: Iterable[str], known: Mapping[str, Channel]
    ) -> list[str]:
        for name in (each for each in names if each not in known):
            text = f'no channel "{name}", expected {one_of(known)}{near(name, known)}'
            self._complain(id, key, name, text=text)
        return [name for name in names if name in known]

    def _bands(
        self, id: str, normal: Mapping[str, Any], known: Mapping[str, Channel]
    ) -> dict[str, tuple[float, float]]:
        bands: dict[str, tuple[float, float]] = {}
        for name in self._known(id, "normal", normal, known):
            try:
                bands[name] = _band(normal[name], known[name])
            except ValueError as error:
                self._complain(id, "normal", name, text=str(error))
        return bands


def _plan(id: str, table: DeviceTable, options: Any) -> DevicePlan:
    return DevicePlan(
        id=id,
        driver=table.driver,
        bus=table.bus,
        period_s=table.every,
        check_s=max(table.check_every, table.every),
        if_absent=str(table.if_absent),
        label=table.label or id.replace("_", " ").capitalize(),
        group=table.group,
        needs=table.needs,
        labels=table.labels,
        options={} if options is None else msgspec.to_builtins(dataclasses.asdict(options)),
    )


def _band(pair: Any, channel: Channel) -> tuple[float, float]:
    """Return a normal range in the unit of its channel; raise ValueError in words."""
    if channel.kind not in (float, int):
        kind = "true or false" if channel.kind is bool else "text"
        raise ValueError(f"{channel.name} is {kind}, which has no normal range; remove it")
    if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(e, str) for e in pair):
        raise ValueError(
            f"found {shown(pair)}, expected two quantities in quotes, the lower one first"
        )
    low, high = (_amount(end, channel.unit) for end in pair)
    if not low < high:
        raise ValueError(f"found {pair[0]} to {pair[1]}, expected the lower one first")
    return low, high


def _amount(text: str, code: str) -> float:
    # A bare number is fine where the channel has no unit worth writing.
    if code in ("1", "{count}"):
        try:
            return float(text)
        except ValueError:
            pass
    return parse(text, code)


def _refuse_clashes(
    claims: Iterable[Claim], buses: Mapping[str, BusTable], complaints: Complaints
) -> None:
    """Complain about each place that two devices want, at the device that came later."""
    wanted: dict[tuple[str, str], list[Claim]] = defaultdict(list)
    for claim in claims:
        if claim.bus in buses:
            wanted[claim.bus, claim.place].append(claim)
    for (bus, _), rivals in wanted.items():
        for clash in conflicts(rivals):
            key = _PLACES[buses[bus].kind]
            complaints.add(("device", rivals[-1].device, key), clash)


def _refuse_needs(tables: Mapping[str, DeviceTable], complaints: Complaints) -> None:
    needs = {id: [need for need in table.needs if need in tables] for id, table in tables.items()}
    for id, table in tables.items():
        place = ("device", id, "needs")
        others = [other for other in tables if other != id]
        for need in (each for each in table.needs if each not in tables):
            known = f"another device of this file: {one_of(others)}" if others else "none"
            complaints.add(place, f'found "{need}", expected {known}{near(need, others)}')
        circle = _circle_from(id, needs)
        if circle and id == min(circle):  # each circle is told of once
            complaints.add(place, circle_words(circle, "needs", "need"))


def _circle_from(start: str, follows: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the shortest way from `start` back to itself; empty where there is none."""
    ways = [[start]]
    seen: set[str] = set()
    for way in ways:  # grows while it is walked: breadth first
        for step in follows.get(way[-1], ()):
            if step == start:
                return [*way, start]
            if step not in seen:
                seen.add(step)
                ways.append([*way, step])
    return []
