"""The boot loader's variables: in which order it tries the slots, and how often.

U-Boot and Linux share a stretch of 8192 bytes: a CRC-32, `name=value` texts that each end in NUL,
an empty one at the end (U-Boot, include/env_internal.h, without the redundancy flag). A second
stretch is a copy that only Linux writes, after the first one is on the card; the boot script falls
back to it. Names and meaning of the counters are those of RAUC's U-Boot back end.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from leyden.storage.raw import RawArea

ENVIRONMENT_BYTES: Final = 8192
TRIES: Final = 3
ORDER: Final = "BOOT_ORDER"
_CRC_BYTES: Final = 4
_NAME: Final = re.compile(r"[^=\0\n]+")


def tries_name(slot: str) -> str:
    """Return the variable that counts the starts a slot still has."""
    return f"BOOT_{slot}_LEFT"


@dataclass(frozen=True)
class Environment:
    """Variables of the boot loader; a change is a new one. Unknown variables are kept."""

    variables: Mapping[str, str]

    @property
    def order(self) -> tuple[str, ...]:
        """The slots in the order in which they are tried."""
        return tuple(self.variables.get(ORDER, "A B").split())

    def tries(self, slot: str) -> int:
        """How many starts the slot still has; a slot that has none is passed over."""
        text = self.variables.get(tries_name(slot), "")
        try:
            return int(text, 16)  # RAUC writes and reads it so
        except ValueError:
            return 0

    @property
    def next(self) -> str | None:
        """The slot that is started next; None when all have used up their starts."""
        return next((slot for slot in self.order if self.tries(slot) > 0), None)

    def booting(self, *order: str) -> Environment:
        """Return variables with which the slots are tried in this order, each three times.

        A slot that is not named has no starts left and is not tried at all.
        """
        changed = dict(self.variables)
        for slot in {*self.order, *order, "A", "B"}:
            changed[tries_name(slot)] = f"{TRIES if slot in order else 0:x}"
        changed[ORDER] = " ".join(order)
        return Environment(changed)


DEFAULTS: Final = Environment({ORDER: "A B", tries_name("A"): "3", tries_name("B"): "3"})


def encode(environment: Environment) -> bytes:
    """Return the bytes of one stretch.

    Raises:
        ValueError: a variable cannot be written, or all are too many.
    """
    data = b"".join(_texts(environment.variables.items())) + b"\0"
    room = ENVIRONMENT_BYTES - _CRC_BYTES
    if len(data) > room:
        raise ValueError(f"found {len(data)} bytes of boot variables, expected at most {room}")
    data = data.ljust(room, b"\0")
    return zlib.crc32(data).to_bytes(_CRC_BYTES, "little") + data


def _texts(variables: Iterable[tuple[str, str]]) -> Iterable[bytes]:
    for name, value in variables:
        if not _NAME.fullmatch(name) or "\0" in value:
            raise ValueError(f"found {name!r}={value!r}, which is no boot variable")
        yield f"{name}={value}".encode("utf-8", "surrogateescape") + b"\0"


def decode(block: bytes) -> Environment:
    """Return the variables in one stretch.

    Raises:
        ValueError: its checksum does not fit: torn, damaged or never written.
    """
    crc, data = block[:_CRC_BYTES], block[_CRC_BYTES:ENVIRONMENT_BYTES]
    if zlib.crc32(data).to_bytes(_CRC_BYTES, "little") != crc:
        raise ValueError("its checksum does not fit")
    variables: dict[str, str] = {}
    for text in data.split(b"\0"):
        if not text:
            break
        name, _, value = text.decode("utf-8", "surrogateescape").partition("=")
        variables[name] = value
    return Environment(variables)


@dataclass(frozen=True, slots=True)
class FoundEnvironment:
    """What the boot loader goes by, where it stands, and what was wrong with the other place."""

    environment: Environment
    source: str  # primary | backup | defaults
    problems: tuple[str, ...]


class EnvironmentStore:
    """Both stretches on the card."""

    def __init__(self, primary: RawArea, backup: RawArea) -> None:
        self._areas = {"primary": primary, "backup": backup}

    def read(self) -> FoundEnvironment:
        """Return what the boot script would go by; raise nothing."""
        problems: list[str] = []
        for source, area in self._areas.items():
            try:
                return FoundEnvironment(decode(area.read()), source, tuple(problems))
            except (OSError, ValueError) as error:
                problems.append(f"the {source} boot variables: {error}")
        return FoundEnvironment(DEFAULTS, "defaults", tuple(problems))

    def write(self, environment: Environment) -> None:
        """Write the first stretch and, when it is on the card, the second; spares equal ones.

        Raises:
            OSError: the card refused; at least one stretch is whole.
        """
        for area in self._areas.values():
            self._write_one(area, encode(environment))

    def _write_one(self, area: RawArea, block: bytes) -> None:
        if area.read() != block:
            area.write(block)
