"""The outbox: what has happened, kept until the cloud says that it has it.

An event is committed (fsynced) before anything is sent and deleted only when the cloud has
acknowledged it. The outbox is bounded: the oldest of the lowest priority goes first, and every
drop is counted.
"""

from __future__ import annotations

import logging
import sqlite3
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from shopfloor_contracts.alerts import AlertData
from shopfloor_contracts.events import (
    EVENT_ADAPTER,
    Event,
    EventData,
    Kind,
    build_event,
    encode,
    kind_of,
)
from shopfloor_contracts.windows import Window
from shopfloor_edge.journal import alerts, history, ledger
from shopfloor_edge.journal.database import add, connect, transaction
from shopfloor_edge.journal.usage import Used, add_used, sent_on

log = logging.getLogger(__name__)

PRIORITY = {
    Kind.ALERT: 3,
    Kind.FEEDBACK: 2,
    Kind.TRAFFIC: 2,
    Kind.INSPECTION: 2,
    Kind.SENSOR: 2,
    Kind.OCCUPANCY: 1,
    Kind.DWELL: 1,
    Kind.QUEUE: 1,
    Kind.SHELF: 1,
    Kind.HEAT: 0,
}
"""Higher is kept longer. Alerts are few and say what to do; what people paid for is traffic; heat
is the largest and the least missed."""


@dataclass(frozen=True, slots=True)
class Draft:
    """An event that has no number yet."""

    data: EventData
    source: str
    time: datetime


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event in the outbox, ready to be sent."""

    seq: int
    kind: Kind
    event: Event


@dataclass(frozen=True, slots=True)
class Position:
    """Where the outbox stands."""

    stream: uuid.UUID
    next_seq: int
    acked: int


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits behind a sequence."""

    rows: int
    bytes: int
    has_alert: bool


