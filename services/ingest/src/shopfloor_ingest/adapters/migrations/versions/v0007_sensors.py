"""Sums of machines' sensors; events of that kind that came before are summed at the next start."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_WINDOW = ("windows", "window_ms", "covered_ms", "frames", "degraded_ms")
_TABLES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "sensor": (
        ("machine",),
        (
            *("refused", "learning_ms", "normal_ms", "drifting_ms", "abrupt_ms"),
            *("stuck_ms", "silent_ms", "score_micro", "level_micro"),
        ),
    ),
    "figure": (
        ("machine", "name", "unit"),
        ("stretches", "unsummed", "total_micro", "highest_micro", "below_micro"),
    ),
}


def upgrade() -> None:
    """Add both tables, and the order to sum again where there is something to sum."""
    for kind, (names, figures) in _TABLES.items():
        _rollup(kind, names, figures)
    maintenance = sa.table("maintenance", sa.column("name"), sa.column("value"))
    connection = op.get_bind()
    events, due = (
        connection.execute(sa.text(query)).first()
        for query in (
            "SELECT 1 FROM events WHERE kind = 'sensor' LIMIT 1",
            "SELECT 1 FROM maintenance WHERE name = 'sum-again'",
        )
    )
    if events and not due:
        op.bulk_insert(maintenance, [{"name": "sum-again", "value": 1}])


def _rollup(kind: str, names: tuple[str, ...], figures: tuple[str, ...]) -> None:
    def key(name: str, length: int = 63) -> sa.Column[str]:
        return sa.Column(name, sa.String(length), primary_key=True)

    op.create_table(
        f"rollup_{kind}",
        key("site"),
        sa.Column("bucket_s", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("bucket_start", sa.BigInteger, primary_key=True, autoincrement=False),
        key("camera"),
        key("device"),
        key("model_digest", 64),
        *(key(name) for name in names),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in (*_WINDOW, *figures)),
        sqlite_with_rowid=False,
    )
