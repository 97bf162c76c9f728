"""The schema of this version."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection

from shopfloor_kit import migrations

_LOCK = 7_310_002


def migrate(connection: Connection) -> None:
    """Bring the schema up to date in the caller's transaction: all steps or none."""
    migrations.migrate(connection, Path(__file__).parent / "migrations", _LOCK)
