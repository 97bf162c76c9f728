"""The tables before there were migrations: events, measures, devices, watermarks, dead letters."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_DURABLE = sa.text("kind IN ('alert', 'dwell', 'heat', 'occupancy', 'queue', 'shelf', 'traffic')")


def upgrade() -> None:
    """Create everything."""
    op.create_table(
        "events",
        sa.Column("id", sa.String(36), primary_key=True),
        *_texts("site", "device", "camera"),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("stream", sa.String(36), nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("prevseq", sa.BigInteger),
        sa.Column("time", sa.String(32), nullable=False),
        sa.Column("received_at", sa.String(32), nullable=False),
        sa.Column("data", sa.Text, nullable=False),
    )
    op.create_index(
        "events_stream_seq",
        "events",
        ["site", "device", "stream", "seq"],
        unique=True,
        sqlite_where=_DURABLE,
        postgresql_where=_DURABLE,
    )
    _measures("traffic", "line", ("crossings_in", "crossings_out"), ())
    _measures("occupancy", "zone", ("people_max",), ("people_s", "observed_s"))
    _state()


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.String(63), nullable=False) for name in names]


def _measures(table: str, name: str, counts: tuple[str, ...], seconds: tuple[str, ...]) -> None:
    op.create_table(
        table,
        sa.Column("event_id", sa.String(36), primary_key=True),
        *_texts("site", "camera"),
        sa.Column(name, sa.String(63), primary_key=True),
        sa.Column("window_start", sa.BigInteger, nullable=False),
        sa.Column("window_s", sa.Float, nullable=False),
        *(sa.Column(column, sa.BigInteger, nullable=False) for column in counts),
        *(sa.Column(column, sa.Float, nullable=False) for column in seconds),
        sa.Column("coverage_ratio", sa.Float, nullable=False),
    )
    op.create_index(f"{table}_site_window", table, ["site", "window_start"])


def _state() -> None:
    op.create_table(
        "devices",
        sa.Column("site", sa.String(63), primary_key=True),
        sa.Column("device", sa.String(63), primary_key=True),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("boot_id", sa.String(36), nullable=False),
        sa.Column("stream", sa.String(36)),
        sa.Column("said_at", sa.String(32), nullable=False),
        sa.Column("last_seen_at", sa.String(32), nullable=False),
        sa.Column("heartbeat", sa.Text),
    )
    for table, figures in (("watermarks", ("up_to", "dropped")), ("waiting", ("prevseq",))):
        op.create_table(
            table,
            sa.Column("site", sa.String(63), primary_key=True),
            sa.Column("device", sa.String(63), primary_key=True),
            sa.Column("stream", sa.String(36), primary_key=True),
            *([sa.Column("seq", sa.BigInteger, primary_key=True)] if table == "waiting" else []),
            *(sa.Column(figure, sa.BigInteger, nullable=False) for figure in figures),
        )
    op.create_table(
        "dead_letters",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("received_at", sa.String(32), nullable=False),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("reason", sa.String(20), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sqlite_autoincrement=True,
    )
