"""The tables, for SQLite and PostgreSQL alike. Instants are UTC text; ``began_at``
and ``bucket_start`` are epoch seconds.

Every change here is a migration too (``adapters/migrations``): a test holds both together. The
views ``traffic`` and ``occupancy`` over the minute roll-ups exist in migrations only.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)

from shopfloor_contracts.events import DURABLE_KINDS, Kind
from shopfloor_ingest.domain.rollups import SHAPES, Shape

METADATA = MetaData()
_OF_THE_MOMENT = sorted(str(kind) for kind in Kind if kind not in DURABLE_KINDS)
_NUMBERED = text(f"kind NOT IN ({', '.join(map(repr, _OF_THE_MOMENT))})")

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
    Column("began_at", BigInteger, nullable=False),
    Index("events_began_at", "began_at"),
    # Births and deaths number themselves per boot: only an outbox promises uniqueness.
    Index(
        "events_stream_seq",
        "site",
        "device",
        "stream",
        "seq",
        unique=True,
        sqlite_where=_NUMBERED,
        postgresql_where=_NUMBERED,
    ),
)

MAINTENANCE = Table(
    "maintenance",
    METADATA,
    Column("name", String(30), primary_key=True),
    Column("value", BigInteger, nullable=False),
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


def _rollup_table(shape: Shape) -> Table:
    names = {"site": 63, "camera": 63, "device": 63, "model_digest": 64}
    keys = [
        Column(key, BigInteger, primary_key=True)
        if key.startswith("bucket_")
        else Column(key, String(names.get(key, 63)), primary_key=True)
        for key in shape.keys
    ]
    figures = [Column(name, BigInteger, nullable=False) for name in (*shape.sums, *shape.maxima)]
    cells = [Column("cells", LargeBinary, nullable=False)] if shape.grid else []
    # One tree in the order of the questions: a site's buckets of one length lie side by side.
    return Table(f"rollup_{shape.kind}", METADATA, *keys, *figures, *cells, sqlite_with_rowid=False)


ROLLUPS = {kind: _rollup_table(shape) for kind, shape in SHAPES.items()}
"""Sums per bucket of a minute, an hour and a day (``bucket_s``); one table per kind."""
