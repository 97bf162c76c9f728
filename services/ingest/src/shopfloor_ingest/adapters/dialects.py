"""What differs per database: INSERT … ON CONFLICT, and what it says went wrong."""

from __future__ import annotations

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError


def upsert(connection: Connection, table: Table) -> sqlite.Insert:
    """Return an insert that knows ``on_conflict_do_nothing`` and ``…_do_update``."""
    if connection.dialect.name == "postgresql":
        # Same methods, same meaning; SQLAlchemy has no common base for them.
        return postgresql.insert(table)  # type: ignore[return-value]
    return sqlite.insert(table)


def cause(error: SQLAlchemyError) -> str:
    """Return the driver's words, on one line."""
    return " ".join(str(getattr(error, "orig", None) or error).split())
