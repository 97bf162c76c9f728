"""The tables, for SQLite and PostgreSQL alike. Instants are UTC; window starts epoch seconds."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)

from shopfloor_contracts.events import DURABLE_KINDS

METADATA = MetaData()
_DURABLE = text(f"kind IN ({', '.join(repr(str(kind)) for kind in sorted(DURABLE_KINDS))})")

EVENTS = Table(
    "events",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("site", String(63), nullable=False),
    Column("device", String(63), nullable=False),
    Column("camera", String(63), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("stream", String(36), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("prevseq", BigInteger),
    Column("time", String(32), nullable=False),
    Column("received_at", String(32), nullable=False),
    Column("data", Text, nullable=False),
    # Births and deaths number themselves per boot: only an outbox promises uniqueness.
    Index(
        "events_stream_seq",
        "site",
        "device",
        "stream",
        "seq",
        unique=True,
        sqlite_where=_DURABLE,
        postgresql_where=_DURABLE,
    ),
)

TRAFFIC = Table(
    "traffic",
    METADATA,
    Column("event_id", String(36), primary_key=True),
    Column("site", String(63), nullable=False),
    Column("camera", String(63), nullable=False),
    Column("line", String(63), primary_key=True),
    Column("window_start", BigInteger, nullable=False),
    Column("window_s", Float, nullable=False),
    Column("crossings_in", BigInteger, nullable=False),
    Column("crossings_out", BigInteger, nullable=False),
    Column("coverage_ratio", Float, nullable=False),
    Index("traffic_site_window", "site", "window_start"),
)

OCCUPANCY = Table(
    "occupancy",
    METADATA,
    Column("event_id", String(36), primary_key=True),
    Column("site", String(63), nullable=False),
    Column("camera", String(63), nullable=False),
    Column("zone", String(63), primary_key=True),
    Column("window_start", BigInteger, nullable=False),
    Column("window_s", Float, nullable=False),
    Column("people_s", Float, nullable=False),
    Column("observed_s", Float, nullable=False),
    Column("people_max", BigInteger, nullable=False),
    Column("coverage_ratio", Float, nullable=False),
    Index("occupancy_site_window", "site", "window_start"),
)

DEVICES = Table(
    "devices",
    METADATA,
    Column("site", String(63), primary_key=True),
    Column("device", String(63), primary_key=True),
    Column("status", String(10), nullable=False),
    Column("boot_id", String(36), nullable=False),
    Column("stream", String(36)),
    Column("said_at", String(32), nullable=False),
    Column("last_seen_at", String(32), nullable=False),
    Column("heartbeat", Text),
)

WATERMARKS = Table(
    "watermarks",
    METADATA,
    Column("site", String(63), primary_key=True),
    Column("device", String(63), primary_key=True),
    Column("stream", String(36), primary_key=True),
    Column("up_to", BigInteger, nullable=False),
    Column("dropped", BigInteger, nullable=False),
)

WAITING = Table(
    "waiting",
    METADATA,
    Column("site", String(63), primary_key=True),
    Column("device", String(63), primary_key=True),
    Column("stream", String(36), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("prevseq", BigInteger, nullable=False),
)

DEAD_LETTERS = Table(
    "dead_letters",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("received_at", String(32), nullable=False),
    Column("topic", Text, nullable=False),
    Column("reason", String(20), nullable=False),
    Column("detail", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)
