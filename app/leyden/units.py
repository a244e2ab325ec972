"""Units: UCUM codes for storage, symbols for people, and quantities written as text.

Public names: `Unit`, `UNITS`, `unit`, `parse`, `parse_difference`, `convert`, `UnitError`, and one
`NewType` of float for each quantity a driver returns (`Celsius`, `Volt`, …), so that a type checker
refuses a pressure where a temperature goes while nothing is paid at run time.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass
from typing import NewType

Celsius = NewType("Celsius", float)
RelativeHumidity = NewType("RelativeHumidity", float)  # percent
Pascal = NewType("Pascal", float)
Volt = NewType("Volt", float)
Ampere = NewType("Ampere", float)
Watt = NewType("Watt", float)
Lux = NewType("Lux", float)
Hertz = NewType("Hertz", float)
Seconds = NewType("Seconds", float)
Percent = NewType("Percent", float)
Ratio = NewType("Ratio", float)
Byte = NewType("Byte", float)
MicrogramPerCubicMetre = NewType("MicrogramPerCubicMetre", float)


class UnitError(ValueError):
    """A unit or quantity that Leyden does not know, with the nearest one it does."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit: value in base units = value * scale + offset."""

    code: str  # UCUM, the only form that is stored
    symbol: str  # what people read
    quantity: str  # the dimension; only equal quantities convert
    scale: float = 1.0
    offset: float = 0.0


def _table(*rows: Unit) -> dict[str, Unit]:
    return {row.code: row for row in rows}


# Scales are exact by definition (SI brochure, 9th edition, and UCUM 2.2).
UNITS = _table(
    Unit("1", "", "ratio"),
    Unit("%", "%", "ratio", 0.01),
    Unit("[ppm]", "ppm", "ratio", 1e-6),
    Unit("Cel", "°C", "temperature", 1.0, 273.15),
    Unit("K", "K", "temperature"),
    Unit("[degF]", "°F", "temperature", 5 / 9, 459.67 * 5 / 9),
    Unit("Pa", "Pa", "pressure"),
    Unit("hPa", "hPa", "pressure", 100.0),
    Unit("kPa", "kPa", "pressure", 1000.0),
    Unit("mbar", "mbar", "pressure", 100.0),
    Unit("bar", "bar", "pressure", 100_000.0),
    Unit("V", "V", "voltage"),
    Unit("mV", "mV", "voltage", 1e-3),
    Unit("uV", "µV", "voltage", 1e-6),
    Unit("A", "A", "current"),
    Unit("mA", "mA", "current", 1e-3),
    Unit("uA", "µA", "current", 1e-6),
    Unit("W", "W", "power"),
    Unit("mW", "mW", "power", 1e-3),
    Unit("kW", "kW", "power", 1e3),
    Unit("Ohm", "Ω", "resistance"),
    Unit("kOhm", "kΩ", "resistance", 1e3),
    Unit("lx", "lx", "illuminance"),
    Unit("Hz", "Hz", "frequency"),
    Unit("kHz", "kHz", "frequency", 1e3),
    Unit("MHz", "MHz", "frequency", 1e6),
    Unit("Bd", "Bd", "symbol rate"),
    Unit("s", "s", "time"),
    Unit("ns", "ns", "time", 1e-9),
    Unit("us", "µs", "time", 1e-6),
    Unit("ms", "ms", "time", 1e-3),
    Unit("min", "min", "time", 60.0),
    Unit("h", "h", "time", 3600.0),
    Unit("d", "d", "time", 86_400.0),
    Unit("By", "B", "data"),
    Unit("kBy", "kB", "data", 1e3),
    Unit("MBy", "MB", "data", 1e6),
    Unit("GBy", "GB", "data", 1e9),
    Unit("KiBy", "KiB", "data", 1024.0),
    Unit("MiBy", "MiB", "data", 1024.0**2),
    Unit("GiBy", "GiB", "data", 1024.0**3),
    Unit("m", "m", "length"),
    Unit("cm", "cm", "length", 1e-2),
    Unit("mm", "mm", "length", 1e-3),
    Unit("g", "g", "mass"),
    Unit("kg", "kg", "mass", 1e3),
    Unit("l", "l", "volume"),
    Unit("l/min", "l/min", "volume flow"),
    Unit("ug/m3", "µg/m³", "mass concentration"),
    Unit("deg", "°", "angle"),
    Unit("{count}", "", "count"),
    Unit("{count}/dL", "/dl", "number concentration"),
)

