"""The accuracy ledger: what every figure rests on, kept after the event has been delivered.

One row for each camera, kind of figure, model, runtime and drawing: figures of different rows are
not comparable. Written in the transaction that commits the events, so that it never says more or
less than what was committed.
"""

from __future__ import annotations

import sqlite3
from dataclasses import astuple, dataclass
from pathlib import Path

from shopfloor_contracts.events import Kind
from shopfloor_contracts.windows import Window
from shopfloor_edge.journal.database import reading

MAX_ROWS = 2000
"""Beyond, the rows that ended longest ago go: years of model and zone changes on 64 cameras."""

_UPSERT = """
INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
    windows = windows + 1,
    frames = frames + excluded.frames,
    window_s = window_s + excluded.window_s,
    covered_s = covered_s + excluded.covered_s,
    first_at = MIN(first_at, excluded.first_at),
    last_at = MAX(last_at, excluded.last_at)
"""


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """What one kind of figure of one camera rests on. Instants are seconds since the epoch."""

    source: str
    kind: str
    model_digest: str
    backend: str
    precision: str
    zone_version: str
    windows: int
    frames: int
    window_s: float
    covered_s: float
    first_at: float
    """Begin of the first window."""
    last_at: float
    """End of the last."""

    @property
    def coverage_ratio(self) -> float:
        """Share of the windows' time that was observed."""
        return self.covered_s / self.window_s if self.window_s else 0.0

    @property
    def camera(self) -> str:
        """Last part of the source."""
        return self.source.rsplit("/", 1)[-1]


def enter(connection: sqlite3.Connection, kind: Kind, source: str, window: Window) -> None:
    """Add one window, inside the caller's transaction."""
    start_s = window.window_start.timestamp()
    key = (
        source,
        kind,
        window.model_digest,
        window.backend or "",
        window.precision or "",
        window.zone_version,
    )
    covered_s = window.coverage_ratio * window.window_s
    figures = (window.frames, window.window_s, covered_s, start_s, start_s + window.window_s)
    connection.execute(_UPSERT, (*key, *figures))


@dataclass(frozen=True, slots=True)
class AuditedRow:
    """What people measured of one line, zone or slot on one basis: all its audits together.

    Shares are in [0, 1], instants seconds since the epoch.
    """

    source: str
    sort: str
    subject: str
    model_digest: str
    backend: str
    precision: str
    zone_version: str
    audits: int
    clips: int
    agreed: int
    missed: int
    false_items: int
    accuracy: float | None
    """None where the clips held nothing to count."""
    low: float
    high: float
    effective: float
    counted_ratio: float | None
    first_at: float
    last_at: float
    audited_at: float

    @property
    def camera(self) -> str:
        """Last part of the source."""
        return self.source.rsplit("/", 1)[-1]


def enter_audited(connection: sqlite3.Connection, row: AuditedRow) -> None:
    """Put what is measured now in the place of what was, inside the caller's transaction."""
    marks = ", ".join("?" * len(AuditedRow.__slots__))
    connection.execute(f"INSERT OR REPLACE INTO audited VALUES ({marks})", astuple(row))  # noqa: S608
    connection.execute(
        "DELETE FROM audited WHERE audited_at <"
        " (SELECT audited_at FROM audited ORDER BY audited_at DESC LIMIT 1 OFFSET ?)",
        (MAX_ROWS,),
    )


def read_audited(path: Path) -> list[AuditedRow]:
    """Return every measured accuracy of a state folder: by camera and subject, newest first.

    Raises:
        JournalError: it is absent, or cannot be read now.
    """
    with reading(path) as connection:
        rows = connection.execute(
            "SELECT * FROM audited ORDER BY source, sort, subject, audited_at DESC"
        )
        return [AuditedRow(*row) for row in rows]


def trim(connection: sqlite3.Connection, max_rows: int = MAX_ROWS) -> None:
    """Delete the rows that ended longest ago, inside the caller's transaction."""
    (rows,) = connection.execute("SELECT COUNT(*) FROM ledger").fetchone()
    if rows <= max_rows:
        return
    connection.execute(
        "DELETE FROM ledger WHERE (source, kind, model_digest, backend, precision, zone_version)"
        " IN (SELECT source, kind, model_digest, backend, precision, zone_version FROM ledger"
        " ORDER BY last_at LIMIT ?)",
        (rows - max_rows,),
    )


def read_ledger(path: Path) -> list[LedgerRow]:
    """Read the ledger of a state folder without writing to it: by camera, kind, then time.

    Raises:
        JournalError: it is absent, or cannot be read now.
    """
    with reading(path) as connection:
        rows = connection.execute("SELECT * FROM ledger ORDER BY source, kind, first_at")
        return [LedgerRow(*row) for row in rows]
