"""Where Debian's archives are: the public mirror, or the one that LEYDEN_DEBIAN_MIRROR names."""

from __future__ import annotations

import os
from typing import Final

VARIABLE: Final = "LEYDEN_DEBIAN_MIRROR"
DEFAULT: Final = "http://deb.debian.org/{archive}"
EXAMPLE: Final = "http://snapshot.debian.org/archive/{archive}/20261120T000000Z"


def is_chosen() -> bool:
    """Say whether the mirror was chosen by hand: a snapshot's lists are old on purpose."""
    return bool(os.environ.get(VARIABLE))


def archive_url(archive: str) -> str:
    """Return the address of `debian` or `debian-security`.

    The variable holds an address with `{archive}` where the archive's name belongs; without it the
    name is put at the end.
    """
    base = os.environ.get(VARIABLE, "") or DEFAULT
    if "{archive}" not in base:
        base = f"{base.rstrip('/')}/{{archive}}"
    return base.replace("{archive}", archive)
