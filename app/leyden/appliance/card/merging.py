"""Merging: what is wished for, put into the settings there are.

What a preseed does not mention stays as it was. A network that is named again without its password,
which was wiped from the file the first time, keeps it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from leyden.appliance.card.judging import Complaint
from leyden.appliance.card.record import Settings, Static, Wifi
from leyden.appliance.card.wishes import PUBLIC, NetworkTable, WifiTable, Wishes
from leyden.panel.claim import new_code

_NO_KEY: Final = (
    "a network without a password; expected password, psk, or open = true for one that has none"
)


def merged(
    settings: Settings, wishes: Wishes, complaints: Sequence[Complaint], *, file: str
) -> tuple[Settings, list[Complaint]]:
    """Return the settings after the wishes, and which of them could not be met.

    Args:
        settings: as they were.
        wishes: already judged, each for itself.
        complaints: about wishes that were left out; what only follows from one is not told.
        file: where they were found.
    """
    changes: dict[str, Any] = {"wifi": _wifi(settings.wifi, wishes.wifi)}
    if wishes.hostname is not None:
        changes["hostname"] = wishes.hostname
    if wishes.timezone is not None:
        changes["timezone"] = wishes.timezone
    if wishes.ssh.authorized_keys is not None:
        changes["authorized_keys"] = tuple(dict.fromkeys(wishes.ssh.authorized_keys))
    if wishes.network.address is not None:
        changes["static"] = _static(wishes.network)
    elif wishes.network.dhcp:
        changes["static"] = None
    new = msgspec.structs.replace(settings, **changes)
    more = []
    if wishes.wifi.ssid is not None and not new.wifi.keyed and not _about_its_key(complaints):
        more.append(Complaint(file, _NO_KEY, ("wifi", "password")))
    return new, more


def _static(network: NetworkTable) -> Static:
    return Static(
        str(network.address),
        str(network.gateway or ""),
        tuple(str(each) for each in network.dns or ()),
        network.interface or "wired",
    )


def _wifi(old: Wifi, wished: WifiTable) -> Wifi:
    changes: dict[str, Any] = {
        name: value
        for name, value in wished.model_dump(exclude_none=True).items()
        if name not in ("password", "psk", "open")
    }
    keyed = wished.password is not None or wished.psk is not None or wished.open is True
    # A password whose network's name was left out waits for the name.
    another = bool(old.ssid) and wished.ssid is not None and wished.ssid != old.ssid
    if keyed or another:
        changes["password"] = wished.password or ""
        changes["psk"] = wished.psk or ""
        changes["open"] = bool(wished.open)
    new = msgspec.structs.replace(old, **changes)
    if new.ssid and new.access_point and not new.access_point_password:
        new = msgspec.structs.replace(new, access_point_password=new_code())
    return new


def _about_its_key(complaints: Sequence[Complaint]) -> bool:
    return any(
        each.path[:1] == ("wifi",) and each.path[1:] and each.path[1] not in PUBLIC["wifi"]
        for each in complaints
    )
