"""The alert book: what is wrong on the site now, and what people did about it.

Every action is kept, and told to the cloud as an event ``feedback`` in the same transaction:
without a name, so that a rule's precision is known and nobody is watched.
"""

from __future__ import annotations

import sqlite3
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from shopfloor_contracts.feedback import FeedbackAction, FeedbackData, Verdict
from shopfloor_contracts.rules import Metric
from shopfloor_contracts.site import OutboxSpec
from shopfloor_edge.errors import AlertUnknownError, JournalError
from shopfloor_edge.journal.alerts import AlertRow, Standing, find, next_change
from shopfloor_edge.journal.database import FILE_NAME, connect, reading, transaction
from shopfloor_edge.journal.outbox import Draft, Outbox

_AFTER = {
    FeedbackAction.ACKNOWLEDGED: Standing.ACKNOWLEDGED,
    FeedbackAction.SNOOZED: Standing.SNOOZED,
    FeedbackAction.RESOLVED: Standing.RESOLVED,
    FeedbackAction.WRONG: Standing.WRONG,
    FeedbackAction.ESCALATED: Standing.OPEN,
}
_SAYS = {FeedbackAction.RESOLVED: Verdict.RIGHT, FeedbackAction.WRONG: Verdict.WRONG}
_SEEN = frozenset(str(metric) for metric in Metric if metric is not Metric.CAMERA)
_SETTLE = """
UPDATE alerts SET state = ?, verdict = ?, by = ?, at = ?, snoozed_until = ?, escalated_at = ?,
    settled = ?, changed = ? WHERE alert_id = ?
"""


