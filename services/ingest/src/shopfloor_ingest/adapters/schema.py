"""Brings a database to the schema of this version, one process at a time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from shopfloor_ingest.adapters.tables import METADATA

MARK = "alembic_version"
OURS = frozenset({*METADATA.tables, "traffic", "occupancy", MARK})
"""Every table and view of any version of the schema."""

_FIRST = "0001"
LOCK = 7_310_001
"""Number of the advisory lock in PostgreSQL; SQLite's own write lock does the same."""


def migrate(connection: Connection) -> None:
    """Bring the schema up to date in the caller's transaction: all steps or none."""
    lock_whole_store(connection)
    config = _config()
    config.attributes["connection"] = connection
    if current_revision(connection) is None and inspect(connection).has_table("events"):
        # Made before there were migrations: it is what the first one makes.
        command.stamp(config, _FIRST)
    command.upgrade(config, "head")


@dataclass(frozen=True, slots=True)
class Dumped:
    """What a copy of a database holds."""

    backend: Literal["sqlite", "postgresql"]
    schema_version: str
    events: int


def current_revision(connection: Connection) -> str | None:
    """Return the schema's version; None in a database that holds no event store of ours."""
    return MigrationContext.configure(connection).get_current_revision()


def known_revisions() -> list[str]:
    """Return the versions that this software can bring up to date, the newest last."""
    scripts = ScriptDirectory.from_config(_config()).walk_revisions()
    return [script.revision for script in scripts][::-1]


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def lock_whole_store(connection: Connection) -> None:
    """Wait for every other writer to end its transaction, and hold them off until ours ends."""
    _lock(connection, "pg_advisory_xact_lock")


def lock_as_writer(connection: Connection) -> None:
    """Hold off whoever wants the whole store; other writers go on."""
    _lock(connection, "pg_advisory_xact_lock_shared")


def _lock(connection: Connection, function: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT {function}({LOCK})"))
