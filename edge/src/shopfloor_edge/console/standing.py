"""The open alerts as the staff see them: in the order of need, with the last taps laid over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shopfloor_contracts.feedback import FeedbackAction
from shopfloor_edge.console.deeds import Deed, Deeds
from shopfloor_edge.console.store import Store
from shopfloor_edge.journal.alerts import AlertRow, Standing, find

PAGE = 12
"""A tablet shows two at once; ten thousand are paged."""
_SHOWN = "settled = 0 AND state <> 'snoozed'"
# What nobody sees to comes first; among those what was escalated, then what is severe, then new.
_ORDER = """
 ORDER BY (state = 'open') DESC, (state = 'open' AND escalated_at IS NOT NULL) DESC,
 CASE severity WHEN 'critical' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END, raised_at DESC, alert_id
"""
# Names are sorted, not rows, and those out of the console's index.
_NAMES = f"SELECT alert_id FROM alerts WHERE {_SHOWN} {_ORDER} LIMIT {PAGE} OFFSET ?"  # noqa: S608
_PAGE_OF = f"alert_id IN ({_NAMES}) {_ORDER}"


@dataclass(frozen=True, slots=True)
class Shown:
    """An alert, and the tap on it that can still be undone."""

    row: AlertRow
    deed: Deed | None

    @property
    def gone(self) -> bool:
        """Whether the tap takes it off the list."""
        return self.deed is not None and self.deed.action is not FeedbackAction.ACKNOWLEDGED

    @property
    def is_open(self) -> bool:
        """Whether nobody sees to it."""
        return self.row.state is Standing.OPEN and self.deed is None

    @property
    def seen_by(self) -> str:
        """Who sees to it; empty: nobody."""
        if self.deed is not None:
            return self.deed.by
        return self.row.by if self.row.state is Standing.ACKNOWLEDGED else ""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many alerts stand where, with the taps that can still be undone."""

    open: int
    critical: int
    """Of the open ones."""
    acknowledged: int
    snoozed: int
    escalated: int
    """Of the open ones."""

    @property
    def shown(self) -> int:
        """Open or acknowledged."""
        return self.open + self.acknowledged


class Standings:
    """Asks the alert book's table.

    Raises:
        JournalError: from every method, when the file cannot be read now.
    """

    def __init__(self, store: Store, deeds: Deeds) -> None:
        self._store, self._deeds = store, deeds

    def page(self, offset: int = 0) -> list[Shown]:
        """Return ``PAGE`` alerts from ``offset`` on, in the order of need."""
        return self._shown(_PAGE_OF, offset)

    def snoozed(self) -> list[Shown]:
        """Return what is snoozed, the next to wake first."""
        return self._shown(
            "settled = 0 AND state = 'snoozed' ORDER BY snoozed_until LIMIT ?", PAGE * 2
        )

    def counts(self) -> Counts:
        """Count them."""
        with self._store.reading() as connection:
            rows = connection.execute(
                "SELECT state, severity, escalated_at IS NOT NULL, COUNT(*) FROM alerts"
                " WHERE settled = 0 GROUP BY 1, 2, 3"
            ).fetchall()
        tally = {tuple(key): count for *key, count in rows}
        for deed in self._deeds.pending().values():
            self._move(tally, deed)
        opened = {key: n for key, n in tally.items() if key[0] == Standing.OPEN}
        return Counts(
            open=sum(opened.values()),
            critical=sum(n for key, n in opened.items() if key[1] == "critical"),
            acknowledged=sum(n for key, n in tally.items() if key[0] == Standing.ACKNOWLEDGED),
            snoozed=sum(n for key, n in tally.items() if key[0] == Standing.SNOOZED),
            escalated=sum(n for key, n in opened.items() if key[2]),
        )

    def unattended(self, before_s: float, limit: int = 20) -> Sequence[AlertRow]:
        """Return what nobody has acknowledged since ``before_s`` and is not escalated yet."""
        with self._store.reading() as connection:
            rows = find(
                connection,
                "settled = 0 AND state = 'open' AND escalated_at IS NULL AND severity <> 'info'"
                " AND at <= ? ORDER BY raised_at LIMIT ?",
                before_s,
                limit,
            )
        pending = self._deeds.pending()
        return [row for row in rows if row.alert_id not in pending]

    def raised_since(self, cursor: int, limit: int = 50) -> Sequence[AlertRow]:
        """Return the open alerts that have changed since a cursor of the book."""
        with self._store.reading() as connection:
            return find(
                connection,
                "changed > ? AND settled = 0 AND state = 'open' ORDER BY changed DESC LIMIT ?",
                cursor,
                limit,
            )

    def _shown(self, where: str, *values: object) -> list[Shown]:
        with self._store.reading() as connection:
            rows = find(connection, where, *values)
        pending = self._deeds.pending()
        return [Shown(row, pending.get(row.alert_id)) for row in rows]

    def _move(self, tally: dict[tuple[str, str, int], int], deed: Deed) -> None:
        with self._store.reading() as connection:
            found = find(connection, "alert_id = ? AND settled = 0", deed.alert_id)
        for row in found:
            key = (str(row.state), str(row.severity), int(row.escalated_at is not None))
            tally[key] = tally.get(key, 0) - 1
            to = _TO.get(deed.action)
            if to is not None:
                moved = (str(to), key[1], key[2])
                tally[moved] = tally.get(moved, 0) + 1


_TO = {
    FeedbackAction.ACKNOWLEDGED: Standing.ACKNOWLEDGED,
    FeedbackAction.SNOOZED: Standing.SNOOZED,
}
