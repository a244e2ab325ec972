"""The record: the settings of the system, as they were taken over from the boot partition."""

from __future__ import annotations

from typing import Final

import msgspec

from leyden.appliance.card.places import Card
from leyden.kernel import LeydenError
from leyden.storage.atomic import write_atomic
from leyden.storage.errors import StorageError, explain
from leyden.storage.files import FILES, Files

_FORMAT: Final = 1


class RecordError(LeydenError):
    """The settings cannot be read."""


class Wifi(msgspec.Struct, frozen=True, omit_defaults=True):
    """The network to join."""

    ssid: str = ""
    password: str = ""
    psk: str = ""  # 64 hexadecimal digits, instead of a password
    open: bool = False  # joined without either
    country: str = ""
    hidden: bool = False
    enabled: bool = True
    access_point: bool = True  # whether to offer one while the network is out of reach
    access_point_password: str = ""

    @property
    def keyed(self) -> bool:
        """Whether it is known how the network lets one in."""
        return self.open or bool(self.password or self.psk)

    @property
    def complete(self) -> bool:
        """Whether there is a network to join and a country whose rules the radio keeps."""
        return self.enabled and bool(self.ssid and self.country) and self.keyed


class Static(msgspec.Struct, frozen=True, omit_defaults=True):
    """A fixed address."""

    address: str  # with the length of its network
    gateway: str = ""
    dns: tuple[str, ...] = ()
    interface: str = "wired"


class Settings(msgspec.Struct, frozen=True, omit_defaults=True):
    """All of them; empty means as the system does by itself."""

    format: int = _FORMAT
    hostname: str = ""
    timezone: str = ""
    wifi: Wifi = Wifi()
    static: Static | None = None
    authorized_keys: tuple[str, ...] = ()
    complaints: dict[str, tuple[str, ...]] = {}  # by file, until that file is read again


def load(card: Card) -> Settings:
    """Return the settings; those of a card that was never told any where there are none.

    Raises:
        RecordError: the file is damaged or of another release.
    """
    path = card.settings
    try:
        settings = msgspec.json.decode(path.read_bytes(), type=Settings)
    except FileNotFoundError:
        return Settings()
    except OSError as error:
        raise RecordError(f"{path} cannot be read: {explain(error)}") from error
    except msgspec.MsgspecError as error:
        words = "the settings that were made on the boot partition are lost; write them again"
        raise RecordError(f"{path} is damaged: {error}; {words}") from error
    if settings.format != _FORMAT:
        words = f"found format {settings.format}, expected {_FORMAT}"
        raise RecordError(f"{path} was written by another release: {words}")
    return settings


def save(card: Card, settings: Settings, files: Files = FILES) -> None:
    """Replace the settings.

    Raises:
        StorageError: the disk refuses; the old ones stand.
    """
    path = card.settings
    try:
        files.make_folder(path.parent)
        data = msgspec.json.format(msgspec.json.encode(settings)) + b"\n"
        write_atomic(path, data, private=True, files=files)
    except OSError as error:
        raise StorageError(path, error) from error