class Outbox:
    """One process's handle; not shared among threads.

    Raises:
        JournalError: from every method, when the file cannot be written now.
    """

    def __init__(self, folder: Path, *, max_rows: int, max_bytes: int) -> None:
        self._connection = connect(folder, durable=True)
        self._max_rows, self._max_bytes = max_rows, max_bytes
        row = self._connection.execute("SELECT id FROM stream").fetchone()
        self._stream = uuid.UUID(row[0])

    def position(self) -> Position:
        """Return stream, next sequence and how far the cloud has acknowledged."""
        next_seq, acked = self._connection.execute("SELECT next_seq, acked FROM stream").fetchone()
        return Position(self._stream, next_seq, acked)

    def commit(
        self,
        drafts: Sequence[Draft],
        within: Callable[[sqlite3.Connection], None] | None = None,
    ) -> int:
        """Number and store the drafts in one fsynced transaction; return how many were dropped.

        What ``within`` writes is kept exactly when the drafts are.
        """
        with transaction(self._connection):
            if within is not None:
                within(self._connection)
            (seq,) = self._connection.execute("SELECT next_seq FROM stream").fetchone()
            held = {kind for (kind,) in self._connection.execute("SELECT kind FROM held")}
            for draft in drafts:
                if kind_of(draft.data) in held:
                    self._store(None, draft)
                else:
                    self._store(seq, draft)
                    seq += 1
                if isinstance(draft.data, Window):
                    ledger.enter(self._connection, kind_of(draft.data), draft.source, draft.data)
                    history.enter(self._connection, draft.source, draft.data)
                if isinstance(draft.data, AlertData):
                    alerts.enter(self._connection, draft.source, draft.data)
            self._connection.execute("UPDATE stream SET next_seq = ?", (seq,))
            add(self._connection, "events_committed", len(drafts))
            ledger.trim(self._connection)
            return self._trim()

    def waiting(self, after: int, limit: int) -> list[Waiting]:
        """Return the next events with a sequence above ``after``, in order."""
        rows = self._connection.execute(
            "SELECT seq, kind, event FROM outbox WHERE seq > ? ORDER BY seq LIMIT ?",
            (after, limit),
        ).fetchall()
        previous = self._previous(after)
        found = []
        for seq, kind, payload in rows:
            try:
                event = EVENT_ADAPTER.validate_json(payload)
            except ValidationError:
                # Written by a version whose rules were other: it must not stop those behind it.
                self._discard(seq)
                continue
            event = event.model_copy(update={"prevseq": previous})
            found.append(Waiting(seq, Kind(kind), event))
            previous = seq
        return found

    def backlog(self, after: int) -> Backlog:
        """Return how much waits with a sequence above ``after``, without reading it."""
        rows, size, alerts = self._connection.execute(
            "SELECT COUNT(*), COALESCE(SUM(bytes), 0), COALESCE(SUM(kind = ?), 0)"
            " FROM outbox WHERE seq > ?",
            (Kind.ALERT, after),
        ).fetchone()
        return Backlog(rows, size, alerts > 0)

    def acknowledge(self, up_to: int) -> int:
        """Delete what the cloud has stored; return how many events that were."""
        with transaction(self._connection):
            deleted = self._connection.execute(
                "DELETE FROM outbox WHERE seq <= ?", (up_to,)
            ).rowcount
            self._connection.execute("UPDATE stream SET acked = MAX(acked, ?)", (up_to,))
            add(self._connection, "events_acked", deleted)
            # By SQLite's clock: the outbox has none, and this is shown, never reckoned with.
            self._connection.execute(
                "INSERT OR REPLACE INTO counters VALUES ('acked_at', strftime('%s', 'now'))"
            )
        return deleted

    def hold(self, kinds: Iterable[Kind]) -> int:
        """Let events of ``kinds`` wait from now on; release those of other kinds.

        An event that waits has no number: those behind it are acknowledged without it. What is
        numbered already is sent. Returns how many were released.
        """
        with transaction(self._connection):
            self._connection.execute("DELETE FROM held")
            self._connection.executemany("INSERT INTO held VALUES (?)", [(k,) for k in set(kinds)])
            rows = self._connection.execute(
                "SELECT id, event FROM deferred WHERE kind NOT IN (SELECT kind FROM held)"
                " ORDER BY id"
            ).fetchall()
            (seq,) = self._connection.execute("SELECT next_seq FROM stream").fetchone()
            for number, (identity, payload) in enumerate(rows, start=seq):
                self._connection.execute("DELETE FROM deferred WHERE id = ?", (identity,))
                event = EVENT_ADAPTER.validate_json(payload)
                self._store(number, Draft(event.data, event.source, event.time))
            self._connection.execute("UPDATE stream SET next_seq = ?", (seq + len(rows),))
            return len(rows)

    def count_used(self, day: str, used: Mapping[str, Used]) -> int:
        """Add to what has left on ``day``; return the day's bytes."""
        with transaction(self._connection):
            add_used(self._connection, day, used)
            return sent_on(self._connection, day)

    def count_sent(self, events: int, uplink_bytes: int) -> None:
        """Add to the counters of what has left the device."""
        with transaction(self._connection):
            add(self._connection, "events_sent", events)
            add(self._connection, "uplink_bytes", uplink_bytes)

    def count_failures(self, failures: int) -> None:
        """Record commits that had to be tried again."""
        with transaction(self._connection):
            add(self._connection, "outbox_write_failures", failures)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _store(self, seq: int | None, draft: Draft) -> None:
        """Keep one event; without a number it waits for a budget."""
        kind = kind_of(draft.data)
        payload = encode(
            build_event(
                draft.data, source=draft.source, time=draft.time, stream=self._stream, seq=seq or 0
            )
        )
        statement = (
            "INSERT INTO outbox VALUES (?, ?, ?, ?, ?)"
            if seq is not None
            else "INSERT INTO deferred VALUES (?, ?, ?, ?, ?)"
        )
        self._connection.execute(statement, (seq, kind, PRIORITY[kind], len(payload), payload))

    def _discard(self, seq: int) -> None:
        log.error("event in the outbox is not understood, dropped", extra={"seq": seq})
        with transaction(self._connection):
            self._connection.execute("DELETE FROM outbox WHERE seq = ?", (seq,))
            add(self._connection, "outbox_dropped", 1)

    def _previous(self, after: int) -> int:
        """Return the last sequence up to ``after`` that was not dropped."""
        (waiting,) = self._connection.execute(
            "SELECT MAX(seq) FROM outbox WHERE seq <= ?", (after,)
        ).fetchone()
        return max(waiting or 0, self.position().acked)

    def _trim(self) -> int:
        dropped = 0
        while True:
            counters = dict(self._connection.execute("SELECT name, value FROM counters"))
            if (
                counters["outbox_rows"] <= self._max_rows
                and counters["outbox_bytes"] <= self._max_bytes
            ):
                break
            dropped += self._drop_deferred() or self._drop_numbered()
        if dropped:
            add(self._connection, "outbox_dropped", dropped)
        return dropped

    def _drop_numbered(self) -> int:
        return self._connection.execute(
            "DELETE FROM outbox WHERE seq = (SELECT seq FROM outbox ORDER BY priority, seq LIMIT 1)"
        ).rowcount

    def _drop_deferred(self) -> int:
        """Drop the oldest of the lowest priority that waits, unless one in the outbox is lower."""
        dropped = self._connection.execute(
            "DELETE FROM deferred WHERE id ="
            " (SELECT id FROM deferred WHERE priority <="
            " (SELECT COALESCE(MIN(priority), 9) FROM outbox) ORDER BY priority, id LIMIT 1)"
        ).rowcount
        if dropped:
            # A number that nobody gets: so the cloud counts this event as dropped, too.
            self._connection.execute("UPDATE stream SET next_seq = next_seq + 1")
        return dropped
