"""What people look at in the book of parts: those to be judged by them, and the line's course."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shopfloor_edge.journal.database import connect, reading, transaction
from shopfloor_edge.journal.parts import PartRow

EVIDENCE_FOLDER = "inspection"
"""Below the state folder: a folder of pictures per station."""
_UNSAID = """
FROM parts p LEFT JOIN overrules o ON o.station = p.station AND o.part = p.part
WHERE p.station = ? AND p.evidence != '' AND o.part IS NULL
"""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Neighbouring parts, as one column of a chart."""

    first: int
    last: int
    judged: int
    failed: int
    unjudged: int
    """For a person, or missed."""


def parts_to_look_at(
    folder: Path, station: str, verdicts: Sequence[str], *, before: int | None, limit: int
) -> list[PartRow]:
    """Return the newest parts with a picture of which nobody has spoken, newest first.

    Args:
        before: only parts with a smaller number; None for all.

    Raises:
        JournalError: there is no journal, or it cannot be read now.
    """
    marks = ", ".join("?" * len(verdicts))
    with reading(folder) as connection:
        rows = connection.execute(
            f"SELECT p.* {_UNSAID} AND p.verdict IN ({marks}) AND p.part < ?"
            " ORDER BY p.part DESC LIMIT ?",
            (station, *verdicts, 2**62 if before is None else before, limit),
        ).fetchall()
    return [PartRow(*row[1:]) for row in rows]


def unsaid_counts(folder: Path, station: str) -> dict[str, int]:
    """Return how many parts wait for people, by verdict; raises like ``parts_to_look_at``."""
    with reading(folder) as connection:
        return dict(
            connection.execute(f"SELECT p.verdict, COUNT(*) {_UNSAID} GROUP BY 1", (station,))
        )


def part_of(folder: Path, station: str, part: int) -> PartRow | None:
    """Return one part, or None where it is not kept; raises like ``parts_to_look_at``."""
    with reading(folder) as connection:
        row = connection.execute(
            "SELECT * FROM parts WHERE station = ? AND part = ?", (station, part)
        ).fetchone()
    return None if row is None else PartRow(*row[1:])


def course_of(folder: Path, station: str, *, stretches: int, each: int) -> list[Stretch]:
    """Return the last parts in stretches of ``each``, oldest first; raises as above.

    Stretches begin at multiples of ``each``, so that they stay what they are as parts come.
    """
    with reading(folder) as connection:
        newest = connection.execute(
            "SELECT MAX(part) FROM parts WHERE station = ?", (station,)
        ).fetchone()[0]
        if newest is None:
            return []
        begin = max(0, newest // each - stretches + 1) * each
        rows = connection.execute(
            "SELECT part / ?, MIN(part), MAX(part), SUM(verdict IN ('pass', 'fail')),"
            " SUM(verdict = 'fail'), SUM(verdict IN ('review', 'missed'))"
            " FROM parts WHERE station = ? AND part >= ? GROUP BY 1 ORDER BY 1",
            (each, station, begin),
        ).fetchall()
    return [Stretch(*row[1:]) for row in rows]


def take_back(folder: Path, station: str, part: int) -> bool:
    """Forget what a person said of a part; False when it is in a total already, or was not said.

    Raises:
        JournalError: the journal cannot be written now.
    """
    connection = connect(folder, durable=True)
    try:
        with transaction(connection):
            gone = connection.execute(
                "DELETE FROM overrules WHERE station = ? AND part = ? AND counted = 0",
                (station, part),
            ).rowcount
            return bool(gone)
    finally:
        connection.close()
