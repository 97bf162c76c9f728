"""Rows of the alert book: an alert from raised to settled, as the device and its people see it.

Written in the transaction that commits the event, so that what the staff see and what the cloud
hears never differ, also after a cut. ``alertbook`` holds what people do.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from enum import StrEnum

from shopfloor_contracts.alerts import AlertData, AlertState
from shopfloor_contracts.feedback import Verdict
from shopfloor_contracts.rules import Severity

KEPT_DAYS = 35
"""A settled alert goes after five weeks: the precision of a month can be seen on the device."""
MAX_ROWS = 100_000
"""Beyond, the oldest go, settled ones first: years at the hourly budget, about 40 MB."""
DAY_S = 86_400

_COLUMNS = (
    "alert_id, source, rule, metric, about, severity, raised_at, cleared_at, value, threshold,"
    " track, note, evidence, state, verdict, by, at, snoozed_until, escalated_at, changed"
)


class Standing(StrEnum):
    """Where an alert stands with the people of the site."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"
    RESOLVED = "resolved"
    """By a person, or because its condition went by."""
    WRONG = "wrong"


SETTLED = frozenset({Standing.RESOLVED, Standing.WRONG})


@dataclass(frozen=True, slots=True)
class AlertRow:
    """One alert. Instants are seconds since the epoch."""

    alert_id: str
    source: str
    rule: str
    metric: str
    about: str
    """Zone, line or slot; empty for the camera."""
    severity: Severity
    raised_at: float
    cleared_at: float | None
    """When its condition went by; None while it holds, and of one about a person's deed."""
    value: float
    threshold: float
    track: int | None
    note: str
    evidence: str
    """Path of the masked clip, below the state folder; empty where there is none (yet)."""
    state: Standing
    verdict: Verdict
    by: str
    """Who did the last thing; empty: the device."""
    at: float
    """When that was."""
    snoozed_until: float | None
    escalated_at: float | None
    changed: int
    """Rises with every change of any alert."""

    @property
    def camera(self) -> str:
        """Last part of the source: a camera, a station or a sensor."""
        return self.source.rsplit("/", 1)[-1]

    @property
    def settled(self) -> bool:
        """Whether nothing is left to do."""
        return self.state in SETTLED


def enter(connection: sqlite3.Connection, source: str, data: AlertData) -> None:
    """Take an alert's event, inside the caller's transaction. "Noisy" is about a rule: no row."""
    at_s = data.at.timestamp()
    if data.state is AlertState.RAISED:
        _raise(connection, source, data, at_s)
        trim(connection, at_s)
    elif data.state is AlertState.CLEARED:
        _clear(connection, str(data.alert_id), at_s)


def find(connection: sqlite3.Connection, where: str, *values: object) -> list[AlertRow]:
    """Return the rows that ``where`` (SQL of ours, with ``?`` for the values) selects."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM alerts WHERE {where}", values)  # noqa: S608
    return [_row(row) for row in rows]


def next_change(connection: sqlite3.Connection) -> int:
    """Count a change, inside the caller's transaction."""
    (number,) = connection.execute(
        "INSERT INTO counters VALUES ('alert_changes', 1)"
        " ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value"
    ).fetchone()
    return int(number)


def trim(connection: sqlite3.Connection, now_s: float, max_rows: int = MAX_ROWS) -> None:
    """Delete what is too old or too much, inside the caller's transaction."""
    gone = [
        alert_id
        for (alert_id,) in connection.execute(
            "SELECT alert_id FROM alerts WHERE settled = 1 AND raised_at < ?",
            (now_s - KEPT_DAYS * DAY_S,),
        )
    ]
    (rows,) = connection.execute("SELECT COUNT(*) FROM alerts").fetchone()
    if rows - len(gone) > max_rows:
        oldest = connection.execute(
            "SELECT alert_id FROM alerts ORDER BY settled DESC, raised_at LIMIT ?",
            (rows - max_rows,),
        )
        gone += [alert_id for (alert_id,) in oldest]
    named = [(alert_id,) for alert_id in gone]
    connection.executemany("DELETE FROM alerts WHERE alert_id = ?", named)
    connection.executemany("DELETE FROM alert_actions WHERE alert_id = ?", named)


def _raise(connection: sqlite3.Connection, source: str, data: AlertData, at_s: float) -> None:
    if data.track is None:
        # A rule holds once at a time: an older one was left by a process that ended.
        older = connection.execute(
            "SELECT alert_id FROM alerts WHERE source = ? AND rule = ? AND settled = 0"
            " AND cleared_at IS NULL AND about = ? AND alert_id <> ?",
            (source, data.rule, data.about or "", str(data.alert_id)),
        ).fetchall()
        for (alert_id,) in older:
            _clear(connection, alert_id, at_s)
    connection.execute(
        "INSERT OR IGNORE INTO alerts (alert_id, source, rule, metric, about, severity, raised_at,"
        " value, threshold, track, note, at, changed) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
        (
            *(str(data.alert_id), source, data.rule, data.metric, data.about or ""),
            *(data.severity, at_s, data.value, data.threshold, data.track, data.note or ""),
            *(at_s, next_change(connection)),
        ),
    )


def _clear(connection: sqlite3.Connection, alert_id: str, at_s: float) -> None:
    """Note that the condition went by; what nobody has settled is settled by that."""
    connection.execute(
        "UPDATE alerts SET cleared_at = ?, changed = ?,"
        " state = CASE settled WHEN 0 THEN 'resolved' ELSE state END,"
        " by = CASE settled WHEN 0 THEN '' ELSE by END,"
        " at = CASE settled WHEN 0 THEN ? ELSE at END, settled = 1"
        " WHERE alert_id = ? AND cleared_at IS NULL",
        (at_s, next_change(connection), at_s, alert_id),
    )


def _row(row: tuple[object, ...]) -> AlertRow:
    fields = dict(zip(_COLUMNS.replace(" ", "").split(","), row, strict=True))
    fields |= {
        "severity": Severity(str(fields["severity"])),
        "state": Standing(str(fields["state"])),
        "verdict": Verdict(str(fields["verdict"])),
    }
    return AlertRow(**fields)  # type: ignore[arg-type]
