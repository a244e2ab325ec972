"""Keeps the device's certificates in order: `python -m leyden.appliance.card.certificates`.

Runs at every boot, once a day, and when the clock was set. Where nothing is to be done it opens no
certificate at all. What is missing or damaged is made anew, and said when somebody has to act on
it.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Sequence
from typing import Final

from leyden.appliance.card import record, values
from leyden.appliance.card.boot_partition import BootPartition, BootPartitionError
from leyden.appliance.card.certificate_facts import (
    CA_FILE,
    FILE,
    CertificateFacts,
    Today,
    built,
    digest,
    read_facts,
    today,
)
from leyden.appliance.card.naming import hostname_of
from leyden.appliance.card.notes import Level, Notes
from leyden.appliance.card.places import ACCESS_POINT_ADDRESS, PANEL_USER, Card
from leyden.appliance.card.programs import card_of
from leyden.appliance.card.record import RecordError, Settings
from leyden.kernel import Clock, SystemClock
from leyden.storage.errors import explain

_LONGEST: Final = 1 << 20
_MODES: Final = {
    "ca.key": (0o600, 0),
    "ca.pem": (0o644, 0),
    "leaf.key": (0o400, PANEL_USER),
    "leaf.pem": (0o644, 0),
    FILE: (0o644, 0),
}


def main(argv: Sequence[str] | None = None, clock: Clock | None = None) -> int:
    """Keep them in order; return 0, or 1 when the panel is left without."""
    card = card_of(argv, "keep the device's certificates in order")
    notes = Notes(card)
    try:
        keep(card, notes, clock or SystemClock())
    except OSError as error:
        words = f"the panel has no certificate: {explain(error)}"
        notes.add(Level.ERROR, "certificate.not-made", words)
        return 1
    _hand_out(card, notes)
    return 0


def keep(card: Card, notes: Notes, clock: Clock) -> None:
    """Make what is missing, damaged, due or for other names.

    Raises:
        OSError: it cannot be written.
    """
    date = today(clock.time_ns(), built(card))
    if date.doubt:
        words = f"{date.doubt}; the certificate is judged by the day {date.now:%Y-%m-%d} instead"
        notes.add(Level.WARNING, "certificate.clock", words)
    hosts, addresses = _wanted(card, notes)
    facts = read_facts(card)
    if facts is None or _outdated(card, facts, (*hosts, *addresses), date):
        # Nothing is made on most starts, and a board spends a second on loading what makes it.
        from leyden.appliance.card.issuing import renew  # noqa: PLC0415 - loads cryptography

        renew(card, notes, hosts, addresses, date)
    for name, (mode, user) in _MODES.items():
        card.own(card.identity / name, mode, user)


def _outdated(card: Card, facts: CertificateFacts, names: tuple[str, ...], date: Today) -> bool:
    if facts.digest != digest(card.identity) or facts.names != names:
        return True
    # A date that is not the clock's says nothing about what has become due since.
    return not date.doubt and bool(facts.expiring(date.now))


def _wanted(card: Card, notes: Notes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names and addresses under which the panel can be called."""
    try:
        settings = record.load(card)
    except RecordError as error:
        notes.add(Level.ERROR, "settings.damaged", str(error))
        settings = Settings()
    name = hostname_of(card, settings)
    hosts = [name, f"{name}.local", "localhost"]
    addresses = ["127.0.0.1", "::1"]
    if settings.wifi.ssid and settings.wifi.access_point:
        addresses.append(ACCESS_POINT_ADDRESS)
    if settings.static is not None:
        addresses.append(str(values.interface_address(settings.static.address).ip))
    for each in _panel_hosts(card):
        (addresses if _is_address(each) else hosts).append(each)
    return tuple(dict.fromkeys(hosts)), tuple(dict.fromkeys(addresses))


def _panel_hosts(card: Card) -> list[str]:
    """Return the further names that the appliance's configuration gives the panel."""
    try:
        with card.config.open("rb") as file:
            table = tomllib.loads(file.read(_LONGEST).decode())
        hosts = table["panel"]["hosts"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []  # the runtime says what is wrong with it
    found = [each for each in hosts if isinstance(each, str)] if isinstance(hosts, list) else []
    return [each.lower() for each in found if _is_address(each) or _is_host(each)]


def _is_host(text: str) -> bool:
    try:
        return all(values.hostname(label) for label in text.split(".")) and len(text) <= 253
    except ValueError:
        return False


def _is_address(text: str) -> bool:
    try:
        values.address(text)
    except ValueError:
        return False
    return True


def _hand_out(card: Card, notes: Notes) -> None:
    """Put the authority's certificate where any computer can read it."""
    try:
        BootPartition(card).write(CA_FILE, (card.identity / "ca.pem").read_bytes())
    except OSError as error:
        notes.add(Level.INFO, "certificate.no-copy", f"{CA_FILE}: {explain(error)}")
    except BootPartitionError as error:
        words = f"{CA_FILE} is not on the boot partition: {error}; the panel offers it as well"
        notes.add(Level.INFO, "certificate.no-copy", words)


if __name__ == "__main__":
    sys.exit(main())
