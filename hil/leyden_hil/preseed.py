"""What a card is told before its first boot, as its owner would write it in `leyden.toml`."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Preseed:
    """A preseed; empty fields are left out of the file."""

    hostname: str = ""
    timezone: str = ""
    ssh_key: str = ""  # a public key
    password_hash: str = ""  # of the panel; without it the appliance has to be claimed
    network: dict[str, Any] = field(default_factory=dict)
    wifi: dict[str, Any] = field(default_factory=dict)
    appliance: str = ""  # a configuration, as TOML
    more: str = ""  # lines before everything else, as they are

    def text(self) -> str:
        """Return the file."""
        top = {"hostname": self.hostname, "timezone": self.timezone}
        lines = [self.more, *_rows(top)]
        lines += _table("ssh", {"authorized_keys": [self.ssh_key] if self.ssh_key else None})
        lines += _table("panel", {"password_hash": self.password_hash})
        lines += _table("network", self.network) + _table("wifi", self.wifi)
        return "\n".join([*lines, self.appliance]) + "\n"


def _table(name: str, values: dict[str, Any]) -> list[str]:
    rows = _rows(values)
    return [f"[{name}]", *rows] if rows else []


def _rows(values: dict[str, Any]) -> list[str]:
    # What JSON writes for text, lists of text, numbers and booleans is TOML as well.
    return [f"{key} = {json.dumps(value)}" for key, value in values.items() if value]
