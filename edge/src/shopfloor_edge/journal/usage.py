"""What has left the device, by UTC day and kind, and the video that stayed here."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shopfloor_edge.journal.database import reading

VIDEO = "video"
"""Kind of the row that says how many bytes of video the figures replace; none of them left."""
KEPT_DAYS = 40

_ADD = """
INSERT INTO uplink VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    events = events + excluded.events,
    raw_bytes = raw_bytes + excluded.raw_bytes,
    wire_bytes = wire_bytes + excluded.wire_bytes
"""


@dataclass(frozen=True, slots=True)
class Used:
    """Of one kind: events, their plain JSON, and their share of the bytes sent."""

    events: int = 0
    raw_bytes: int = 0
    wire_bytes: int = 0

    def __add__(self, other: Used) -> Used:
        return Used(
            self.events + other.events,
            self.raw_bytes + other.raw_bytes,
            self.wire_bytes + other.wire_bytes,
        )


@dataclass(frozen=True, slots=True)
class DayOfKind:
    """One row: a UTC day as ``2026-11-21`` and a kind."""

    day: str
    kind: str
    used: Used


def add_used(connection: sqlite3.Connection, day: str, used: Mapping[str, Used]) -> None:
    """Add to a day's rows, inside the caller's transaction; forget the oldest days."""
    connection.executemany(
        _ADD, [(day, kind, u.events, u.raw_bytes, u.wire_bytes) for kind, u in used.items()]
    )
    connection.execute(
        "DELETE FROM uplink WHERE day NOT IN"
        " (SELECT DISTINCT day FROM uplink ORDER BY day DESC LIMIT ?)",
        (KEPT_DAYS,),
    )


def sent_on(connection: sqlite3.Connection, day: str) -> int:
    """Return the bytes that left on a day."""
    (total,) = connection.execute(
        "SELECT COALESCE(SUM(wire_bytes), 0) FROM uplink WHERE day = ?", (day,)
    ).fetchone()
    return int(total)


def read_usage(path: Path) -> tuple[list[DayOfKind], list[str]]:
    """Return every day's rows, newest day first, and the kinds that wait for a budget now.

    Raises:
        JournalError: there is no journal, or it cannot be read now.
    """
    with reading(path) as connection:
        rows = connection.execute(
            "SELECT day, kind, events, raw_bytes, wire_bytes FROM uplink"
            " ORDER BY day DESC, wire_bytes DESC, kind"
        ).fetchall()
        held = [kind for (kind,) in connection.execute("SELECT kind FROM held ORDER BY kind")]
    return [DayOfKind(day, kind, Used(*figures)) for day, kind, *figures in rows], held
