"""Browsers that asked for notices: where to push, and the keys that only they can open it with."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from shopfloor_edge.errors import JournalError
from shopfloor_edge.journal.database import FILE_NAME, connect, transaction

PUBLIC_KEY_FILE = "push.pub"
"""In the state folder: what a browser asks with; written by the process that pushes."""
MAX_SUBSCRIPTIONS = 200
"""Beyond, the oldest goes: tablets that were replaced are never taken back by their browser."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS push_subscriptions (
    endpoint TEXT PRIMARY KEY, p256dh TEXT NOT NULL, auth TEXT NOT NULL, added_at REAL NOT NULL
) WITHOUT ROWID
"""


@dataclass(frozen=True, slots=True)
class Subscription:
    """One browser, as its Push API describes it."""

    endpoint: str
    """URL at its maker's push service; whoever knows it can wake the browser, not speak to it."""
    p256dh: str
    """The browser's public key, base64url."""
    auth: str
    """Its secret for us, base64url."""


class PushBook:
    """One process's handle, of any of its threads, one at a time.

    Raises:
        JournalError: from every method, when the file cannot be read or written now.
    """

    def __init__(self, folder: Path) -> None:
        self._connection = connect(folder, durable=True, any_thread=True)
        with transaction(self._connection):
            self._connection.execute(_SCHEMA)

    def add(self, subscription: Subscription, now: float) -> None:
        """Keep a subscription; one of the same endpoint is replaced."""
        with transaction(self._connection):
            self._connection.execute(
                "INSERT OR REPLACE INTO push_subscriptions VALUES (?, ?, ?, ?)",
                (subscription.endpoint, subscription.p256dh, subscription.auth, now),
            )
            self._connection.execute(
                "DELETE FROM push_subscriptions WHERE endpoint IN (SELECT endpoint FROM"
                " push_subscriptions ORDER BY added_at DESC LIMIT -1 OFFSET ?)",
                (MAX_SUBSCRIPTIONS,),
            )

    def remove(self, endpoint: str) -> None:
        """Forget a subscription; nothing when there is none."""
        with transaction(self._connection):
            self._connection.execute(
                "DELETE FROM push_subscriptions WHERE endpoint = ?", (endpoint,)
            )

    def all(self) -> list[Subscription]:
        """Return every subscription, the oldest first."""
        try:
            rows = self._connection.execute(
                "SELECT endpoint, p256dh, auth FROM push_subscriptions ORDER BY added_at"
            ).fetchall()
        except sqlite3.Error as e:
            raise JournalError(f"{FILE_NAME}: {e}") from e
        return [Subscription(*row) for row in rows]

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
