"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shopfloor_kit.audit import audit_columns, guard
from shopfloor_kit.tokens import token_columns

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create everything."""
    _versions()
    _evidence()
    _promotions()
    _devices()
    op.create_table("audit", *audit_columns())
    guard(op.get_bind(), "audit")
    op.create_table("tokens", *token_columns())


def _key() -> list[sa.Column[object]]:
    return [
        sa.Column("model", sa.String(63), primary_key=True),
        sa.Column("version", sa.String(64), primary_key=True),
    ]


def _row() -> list[sa.Column[object]]:
    return [
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("model", sa.String(63), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
    ]


def _by() -> list[sa.Column[object]]:
    return [
        sa.Column("made_by", sa.String(200), nullable=False),
        sa.Column("made_at", sa.String(40), nullable=False),
    ]


def _versions() -> None:
    op.create_table(
        "versions",
        *_key(),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("licence", sa.String(64), nullable=False),
        sa.Column("manifest", sa.Text, nullable=False),
        sa.Column("stage", sa.String(20), nullable=False),
        *_by(),
    )
    op.create_table(
        "builds",
        *_key(),
        sa.Column("target", sa.String(63), primary_key=True),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("file_sha256", sa.String(64), nullable=False),
        sa.Column("file_bytes", sa.BigInteger, nullable=False),
    )
    op.create_index("builds_digest", "builds", ["digest"])


def _evidence() -> None:
    op.create_table(
        "figures",
        *_row(),
        sa.Column("metric", sa.String(63), nullable=False),
        sa.Column("value", sa.Float, nullable=False),
        sa.Column("data", sa.String(200), nullable=False),
        sa.Column("target", sa.String(63)),
        sa.Column("source", sa.String(100), nullable=False),
        *_by(),
    )
    op.create_index("figures_version", "figures", ["model", "version"])
    op.create_table(
        "runs",
        *_key(),
        sa.Column("run_id", sa.String(64), primary_key=True),
        sa.Column("experiment", sa.String(200), nullable=False),
        sa.Column("tracking_uri", sa.String(500), nullable=False),
        sa.Column("params", sa.Text, nullable=False),
        *_by(),
    )
    op.create_table(
        "verdicts",
        *_row(),
        sa.Column("to_stage", sa.String(20), nullable=False),
        sa.Column("gate", sa.String(63), nullable=False),
        sa.Column("target", sa.String(63)),
        sa.Column("passed", sa.Integer, nullable=False),
        sa.Column("figure", sa.Text, nullable=False),
        sa.Column("bound", sa.Text, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        *_by(),
    )
    op.create_index("verdicts_version", "verdicts", ["model", "version"])


def _promotions() -> None:
    op.create_table(
        "promotions",
        *_row(),
        sa.Column("from_stage", sa.String(20), nullable=False),
        sa.Column("to_stage", sa.String(20), nullable=False),
        sa.Column("record", sa.Text, nullable=False),
        sa.Column("public_key", sa.String(64), nullable=False),
        sa.Column("signature", sa.String(128), nullable=False),
        *_by(),
    )
    op.create_index("promotions_version", "promotions", ["model", "version"])
    op.create_table(
        "signers",
        sa.Column("public_key", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("added_at", sa.String(40), nullable=False),
        sa.Column("revoked_at", sa.String(40)),
    )


def _devices() -> None:
    op.create_table(
        "devices",
        sa.Column("site", sa.String(63), primary_key=True),
        sa.Column("device", sa.String(63), primary_key=True),
        sa.Column("hardware", sa.String(63), nullable=False),
        sa.Column("capabilities", sa.Text, nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("desired", sa.Text, nullable=False),
        sa.Column("reported", sa.Text, nullable=False),
        sa.Column("last_seen_at", sa.String(40)),
    )
    op.create_table(
        "running",
        sa.Column("site", sa.String(63), primary_key=True),
        sa.Column("device", sa.String(63), primary_key=True),
        sa.Column("part", sa.String(63), primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False),
    )
    op.create_index("running_digest", "running", ["digest"])
    op.create_table(
        "device_groups",
        sa.Column("name", sa.String(63), primary_key=True),
        sa.Column("query", sa.Text, nullable=False),
        *_by(),
    )
