"""What people tapped in the last seconds: kept durably, and undone without a trace in the figures.

A deed goes to the alert book, and so to the cloud, when it can no longer be undone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from shopfloor_contracts.feedback import FeedbackAction
from shopfloor_edge.console.store import Store
from shopfloor_edge.errors import AlertUnknownError
from shopfloor_edge.journal.alertbook import AlertBook

UNDO = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Deed:
    """One tap. Instants are seconds since the epoch."""

    alert_id: str
    action: FeedbackAction
    by: str
    at: float
    until: float | None
    """Of a snooze."""


class Deeds:
    """The taps that can still be undone.

    Raises:
        JournalError: from every method, when the file cannot be written now.
    """

    def __init__(self, store: Store, book: AlertBook, clock: Callable[[], datetime]) -> None:
        self._store, self._book, self._clock = store, book, clock
        self._lock = threading.Lock()
        self._version = 0
        self._pending = self._read()

    @property
    def version(self) -> int:
        """Rises with every change."""
        return self._version

    def pending(self) -> dict[str, Deed]:
        """Return the deeds by alert."""
        with self._lock:
            return dict(self._pending)

    def do(
        self, alert_id: str, action: FeedbackAction, *, by: str, until: float | None = None
    ) -> Deed:
        """Take a tap; a later one about the same alert replaces it.

        Raises:
            AlertUnknownError: there is no such alert.
        """
        self._book.get(alert_id)
        deed = Deed(alert_id, action, by, self._clock().timestamp(), until)
        with self._lock, self._store.writing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO console_deeds VALUES (?, ?, ?, ?, ?)",
                (alert_id, action, by, deed.at, until),
            )
            self._pending[alert_id] = deed
            self._version += 1
        return deed

    def undo(self, alert_id: str) -> Deed | None:
        """Take a tap back; None when it is too late, or there was none."""
        with self._lock:
            deed = self._pending.get(alert_id)
            if deed is None:
                return None
            self._forget(alert_id)
            return deed

    def settle(self) -> None:
        """Hand what is older than the undo time to the alert book."""
        now_s = self._clock().timestamp()
        for deed in self.pending().values():
            # A clock that was set back must not keep a deed for hours.
            if 0 <= now_s - deed.at < UNDO.total_seconds():
                continue
            with self._lock:
                # It may have been undone meanwhile.
                if self._pending.get(deed.alert_id) != deed:
                    continue
                self._commit(deed)
                self._forget(deed.alert_id)

    def _commit(self, deed: Deed) -> None:
        try:
            self._book.act(deed.alert_id, deed.action, by=deed.by, at=deed.at, until=deed.until)
        except AlertUnknownError:
            return  # Too old to be kept; nobody misses what was said of it.

    def _forget(self, alert_id: str) -> None:
        with self._store.writing() as connection:
            connection.execute("DELETE FROM console_deeds WHERE alert_id = ?", (alert_id,))
        self._pending.pop(alert_id, None)
        self._version += 1

    def _read(self) -> dict[str, Deed]:
        with self._store.reading() as connection:
            rows = connection.execute("SELECT * FROM console_deeds").fetchall()
        return {row[0]: Deed(row[0], FeedbackAction(row[1]), *row[2:]) for row in rows}
