"""Brings a database to the schema of this version, one process at a time."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text


def migrate(connection: Connection, folder: Path, lock: int) -> None:
    """Run what is missing of alembic's scripts in the caller's transaction: all steps or none.

    Args:
        folder: alembic's script location.
        lock: number of the advisory lock in PostgreSQL, another one for each service; SQLite's
            own write lock does the same.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": lock})
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
