"""The sums as hypertables of TimescaleDB, where the database has that extension.

Only the roll-ups: a hypertable's keys must hold its time column, and an event's key is its id.
"""

from __future__ import annotations

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from shopfloor_ingest.adapters.tables import ROLLUPS
from shopfloor_ingest.errors import SettingsError, StoreUnavailableError
from shopfloor_kit.database import cause

CHUNK_S = 7 * 86_400
_OFFERED = text("SELECT default_version FROM pg_available_extensions WHERE name = 'timescaledb'")
_HYPERTABLE = text(
    "SELECT create_hypertable(CAST(:name AS regclass), 'bucket_start', "
    "chunk_time_interval => CAST(:chunk_s AS bigint), migrate_data => true, if_not_exists => true)"
)


def use_timescale(engine: Engine) -> list[str]:
    """Turn the tables of sums into hypertables, all or none; return their names.

    Raises:
        SettingsError: no PostgreSQL, or one without the extension; nothing was changed.
        StoreUnavailableError: the database does not answer, or refuses.
    """
    if engine.dialect.name != "postgresql":
        raise SettingsError(f"database is {engine.dialect.name}, expected PostgreSQL")
    names = [table.name for table in ROLLUPS.values()]
    try:
        with engine.begin() as connection:
            if connection.execute(_OFFERED).first() is None:
                raise SettingsError("database: its server has no extension timescaledb")
            connection.execute(text("CREATE EXTENSION IF NOT EXISTS timescaledb"))
            for name in names:
                connection.execute(_HYPERTABLE, {"name": name, "chunk_s": CHUNK_S})
    except SQLAlchemyError as e:
        raise StoreUnavailableError(cause(e)) from e
    return names
