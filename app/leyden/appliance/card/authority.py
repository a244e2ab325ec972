"""Authority: the device's own certificate authority, and the certificate it gives the panel.

A browser that is told to trust the authority trusts it for whatever it signs. So the authority is
bound to this device (RFC 5280, section 4.2.1.10): it may only sign its own names, names that end in
`.local`, and addresses that the internet does not use. Whoever steals the card cannot pass for a
bank with it.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from leyden.appliance.card.certificate_facts import BACKDATED, EARLIEST, LATEST, LIFE
from leyden.kernel import LeydenError

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_COMMON_NAME: Final = 64  # characters at most (RFC 5280, appendix A.1)
_SECOND: Final = datetime.timedelta(seconds=1)
# RFC 1918, 3927, 4193, 4291, 5735: addresses of networks that are nobody else's.
_OWN_NETWORKS: Final = tuple(
    ipaddress.ip_network(each)
    for each in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "127.0.0.0/8",
        "fc00::/7",
        "fe80::/10",
        "::1/128",
    )
)
_OWN_DOMAINS: Final = ("local", "localhost")


class DamagedError(LeydenError):
    """Keys or certificates that do not belong together or cannot be read."""


@dataclass(frozen=True, slots=True)
class Names:
    """What the panel is called by."""

    hosts: tuple[str, ...]
    addresses: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """Hosts, then addresses."""
        return (*self.hosts, *self.addresses)

    @property
    def general(self) -> list[x509.GeneralName]:
        """The same as a certificate has it."""
        addresses = [x509.IPAddress(ipaddress.ip_address(each)) for each in self.addresses]
        return [*(x509.DNSName(each) for each in self.hosts), *addresses]


@dataclass(frozen=True, slots=True)
class Pair:
    """A private key and its certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def key_pem(self) -> bytes:
        """The key, not encrypted."""
        return encode_key(self.key)

    @property
    def certificate_pem(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, as browsers show it."""
        return self.certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def new_key() -> ec.EllipticCurvePrivateKey:
    """Return a new key on the curve P-256, which every browser knows."""
    return ec.generate_private_key(ec.SECP256R1())


def encode_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a key as PEM, not encrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def decode_key(data: bytes) -> ec.EllipticCurvePrivateKey:
    """Return the key that `encode_key` wrote.

    Raises:
        DamagedError: it is none.
    """
    try:
        key = serialization.load_pem_private_key(data, None)
    except (ValueError, TypeError) as error:
        raise DamagedError("a key cannot be read") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise DamagedError("a key is of another kind, expected P-256")
    return key


def decode_pair(key: bytes, certificate: bytes) -> Pair:
    """Return a pair from its two files.

    Raises:
        DamagedError: one cannot be read, or they do not belong together.
    """
    private = decode_key(key)
    try:
        found = x509.load_pem_x509_certificate(certificate)
        public = found.public_key()
    except ValueError as error:
        raise DamagedError("a certificate cannot be read") from error
    if public != private.public_key():
        raise DamagedError("a key and its certificate do not belong together")
    return Pair(private, found)


def make_authority(device: str, names: Names) -> Pair:
    """Return a new authority, valid from before any release was built until 2050.

    Args:
        device: what it is called.
        names: what it may sign beside what every device's may.
    """
    key = new_key()
    subject = _subject(f"Leyden device CA {device}")
    permitted = [
        *(x509.DNSName(each) for each in dict.fromkeys((*_OWN_DOMAINS, *names.hosts))),
        *(x509.IPAddress(each) for each in _networks(names.addresses)),
    ]
    builder = (
        _builder(subject, subject, key.public_key(), EARLIEST, LATEST)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.NameConstraints(permitted, None), critical=True)
    )
    return Pair(key, builder.sign(key, hashes.SHA256()))


def make_leaf(authority: Pair, names: Names, now: datetime.datetime) -> Pair:
    """Return a new certificate for the panel, and its key."""
    key = new_key()
    begin = max(now - BACKDATED, EARLIEST).replace(microsecond=0)
    end = min(begin + LIFE - _SECOND, LATEST)
    issuer = authority.certificate
    above = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = (
        _builder(_subject(names.hosts[0]), issuer.subject, key.public_key(), begin, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names.general), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(above), critical=False
        )
    )
    return Pair(key, builder.sign(authority.key, hashes.SHA256()))


def may_sign(authority: Pair, names: Names) -> bool:
    """Whether an authority is bound to a circle that holds these names.

    Raises:
        DamagedError: it is bound to nothing and therefore none of ours.
    """
    try:
        bounds = authority.certificate.extensions.get_extension_for_class(x509.NameConstraints)
    except (x509.ExtensionNotFound, ValueError) as error:
        raise DamagedError("the authority is none of this device") from error
    permitted = bounds.value.permitted_subtrees or []
    domains = [each.value for each in permitted if isinstance(each, x509.DNSName)]
    networks = [each.value for each in permitted if isinstance(each, x509.IPAddress)]
    hosts = all(_below(name, domains) for name in names.hosts)
    return hosts and all(_within(each, networks) for each in names.addresses)


def require_signed(authority: Pair, leaf: Pair) -> None:
    """Refuse a leaf that another authority has signed.

    Raises:
        DamagedError: it was.
    """
    try:
        leaf.certificate.verify_directly_issued_by(authority.certificate)
    except (InvalidSignature, ValueError, TypeError) as error:
        raise DamagedError("the certificate was signed by another authority") from error


def names_of(leaf: Pair) -> tuple[str, ...]:
    """Return the names that a leaf is for, hosts first.

    Raises:
        DamagedError: it says none.
    """
    try:
        found = leaf.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError) as error:
        raise DamagedError("the certificate names nobody") from error
    hosts = found.value.get_values_for_type(x509.DNSName)
    return (*hosts, *(str(each) for each in found.value.get_values_for_type(x509.IPAddress)))


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    begin: datetime.datetime,
    end: datetime.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:_COMMON_NAME])])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _networks(addresses: Iterable[str]) -> list[Network]:
    """Return the networks every device may sign for, and those of further addresses."""
    found: list[Network] = list(_OWN_NETWORKS)
    for each in addresses:
        alone = ipaddress.ip_network(each)
        if not _within(each, found):
            found.append(alone)
    return found


def _below(name: str, domains: Sequence[str]) -> bool:
    return any(name == each or name.endswith(f".{each}") for each in domains)


def _within(address: str, networks: Iterable[object]) -> bool:
    found = ipaddress.ip_address(address)
    return any(
        isinstance(each, ipaddress.IPv4Network | ipaddress.IPv6Network) and found in each
        for each in networks
    )
