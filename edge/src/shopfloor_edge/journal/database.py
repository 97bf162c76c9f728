"""``state.db``: one SQLite file between the device's processes."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from shopfloor_edge.errors import JournalError

FILE_NAME = "state.db"
BUSY_TIMEOUT_MS = 5000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS stream (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    id TEXT NOT NULL,
    next_seq INTEGER NOT NULL,
    acked INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS outbox (
    seq INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    priority INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    event BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS outbox_by_priority ON outbox (priority, seq);
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS cameras (camera TEXT PRIMARY KEY, state TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS ledger (
    source TEXT NOT NULL,
    kind TEXT NOT NULL,
    model_digest TEXT NOT NULL,
    backend TEXT NOT NULL,
    precision TEXT NOT NULL,
    zone_version TEXT NOT NULL,
    windows INTEGER NOT NULL,
    frames INTEGER NOT NULL,
    window_s REAL NOT NULL,
    covered_s REAL NOT NULL,
    first_at REAL NOT NULL,
    last_at REAL NOT NULL,
    PRIMARY KEY (source, kind, model_digest, backend, precision, zone_version)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS uplink (
    day TEXT NOT NULL,
    kind TEXT NOT NULL,
    events INTEGER NOT NULL,
    raw_bytes INTEGER NOT NULL,
    wire_bytes INTEGER NOT NULL,
    PRIMARY KEY (day, kind)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS held (kind TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS deferred (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    priority INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    event BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS trials (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    digest TEXT NOT NULL,
    step TEXT NOT NULL,
    run TEXT NOT NULL,
    elapsed_s REAL NOT NULL,
    frames INTEGER NOT NULL,
    report TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS stations (
    station TEXT PRIMARY KEY,
    admission TEXT NOT NULL,
    known TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS parts (
    station TEXT NOT NULL,
    part INTEGER NOT NULL,
    at REAL NOT NULL,
    verdict TEXT NOT NULL,
    latency_ms REAL NOT NULL,
    defects TEXT NOT NULL,
    reason TEXT NOT NULL,
    number INTEGER,
    run TEXT NOT NULL,
    product TEXT NOT NULL,
    evidence TEXT NOT NULL,
    PRIMARY KEY (station, part)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS overrules (
    station TEXT NOT NULL,
    part INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    good INTEGER NOT NULL,
    by TEXT NOT NULL,
    at REAL NOT NULL,
    counted INTEGER NOT NULL,
    PRIMARY KEY (station, part)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS station_commands (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    station TEXT NOT NULL,
    command TEXT NOT NULL,
    by TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS alerts (
    alert_id TEXT PRIMARY KEY,
    source TEXT NOT NULL,
    rule TEXT NOT NULL,
    metric TEXT NOT NULL,
    about TEXT NOT NULL,
    severity TEXT NOT NULL,
    raised_at REAL NOT NULL,
    cleared_at REAL,
    value REAL NOT NULL,
    threshold REAL NOT NULL,
    track INTEGER,
    note TEXT NOT NULL,
    evidence TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL DEFAULT 'open',
    verdict TEXT NOT NULL DEFAULT 'none',
    by TEXT NOT NULL DEFAULT '',
    at REAL NOT NULL,
    snoozed_until REAL,
    escalated_at REAL,
    settled INTEGER NOT NULL DEFAULT 0,
    changed INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS alerts_by_age ON alerts (settled, raised_at);
CREATE INDEX IF NOT EXISTS alerts_by_change ON alerts (changed);
CREATE INDEX IF NOT EXISTS alerts_by_rule ON alerts (source, rule, settled);
CREATE TABLE IF NOT EXISTS alert_actions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    alert_id TEXT NOT NULL,
    action TEXT NOT NULL,
    by TEXT NOT NULL,
    at REAL NOT NULL,
    note TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS alert_actions_by_alert ON alert_actions (alert_id);
CREATE TABLE IF NOT EXISTS history (
    began INTEGER NOT NULL,
    camera TEXT NOT NULL,
    kind TEXT NOT NULL,
    about TEXT NOT NULL,
    window_s REAL NOT NULL,
    covered_s REAL NOT NULL,
    sums TEXT NOT NULL,
    maxima TEXT NOT NULL,
    cells BLOB NOT NULL,
    PRIMARY KEY (began, camera, kind, about)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS history_days (day INTEGER PRIMARY KEY);
INSERT OR IGNORE INTO counters VALUES ('outbox_rows', 0), ('outbox_bytes', 0);
CREATE TRIGGER IF NOT EXISTS outbox_in AFTER INSERT ON outbox BEGIN
    UPDATE counters SET value = value + 1 WHERE name = 'outbox_rows';
    UPDATE counters SET value = value + new.bytes WHERE name = 'outbox_bytes';
END;
CREATE TRIGGER IF NOT EXISTS outbox_out AFTER DELETE ON outbox BEGIN
    UPDATE counters SET value = value - 1 WHERE name = 'outbox_rows';
    UPDATE counters SET value = value - old.bytes WHERE name = 'outbox_bytes';
END;
CREATE TRIGGER IF NOT EXISTS deferred_in AFTER INSERT ON deferred BEGIN
    UPDATE counters SET value = value + 1 WHERE name = 'outbox_rows';
    UPDATE counters SET value = value + new.bytes WHERE name = 'outbox_bytes';
END;
CREATE TRIGGER IF NOT EXISTS deferred_out AFTER DELETE ON deferred BEGIN
    UPDATE counters SET value = value - 1 WHERE name = 'outbox_rows';
    UPDATE counters SET value = value - old.bytes WHERE name = 'outbox_bytes';
END;
"""


def connect(folder: Path, *, durable: bool, any_thread: bool = False) -> sqlite3.Connection:
    """Open ``state.db`` in ``folder``, making both when absent.

    Args:
        any_thread: the caller sees to it that one thread at a time uses it.
        durable: commits are on the disk before they return; without it the last commits may
            be lost with the power, never torn.

    Raises:
        JournalError: the folder or the file cannot be written, or is no database.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        connection = sqlite3.connect(
            folder / FILE_NAME,
            timeout=BUSY_TIMEOUT_MS / 1000,
            isolation_level=None,
            check_same_thread=not any_thread,
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        connection.executescript(_SCHEMA)
        connection.execute("INSERT OR IGNORE INTO stream VALUES (1, ?, 1, 0)", (str(uuid.uuid4()),))
    except (sqlite3.Error, OSError) as e:
        raise JournalError(f"{folder / FILE_NAME}: {e}") from e
    return connection


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Give a connection that never writes; ``path`` is ``state.db`` or the folder that holds it.

    Raises:
        JournalError: it is absent, or cannot be read now.
    """
    path = path / FILE_NAME if path.is_dir() else path
    if not path.is_file():
        raise JournalError(f"{path}: no journal; vision writes it into its --state folder")
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=1.0)
        try:
            yield connection
        finally:
            connection.close()
    except sqlite3.Error as e:
        raise JournalError(f"{path}: {e}") from e


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run a block as one write transaction.

    Raises:
        JournalError: SQLite refused; nothing of the block is kept.
    """
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    except sqlite3.Error as e:
        raise JournalError(f"{FILE_NAME}: {e}") from e


Counter = Literal[
    "events_committed",
    "events_acked",
    "events_sent",
    "uplink_bytes",
    "outbox_dropped",
    "outbox_write_failures",
]


def add(connection: sqlite3.Connection, counter: Counter, by: int) -> None:
    """Add to a counter, inside the caller's transaction."""
    connection.execute(
        "INSERT INTO counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + ?",
        (counter, by, by),
    )
