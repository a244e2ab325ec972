"""Merging: what is wished for, put into the settings there are.

What a preseed does not mention stays as it was. A network that is named again without its password,
which was wiped from the file the first time, keeps it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from leyden.appliance.card.preseed import Complaint, WifiTable, Wishes
from leyden.appliance.card.record import Settings, Static, Wifi
from leyden.panel.claim import new_code


def merged(settings: Settings, wishes: Wishes, *, file: str) -> tuple[Settings, list[Complaint]]:
    """Return the settings after the wishes, and which of them could not be met.

    Args:
        settings: as they were.
        wishes: already judged, each for itself.
        file: where they were found, for complaints.
    """
    changes: dict[str, Any] = {}
    if wishes.hostname is not None:
        changes["hostname"] = wishes.hostname
    if wishes.timezone is not None:
        changes["timezone"] = wishes.timezone
    if wishes.ssh.authorized_keys is not None:
        changes["authorized_keys"] = tuple(dict.fromkeys(wishes.ssh.authorized_keys))
    network = wishes.network
    if network.address is not None:
        changes["static"] = Static(
            str(network.address),
            str(network.gateway or ""),
            tuple(str(each) for each in network.dns or ()),
            network.interface or "wired",
        )
    elif network.dhcp:
        changes["static"] = None
    changes["wifi"], complaints = _wifi(settings.wifi, wishes.wifi, file)
    return msgspec.structs.replace(settings, **changes), complaints


def _wifi(old: Wifi, wished: WifiTable, file: str) -> tuple[Wifi, list[Complaint]]:
    changes: dict[str, Any] = {
        name: value
        for name, value in wished.model_dump(exclude_none=True).items()
        if name not in ("password", "psk", "open")
    }
    keyed = wished.password is not None or wished.psk is not None or wished.open is True
    other = wished.ssid is not None and wished.ssid != old.ssid
    complaints = []
    if other and not keyed:
        words = (
            "a new network without a password; expected password, psk, or open = true for a "
            "network that has none"
        )
        complaints.append(Complaint(file, words, ("wifi", "password")))
    if keyed or other:
        changes["password"] = wished.password or ""
        changes["psk"] = wished.psk or ""
        changes["open"] = bool(wished.open)
    new = msgspec.structs.replace(old, **changes)
    if new.ssid and new.access_point and not new.access_point_password:
        new = msgspec.structs.replace(new, access_point_password=new_code())
    return new, complaints
