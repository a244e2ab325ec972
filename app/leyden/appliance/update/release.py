"""Which release something is, and which of two releases is the older one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import msgspec

from leyden.appliance.update.errors import NoCardError

_NUMBERS: Final = re.compile(r"(\d+(?:\.\d+)*)(.*)")
_EARLY: Final = re.compile(r"[._-]?(dev|alpha|a|beta|b|pre|rc)[._-]?(\d*)")
_RANKS: Final = {"dev": 0, "alpha": 1, "a": 1, "beta": 2, "b": 2, "pre": 3, "rc": 3}
_FINISHED: Final = (9, 0)


class Release(msgspec.Struct, frozen=True):
    """A release of the image, as `release.json`, `slot.json` and a bundle's manifest tell it."""

    version: str
    commit: str = ""
    epoch: int = 0  # s since 1970, when its sources were committed
    compatible: str = ""  # what bundles for this machine are made for
    boards: tuple[str, ...] = ()  # `compatible` strings of device trees

    def older_than(self, other: Release) -> bool:
        """Whether this comes before `other`: by version, and by date where versions are equal."""
        return (order(self.version), self.epoch) < (order(other.version), other.epoch)


def order(version: str) -> tuple[tuple[int, ...], tuple[int, int]]:
    """Return what versions are compared by; "0.2.0rc1" comes before "0.2.0", as in PEP 440.

    What follows a "+" says how something was built and not how old it is; of a text that is no
    version nothing is known, so that it comes before everything.
    """
    found = _NUMBERS.match(version)
    if found is None:
        return (), (0, 0)
    numbers = [int(part) for part in found[1].split(".")]
    while numbers and numbers[-1] == 0:  # 1.0 and 1.0.0 are one version
        numbers.pop()
    return tuple(numbers), _stage(found[2].partition("+")[0])


def _stage(suffix: str) -> tuple[int, int]:
    early = _EARLY.match(suffix)
    if early is None:
        return _FINISHED
    return _RANKS[early[1]], int(early[2] or 0)


def read_release(path: Path) -> Release:
    """Return the release that a file describes.

    Raises:
        NoCardError: there is no such file, or it is damaged.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Release)
    except FileNotFoundError as error:
        raise NoCardError(
            f"this machine does not run from a Leyden card: found no {path}; "
            "updates are installed on the appliance itself"
        ) from error
    except (OSError, msgspec.MsgspecError) as error:
        raise NoCardError(f"{path} cannot be used: {error}; flash the card anew") from error
