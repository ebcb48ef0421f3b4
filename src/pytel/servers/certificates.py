"""The site's own certificate authority and the server's certificate (X.509, RFC 5280; names as RFC 6125 asks)."""

from __future__ import annotations

import contextlib
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from pytel.base import clock
from pytel.base.errors import ConfigError
from pytel.base.files import write_atomically

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

_CA_LIFE = timedelta(days=3650)
_LIFE = timedelta(days=825)
_RENEW_BEFORE = timedelta(days=90)
_SKEW = timedelta(hours=1)
"""A certificate is valid this long before it was made: clocks of one site differ."""


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    before = os.umask(0o077)
    try:
        write_atomically(path, [data])
    finally:
        os.umask(before)


def ensure_certificates(directory: Path, domain: str, ca_file: Path) -> tuple[Path, Path]:
    """Make what is missing or about to run out; return the certificate's and the key's file.

    The CA's key lies beside its certificate as `ca.key`. Raises `ConfigError` when a certificate is needed, but the
    CA's key is not here.
    """
    certificate, key = directory / "server.crt", directory / "server.key"
    if key.exists() and _holds(certificate, domain, ca_file):
        return certificate, key
    authority, authority_key = _ensure_authority(ca_file, domain)
    own_key = _new_key()
    write_private(key, _pem_of_key(own_key))
    made = _sign_server(domain, own_key, authority, authority_key)
    write_atomically(certificate, [_pem(made), _pem(authority)])
    return certificate, key


def _holds(certificate: Path, domain: str, ca_file: Path) -> bool:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    if not (certificate.exists() and ca_file.exists()):
        return False
    try:
        mine = x509.load_pem_x509_certificate(certificate.read_bytes())
        mine.verify_directly_issued_by(x509.load_pem_x509_certificate(ca_file.read_bytes()))
        names = mine.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    return domain in names.get_values_for_type(x509.DNSName) and _lasts(mine)


def _lasts(certificate: x509.Certificate) -> bool:
    return certificate.not_valid_after_utc - _now() > _RENEW_BEFORE


def _ensure_authority(ca_file: Path, domain: str) -> tuple[x509.Certificate, EllipticCurvePrivateKey]:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key_file = ca_file.with_suffix(".key")
    if not ca_file.exists():
        ca_file.parent.mkdir(parents=True, exist_ok=True)
        key = _new_key()
        made = _sign_authority(domain, key)
        write_private(key_file, _pem_of_key(key))
        write_atomically(ca_file, [_pem(made)])
        return made, key
    with contextlib.suppress(ValueError, OSError):
        authority = x509.load_pem_x509_certificate(ca_file.read_bytes())
        loaded = load_pem_private_key(key_file.read_bytes(), None)
        if isinstance(loaded, EllipticCurvePrivateKey) and _lasts(authority):
            return authority, loaded
    raise ConfigError(
        f"{ca_file} cannot sign a certificate for {domain}: its key {key_file} is missing or the CA runs out. "
        "Give the server a certificate of your own, or remove both files to have them made (every client needs them)"
    )


def _sign_authority(domain: str, key: EllipticCurvePrivateKey) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    name = _name(f"pytel CA of {domain}"[:64])
    return (
        _builder(_CA_LIFE)
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _sign_server(
    domain: str, key: EllipticCurvePrivateKey, authority: x509.Certificate, authority_key: EllipticCurvePrivateKey
) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID

    # A server is a client of its peers' servers: Prosody refuses certificates there that are for servers alone.
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    return (
        _builder(_LIFE)
        .subject_name(_name(domain[:64]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(domain)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(issuer, critical=False)
        .sign(authority_key, hashes.SHA256())
    )


def _builder(life: timedelta) -> x509.CertificateBuilder:
    from cryptography import x509

    builder = x509.CertificateBuilder().serial_number(x509.random_serial_number())
    return builder.not_valid_before(_now() - _SKEW).not_valid_after(_now() + life)


def _now() -> datetime:
    return datetime.fromtimestamp(clock.real_time(), UTC)


def _name(common_name: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _new_key() -> EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _pem(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def _pem_of_key(key: EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
