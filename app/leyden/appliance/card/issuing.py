"""Makes the device's authority and the panel's certificate, where those there are cannot stay."""

from __future__ import annotations

import msgspec

from leyden.appliance.card import authority
from leyden.appliance.card.authority import Names, Pair
from leyden.appliance.card.certificate_facts import CA_FILE, FILE, CertificateFacts, Today, digest
from leyden.appliance.card.naming import own_name
from leyden.appliance.card.notes import Level, Notes
from leyden.appliance.card.places import PANEL_USER, Card
from leyden.storage.atomic import write_atomic
from leyden.storage.files import FILES


def renew(
    card: Card, notes: Notes, hosts: tuple[str, ...], addresses: tuple[str, ...], date: Today
) -> None:
    """Make what is missing or cannot stay, and write down what there is now.

    Raises:
        OSError: it cannot be written.
    """
    names = Names(hosts, addresses)
    FILES.make_folder(card.identity)
    above = _authority(card, notes, names)
    leaf = _leaf(card, notes, above, names, date)
    if leaf is None:
        leaf = authority.make_leaf(above, names, date.now)
        # The key first: a certificate without its key would be served by nobody.
        write_atomic(card.identity / "leaf.key", leaf.key_pem, private=True)
        card.own(card.identity / "leaf.key", 0o400, PANEL_USER)
        write_atomic(card.identity / "leaf.pem", leaf.certificate_pem)
        words = f"the panel has a new certificate, for {', '.join(names.hosts)}"
        # The panel looks at the files at each handshake.
        notes.add(Level.INFO, "certificate.made", words)
    _write_facts(card, above, leaf, names)


def _authority(card: Card, notes: Notes, names: Names) -> Pair:
    """Return the device's authority, made where there is none that can be used."""
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


def _write_facts(card: Card, above: Pair, leaf: Pair, names: Names) -> None:
    facts = _facts(above, leaf, names, digest(card.identity))
    data = msgspec.json.format(msgspec.json.encode(facts)) + b"\n"
    write_atomic(card.identity / FILE, data)


def _facts(above: Pair, leaf: Pair, names: Names, of_files: str) -> CertificateFacts:
    certificate = leaf.certificate
    return CertificateFacts(
        ca_sha256=above.fingerprint,
        leaf_sha256=leaf.fingerprint,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        names=names.all,
        digest=of_files,
    )
