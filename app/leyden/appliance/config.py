"""Configuration: reads an appliance's TOML file and turns it into a `Plan`, or says what is wrong.

Everything a file can get wrong is found here, before anything starts, and reported as
`file: key.path: what was found, what was expected, did you mean …`.
"""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from leyden.appliance import drivers
from leyden.appliance.options import OptionError, read_options, sentence, shown, unknown_key
from leyden.appliance.plan import BusPlan, DevicePlan, LogPlan, Plan, RoutePlan
from leyden.flow import FlowError, through
from leyden.hal.conflicts import Claim, claims_of, conflicts
from leyden.kernel import RESERVED, Channel, LeydenError
from leyden.units import UnitError, parse

_NAME: Final = r"^[a-z][a-z0-9_]{0,62}$"
_DEFAULT_PATHS: Final = {
    "i2c": "/dev/i2c-1",
    "spi": "/dev/spidev0",
    "uart": "/dev/serial0",
    "gpio": "header",
}


class ConfigError(LeydenError):
    """A configuration that cannot run; `problems` has one line for each thing wrong with it."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


def _reader(code: str) -> BeforeValidator:
    def read(value: Any) -> Any:
        if not isinstance(value, str):
            example = parse_example(code)
            raise ValueError(f"found {shown(value)}, expected text with a unit such as {example}")
        return parse(value, code)

    return BeforeValidator(read)


def parse_example(code: str) -> str:
    """Return a quantity as people write it, for messages."""
    return {"s": '"2 s"', "By": '"2 GB"'}.get(code, f'"10 {code}"')


Seconds = Annotated[float, _reader("s"), Field(gt=0, le=86_400)]
Bytes = Annotated[float, _reader("By"), Field(ge=1_000_000)]
Name = Annotated[str, Field(pattern=_NAME)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Appliance(_Table):
    name: Name
    label: str = ""


class _Bus(_Table):
    kind: Literal["i2c", "spi", "uart", "gpio"]
    path: str = ""
    chip: str = ""
    speed: str = ""


class IfAbsentWord(StrEnum):
    """What a device that is not there at boot means, as the configuration writes it."""

    RETRY = "retry"
    FAIL = "fail"
    IGNORE = "ignore"


class _Device(BaseModel):
    # Extra keys are the driver's own options and are judged by its OPTIONS.
    model_config = ConfigDict(extra="allow", frozen=True)
    driver: str
    bus: str = ""
    every: Seconds = 1.0
    check_every: Seconds = 10.0
    if_absent: IfAbsentWord = IfAbsentWord.RETRY
    label: str = ""
    group: str = ""
    needs: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    normal: dict[str, tuple[str, str]] = {}


class _Route(_Table):
    model_config = ConfigDict(extra="forbid", frozen=True)
    source: str = Field(alias="from")
    through: list[dict[str, Any]] = []
    label: str = ""
    group: str = ""


class _Log(_Table):
    limit: Bytes = 2_000_000_000


class _Panel(_Table):
    model_config = ConfigDict(extra="forbid", frozen=True)
    hosts: tuple[str, ...] = ()


class _File(_Table):
    model_config = ConfigDict(extra="forbid", frozen=True)
    appliance: _Appliance
    bus: dict[Name, _Bus] = {}
    device: dict[Name, _Device] = {}
    route: dict[Name, _Route] = {}
    log: _Log = _Log()
    panel: _Panel = _Panel()
    world: dict[str, Any] = {}


def load(path: Path, *, mock: bool = False) -> Plan:
    """Read and judge a configuration file.

    Raises:
        ConfigError: the file cannot be read, is no TOML, or does not describe an appliance.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise ConfigError([f"{path}: no such file{_nearby(path)}"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: cannot be read: {error}"]) from error
    return _Judge(path, mock).plan(text)


class _Judge:
    """Collects everything that is wrong with one file."""

    def __init__(self, path: Path, mock: bool) -> None:
        self._path = path
        self._mock = mock
        self._problems: list[str] = []

    def plan(self, text: str) -> Plan:
        """Return the plan, or raise all problems found."""
        file = self._parse(text)
        buses = tuple(self._bus(name, bus) for name, bus in file.bus.items())
        claims: list[Claim] = []
        channels: dict[str, tuple[Channel, ...]] = {}
        devices = tuple(
            self._device(id, device, file.bus, claims, channels)
            for id, device in file.device.items()
        )
        self._needs(file.device)
        for clash in conflicts(claims):
            self._complain(("device",), clash)
        routes = tuple(
            self._route(name, route, file.route, channels) for name, route in file.route.items()
        )
        for name in file.route.keys() & file.device.keys():
            self._complain(("route", name), f'there is a device "{name}" too; choose another name')
        self._raise_all()
        return Plan(
            name=file.appliance.name,
            label=file.appliance.label or file.appliance.name,
            buses=buses,
            devices=devices,
            routes=routes,
            log=LogPlan(int(file.log.limit)),
            hosts=file.panel.hosts,
            world=file.world,
            folder=str(self._path.resolve().parent),
            mock=self._mock,
        )

    # The file as a whole

    def _parse(self, text: str) -> _File:
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError([f"{self._path}: is no TOML: {error}"]) from error
        try:
            return _File.model_validate(table)
        except ValidationError as error:
            for each in error.errors(include_url=False):
                self._complain(_clean(each["loc"]), _words(each))
        self._raise_all()
        raise AssertionError("unreachable")  # a validation error always has a problem to tell

    def _complain(self, place: Iterable[str], text: str) -> None:
        self._problems.append(f"{self._path}: {'.'.join(place)}: {text}")

    def _raise_all(self) -> None:
        if self._problems:
            raise ConfigError(dict.fromkeys(self._problems))

    # Its parts

    def _bus(self, name: str, bus: _Bus) -> BusPlan:
        place = bus.chip if bus.kind == "gpio" else bus.path
        if bus.kind == "gpio" and bus.path:
            self._complain(
                ("bus", name, "path"),
                f'found "{bus.path}"; a GPIO chip is named by its label: chip = "pinctrl-rp1"',
            )
        if bus.kind != "gpio" and bus.chip:
            self._complain(("bus", name, "chip"), "only a bus of kind gpio has a chip")
        speed = None
        if bus.speed:
            try:
                speed = parse(bus.speed, "Bd" if bus.kind == "uart" else "Hz")
            except UnitError as error:
                self._complain(("bus", name, "speed"), str(error))
        return BusPlan(name, bus.kind, place or _DEFAULT_PATHS[bus.kind], speed)

    def _device(
        self,
        id: str,
        device: _Device,
        buses: Mapping[str, _Bus],
        claims: list[Claim],
        channels: dict[str, tuple[Channel, ...]],
    ) -> DevicePlan:
        if id in RESERVED:
            self._complain(("device", id), f'"{id}" is a word of the system; choose another name')
        driver = self._driver(id, device)
        options: dict[str, Any] = {}
        if driver is not None:
            self._fits(id, device, driver, buses)
            found = self._options(id, driver, device.model_extra or {})
            if found is not None:
                claims += claims_of(id, device.bus, driver.bus_kind, found)
                options = msgspec.to_builtins(dataclasses.asdict(found))
                channels[id] = self._channels(id, driver, found)
        known = {channel.name: channel for channel in channels.get(id, ())}
        if known:
            self._known_names(id, "labels", device.labels, known)
        return DevicePlan(
            id=id,
            driver=device.driver,
            bus=device.bus,
            period_s=device.every,
            check_s=max(device.check_every, device.every),
            if_absent=str(device.if_absent),
            label=device.label or id.replace("_", " ").capitalize(),
            group=device.group,
            needs=device.needs,
            labels=device.labels,
            normal=self._normal(id, device, known),
            options=options,
        )

    def _driver(self, id: str, device: _Device) -> drivers.Driver | None:
        try:
            return drivers.load(device.driver)
        except drivers.UnknownDriverError:
            self._complain(
                ("device", id, "driver"),
                f'found "{device.driver}", expected one of {", ".join(drivers.names())}'
                + _near(device.driver, drivers.names()),
            )
        except LeydenError as error:
            self._complain(("device", id, "driver"), str(error))
        return None

    def _fits(
        self, id: str, device: _Device, driver: drivers.Driver, buses: Mapping[str, _Bus]
    ) -> None:
        place = ("device", id, "bus")
        kind = driver.bus_kind
        if kind == "none":
            if device.bus:
                self._complain(place, f"{driver.name} needs no bus; remove the line")
            return
        fitting = [name for name, bus in buses.items() if bus.kind == kind]
        if not device.bus:
            hint = f'such as "{fitting[0]}"' if fitting else f"and there is none: add [bus.{kind}0]"
            self._complain(place, f"missing; {driver.name} needs a bus of kind {kind}, {hint}")
        elif device.bus not in buses:
            known = ", ".join(buses) or "none"
            self._complain(
                place,
                f'found "{device.bus}", expected one of the buses in this file: {known}'
                + _near(device.bus, buses),
            )
        elif buses[device.bus].kind != kind:
            found = buses[device.bus].kind
            hint = f'; did you mean "{fitting[0]}"?' if fitting else ""
            self._complain(
                place,
                f'found "{device.bus}", which is {found}; {driver.name} needs {kind}{hint}',
            )

    def _options(self, id: str, driver: drivers.Driver, table: Mapping[str, Any]) -> Any | None:
        try:
            return read_options(driver.options, table)
        except OptionError as error:
            text = error.text
            if len(error.path) == 1 and text.startswith("unknown key"):
                text = unknown_key(error.path[0], _device_keys(driver.options))
            self._complain(("device", id, *error.path), text)
        return None

    def _channels(self, id: str, driver: drivers.Driver, options: Any) -> tuple[Channel, ...]:
        try:
            return driver.device(None, options).channels()  # type: ignore[call-arg]  # by convention
        except LeydenError as error:
            self._complain(("device", id), str(error))
            return ()

    def _normal(
        self, id: str, device: _Device, known: Mapping[str, Channel]
    ) -> dict[str, tuple[float, float]]:
        if not known:
            return {}
        self._known_names(id, "normal", device.normal, known)
        bands: dict[str, tuple[float, float]] = {}
        for name, pair in device.normal.items():
            if name in known:
                band = self._band(("device", id, "normal", name), pair, known[name].unit)
                if band is not None:
                    bands[name] = band
        return bands

    def _band(
        self, place: tuple[str, ...], pair: tuple[str, str], code: str
    ) -> tuple[float, float] | None:
        try:
            low, high = (_quantity(text, code) for text in pair)
        except UnitError as error:
            self._complain(place, str(error))
            return None
        if low >= high:
            self._complain(place, f"found {pair[0]} to {pair[1]}, expected the lower end first")
            return None
        return low, high

    def _known_names(
        self, id: str, key: str, names: Iterable[str], known: Mapping[str, Channel]
    ) -> None:
        for name in names:
            if name not in known:
                self._complain(
                    ("device", id, key, name),
                    f'no channel "{name}", expected one of {", ".join(known)}' + _near(name, known),
                )

    def _needs(self, devices: Mapping[str, _Device]) -> None:
        for id, device in devices.items():
            for need in device.needs:
                if need not in devices or need == id:
                    self._complain(
                        ("device", id, "needs"),
                        f'found "{need}", expected another device of this file'
                        + _near(need, devices),
                    )

    def _route(
        self,
        name: str,
        route: _Route,
        routes: Mapping[str, _Route],
        channels: Mapping[str, tuple[Channel, ...]],
    ) -> RoutePlan:
        sources = [f"{id}.{ch.name}" for id, each in channels.items() for ch in each]
        known = [*sources, *(f"flow.{other}" for other in routes if other != name)]
        source = f"flow.{route.source}" if route.source in routes else route.source
        if source not in known and not (route.source.partition(".")[0] in channels and not sources):
            self._complain(
                ("route", name, "from"),
                f'no route or channel "{route.source}", expected one of {", ".join(known)}'
                + _near(route.source, known),
            )
        try:
            through(route.through)
        except FlowError as error:
            self._complain(("route", name), str(error))
        return RoutePlan(name, source, tuple(route.through), route.label, route.group)


def _device_keys(options: type) -> list[str]:
    own = [field.name for field in dataclasses.fields(options)]
    return [*_Device.model_fields, *own]


def _quantity(text: str, code: str) -> float:
    # A bare number is fine where the channel has no unit worth writing.
    if code in ("1", "{count}"):
        try:
            return float(text)
        except ValueError:
            pass
    return parse(text, code)


def _near(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f'; did you mean "{near[0]}"?' if near else ""


def _nearby(path: Path) -> str:
    if not path.parent.is_dir():
        return f"; {path.parent} is no folder"
    near = difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*.toml")], n=1)
    return f'; did you mean "{path.parent / near[0]}"?' if near else ""


def _clean(loc: Iterable[int | str]) -> list[str]:
    # pydantic marks the key of a mapping as "[key]"; people know it by its name.
    return [str(part) for part in loc if part != "[key]"]


def _words(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        model = _model_at(error["loc"][:-1])
        return unknown_key(str(error["loc"][-1]), _keys(model)) if model else "unknown key"
    if error["type"] == "missing":
        return f"missing; add it{_MISSING_HINTS.get(str(error['loc'][-1]), '')}"
    if error["type"] == "string_pattern_mismatch":
        return (
            f"found {shown(error['input'])}, expected a name of a-z 0-9 _ beginning with a letter"
        )
    return sentence(error)


_MISSING_HINTS: Final = {
    "appliance": ': [appliance] with name = "greenhouse"',
    "name": ': name = "greenhouse"',
    "driver": ': driver = "host", for one',
    "kind": ': kind = "i2c", "spi", "uart" or "gpio"',
    "from": ': from = "air.temperature", for one',
}


def _model_at(loc: tuple[int | str, ...]) -> type[BaseModel] | None:
    model: type[BaseModel] | None = _File
    for part in loc:
        if model is None:
            return None
        if part in model.model_fields:
            model = _inner_model(model.model_fields[str(part)])
    return model


def _inner_model(field: FieldInfo) -> type[BaseModel] | None:
    # `_Log`, or `dict[Name, _Bus]`: the model is the annotation or its last argument.
    annotation: Any = field.annotation
    candidates = [annotation, *getattr(annotation, "__args__", ())]
    return next(
        (each for each in candidates if isinstance(each, type) and issubclass(each, BaseModel)),
        None,
    )


def _keys(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]
