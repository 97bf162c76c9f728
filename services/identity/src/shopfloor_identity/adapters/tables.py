"""The tables, for SQLite and PostgreSQL alike. Instants are milliseconds since 1970, in UTC.

Every change here is a migration too (``adapters/migrations``): a test holds both together.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, String, Table, Text

from shopfloor_kit.audit import audit_table
from shopfloor_kit.tokens import token_table

METADATA = MetaData()


def _at(name: str, *, nullable: bool = True) -> Column[Any]:
    return Column(name, BigInteger, nullable=nullable)


TOKENS = token_table(METADATA)
AUDIT = audit_table(METADATA)

INVITATIONS = Table(
    "invitations",
    METADATA,
    Column("id", String(12), primary_key=True),
    Column("name", String(127), nullable=False),
    Column("serial", String(127), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("hosts", Text, nullable=False),
    Column("made_by", String(200), nullable=False),
    _at("made_at", nullable=False),
    _at("expires_at", nullable=False),
    _at("used_at"),
    Column("failures", Integer, nullable=False),
)

DEVICES = Table(
    "devices",
    METADATA,
    Column("name", String(127), primary_key=True),
    Column("serial", String(127), nullable=False),
    Column("hosts", Text, nullable=False),
    Column("sealing_key", String(64)),
    Column("attestation_key", Text),
    _at("enrolled_at", nullable=False),
)

CERTIFICATES = Table(
    "certificates",
    METADATA,
    Column("serial", String(40), primary_key=True),
    Column("name", String(127), nullable=False),
    Column("issuer", String(200), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("how", String(10), nullable=False),
    _at("issued_at", nullable=False),
    _at("not_after", nullable=False),
    _at("revoked_at"),
    Column("reason", String(500)),
    Index("certificates_name", "name", "issued_at"),
    Index("certificates_revoked", "revoked_at"),
)
"""``how``: enrol, renew or service."""

NONCES = Table(
    "nonces",
    METADATA,
    Column("nonce", String(64), primary_key=True),
    Column("name", String(127), nullable=False),
    _at("expires_at", nullable=False),
)

LISTS = Table(
    "lists",
    METADATA,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    _at("made_at", nullable=False),
    Column("entries", Integer, nullable=False),
)
"""Lists of revoked certificates: their numbers only go up (RFC 5280 §5.2.3)."""
