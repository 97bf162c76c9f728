"""One event per number of an outbox, of whatever kind: new kinds are held to it as well."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_NUMBERED = sa.text("kind NOT IN ('birth', 'death', 'heartbeat')")


def upgrade() -> None:
    """Make the index again; it named the kinds of its day."""
    op.drop_index("events_stream_seq", "events")
    op.create_index(
        "events_stream_seq",
        "events",
        ["site", "device", "stream", "seq"],
        unique=True,
        sqlite_where=_NUMBERED,
        postgresql_where=_NUMBERED,
    )
