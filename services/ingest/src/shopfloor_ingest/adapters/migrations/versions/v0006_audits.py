"""Sums of audits; no event of that kind came before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_WINDOW = ("windows", "window_ms", "covered_ms", "frames", "degraded_ms")
_FIGURES = ("clips", "agreed", "missed", "false_items", "effective_milli", "right_milli")


def upgrade() -> None:
    """Add the table."""

    def key(name: str, length: int = 63) -> sa.Column[str]:
        return sa.Column(name, sa.String(length), primary_key=True)

    op.create_table(
        "rollup_audit",
        key("site"),
        sa.Column("bucket_s", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("bucket_start", sa.BigInteger, primary_key=True, autoincrement=False),
        key("camera"),
        key("device"),
        key("model_digest", 64),
        *(key(name) for name in ("subject", "sort", "zone_version")),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in (*_WINDOW, *_FIGURES)),
        sqlite_with_rowid=False,
    )
