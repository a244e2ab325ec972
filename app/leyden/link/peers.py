"""Which other users may connect to the link, and with which highest role: `leyden-panel:admin`."""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Callable
from typing import Final

from leyden.kernel import LeydenError, Role

VARIABLE: Final = "LEYDEN_LINK_PEERS"
_SEPARATOR: Final = re.compile(r"[\s,]+")


class PeerError(LeydenError):
    """A user or a role that there is not; the others of the list count all the same."""


def uid_of(user: str) -> int:
    """Return the number of a user of this machine; a number stands for itself.

    Raises:
        PeerError: there is no such user.
    """
    if user.isascii() and user.isdigit():
        return int(user)
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        raise PeerError(f'found "{user}", which is no user of this machine') from None


def read_peers(
    text: str, report: Callable[[str], None], *, uid: Callable[[str], int] = uid_of
) -> dict[int, Role]:
    """Return the highest role of each user in a list such as `leyden-panel:admin, 1000:viewer`.

    An entry that makes no sense is reported and left out: who may connect is no reason for an
    appliance not to sample.

    Args:
        text: users by name or number, each with a role; separated by commas or spaces.
        report: takes one sentence for each entry that is left out.
        uid: finds the number of a user.
    """
    peers: dict[int, Role] = {}
    for entry in filter(None, _SEPARATOR.split(text)):
        try:
            user, role = _parts(entry)
            peers[uid(user)] = role
        except PeerError as error:
            report(f"{VARIABLE}: {error}; that entry is left out")
    return peers


def mode_for(peers: dict[int, Role]) -> int:
    """Return the permissions of the link's socket: its group may connect once there are peers.

    The file's group only lets them knock; what a peer may do, and whether it is let in at all, goes
    by the user that the kernel names.
    """
    others = set(peers) - {0, os.getuid()}
    return 0o660 if others else 0o600


def _parts(entry: str) -> tuple[str, Role]:
    user, _, word = entry.partition(":")
    try:
        return user, Role(word)
    except ValueError:
        roles = ", ".join(role.value for role in Role)
        raise PeerError(f'found "{entry}", expected USER:ROLE with one of {roles}') from None
