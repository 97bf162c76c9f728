"""What differs per database: INSERT … ON CONFLICT."""

from __future__ import annotations

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def upsert(connection: Connection, table: Table) -> sqlite.Insert:
    """Return an insert that knows ``on_conflict_do_nothing`` and ``…_do_update``."""
    if connection.dialect.name == "postgresql":
        # Same methods, same meaning; SQLAlchemy has no common base for them.
        return postgresql.insert(table)  # type: ignore[return-value]
    return sqlite.insert(table)
