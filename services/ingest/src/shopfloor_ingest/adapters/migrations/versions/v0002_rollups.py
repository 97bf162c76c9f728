"""Roll-ups take the place of the measures; what is stored is summed again at the next start."""

from __future__ import annotations

import json
from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_WINDOW = ("windows", "window_ms", "covered_ms", "frames", "degraded_ms")
_BATCH = 5000


def _histogram(name: str) -> tuple[str, ...]:
    return tuple(f"{name}_{i}" for i in range(8))


_TABLES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "traffic": (("line",), ("crossings_in", "crossings_out")),
    "occupancy": (
        ("zone",),
        ("people_ms", "observed_ms", *_histogram("level_ms"), "people_max"),
    ),
    "dwell": (
        ("zone",),
        (
            *("observed_ms", "entries", "exits", "lost", "dwell_ms"),
            *(*_histogram("visits"), "dwell_max_ms"),
        ),
    ),
    "queue": (
        ("zone",),
        (
            *("observed_ms", "people_ms", "joined", "served", "lost", "wait_ms"),
            *(*_histogram("length_ms"), *_histogram("waits"), "people_max", "wait_max_ms"),
        ),
    ),
    "heat": ((), ("observed_ms", "people_ms")),
    "shelf": (
        ("slot",),
        (
            *("correct_ms", "empty_ms", "wrong_ms", "unknown_ms", "hidden_ms"),
            *("removals", "returns"),
        ),
    ),
    "alert": (("about", "rule", "severity"), ("raised", "cleared", "noisy", "suppressed")),
}

_TRAFFIC_VIEW = """
CREATE VIEW traffic AS
SELECT site, device, camera, line, bucket_start AS window_start, window_ms / 1000.0 AS window_s,
       crossings_in, crossings_out, covered_ms * 1.0 / NULLIF(window_ms, 0) AS coverage_ratio
FROM rollup_traffic WHERE bucket_s = 60
"""
_OCCUPANCY_VIEW = """
CREATE VIEW occupancy AS
SELECT site, device, camera, zone, bucket_start AS window_start, window_ms / 1000.0 AS window_s,
       people_ms / 1000.0 AS people_s, observed_ms / 1000.0 AS observed_s, people_max,
       covered_ms * 1.0 / NULLIF(window_ms, 0) AS coverage_ratio
FROM rollup_occupancy WHERE bucket_s = 60
"""


def upgrade() -> None:
    """Add the roll-ups, the instant that an event counts at, and the order to sum again."""
    maintenance = op.create_table(
        "maintenance",
        sa.Column("name", sa.String(30), primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )
    for kind, (names, figures) in _TABLES.items():
        _rollup(kind, names, figures)
    op.add_column(
        "events", sa.Column("began_at", sa.BigInteger, nullable=False, server_default="0")
    )
    _date_events()
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("events", "began_at", server_default=None)
    op.create_index("events_began_at", "events", ["began_at"])
    op.drop_table("traffic")
    op.drop_table("occupancy")
    op.execute(_TRAFFIC_VIEW)
    op.execute(_OCCUPANCY_VIEW)
    op.bulk_insert(maintenance, [{"name": "sum-again", "value": 1}])


def _rollup(kind: str, names: tuple[str, ...], figures: tuple[str, ...]) -> None:
    def key(name: str, kind_of: sa.String) -> sa.Column[str]:
        return sa.Column(name, kind_of, primary_key=True)

    op.create_table(
        f"rollup_{kind}",
        key("site", sa.String(63)),
        # Without this an Integer key of SQLite or a serial of PostgreSQL would count by itself.
        sa.Column("bucket_s", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("bucket_start", sa.BigInteger, primary_key=True, autoincrement=False),
        key("camera", sa.String(63)),
        key("device", sa.String(63)),
        key("model_digest", sa.String(64)),
        *(key(name, sa.String(63)) for name in names),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in (*_WINDOW, *figures)),
        *([sa.Column("cells", sa.LargeBinary, nullable=False)] if kind == "heat" else []),
        sqlite_with_rowid=False,
    )


def _date_events() -> None:
    """Fill ``began_at``, a batch of events at a time, in the order of their ids."""
    connection = op.get_bind()
    page = sa.text("SELECT id, time, data FROM events WHERE id > :last ORDER BY id LIMIT :batch")
    change = sa.text("UPDATE events SET began_at = :began_at WHERE id = :id")
    last = ""
    while found := connection.execute(page, {"last": last, "batch": _BATCH}).all():
        dated = [{"id": row.id, "began_at": _began_at(row.time, row.data)} for row in found]
        connection.execute(change, dated)
        last = found[-1].id


def _began_at(time: str, data: str) -> int:
    said = json.loads(data)
    return int(
        datetime.fromisoformat(said.get("window_start") or said.get("at") or time).timestamp()
    )
