"""Every site file that a person drew on this device, with who and when: what undo goes back to."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from shopfloor_edge.journal.database import connect, reading, transaction

KEPT = 200


@dataclass(frozen=True, slots=True)
class SiteVersion:
    """One version; ``at`` in seconds since the epoch."""

    version: int
    digest: str
    text: str
    note: str
    by: str
    at: float


def add_version(folder: Path, text: str, *, note: str, by: str, at: float) -> int:
    """Keep a version, and return its number; the same text keeps its own.

    Raises:
        JournalError: the file cannot be written now.
    """
    digest = hashlib.sha256(text.encode()).hexdigest()
    connection = connect(folder, durable=True)
    try:
        with transaction(connection):
            connection.execute(
                "INSERT OR IGNORE INTO site_versions (digest, text, note, by, at)"
                " VALUES (?, ?, ?, ?, ?)",
                (digest, text, note, by, at),
            )
            connection.execute(
                "DELETE FROM site_versions WHERE version NOT IN"
                " (SELECT version FROM site_versions ORDER BY version DESC LIMIT ?)",
                (KEPT,),
            )
            (number,) = connection.execute(
                "SELECT version FROM site_versions WHERE digest = ?", (digest,)
            ).fetchone()
    finally:
        connection.close()
    return int(number)


def versions(folder: Path) -> list[SiteVersion]:
    """Return the kept versions, the newest first.

    Raises:
        JournalError: the file cannot be read now.
    """
    with reading(folder) as connection:
        rows = connection.execute(
            "SELECT version, digest, text, note, by, at FROM site_versions ORDER BY version DESC"
        )
        return [SiteVersion(*row) for row in rows]
