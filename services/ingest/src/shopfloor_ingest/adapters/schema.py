"""Brings a database to the schema of this version, one process at a time."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

_FIRST = "0001"
_LOCK = 7_310_001
"""Number of the advisory lock in PostgreSQL; SQLite's own write lock does the same."""


def migrate(connection: Connection) -> None:
    """Bring the schema up to date in the caller's transaction: all steps or none."""
    lock_whole_store(connection)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    unmarked = MigrationContext.configure(connection).get_current_revision() is None
    if unmarked and inspect(connection).has_table("events"):
        # Made before there were migrations: it is what the first one makes.
        command.stamp(config, _FIRST)
    command.upgrade(config, "head")


def lock_whole_store(connection: Connection) -> None:
    """Wait for every other writer to end its transaction, and hold them off until ours ends."""
    _lock(connection, "pg_advisory_xact_lock")


def lock_as_writer(connection: Connection) -> None:
    """Hold off whoever wants the whole store; other writers go on."""
    _lock(connection, "pg_advisory_xact_lock_shared")


def _lock(connection: Connection, function: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT {function}({_LOCK})"))
