"""Steps of the tiers that only an EEPROM has: a record is stored, and is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from leyden.kernel import ChecksumError
from leyden_drivers.at24.driver import AT24

_TEXT: Final = (
    'greenhouse-carrier 0017 {"gain": 1.0025, "offset": -0.12, "µ": "two pages and more"}'
)


def stored(memory: AT24) -> Mapping[str, Any]:
    """Store a record over whatever is there, twice, and return what is read of it."""
    first = memory.store("overwritten at once")
    second = memory.store(_TEXT)
    reading = memory.read()
    if reading.revision != second or second != first + 1:
        raise ChecksumError(f"revision {reading.revision} is read, {second} was stored")
    return {"record": reading.record, "copies": reading.copies}


PREPARE: Final[Mapping[str, Callable[[AT24], Mapping[str, Any]]]] = {"stored": stored}
