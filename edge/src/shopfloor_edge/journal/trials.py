"""What vision saw of a release that is being tried, until the agent has reported it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from shopfloor_contracts.evidence import Evidence
from shopfloor_edge.journal.database import connect, transaction

ROWS_MAX = 50_000


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some seconds of one attempt, told once."""

    run: str
    """Names the start of vision that it belongs to."""
    elapsed_s: float
    """By the monotonic clock, while the attempt was loaded."""
    frames: int
    report: Evidence
    """``seq`` 0: the agent numbers what it sends."""


@dataclass(frozen=True, slots=True)
class Endured:
    """What the newest run of an attempt's step has behind it."""

    elapsed_s: float = 0.0
    frames: int = 0


class Trials:
    """Both processes' handle."""

    def __init__(self, folder: Path) -> None:
        self._connection = connect(folder, durable=False)

    def add(self, stretch: Stretch) -> None:
        """Note a stretch.

        Raises:
            JournalError: the file cannot be written now.
        """
        report = stretch.report
        with transaction(self._connection):
            self._connection.execute(
                "INSERT INTO trials (digest, step, run, elapsed_s, frames, report)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (
                    report.digest,
                    report.phase,
                    stretch.run,
                    stretch.elapsed_s,
                    stretch.frames,
                    report.model_dump_json(exclude_defaults=True),
                ),
            )
            self._connection.execute(
                "DELETE FROM trials WHERE id <= (SELECT MAX(id) FROM trials) - ?", (ROWS_MAX,)
            )

    def endured(self, digest: str, step: str) -> tuple[Endured, Endured]:
        """Return the newest run of a step, and all its runs together."""
        rows = self._connection.execute(
            "SELECT SUM(elapsed_s), SUM(frames) FROM trials WHERE digest = ? AND step = ?"
            " GROUP BY run ORDER BY MAX(id) DESC",
            (digest, step),
        ).fetchall()
        runs = [Endured(elapsed_s, frames) for elapsed_s, frames in rows]
        whole = Endured(sum(run.elapsed_s for run in runs), sum(run.frames for run in runs))
        return (runs[0] if runs else Endured()), whole

    def reports(self, digest: str, *, after: int) -> list[tuple[int, Evidence]]:
        """Return what was noted after row ``after``, each with its row's number."""
        rows = self._connection.execute(
            "SELECT id, report FROM trials WHERE digest = ? AND id > ? ORDER BY id", (digest, after)
        )
        return [(number, Evidence.model_validate_json(text)) for number, text in rows]

    def forget(self) -> None:
        """Remove everything: another attempt begins.

        Raises:
            JournalError: the file cannot be written now.
        """
        with transaction(self._connection):
            self._connection.execute("DELETE FROM trials")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
