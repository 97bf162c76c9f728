"""One engine per process, set up for durability. SQLite now; the same Core code on PostgreSQL."""

from __future__ import annotations

from sqlite3 import Connection as SqliteConnection
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from shopfloor_kit.errors import DatabaseUrlError

BUSY_TIMEOUT_MS = 2000
"""How long a statement waits for another process's lock before it is an error."""

_READ_ONLY = "shopfloor_read_only"


def open_engine(url: str, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> Engine:
    """Make the engine for ``sqlite:///path``; nothing is opened yet.

    Raises:
        DatabaseUrlError: not a URL, or of a database that is not supported.
    """
    try:
        backend = make_url(url).get_backend_name()
    except ArgumentError as e:
        raise DatabaseUrlError(f"database {url!r} is not a URL, expected sqlite:///path") from e
    if backend != "sqlite" or make_url(url).database in (None, "", ":memory:"):
        raise DatabaseUrlError(f"database is {backend!r}, expected sqlite:///path")
    engine = create_engine(url)

    def on_connect(connection: SqliteConnection, _: Any) -> None:
        # The driver's own BEGIN comes too late (before the first write): we send ours.
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {busy_timeout_ms:d}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")

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
