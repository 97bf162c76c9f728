"""One engine per process, set up for durability: SQLite, or PostgreSQL with the same Core code."""

from __future__ import annotations

from importlib.util import find_spec
from sqlite3 import Connection as SqliteConnection
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from shopfloor_kit.errors import DatabaseUrlError

BUSY_TIMEOUT_MS = 2000
"""How long a statement waits for another process's lock before it is an error."""

CONNECT_TIMEOUT_S = 5

SQLITE_CACHE_KIB = 64 * 1024
"""Pages of the indexes that every batch touches stay in memory; the default holds 2 MB."""

SQLITE_WAL_PAGES = 10_000
"""40 MB of log between checkpoints: a page that many batches changed is then copied once."""

_EXPECTED = "sqlite:///path or postgresql://user@host/name"
_READ_ONLY = "shopfloor_read_only"


def open_engine(url: str, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> Engine:
    """Make the engine for ``sqlite:///path`` or ``postgresql://…``; nothing is opened yet.

    Raises:
        DatabaseUrlError: not a URL, or of a database that is not supported here.
    """
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except ArgumentError as e:
        raise DatabaseUrlError(f"database is no URL, expected {_EXPECTED}") from e
    if backend == "postgresql":
        return _open_postgresql(parsed, busy_timeout_ms)
    if backend != "sqlite" or parsed.database in (None, "", ":memory:"):
        raise DatabaseUrlError(f"database is {backend!r}, expected {_EXPECTED}")
    return _open_sqlite(parsed, busy_timeout_ms)


def _open_postgresql(url: URL, busy_timeout_ms: int) -> Engine:
    if find_spec("psycopg") is None:
        raise DatabaseUrlError("database is 'postgresql', which wants the extra 'postgresql'")
    # A replica that hangs in a lock would hold its batch for ever: it gives up and tries again.
    options = f"-c lock_timeout={busy_timeout_ms:d} -c timezone=UTC"
    return create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
        connect_args={"connect_timeout": CONNECT_TIMEOUT_S, "options": options},
    )


def _open_sqlite(url: URL, busy_timeout_ms: int) -> Engine:
    engine = create_engine(url)

    def on_connect(connection: SqliteConnection, _: Any) -> None:
        # The driver's own BEGIN comes too late (before the first write): we send ours.
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {busy_timeout_ms:d}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA cache_size = -{SQLITE_CACHE_KIB:d}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {SQLITE_WAL_PAGES:d}")

    event.listen(engine, "connect", on_connect)
    event.listen(engine, "begin", _on_begin)
    return engine


def reading(engine: Engine) -> Engine:
    """Return a view of ``engine`` whose transactions take no write lock."""
    return engine.execution_options(**{_READ_ONLY: True})


def _on_begin(connection: Connection) -> None:
    # A transaction that reads first and writes later would fail with "locked" at once
    # when another one wrote in between; IMMEDIATE waits for its turn instead.
    read_only = connection.get_execution_options().get(_READ_ONLY)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def cause(error: SQLAlchemyError) -> str:
    """Return the driver's words, on one line."""
    return " ".join(str(getattr(error, "orig", None) or error).split())
