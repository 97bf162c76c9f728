"""Notices that wait, in a file of their own: kept through kill -9 and power cuts, bounded.

How far the alert book was read is committed with the notices that came of it, so an alert makes
one notice for each target. A message is sent before it is taken from here: after a crash in
between it is sent again, never lost.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from shopfloor_contracts.rules import Severity
from shopfloor_edge.errors import JournalError
from shopfloor_edge.notifier.domain import HOUR_S, WEIGHT, Notice, Reason, Waiting

FILE_NAME = "notices.db"
TOLD_DAYS_S = 40 * 86_400.0
"""Longer than the alert book keeps what is settled."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS position (one INTEGER PRIMARY KEY CHECK (one = 1), cursor INTEGER);
CREATE TABLE IF NOT EXISTS waiting (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    target TEXT NOT NULL,
    weight INTEGER NOT NULL,
    since REAL NOT NULL,
    notice TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS waiting_by_target ON waiting (target, id);
CREATE TABLE IF NOT EXISTS told (
    target TEXT NOT NULL, key TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (target, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reminded (
    alert_id TEXT PRIMARY KEY, times INTEGER NOT NULL, at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sent (target TEXT NOT NULL, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""


class NoticeQueue:
    """One process's handle, of one thread.

    Raises:
        JournalError: from every method, when the file cannot be written now.
    """

    def __init__(self, folder: Path, *, max_waiting: int) -> None:
        self._max_waiting = max_waiting
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._connection = sqlite3.connect(folder / FILE_NAME, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.executescript(_SCHEMA)
        except (sqlite3.Error, OSError) as e:
            raise JournalError(f"{folder / FILE_NAME}: {e}") from e

    def cursor(self) -> int | None:
        """Return how far the alert book was read; None before the first time."""
        with self._writing():
            row = self._connection.execute("SELECT cursor FROM position").fetchone()
        return None if row is None else int(row[0])

    def put(
        self, notices: Iterable[tuple[str, Notice]], *, now: float, cursor: int | None = None
    ) -> int:
        """Keep notices for targets, in one fsynced transaction; return how many were dropped.

        What was put before, sent or not, is left out.
        """
        with self._writing():
            for target, notice in notices:
                if self._is_news(target, notice.key, now):
                    self._connection.execute(
                        "INSERT INTO waiting (target, weight, since, notice) VALUES (?, ?, ?, ?)",
                        (target, WEIGHT[notice.severity], now, json.dumps(asdict(notice))),
                    )
            if cursor is not None:
                self._connection.execute("INSERT OR REPLACE INTO position VALUES (1, ?)", (cursor,))
            self._connection.execute("DELETE FROM told WHERE at < ?", (now - TOLD_DAYS_S,))
            return self._trim()

    def waiting(self, target: str) -> list[Waiting]:
        """Return what waits for a target, the gravest first, then the oldest."""
        with self._writing():
            rows = self._connection.execute(
                "SELECT id, notice, since FROM waiting WHERE target = ? ORDER BY weight DESC, id",
                (target,),
            ).fetchall()
        return [Waiting(number, _notice(text), since) for number, text, since in rows]

    def settle(self, ids: Sequence[int], *, counted: str) -> None:
        """Take notices away, and count them under ``counted``."""
        with self._writing():
            self._connection.executemany("DELETE FROM waiting WHERE id = ?", [(i,) for i in ids])
            self._count(counted, len(ids))

    def sent(self, target: str, ids: Sequence[int], now: float) -> None:
        """Take away what one message has told, and remember when it went."""
        with self._writing():
            self._connection.executemany("DELETE FROM waiting WHERE id = ?", [(i,) for i in ids])
            self._connection.execute("DELETE FROM sent WHERE at < ?", (now - HOUR_S,))
            self._connection.execute("INSERT INTO sent VALUES (?, ?)", (target, now))
            self._count("messages", 1)
            self._count("notices", len(ids))

    def sent_at(self, target: str) -> list[float]:
        """Return when the target was sent messages in the last hour."""
        with self._writing():
            rows = self._connection.execute("SELECT at FROM sent WHERE target = ?", (target,))
            return [at for (at,) in rows.fetchall()]

    def reminded(self, alert_id: str) -> int:
        """Return how often an alert has been repeated."""
        with self._writing():
            row = self._connection.execute(
                "SELECT times FROM reminded WHERE alert_id = ?", (alert_id,)
            ).fetchone()
        return int(row[0]) if row else 0

    def remind(self, alert_id: str, now: float) -> None:
        """Count a repetition."""
        with self._writing():
            self._connection.execute(
                "INSERT INTO reminded VALUES (?, 1, ?)"
                " ON CONFLICT (alert_id) DO UPDATE SET times = times + 1, at = excluded.at",
                (alert_id, now),
            )
            self._connection.execute("DELETE FROM reminded WHERE at < ?", (now - TOLD_DAYS_S,))

    def counters(self) -> dict[str, int]:
        """Return messages and notices sent, notices dropped, given up and settled in time."""
        with self._writing():
            return dict(self._connection.execute("SELECT name, value FROM counters").fetchall())

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _is_news(self, target: str, key: str, now: float) -> bool:
        done = self._connection.execute(
            "INSERT OR IGNORE INTO told VALUES (?, ?, ?)", (target, key, now)
        )
        return done.rowcount == 1

    def _trim(self) -> int:
        (rows,) = self._connection.execute("SELECT COUNT(*) FROM waiting").fetchone()
        over = max(0, rows - self._max_waiting)
        if over:
            self._connection.execute(
                "DELETE FROM waiting WHERE id IN"
                " (SELECT id FROM waiting ORDER BY weight, id LIMIT ?)",
                (over,),
            )
            self._count("dropped", over)
        return int(over)

    def _count(self, name: str, by: int) -> None:
        self._connection.execute(
            "INSERT INTO counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + ?",
            (name, by, by),
        )

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                yield
        except sqlite3.Error as e:
            raise JournalError(f"{FILE_NAME}: {e}") from e


def _notice(text: str) -> Notice:
    fields = json.loads(text)
    fields |= {"severity": Severity(fields["severity"]), "reason": Reason(fields["reason"])}
    return Notice(**fields)
