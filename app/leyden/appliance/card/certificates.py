"""Keeps the device's certificates in order: `python -m leyden.appliance.card.certificates`.

Runs at every boot, once a day, and when the clock was set. Where nothing is to be done it opens no
certificate at all. What is missing or damaged is made anew, and said when somebody has to act on
it.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from leyden.appliance.card import record, values
from leyden.appliance.card.boot_partition import BootPartition, BootPartitionError
from leyden.appliance.card.certificate_facts import (
    FILE,
    CertificateFacts,
    Today,
    built,
    digest,
    read_facts,
    today,
)
from leyden.appliance.card.naming import hostname_of, own_name
from leyden.appliance.card.notes import Level, Notes
from leyden.appliance.card.places import ACCESS_POINT_ADDRESS, PANEL_USER, Card
from leyden.appliance.card.programs import card_of
from leyden.appliance.card.record import RecordError, Settings
from leyden.kernel import Clock, SystemClock
from leyden.storage.atomic import write_atomic
from leyden.storage.errors import explain
from leyden.storage.files import FILES

if TYPE_CHECKING:  # cryptography is loaded when something has to be made
    from leyden.appliance.card.authority import Names, Pair

CA_FILE: Final = "leyden-ca.crt"  # on the boot partition
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
        _renew(card, notes, hosts, addresses, date)
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


# Making


def _renew(
    card: Card, notes: Notes, hosts: tuple[str, ...], addresses: tuple[str, ...], date: Today
) -> None:
    from leyden.appliance.card.authority import Names, make_leaf  # noqa: PLC0415 - see above

    names = Names(hosts, addresses)
    FILES.make_folder(card.identity)
    authority = _authority(card, notes, names)
    leaf = _leaf(card, notes, authority, names, date)
    if leaf is None:
        leaf = make_leaf(authority, names, date.now)
        # The key first: a certificate without its key would be served by nobody.
        write_atomic(card.identity / "leaf.key", leaf.key_pem, private=True)
        card.own(card.identity / "leaf.key", 0o400, PANEL_USER)
        write_atomic(card.identity / "leaf.pem", leaf.certificate_pem)
        words = f"the panel has a new certificate, for {', '.join(names.hosts)}"
        # The panel looks at the files at each handshake.
        notes.add(Level.INFO, "certificate.made", words)
    _write_facts(card, authority, leaf, names)


def _authority(card: Card, notes: Notes, names: Names) -> Pair:
    """Return the device's authority, made where there is none that can be used."""
    from leyden.appliance.card import authority  # noqa: PLC0415 - see above

    try:
        found = authority.decode_pair(*_pair_files(card, "ca"))
        if authority.may_sign(found, names):
            return found
        why = "it may not sign the panel's present names"
    except FileNotFoundError:
        why = ""  # a first boot
    except authority.DamagedError as error:
        why = str(error)
    made = authority.make_authority(own_name(card), names)
    write_atomic(card.identity / "ca.key", made.key_pem, private=True)
    write_atomic(card.identity / "ca.pem", made.certificate_pem)
    if why:
        words = (
            f"this device has a new certificate authority ({why}); browsers that trusted the old "
            f"one need the new {CA_FILE}, SHA-256 {made.fingerprint}"
        )
        notes.add(Level.WARNING, "certificate.authority", words)
    return made


def _leaf(card: Card, notes: Notes, above: Pair, names: Names, date: Today) -> Pair | None:
    """Return the present leaf if it can stay."""
    from leyden.appliance.card import authority  # noqa: PLC0415 - see above

    try:
        found = authority.decode_pair(*_pair_files(card, "leaf"))
        authority.require_signed(above, found)
        if authority.names_of(found) != names.all:
            return None
    except FileNotFoundError:
        return None
    except authority.DamagedError as error:
        notes.add(Level.INFO, "certificate.damaged", f"the panel's certificate: {error}")
        return None
    due = "" if date.doubt else _facts(above, found, names, "").expiring(date.now)
    return None if due else found


def _pair_files(card: Card, stem: str) -> tuple[bytes, bytes]:
    folder = card.identity
    return (folder / f"{stem}.key").read_bytes(), (folder / f"{stem}.pem").read_bytes()


def _write_facts(card: Card, authority: Pair, leaf: Pair, names: Names) -> None:
    facts = _facts(authority, leaf, names, digest(card.identity))
    data = msgspec.json.format(msgspec.json.encode(facts)) + b"\n"
    write_atomic(card.identity / FILE, data)


def _facts(authority: Pair, leaf: Pair, names: Names, of_files: str) -> CertificateFacts:
    certificate = leaf.certificate
    return CertificateFacts(
        ca_sha256=authority.fingerprint,
        leaf_sha256=leaf.fingerprint,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        names=names.all,
        digest=of_files,
    )


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
