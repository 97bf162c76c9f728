"""Brings a database to the schema of this version, one process at a time."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from shopfloor_identity.errors import StoreUnavailableError

_LOCK = 7_310_021
"""Number of the advisory lock in PostgreSQL; SQLite's own write lock does the same."""


def prepare(engine: Engine) -> None:
    """Bring the schema up to date: all steps or none.

    Raises:
        StoreUnavailableError: the database does not answer, or is another one's.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except SQLAlchemyError as e:
        raise StoreUnavailableError(cause(e)) from e


def cause(error: SQLAlchemyError) -> str:
    """Return the driver's words, on one line."""
    return " ".join(str(getattr(error, "orig", None) or error).split())
