"""What a camera's figures of today rest on: model, runtime, drawing, and what people measured."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from shopfloor_contracts.events import Kind
from shopfloor_edge.journal.database import reading
from shopfloor_edge.journal.ledger import LedgerRow, read_ledger

_Row = tuple[str, str, str, str, float, float, float, int]
_SORTS = {
    Kind.TRAFFIC: "line",
    Kind.OCCUPANCY: "zone",
    Kind.QUEUE: "zone",
    Kind.SHELF: "slot",
}
"""What an audit of a line, zone or slot is about: in a zone, how many people are there."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The accuracy that people found, in shares, with its interval of 95 %."""

    accuracy: float
    low: float
    high: float
    clips: int
    current: bool
    """Of the model and the drawing that count now."""


def basis_of(state: Path, camera: str) -> LedgerRow | None:
    """Return what the newest window of a camera rests on; None where it counted nothing yet."""
    rows = [row for row in read_ledger(state) if row.camera == camera]
    return max(rows, key=lambda row: row.last_at, default=None)


def measured_of(state: Path, camera: str, basis: LedgerRow) -> dict[tuple[str, str], Measured]:
    """Return the newest measured accuracy by kind of figure and line, zone or slot."""
    with reading(state) as connection:
        rows = _rows(connection, camera)
    found: dict[tuple[str, str], Measured] = {}
    for sort, subject, digest, zones, accuracy, low, high, clips in rows:
        current = (digest, zones) == (basis.model_digest, basis.zone_version)
        for kind in (kind for kind, its in _SORTS.items() if its == sort):
            before = found.get((kind, subject))
            if before is None or (current and not before.current):
                found[kind, subject] = Measured(accuracy, low, high, clips, current)
    return found


def _rows(connection: sqlite3.Connection, camera: str) -> list[_Row]:
    # Vision of an earlier version made no such table: nothing is measured there.
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'audited'").fetchone()
    if known is None:
        return []
    return connection.execute(
        "SELECT sort, subject, model_digest, zone_version, accuracy, low, high, clips FROM audited"
        " WHERE source LIKE ? AND accuracy IS NOT NULL ORDER BY audited_at DESC",
        (f"%/cameras/{camera}",),
    ).fetchall()
