"""Consoles: text for whoever stands before the machine, on its screen and its serial line."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

from leyden.appliance.card.places import Card

_SCREEN: Final = "tty1"  # the first screen: HDMI on a Raspberry Pi
# Never wait for a reader, as a serial line with flow control may never have one.
_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC


def show(card: Card, text: str) -> int:
    """Write text on every console there is; return on how many.

    Nobody may be there to read it, so a console that does not take it is no error.
    """
    data = text.replace("\n", "\r\n").encode("utf-8", "replace")
    return sum(_write(card.root / "dev" / name, data) for name in _names(card))


def _names(card: Card) -> list[str]:
    try:
        active = (card.root / "sys/class/tty/console/active").read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        active = ""
    return list(dict.fromkeys([_SCREEN, *active.split()]))


def _write(path: Path, data: bytes) -> bool:
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError:
        return False
    try:
        with contextlib.suppress(OSError):
            os.write(descriptor, data)
    finally:
        os.close(descriptor)
    return True