# How people write a unit, where that is neither its code nor its symbol.
_SPELLINGS = {
    "C": "Cel",
    "°F": "[degF]",
    "F": "[degF]",
    "ppm": "[ppm]",
    "us": "us",
    "µs": "us",
    "μs": "us",
    "µV": "uV",
    "µA": "uA",
    "µg/m³": "ug/m3",
    "sec": "s",
    "second": "s",
    "seconds": "s",
    "minute": "min",
    "minutes": "min",
    "hour": "h",
    "hours": "h",
    "day": "d",
    "days": "d",
    "baud": "Bd",
    "Baud": "Bd",
    "B": "By",
    "°": "deg",
} | {row.symbol: row.code for row in UNITS.values() if row.symbol}

_QUANTITY = re.compile(r"\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*?)\s*")


def unit(text: str) -> Unit:
    """Return the unit that a code, symbol or common spelling names.

    Raises:
        UnitError: no such unit; the message offers the nearest spelling.
    """
    found = UNITS.get(text) or UNITS.get(_SPELLINGS.get(text, ""))
    if found is None:
        raise UnitError(f'unknown unit "{text}"{_suggest(text)}')
    return found


def parse(text: str, code: str) -> float:
    """Return the quantity in `text`, such as `"10 s"` or `"400 kHz"`, in the unit `code`.

    Raises:
        UnitError: no number, no unit, an unknown unit, or one of another quantity.
    """
    wanted = UNITS[code]
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise UnitError(
            f'found "{text}", expected a number and a unit such as "{_example(wanted)}"'
        )
    number, written = match.groups()
    if not written and code != "1":
        raise UnitError(f'found "{text}" without a unit, expected one such as "{_example(wanted)}"')
    value = convert(float(number), unit(written).code if written else "1", code)
    if not math.isfinite(value):
        raise UnitError(f'found "{text}", which is more than a number can hold')
    return value


def parse_difference(text: str, code: str) -> float:
    """Return the distance in `text`, such as `"0.5 K"` or `"1 °F"`, in the unit `code`.

    A distance has no zero point: 1 °F is 5/9 °C here, where `parse` would say -17.2 °C.

    Raises:
        UnitError: as `parse`.
    """
    parse(text, code)  # says what is wrong, if anything is
    match = _QUANTITY.fullmatch(text)
    number, written = match.groups() if match else ("nan", "")
    return float(number) * unit(written or code).scale / UNITS[code].scale


def convert(value: float, source: str, target: str) -> float:
    """Return `value`, given in the unit code `source`, in the unit code `target`.

    Raises:
        UnitError: the units measure different quantities.
    """
    if source == target:
        return value
    a, b = unit(source), unit(target)
    if a.quantity != b.quantity:
        raise UnitError(
            f'found {a.quantity} ("{a.symbol or a.code}"), expected {b.quantity} '
            f'such as "{_example(b)}"'
        )
    return (value * a.scale + a.offset - b.offset) / b.scale


def _example(row: Unit) -> str:
    return f"10 {row.symbol or row.code}" if row.code != "1" else "0.5"


def _suggest(text: str) -> str:
    near = difflib.get_close_matches(text, [*UNITS, *_SPELLINGS], n=1, cutoff=0.4)
    return f'; did you mean "{near[0]}"?' if near else ""
