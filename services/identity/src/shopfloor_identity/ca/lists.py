"""Lists of revoked certificates (RFC 5280 §5), one of each authority, in one file for the broker.

mosquitto and OpenSSL refuse everybody when one of the lists is missing or has ended: the root's is
made for long and by hand, the intermediate's for days and by the service.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from shopfloor_identity.ca.certificates import Signer

ROOT_LIST_LIFE = timedelta(days=400)
LIST_LIFE = timedelta(days=7)
REFRESH_BEFORE = timedelta(days=5)
"""The service makes a new list when the present one has less left."""


@dataclass(frozen=True, slots=True)
class Revoked:
    """One entry."""

    serial: int
    at: datetime


def make_list(
    signer: Signer, revoked: Iterable[Revoked], *, number: int, now: datetime, life: timedelta
) -> bytes:
    """Return a list as PEM."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(signer.certificate.subject)
        .last_update(now)
        .next_update(now + life)
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key()),
            critical=False,
        )
    )
    for entry in revoked:
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder()
            .serial_number(entry.serial)
            .revocation_date(entry.at)
            .build()
        )
    signed = builder.sign(signer.key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)
