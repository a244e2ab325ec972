"""Configuration: reads an appliance's TOML file and turns it into a `Plan`, or says what is wrong.

Everything a file can get wrong is found here, before anything starts, and reported as
`file: key.path: what was found, what was expected, did you mean …`.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, to_json

from leyden.appliance.placing import place_buses, place_devices
from leyden.appliance.plan import LogPlan, Plan
from leyden.appliance.tables import File, keys, table_at
from leyden.appliance.wiring import wire_routes
from leyden.appliance.words import Complaints, ConfigError, sentence, unknown_key

__all__ = ["ConfigError", "load"]

_LONGEST: Final = 1 << 20  # bytes; no configuration is longer, but a device file has no end


def load(path: Path, *, mock: bool = False) -> Plan:
    """Read and judge a configuration file.

    Raises:
        ConfigError: the file cannot be read, is no TOML, or does not describe an appliance.
    """
    complaints = Complaints(str(path))
    file = _parse(_read(path), complaints)
    if file is None:
        raise ConfigError(complaints.lines)
    buses = place_buses(file.bus, complaints)
    placed = place_devices(file.device, file.bus, complaints)
    routes = wire_routes(file.route, placed, complaints)
    if complaints.lines:
        raise ConfigError(complaints.lines)
    return Plan(
        name=file.appliance.name,
        label=file.appliance.label or file.appliance.name,
        buses=buses,
        devices=tuple(each.plan for each in placed.values()),
        routes=routes,
        log=LogPlan(int(file.log.limit)),
        hosts=file.panel.hosts,
        world=file.world,
        folder=str(path.resolve().parent),
        mock=mock,
    )


# The file as a whole


def _read(path: Path) -> str:
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise ConfigError([f"{path}: is a pipe or a device, expected a file"])
    try:
        with path.open("rb") as file:
            data = file.read(_LONGEST + 1)
    except FileNotFoundError:
        raise ConfigError([f"{path}: no such file{_nearby(path)}"]) from None
    except IsADirectoryError:
        inside = ", ".join(sorted(str(each) for each in path.glob("*.toml"))[:5])
        hint = f"; did you mean {inside}?" if inside else ""
        raise ConfigError([f"{path}: is a folder, expected a file{hint}"]) from None
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from error
    if len(data) > _LONGEST:
        raise ConfigError([f"{path}: is longer than 1 MiB, which no configuration is"])
    try:
        return data.decode("utf-8-sig")  # some editors begin a file with a byte order mark
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError([f"{path}: line {line} is not UTF-8; save the file as UTF-8"]) from None


def _nearby(path: Path) -> str:
    if not path.parent.is_dir():
        return f"; {path.parent} is no folder"
    near = difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*.toml")], n=1)
    return f'; did you mean "{path.parent / near[0]}"?' if near else ""


def _parse(text: str, complaints: Complaints) -> File | None:
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        complaints.add((), f"is no TOML: {error}")
        return None
    except RecursionError:
        complaints.add((), "is nested too deeply")
        return None
    try:
        # By way of JSON, because there a strict reader still takes a list for a tuple.
        return File.model_validate_json(to_json(table), strict=True)
    except PydanticSerializationError:  # a long dotted key nests without a single bracket
        complaints.add((), "is nested too deeply")
    except ValidationError as error:
        for each in error.errors(include_url=False):
            complaints.add(_clean(each["loc"]), _words(each))
    return None


def _clean(place: Iterable[int | str]) -> list[str]:
    # pydantic marks the key of a mapping as "[key]"; people know it by its name.
    return [str(part) for part in place if part != "[key]"]


def _words(error: Any) -> str:
    place = error["loc"]
    if error["type"] == "extra_forbidden":
        table = table_at(place[:-1])
        return unknown_key(str(place[-1]), keys(table)) if table else "unknown key"
    if error["type"] == "missing":
        return f"missing; add it{_MISSING_HINTS.get(str(place[-1]), '')}"
    return sentence(error)


_MISSING_HINTS: Final = {
    "appliance": ': [appliance] with name = "greenhouse"',
    "name": ': name = "greenhouse"',
    "driver": ': driver = "host", for one',
    "kind": ': kind = "i2c", "spi", "uart" or "gpio"',
    "from": ': from = "air.temperature", for one',
}
