"""Wishes: what a preseed can say about the system, as tables with the type of every key."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationInfo

from leyden.appliance.card import values
from leyden.panel.passwords import PasswordError, check_hash

ZONES: Final = "zones"  # key of the context: the folder of the time zones there are

# The tables of an appliance's configuration, which may stand in the same file.
APPLIANCE_TABLES: Final = ("appliance", "bus", "device", "route", "log", "world")
# What may be shown and may stay on the boot partition. Any other key of these two tables may hold
# a secret, the misspelt ones included.
PUBLIC: Final = {
    "wifi": ("ssid", "country", "hidden", "open", "enabled", "access_point"),
    "panel": ("hosts",),
}
# In any other place only the name can tell.
_SECRET_NAMES: Final = re.compile("pass|psk|secret|hash", re.IGNORECASE)


def _zone(value: Any, info: ValidationInfo) -> str:
    context: Mapping[str, Any] = info.context or {}
    return values.timezone(value, context[ZONES])


def _hash(value: Any) -> str:
    def check(text: str) -> None:
        try:
            check_hash(text)
        except PasswordError as error:
            raise ValueError(str(error)) from None

    return values.password_hash(value, check)


class Table(BaseModel):
    """A table that refuses keys it does not know; what is not written is None."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class WifiTable(Table):
    """`[wifi]`: the network to join."""

    enabled: bool | None = None
    ssid: Annotated[str | None, BeforeValidator(values.ssid)] = None
    password: Annotated[str | None, BeforeValidator(values.passphrase)] = None
    psk: Annotated[str | None, BeforeValidator(values.psk)] = None
    country: Annotated[str | None, BeforeValidator(values.country)] = None
    hidden: bool | None = None
    open: bool | None = None
    access_point: bool | None = None
    access_point_password: Annotated[str | None, BeforeValidator(values.passphrase)] = None


class NetworkTable(Table):
    """`[network]`: a fixed address."""

    dhcp: bool | None = None
    interface: Literal["wired", "wifi"] | None = None
    address: Annotated[Any, BeforeValidator(values.interface_address)] = None
    gateway: Annotated[Any, BeforeValidator(values.address)] = None
    dns: list[Annotated[Any, BeforeValidator(values.address)]] | None = None


class SshTable(Table):
    """`[ssh]`: who may log in; without a key nobody."""

    authorized_keys: list[Annotated[str, BeforeValidator(values.public_key)]] | None = None


class PanelTable(Table):
    """`[panel]`: how to get in without claiming."""

    password_hash: Annotated[str | None, BeforeValidator(_hash)] = None


class Wishes(Table):
    """Everything that a preseed can say about the system."""

    hostname: Annotated[str | None, BeforeValidator(values.hostname)] = None
    timezone: Annotated[str | None, BeforeValidator(_zone)] = None
    appliance_file: Annotated[str | None, BeforeValidator(values.file_name)] = None
    wifi: WifiTable = WifiTable()
    network: NetworkTable = NetworkTable()
    ssh: SshTable = SshTable()
    panel: PanelTable = PanelTable()


def is_public(path: Sequence[int | str]) -> bool:
    """Whether the value at a path may be shown, and stay where it is."""
    table, key = str(path[0]), str(path[-1])
    if table in PUBLIC and len(path) > 1:
        return path[1] in PUBLIC[table] or path[1] in Wishes.model_fields
    return table in APPLIANCE_TABLES or not _SECRET_NAMES.search(key)
