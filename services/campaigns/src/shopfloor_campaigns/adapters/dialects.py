"""What differs per database: INSERT … ON CONFLICT."""

from __future__ import annotations

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite


def upsert(backend: str, table: Table) -> sqlite.Insert:
    """Return an insert that knows ``on_conflict_do_nothing`` and ``…_do_update``."""
    if backend == "postgresql":
        # Same methods, same meaning; SQLAlchemy has no common base for them.
        return postgresql.insert(table)  # type: ignore[return-value]
    return sqlite.insert(table)
