"""Sums of what people said of alerts; no event of that kind came before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_FIGURES = (
    *("windows", "window_ms", "covered_ms", "frames", "degraded_ms"),
    *("said_right", "said_wrong", "acknowledged", "snoozed", "escalated", "acknowledged_ms"),
)


def upgrade() -> None:
    """Add the table."""

    def key(name: str, length: int = 63) -> sa.Column[str]:
        return sa.Column(name, sa.String(length), primary_key=True)

    op.create_table(
        "rollup_feedback",
        key("site"),
        sa.Column("bucket_s", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("bucket_start", sa.BigInteger, primary_key=True, autoincrement=False),
        key("camera"),
        key("device"),
        key("model_digest", 64),
        *(key(name) for name in ("about", "rule", "metric")),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in _FIGURES),
        sqlite_with_rowid=False,
    )
