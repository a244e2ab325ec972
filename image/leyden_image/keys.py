"""Keys for development: a certificate authority for the image, and a signer for its updates.

They are made once for a checkout and never leave its build folder. Whoever has them can update
every card that was built beside them, so a release is built and signed with keys that are kept
elsewhere.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from leyden_image.paths import PROJECT
from leyden_image.store import write_whole

FOLDER: Final = PROJECT / "build" / "keys"
# A card without a clock battery may believe that it is 1970.
LONG_AGO: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
FAR_AHEAD: Final = datetime.datetime(2049, 12, 31, tzinfo=datetime.UTC)


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signs bundles: a private key and its certificate, PEM files both."""

    key: Path
    certificate: Path


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys in a folder."""

    folder: Path

    @property
    def keyring(self) -> Path:
        """The certificate that a card trusts: it becomes /etc/rauc/keyring.pem."""
        return self.folder / "keyring.pem"

    @property
    def authority_key(self) -> Path:
        """The private key that signs signers."""
        return self.folder / "authority.key"

    @property
    def signer(self) -> Signer:
        """Who signs this checkout's bundles."""
        return Signer(self.folder / "signer.key", self.folder / "signer.pem")


def development_keys(folder: Path = FOLDER) -> Keys:
    """Return the keys in `folder`, made now if there are none."""
    keys = Keys(folder)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    if not keys.keyring.exists():
        make_authority(keys, "Leyden development")
        keys.signer.certificate.unlink(missing_ok=True)
    if not keys.signer.certificate.exists():
        make_signer(keys, keys.signer, "Leyden development signer")
    return keys


def make_authority(keys: Keys, name: str) -> None:
    """Make a certificate authority that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _certificate(name, name, LONG_AGO, FAR_AHEAD, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    _write_key(keys.authority_key, key)
    write_whole(keys.keyring, _pem(builder.sign(key, hashes.SHA256())))


def make_signer(
    keys: Keys,
    signer: Signer,
    name: str,
    *,
    until: datetime.datetime = FAR_AHEAD,
    purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.CODE_SIGNING,
) -> None:
    """Make a signer that the authority in `keys` vouches for.

    Args:
        keys: with the authority.
        signer: where key and certificate go.
        name: of the signer.
        until: when the certificate ends.
        purpose: what the certificate is for; a card accepts code signing only.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    authority = serialization.load_pem_private_key(keys.authority_key.read_bytes(), None)
    if not isinstance(authority, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{keys.authority_key} holds another kind of key")
    issuer = x509.load_pem_x509_certificate(keys.keyring.read_bytes())
    builder = (
        _certificate(name, _name_of(issuer), LONG_AGO, until, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()),
            critical=False,
        )
    )
    _write_key(signer.key, key)
    write_whole(signer.certificate, _pem(builder.sign(authority, hashes.SHA256())))


def _certificate(
    name: str,
    issuer: str,
    since: datetime.datetime,
    until: datetime.datetime,
    key: ec.EllipticCurvePublicKey,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(issuer))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _name_of(certificate: x509.Certificate) -> str:
    (attribute,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(attribute.value)


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


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
