"""Our own certificate authority, for the broker and for who connects to it.

It serves one machine and tests: its key lies beside its certificates. A fleet enrols its devices
elsewhere and gives the broker the authority's certificate only.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from shopfloor_stack.errors import OperatorError
from shopfloor_stack.layout import write_private

AUTHORITY_LIFE = timedelta(days=3650)
LEAF_LIFE = timedelta(days=397)
RENEW_BEFORE = timedelta(days=30)
"""A certificate that ends sooner is made again by the next ``up``."""

_CLOCKS_DIFFER = timedelta(hours=1)
_SIGNS = x509.KeyUsage(
    digital_signature=True, content_commitment=False, key_encipherment=False,
    data_encipherment=False, key_agreement=False, key_cert_sign=False, crl_sign=False,
    encipher_only=False, decipher_only=False,
)  # fmt: skip
_ISSUES = x509.KeyUsage(
    digital_signature=False, content_commitment=False, key_encipherment=False,
    data_encipherment=False, key_agreement=False, key_cert_sign=True, crl_sign=True,
    encipher_only=False, decipher_only=False,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path


class Authority:
    """Issues certificates into one folder; keeps what is there and still valid."""

    def __init__(self, folder: Path, *, now: datetime | None = None) -> None:
        """Open the authority, or make it.

        Raises:
            OperatorError: what is there is no key and certificate.
        """
        self._folder, self._now = folder, now or datetime.now(UTC)
        own = self._pair("ca")
        self.certificate = own.certificate
        if not own.certificate.exists():
            self._make(own)
        try:
            self._own = x509.load_pem_x509_certificate(own.certificate.read_bytes())
            key = serialization.load_pem_private_key(own.key.read_bytes(), password=None)
        except (OSError, ValueError) as e:
            raise OperatorError(f"{folder}: no authority can be read there: {e}") from e
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise OperatorError(f"{own.key}: is no elliptic-curve key")
        self._key = key

    def server(self, name: str, hosts: Sequence[str]) -> Pair:
        """Return the certificate of a server that is reached under ``hosts``."""
        return self._issue(name, name, ExtendedKeyUsageOID.SERVER_AUTH, hosts)

    def client(self, name: str, identity: str) -> Pair:
        """Return the certificate of a client; ``identity`` is its user name at the broker."""
        return self._issue(name, identity, ExtendedKeyUsageOID.CLIENT_AUTH, ())

    def _pair(self, name: str) -> Pair:
        return Pair(self._folder / f"{name}.crt", self._folder / f"{name}.key")

    def _make(self, own: Pair) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _named("Shopfloor cloud authority")
        builder = self._builder(subject, subject, key, AUTHORITY_LIFE)
        builder = builder.add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        builder = builder.add_extension(_ISSUES, critical=True)
        _write(own, builder.sign(key, hashes.SHA256()), key)

    def _issue(
        self, name: str, common: str, usage: x509.ObjectIdentifier, hosts: Sequence[str]
    ) -> Pair:
        pair = self._pair(name)
        if self._is_good(pair, common):
            return pair
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(_named(common), self._own.subject, key, LEAF_LIFE)
        builder = builder.add_extension(
            x509.BasicConstraints(ca=False, path_length=None), critical=True
        )
        builder = builder.add_extension(_SIGNS, critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if hosts:
            names = x509.SubjectAlternativeName([_host(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        _write(pair, builder.sign(self._key, hashes.SHA256()), key)
        return pair

    def _is_good(self, pair: Pair, common: str) -> bool:
        if not (pair.certificate.exists() and pair.key.exists()):
            return False
        held = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
        lasts = held.not_valid_after_utc - self._now > RENEW_BEFORE
        return lasts and held.subject == _named(common) and held.issuer == self._own.subject

    def _builder(
        self, subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey,
        life: timedelta,
    ) -> x509.CertificateBuilder:  # fmt: skip
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - _CLOCKS_DIFFER)
            .not_valid_after(self._now + life)
        )


def _named(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _write(pair: Pair, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    # The key first: a certificate whose key is missing would look finished.
    encoded = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write_private(pair.key, encoded.decode())
    write_private(pair.certificate, certificate.public_bytes(serialization.Encoding.PEM).decode())
