"""Applies the settings at every boot: `python -m leyden.appliance.card.settings [--root DIR]`.

The system's own files are read-only and what is written over them is gone at the next boot, so the
settings are made into files each time. Whatever is wrong, the rest is done, and the program ends
well: a machine that can be reached under its wrong name is better than none.
"""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from leyden.appliance.card import record, rendering
from leyden.appliance.card.naming import hostname_of
from leyden.appliance.card.notes import Level, Notes
from leyden.appliance.card.places import Card
from leyden.appliance.card.programs import ask_systemd, card_of
from leyden.appliance.card.record import RecordError, Settings
from leyden.kernel import LeydenError
from leyden.storage.atomic import write_atomic
from leyden.storage.errors import explain
from leyden.storage.files import FILES

_NETWORK: Final = "systemd/network/50-leyden-static.network"
_NO_COUNTRY: Final = (
    "Wi-Fi is off: no country is set, and without one the radio may not be switched on; write "
    'country = "DE" (or yours) into [wifi] of leyden.toml on the boot partition and start again'
)
_NO_NETWORK: Final = (
    "Wi-Fi is off: {what} is missing; complete [wifi] of leyden.toml on the boot partition and "
    "start again"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Apply them; return 0."""
    card = card_of(argv, "apply the settings to this boot")
    apply(card, Notes(card))
    return 0


def apply(card: Card, notes: Notes) -> None:
    """Write everything that follows from the settings; what fails is noted."""
    settings = _settings(card, notes)
    for complaints in settings.complaints.values():
        for complaint in complaints:
            notes.add(Level.WARNING, "preseed.left-out", complaint)
    steps: tuple[tuple[str, Callable[[Card, Settings, Notes], None]], ...] = (
        ("hostname", _hostname),
        ("timezone", _timezone),
        ("network", _network),
        ("wifi", _wifi),
        ("ssh", _ssh),
    )
    for name, step in steps:
        try:
            step(card, settings, notes)
        except OSError as error:
            notes.add(Level.ERROR, f"settings.{name}", f"{name} is not set: {explain(error)}")
        except LeydenError as error:
            notes.add(Level.ERROR, f"settings.{name}", f"{name} is not set: {error}")


def _settings(card: Card, notes: Notes) -> Settings:
    try:
        return record.load(card)
    except RecordError as error:
        notes.add(Level.ERROR, "settings.damaged", str(error))
        return Settings()


def _hostname(card: Card, settings: Settings, _: Notes) -> None:
    name = hostname_of(card, settings)
    _put(card.etc / "hostname", f"{name}\n")
    _put(card.etc / "hosts", rendering.hosts(name))
    if card.live:
        socket.sethostname(name)


def _timezone(card: Card, settings: Settings, notes: Notes) -> None:
    if not settings.timezone:
        return
    if not (card.zones / settings.timezone).is_file():
        words = f"this system has no time zone {settings.timezone}; it stays UTC"
        notes.add(Level.WARNING, "settings.timezone", words)
        return
    # A link has no content that could be half there: the new one takes the old one's name.
    link, temporary = card.etc / "localtime", card.etc / ".localtime.partial"
    FILES.make_folder(card.etc)
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(f"../usr/share/zoneinfo/{settings.timezone}")
    FILES.replace(temporary, link)
    _put(card.etc / "timezone", f"{settings.timezone}\n")


def _network(card: Card, settings: Settings, _: Notes) -> None:
    path = card.etc / _NETWORK
    if settings.static is None:
        path.unlink(missing_ok=True)
    else:
        _put(path, rendering.network(settings.static))


def _wifi(card: Card, settings: Settings, notes: Notes) -> None:
    wifi = settings.wifi
    card.wifi_wanted.unlink(missing_ok=True)
    if not wifi.complete:
        _say_why_off(wifi, notes)
        _forget_networks(card, keep="")
        return
    name = rendering.iwd_name(wifi)
    _forget_networks(card, keep=name)
    _put(card.etc / "iwd/main.conf", rendering.iwd_main(wifi.country))
    path, text = card.iwd / name, rendering.iwd_network(wifi)
    if not _says_all(path, text):
        _put(path, text, private=True)
    _put(card.wifi_wanted, "")


def _say_why_off(wifi: record.Wifi, notes: Notes) -> None:
    if not wifi.enabled or not (wifi.ssid or wifi.keyed):
        return  # as it is wished
    if not wifi.country:
        notes.add(Level.WARNING, "wifi.country", _NO_COUNTRY)
    missing = "the network's name (ssid)" if not wifi.ssid else ""
    if wifi.ssid and not wifi.keyed:
        missing = f'the password of "{wifi.ssid}"'
    if missing:
        notes.add(Level.WARNING, "wifi.network", _NO_NETWORK.format(what=missing))


def _forget_networks(card: Card, keep: str) -> None:
    for pattern in ("*.psk", "*.open"):
        for path in card.iwd.glob(pattern):
            if path.name != keep:
                path.unlink()


def _says_all(path: Path, text: str) -> bool:
    """Whether a file has each line already; iwd adds what it works out, and that may stay."""
    try:
        known = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return False
    return set(text.splitlines()) <= {*known, ""}


def _ssh(card: Card, settings: Settings, _: Notes) -> None:
    text = rendering.authorized_keys(settings)
    if not text:
        card.keys.unlink(missing_ok=True)
        return
    if _read(card.keys) != text:
        _put(card.keys, text, private=True)
    ask_systemd(card, "start", "ssh.service")


def _put(path: Path, text: str, *, private: bool = False) -> None:
    FILES.make_folder(path.parent)
    write_atomic(path, text.encode(), private=private)


def _read(path: Path) -> str:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return path.read_text(encoding="utf-8")
    return ""


if __name__ == "__main__":
    sys.exit(main())
