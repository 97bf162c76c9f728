"""Certificates as RFC 5280 wants them; what each may be used for, and for how long."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from shopfloor_contracts.enrolment import is_device_name
from shopfloor_identity.ca.keys import PrivateKey

ROOT_LIFE = timedelta(days=3650)
INTERMEDIATE_LIFE = timedelta(days=1825)
SERVICE_LIFE = timedelta(days=397)
DEVICE_LIFE = timedelta(days=30)
CLOCKS_DIFFER = timedelta(hours=1)
"""A certificate holds from so long before it was made."""

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
class Signer:
    """Who signs: a certificate and its key."""

    certificate: x509.Certificate
    key: PrivateKey


@dataclass(frozen=True, slots=True)
class Leaf:
    """What a certificate that issues no others is to say."""

    name: str
    life: timedelta
    is_client: bool = True
    hosts: tuple[str, ...] = ()
    """With hosts it is a server's too."""


def make_root(key: PrivateKey, common: str, now: datetime) -> x509.Certificate:
    """Make a root that may have one authority below it."""
    name = named(common)
    builder = _builder(name, name, key.public_key(), now, ROOT_LIFE)
    return _sign_authority(builder, key.public_key(), Signing(key, key.public_key()), below=1)


def make_intermediate(
    root: Signer, key: PrivateKey, common: str, now: datetime
) -> x509.Certificate:
    """Make an authority that issues leaves only."""
    public = key.public_key()
    builder = _builder(named(common), root.certificate.subject, public, now, INTERMEDIATE_LIFE)
    return _sign_authority(builder, public, Signing(root.key, root.key.public_key()), below=0)


def make_leaf(
    signer: Signer, leaf: Leaf, public: ec.EllipticCurvePublicKey, now: datetime
) -> x509.Certificate:
    """Make a certificate for ``public``; nothing of a request goes in but its key.

    It never outlives the authority that signs it.
    """
    ends = signer.certificate.not_valid_after_utc
    life = min(leaf.life, ends - now)
    builder = _builder(named(leaf.name), signer.certificate.subject, public, now, life)
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH] if leaf.is_client else []
    usages += [ExtendedKeyUsageOID.SERVER_AUTH] if leaf.hosts else []
    names: list[x509.GeneralName] = [_host(host) for host in leaf.hosts]
    if is_device_name(leaf.name):
        names.append(x509.UniformResourceIdentifier(f"urn:shopfloor:device:{leaf.name}"))
    builder = (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_SIGNS, critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    builder = _with_key_names(builder, public, signer.key.public_key())
    return builder.sign(signer.key, hashes.SHA256())


def named(common: str) -> x509.Name:
    """Return a name of a common name alone."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def common_name(certificate: x509.Certificate | x509.CertificateSigningRequest) -> str | None:
    """Return the common name where it is the whole subject, else None."""
    names = list(certificate.subject)
    if len(names) != 1 or names[0].oid != NameOID.COMMON_NAME:
        return None
    return str(names[0].value)


@dataclass(frozen=True, slots=True)
class Signing:
    """A key, and its public half for the name of the issuer's key."""

    key: PrivateKey
    public: ec.EllipticCurvePublicKey


def _sign_authority(
    builder: x509.CertificateBuilder, public: ec.EllipticCurvePublicKey, by: Signing, *, below: int
) -> x509.Certificate:
    builder = builder.add_extension(
        x509.BasicConstraints(ca=True, path_length=below), critical=True
    ).add_extension(_ISSUES, critical=True)
    return _with_key_names(builder, public, by.public).sign(by.key, hashes.SHA256())


def _with_key_names(
    builder: x509.CertificateBuilder,
    public: ec.EllipticCurvePublicKey,
    issuer: ec.EllipticCurvePublicKey,
) -> x509.CertificateBuilder:
    return builder.add_extension(
        x509.SubjectKeyIdentifier.from_public_key(public), critical=False
    ).add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), critical=False)


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, now: datetime,
    life: timedelta,
) -> x509.CertificateBuilder:  # fmt: skip
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCKS_DIFFER)
        .not_valid_after(now + life)
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
