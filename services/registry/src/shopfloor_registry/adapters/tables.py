"""The tables, for SQLite and PostgreSQL alike. Instants are ISO 8601 in UTC; texts named
``…s`` that are not lists of columns hold JSON.

Every change here is a migration too (``adapters/migrations``): a test holds both together.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Float, Index, Integer, MetaData, String, Table, Text

from shopfloor_kit.audit import audit_table
from shopfloor_kit.tokens import token_table

METADATA = MetaData()


def _key() -> list[Column[Any]]:
    return [
        Column("model", String(63), primary_key=True),
        Column("version", String(64), primary_key=True),
    ]


def _row() -> list[Column[Any]]:
    return [
        Column("id", Integer, primary_key=True, autoincrement=True),
        Column("model", String(63), nullable=False),
        Column("version", String(64), nullable=False),
    ]


def _by() -> list[Column[Any]]:
    return [
        Column("made_by", String(200), nullable=False),
        Column("made_at", String(40), nullable=False),
    ]


VERSIONS = Table(
    "versions",
    METADATA,
    *_key(),
    Column("number", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("licence", String(64), nullable=False),
    Column("manifest", Text, nullable=False),
    Column("stage", String(20), nullable=False),
    *_by(),
)

BUILDS = Table(
    "builds",
    METADATA,
    *_key(),
    Column("target", String(63), primary_key=True),
    Column("place", Integer, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("file_sha256", String(64), nullable=False),
    Column("file_bytes", BigInteger, nullable=False),
    Index("builds_digest", "digest"),
)

FIGURES = Table(
    "figures",
    METADATA,
    *_row(),
    Column("metric", String(63), nullable=False),
    Column("value", Float, nullable=False),
    Column("data", String(200), nullable=False),
    Column("target", String(63)),
    Column("source", String(100), nullable=False),
    *_by(),
    Index("figures_version", "model", "version"),
)

RUNS = Table(
    "runs",
    METADATA,
    *_key(),
    Column("run_id", String(64), primary_key=True),
    Column("experiment", String(200), nullable=False),
    Column("tracking_uri", String(500), nullable=False),
    Column("params", Text, nullable=False),
    *_by(),
)

VERDICTS = Table(
    "verdicts",
    METADATA,
    *_row(),
    Column("to_stage", String(20), nullable=False),
    Column("gate", String(63), nullable=False),
    Column("target", String(63)),
    Column("passed", Integer, nullable=False),
    Column("figure", Text, nullable=False),
    Column("bound", Text, nullable=False),
    Column("data", Text, nullable=False),
    *_by(),
    Index("verdicts_version", "model", "version"),
)

PROMOTIONS = Table(
    "promotions",
    METADATA,
    *_row(),
    Column("from_stage", String(20), nullable=False),
    Column("to_stage", String(20), nullable=False),
    Column("record", Text, nullable=False),
    Column("public_key", String(64), nullable=False),
    Column("signature", String(128), nullable=False),
    *_by(),
    Index("promotions_version", "model", "version"),
)

SIGNERS = Table(
    "signers",
    METADATA,
    Column("public_key", String(64), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("added_at", String(40), nullable=False),
    Column("revoked_at", String(40)),
)

DEVICES = Table(
    "devices",
    METADATA,
    Column("site", String(63), primary_key=True),
    Column("device", String(63), primary_key=True),
    Column("hardware", String(63), nullable=False),
    Column("capabilities", Text, nullable=False),
    Column("labels", Text, nullable=False),
    Column("desired", Text, nullable=False),
    Column("reported", Text, nullable=False),
    Column("last_seen_at", String(40)),
)

RUNNING = Table(
    "running",
    METADATA,
    Column("site", String(63), primary_key=True),
    Column("device", String(63), primary_key=True),
    Column("part", String(63), primary_key=True),
    Column("digest", String(64), nullable=False),
    Index("running_digest", "digest"),
)

GROUPS = Table(
    "device_groups",
    METADATA,
    Column("name", String(63), primary_key=True),
    Column("query", Text, nullable=False),
    *_by(),
)

AUDIT = audit_table(METADATA)
TOKENS = token_table(METADATA)
