"""Everything: tokens, devices, certificates, nonces, lists, audit log.

The tables as they were then; ``adapters/tables.py`` has them as they are now.
"""

from __future__ import annotations

from typing import Any

from alembic import op
from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, String, Table, Text

from shopfloor_kit.audit import audit_table, guard
from shopfloor_kit.tokens import token_table

revision = "0001"
down_revision = None

METADATA = MetaData()


def _at(name: str, *, nullable: bool = True) -> Column[Any]:
    return Column(name, BigInteger, nullable=nullable)


token_table(METADATA)
audit_table(METADATA)

Table(
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

Table(
    "devices",
    METADATA,
    Column("name", String(127), primary_key=True),
    Column("serial", String(127), nullable=False),
    Column("hosts", Text, nullable=False),
    Column("sealing_key", String(64)),
    Column("attestation_key", Text),
    _at("enrolled_at", nullable=False),
)

Table(
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

Table(
    "nonces",
    METADATA,
    Column("nonce", String(64), primary_key=True),
    Column("name", String(127), nullable=False),
    _at("expires_at", nullable=False),
)

Table(
    "lists",
    METADATA,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    _at("made_at", nullable=False),
    Column("entries", Integer, nullable=False),
)


def upgrade() -> None:
    """Create everything."""
    METADATA.create_all(op.get_bind(), checkfirst=False)
    guard(op.get_bind(), "audit")
