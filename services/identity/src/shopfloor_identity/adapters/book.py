"""What is written down: tokens, devices, certificates, nonces; all in the caller's transaction."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Connection, Row, delete, func, insert, select, update

from shopfloor_identity.adapters.tables import CERTIFICATES, DEVICES, INVITATIONS, NONCES
from shopfloor_identity.domain.invitations import Invitation
from shopfloor_kit.instants import from_ms, to_ms


@dataclass(frozen=True, slots=True)
class Held:
    """A certificate that was issued."""

    serial: str
    """In hexadecimal."""
    name: str
    how: str
    issued_at: datetime
    not_after: datetime
    revoked_at: datetime | None
    reason: str | None


class Book:
    """Reads and writes over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def invite(self, invitation: Invitation, *, by: str, at: datetime) -> None:
        """Keep a new token's digest."""
        row = {
            "id": invitation.id,
            "name": invitation.name,
            "serial": invitation.serial,
            "digest": invitation.digest,
            "hosts": json.dumps(invitation.hosts),
            "made_by": by,
            "made_at": to_ms(at),
            "expires_at": to_ms(invitation.expires_at),
            "failures": 0,
        }
        self._connection.execute(insert(INVITATIONS).values(row))

    def invitation(self, identity: str) -> Invitation | None:
        """Return what is known of a token."""
        query = select(INVITATIONS).where(INVITATIONS.c.id == identity)
        row = self._connection.execute(query).first()
        if row is None:
            return None
        hosts = tuple(json.loads(row.hosts))
        return Invitation(
            row.id, row.name, row.serial, row.digest, hosts,
            from_ms(row.expires_at), from_ms(row.used_at), row.failures,
        )  # fmt: skip

    def use(self, identity: str, at: datetime) -> bool:
        """Use a token up; False for one that somebody else was faster with."""
        mine = (INVITATIONS.c.id == identity, INVITATIONS.c.used_at.is_(None))
        done = self._connection.execute(update(INVITATIONS).where(*mine).values(used_at=to_ms(at)))
        return bool(done.rowcount)

    def count_failure(self, identity: str) -> None:
        """Count a wrong use of a token."""
        table = INVITATIONS
        counted = update(table).where(table.c.id == identity)
        self._connection.execute(counted.values(failures=table.c.failures + 1))

    def put_device(self, values: dict[str, Any]) -> None:
        """Create a device or replace what is known of it."""
        self._connection.execute(delete(DEVICES).where(DEVICES.c.name == values["name"]))
        self._connection.execute(insert(DEVICES).values(values))

    def device(self, name: str) -> Row[Any] | None:
        """Return what is known of a device."""
        return self._connection.execute(select(DEVICES).where(DEVICES.c.name == name)).first()

    def add(self, certificate: x509.Certificate, *, name: str, how: str, at: datetime) -> None:
        """Note a certificate that is about to be handed out."""
        row = {
            "serial": f"{certificate.serial_number:x}",
            "name": name,
            "issuer": certificate.issuer.rfc4514_string()[:200],
            "sha256": hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest(),
            "how": how,
            "issued_at": to_ms(at),
            "not_after": to_ms(certificate.not_valid_after_utc),
        }
        self._connection.execute(insert(CERTIFICATES).values(row))

    def certificate(self, serial: str) -> Held | None:
        """Return a certificate by its serial."""
        query = select(CERTIFICATES).where(CERTIFICATES.c.serial == serial)
        row = self._connection.execute(query).first()
        return None if row is None else _held(row)

    def certificates(self, name: str | None = None, *, most: int = 1000) -> list[Held]:
        """Return certificates, the newest first."""
        query = select(CERTIFICATES).order_by(CERTIFICATES.c.issued_at.desc()).limit(most)
        if name is not None:
            query = query.where(CERTIFICATES.c.name == name)
        return [_held(row) for row in self._connection.execute(query)]

    def issued_since(self, name: str, at: datetime) -> int:
        """Count what ``name`` was given since ``at``."""
        mine = (CERTIFICATES.c.name == name, CERTIFICATES.c.issued_at > to_ms(at))
        query = select(func.count()).select_from(CERTIFICATES).where(*mine)
        return int(self._connection.execute(query).scalar_one())

    def revoke(self, serials: Sequence[str], reason: str, at: datetime) -> None:
        """Mark certificates as revoked; those that are already keep their first reason."""
        mine = (CERTIFICATES.c.serial.in_(serials), CERTIFICATES.c.revoked_at.is_(None))
        self._connection.execute(
            update(CERTIFICATES).where(*mine).values(revoked_at=to_ms(at), reason=reason)
        )

    def add_nonce(self, nonce: str, name: str, *, now: datetime, life: timedelta) -> datetime:
        """Keep a nonce for a device; forgets those that have ended. Returns its end."""
        self._connection.execute(delete(NONCES).where(NONCES.c.expires_at < to_ms(now)))
        ends = now + life
        row = {"nonce": nonce, "name": name, "expires_at": to_ms(ends)}
        self._connection.execute(insert(NONCES).values(row))
        return ends

    def use_nonce(self, nonce: str, name: str, now: datetime) -> bool:
        """Use a nonce up; False where it is unknown, another device's, used or ended."""
        mine = (NONCES.c.nonce == nonce, NONCES.c.name == name, NONCES.c.expires_at >= to_ms(now))
        return bool(self._connection.execute(delete(NONCES).where(*mine)).rowcount)


def _held(row: Row[Any]) -> Held:
    return Held(
        row.serial, row.name, row.how, from_ms(row.issued_at), from_ms(row.not_after),
        from_ms(row.revoked_at), row.reason,
    )  # fmt: skip
