"""Certificates as an appliance makes them: an authority of its own and a leaf by it."""

from __future__ import annotations

import datetime as dt
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

FROM = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
UNTIL = dt.datetime(2120, 1, 1, tzinfo=dt.UTC)


class Maker:
    """An authority; `renew` gives a folder a leaf by it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("Leyden test authority")
        self.serial = 0
        folder.mkdir(exist_ok=True)
        self.authority = self._certificate(self._name, self._key, authority=True)
        (folder / "ca.pem").write_bytes(self.authority.public_bytes(serialization.Encoding.PEM))

    def renew(self) -> int:
        """Write a new leaf with its key; return its serial number."""
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = self._certificate(_name("leyden-1a2b.local"), key, authority=False)
        (self.folder / "leaf.pem").write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
        self.write_key(key)
        return leaf.serial_number

    def write_key(self, key: ec.EllipticCurvePrivateKey | None = None) -> None:
        """Write a key; without one, some other one."""
        pem = (key or ec.generate_private_key(ec.SECP256R1())).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        (self.folder / "leaf.key").write_bytes(pem)

    def lock_key(self) -> None:
        """Replace the key by one that needs a pass phrase."""
        (self.folder / "leaf.key").write_bytes(
            ec.generate_private_key(ec.SECP256R1()).private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(b"secret"),
            )
        )

    def _certificate(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, *, authority: bool
    ) -> x509.Certificate:
        self.serial += 1
        identifier = x509.SubjectKeyIdentifier
        above = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        names = x509.SubjectAlternativeName(
            [
                x509.DNSName("localhost"),
                x509.DNSName("leyden-1a2b.local"),
                x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
            ]
        )
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(self.serial)
            .not_valid_before(FROM)
            .not_valid_after(UNTIL)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(names, critical=False)
            .add_extension(identifier.from_public_key(key.public_key()), critical=False)
            .add_extension(above, critical=False)
            .add_extension(_usage(authority=authority), critical=True)
            .sign(self._key, hashes.SHA256())
        )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
