"""Brings a database to the schema of this version, one process at a time."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

_LOCK = 7_310_002
"""Number of the advisory lock in PostgreSQL; SQLite's own write lock does the same."""


def migrate(connection: Connection) -> None:
    """Bring the schema up to date in the caller's transaction: all steps or none."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
