"""Places: which file of the card is where, and whom it belongs to."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

RUNTIME_USER: Final = 970  # the same on every card, so that an update finds its files again
PANEL_USER: Final = 971
LEYDEN_GROUP: Final = 970
KEEP: Final = -1  # as chown(2) has it
ACCESS_POINT_ADDRESS: Final = "192.168.77.1"  # as 90-leyden-access-point.network says


@dataclass(frozen=True, slots=True)
class Card:
    """Paths on a card.

    Args:
        root: where the card's root directory is; another place than "/" is a copy, on which
            nothing is mounted, no service restarted and nobody made an owner.
    """

    root: Path = Path("/")

    @property
    def live(self) -> bool:
        """Whether this is the running system."""
        return self.root == Path("/")

    @property
    def boot(self) -> Path:
        """The boot partition, FAT, that any computer can read."""
        return self.root / "boot/firmware"

    @property
    def preseed(self) -> Path:
        """What the owner of the card wrote for it."""
        return self.boot / "leyden.toml"

    @property
    def data(self) -> Path:
        """The appliance's data directory."""
        return self.root / "data/leyden"

    @property
    def config(self) -> Path:
        """The appliance's configuration."""
        return self.data / "config/appliance.toml"

    @property
    def auth(self) -> Path:
        """Who may use the panel; the panel's own."""
        return self.data / "auth"

    @property
    def identity(self) -> Path:
        """Keys and certificates of this device."""
        return self.data / "identity"

    @property
    def claim_code(self) -> Path:
        """The claim code itself, for root alone, until somebody has claimed the appliance."""
        return self.identity / "claim-code"

    @property
    def password(self) -> Path:
        """There once the appliance is claimed."""
        return self.auth / "password.json"

    @property
    def system(self) -> Path:
        """What the system around the appliance keeps."""
        return self.root / "data/system"

    @property
    def settings(self) -> Path:
        """Settings of the system; they hold secrets."""
        return self.system / "settings.json"

    @property
    def seen(self) -> Path:
        """The preseed as it stands since it was read and its secrets are wiped."""
        return self.system / "preseed.seen"

    @property
    def wiping(self) -> Path:
        """There while secrets are being wiped."""
        return self.system / "preseed.wiping"

    @property
    def done(self) -> Path:
        """There once a first boot has come to its end."""
        return self.system / "first-boot.done"

    @property
    def keys(self) -> Path:
        """Public keys that may log in."""
        return self.system / "ssh/authorized_keys"

    @property
    def iwd(self) -> Path:
        """Networks that iwd knows."""
        return self.system / "iwd"

    @property
    def run(self) -> Path:
        """Facts about this boot."""
        return self.root / "run/leyden-boot"

    @property
    def notes(self) -> Path:
        """What people should know about this boot, one JSON object a line."""
        return self.run / "notes.jsonl"

    @property
    def wifi_wanted(self) -> Path:
        """There when Wi-Fi is to be switched on in this boot."""
        return self.run / "wifi"

    @property
    def etc(self) -> Path:
        """Configuration of the system, gone at the next boot."""
        return self.root / "etc"

    @property
    def zones(self) -> Path:
        """Time zones."""
        return self.root / "usr/share/zoneinfo"

    @property
    def release(self) -> Path:
        """What this system is and when it was built."""
        return self.root / "usr/lib/leyden/release.json"

    def own(self, path: Path, mode: int, user: int = 0, group: int = KEEP) -> None:
        """Give a file or folder to a user, whatever it was before.

        Raises:
            OSError: the file is not there or the system refuses.
        """
        if self.live:
            os.chown(path, user, group, follow_symlinks=False)
        path.chmod(mode)
