"""The console's own tables in ``state.db``: sessions, tablets, enrolments, taps, audit trail."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shopfloor_edge.errors import JournalError
from shopfloor_edge.journal.database import FILE_NAME, connect, transaction

_SCHEMA = """
CREATE TABLE IF NOT EXISTS console_sessions (
    digest TEXT PRIMARY KEY,
    person TEXT NOT NULL,
    csrf TEXT NOT NULL,
    tablet TEXT NOT NULL,
    began_at REAL NOT NULL,
    seen_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS console_tablets (
    digest TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    enrolled_at REAL NOT NULL,
    seen_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS console_enrolments (
    digest TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    expires_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS console_deeds (
    alert_id TEXT PRIMARY KEY,
    action TEXT NOT NULL,
    by TEXT NOT NULL,
    at REAL NOT NULL,
    until REAL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS console_audit (
    number INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL,
    prev TEXT NOT NULL UNIQUE,
    digest TEXT NOT NULL UNIQUE
);
CREATE INDEX IF NOT EXISTS console_alerts ON alerts
    (settled, state, severity, escalated_at, raised_at, alert_id);
CREATE TRIGGER IF NOT EXISTS console_audit_no_update BEFORE UPDATE ON console_audit
BEGIN SELECT RAISE(ABORT, 'console_audit can be added to only'); END;
CREATE TRIGGER IF NOT EXISTS console_audit_no_delete BEFORE DELETE ON console_audit
BEGIN SELECT RAISE(ABORT, 'console_audit can be added to only'); END;
"""


class Store:
    """One connection, taken in turns by the threads that answer requests.

    Raises:
        JournalError: from every method, when the file cannot be read or written now.
    """

    def __init__(self, state: Path) -> None:
        self._lock = threading.RLock()
        self._connection = connect(state, durable=True, any_thread=True)
        try:
            self._connection.executescript(_SCHEMA)
        except sqlite3.Error as e:
            raise JournalError(f"{state / FILE_NAME}: {e}") from e

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give the connection for reading."""
        with self._lock:
            try:
                yield self._connection
            except sqlite3.Error as e:
                raise JournalError(f"{FILE_NAME}: {e}") from e

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Give the connection inside one durable transaction."""
        with self._lock, transaction(self._connection):
            yield self._connection

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()