@dataclass(frozen=True, slots=True)
class ActionRow:
    """One thing done about an alert. ``at`` is in seconds since the epoch."""

    action: FeedbackAction
    by: str
    at: float
    note: str


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What people said of alerts."""

    right: int = 0
    wrong: int = 0


class AlertBook:
    """One process's handle, for any of its threads.

    Raises:
        JournalError: from every method, when the file cannot be read or written now.
    """

    def __init__(self, folder: Path, *, limits: OutboxSpec | None = None) -> None:
        self._folder, self._limits = folder, limits or OutboxSpec()
        self._connection = connect(folder, durable=True, any_thread=True)
        self._lock = threading.Lock()

    def open(self, limit: int, *, offset: int = 0) -> list[AlertRow]:
        """Return what is not settled (snoozed ones too), newest first."""
        with self._reading() as connection:
            return find(connection, "settled = 0 ORDER BY raised_at DESC LIMIT ? OFFSET ?",
                        limit, offset)  # fmt: skip

    def settled(self, limit: int, *, offset: int = 0) -> list[AlertRow]:
        """Return what is settled, newest first: a verdict can still be given."""
        with self._reading() as connection:
            return find(connection, "settled = 1 ORDER BY raised_at DESC LIMIT ? OFFSET ?",
                        limit, offset)  # fmt: skip

    def counts(self) -> dict[Standing, int]:
        """Return how many are not settled, by where they stand."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT state, COUNT(*) FROM alerts WHERE settled = 0 GROUP BY state"
            ).fetchall()
        return {Standing(state): count for state, count in rows}

    def cursor(self) -> int:
        """Return the number of the last change."""
        with self._reading() as connection:
            (last,) = connection.execute("SELECT MAX(changed) FROM alerts").fetchone()
        return int(last or 0)

    def since(self, cursor: int, limit: int = 500) -> list[AlertRow]:
        """Return what has changed since, in order; the last row's ``changed`` is the next cursor.

        About 20 µs where nothing has: asked four times a second.
        """
        with self._reading() as connection:
            return find(connection, "changed > ? ORDER BY changed LIMIT ?", cursor, limit)

    def get(self, alert_id: str) -> AlertRow:
        """Return one alert.

        Raises:
            AlertUnknownError: there is none.
        """
        with self._reading() as connection:
            return _get(connection, alert_id)

    def actions(self, alert_id: str) -> list[ActionRow]:
        """Return what was done about an alert, in order."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT action, by, at, note FROM alert_actions WHERE alert_id = ? ORDER BY id",
                (alert_id,),
            ).fetchall()
        return [ActionRow(FeedbackAction(action), *rest) for action, *rest in rows]

    def act(
        self,
        alert_id: str,
        action: FeedbackAction,
        *,
        by: str,
        at: float,
        until: float | None = None,
        note: str = "",
    ) -> AlertRow:
        """Do something about an alert, and return it; doing it twice changes nothing.

        Args:
            by: who; empty for the device. Stays on the device.
            at: seconds since the epoch.
            until: of ``snoozed``: when it is open again.

        Raises:
            AlertUnknownError: there is none.
        """
        drafts: list[Draft] = []

        def write(connection: sqlite3.Connection) -> None:
            # Read and written in one transaction: two tablets that tap at once are one deed.
            row = _get(connection, alert_id)
            if not _changes(row, action, until):
                return
            _write(connection, row, ActionRow(action, by, at, note), until)
            drafts.append(_feedback(row, action, at))

        with self._lock:
            outbox = Outbox(
                self._folder, max_rows=self._limits.max_rows, max_bytes=self._limits.max_bytes
            )
            try:
                outbox.commit(drafts, write)
            finally:
                outbox.close()
        return self.get(alert_id)

    def wake(self, now_s: float) -> int:
        """Open again what was snoozed until before ``now_s``; return how many that were."""
        with self._lock, transaction(self._connection):
            due = find(self._connection, "settled = 0 AND state = 'snoozed' AND snoozed_until <= ?",
                       now_s)  # fmt: skip
            for row in due:
                self._connection.execute(
                    "UPDATE alerts SET state = 'open', snoozed_until = NULL, escalated_at = NULL,"
                    " at = ?, changed = ? WHERE alert_id = ?",
                    (now_s, next_change(self._connection), row.alert_id),
                )
        return len(due)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._connection
            except sqlite3.Error as e:
                raise JournalError(f"{FILE_NAME}: {e}") from e


def keep_evidence(connection: sqlite3.Connection, alert_ids: list[str], path: str) -> None:
    """Say where the clip of these alerts lies.

    Args:
        path: below the state folder.

    Raises:
        JournalError: the file cannot be written now.
    """
    with transaction(connection):
        connection.executemany(
            "UPDATE alerts SET evidence = ?, changed = ? WHERE alert_id = ?",
            [(path, next_change(connection), alert_id) for alert_id in alert_ids],
        )


def read_verdicts(folder: Path, *, from_s: float, to_s: float) -> Verdicts:
    """Return what people said of the alerts raised in a stretch of time (epoch seconds).

    Of those alone that rest on what a model saw: a dead camera is no model's fault.

    Raises:
        JournalError: there is no journal, or it cannot be read now.
    """
    with reading(folder) as connection:
        rows = connection.execute(
            "SELECT verdict, metric, COUNT(*) FROM alerts WHERE raised_at >= ? AND raised_at < ?"
            " GROUP BY verdict, metric",
            (from_s, to_s),
        ).fetchall()
    said = Counter[str]()
    for verdict, metric, count in rows:
        said[verdict] += count if metric in _SEEN else 0
    return Verdicts(said[Verdict.RIGHT], said[Verdict.WRONG])


def _get(connection: sqlite3.Connection, alert_id: str) -> AlertRow:
    found = find(connection, "alert_id = ?", alert_id)
    if not found:
        raise AlertUnknownError(alert_id)
    return found[0]


def _changes(row: AlertRow, action: FeedbackAction, until: float | None) -> bool:
    """Tell whether an action says anything new of an alert as it stands."""
    if action in _SAYS:
        return row.verdict is not _SAYS[action]
    if row.settled:
        return False
    if action is FeedbackAction.ESCALATED:
        return row.state is Standing.OPEN and row.escalated_at is None
    return row.state is not _AFTER[action] or row.snoozed_until != until


def _write(
    connection: sqlite3.Connection, row: AlertRow, done: ActionRow, until: float | None
) -> None:
    state = _AFTER[done.action]
    escalated_at = done.at if done.action is FeedbackAction.ESCALATED else row.escalated_at
    connection.execute(
        _SETTLE,
        (
            *(state, _SAYS.get(done.action, row.verdict), done.by, done.at),
            *(until if state is Standing.SNOOZED else None, escalated_at),
            *(int(done.action in _SAYS), next_change(connection), row.alert_id),
        ),
    )
    connection.execute(
        "INSERT INTO alert_actions (alert_id, action, by, at, note) VALUES (?, ?, ?, ?, ?)",
        (row.alert_id, done.action, done.by, done.at, done.note),
    )


def _feedback(row: AlertRow, action: FeedbackAction, at: float) -> Draft:
    time = datetime.fromtimestamp(at, UTC)
    data = FeedbackData(
        alert_id=uuid.UUID(row.alert_id),
        rule=row.rule,
        metric=row.metric,
        about=row.about or None,
        action=action,
        at=time,
        after_s=round(max(0.0, at - row.raised_at), 3),
        verdict=_SAYS.get(action, Verdict.NONE),
        replaces=row.verdict if action in _SAYS else Verdict.NONE,
    )
    return Draft(data, row.source, time)
