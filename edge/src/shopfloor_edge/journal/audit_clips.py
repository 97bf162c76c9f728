"""Which moments are to be kept for audits, and which have been: vision writes, console reads."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from shopfloor_edge.journal.database import connect, transaction

KEEP_PLANS_S = 90 * 86_400.0
"""As long as a clip can be kept, so that the design of a late audit can still be told."""
Counted = dict[str, list[int] | str]
"""What the device said of a clip: ``line/NAME`` in and out, ``zone/NAME`` people at its middle,
``slot/NAME`` the state then."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A moment that was drawn."""

    began_at: float
    """Seconds since the epoch."""
    hour: int
    probability: float


@dataclass(frozen=True, slots=True)
class Draw:
    """How one day of one camera was drawn."""

    camera: str
    day: str
    seed: int
    step_s: float
    wanted: float
    """Expected clips."""
    drawn_at: float


@dataclass(frozen=True, slots=True)
class Basis:
    """What a count rests on; counts of another basis are not comparable."""

    model_digest: str
    backend: str
    precision: str
    zone_version: str


@dataclass(frozen=True, slots=True)
class KeptClip:
    """A clip on disk, and what the device counted in it."""

    clip: str
    """Names its files, without an ending."""
    camera: str
    began_at: float
    ended_at: float
    hour: int
    probability: float
    people: float
    """Mean head count in the picture."""
    basis: Basis
    counted: Counted
    drawn: str
    """JSON of the camera's lines, zones and slots."""


class AuditBook:
    """One process's handle.

    Raises:
        JournalError: from every method, when the file cannot be written now.
    """

    def __init__(self, folder: Path) -> None:
        # Losing the last of these with the power costs a clip; syncing each would cost more.
        self._connection = connect(folder, durable=False, any_thread=True)

    def plan(self, camera: str, day: str) -> list[Planned] | None:
        """Return what was drawn for a day, in order; None where nothing was yet."""
        with transaction(self._connection):
            known = self._connection.execute(
                "SELECT 1 FROM audit_draws WHERE camera = ? AND day = ?", (camera, day)
            ).fetchone()
            rows = self._connection.execute(
                "SELECT began_at, hour, probability FROM audit_plan"
                " WHERE camera = ? AND day = ? ORDER BY began_at",
                (camera, day),
            ).fetchall()
        return [Planned(*row) for row in rows] if known else None

    def draw(self, draw: Draw, planned: Sequence[Planned]) -> None:
        """Record a day's draw, before it is acted on."""
        with transaction(self._connection):
            row = (draw.camera, draw.day, draw.seed, draw.step_s, draw.wanted, draw.drawn_at)
            self._connection.execute("INSERT INTO audit_draws VALUES (?, ?, ?, ?, ?, ?)", row)
            self._connection.executemany(
                "INSERT OR REPLACE INTO audit_plan VALUES (?, ?, ?, ?, ?)",
                [(draw.camera, p.began_at, draw.day, p.hour, p.probability) for p in planned],
            )
            old = draw.drawn_at - KEEP_PLANS_S
            self._connection.execute("DELETE FROM audit_plan WHERE began_at < ?", (old,))
            self._connection.execute("DELETE FROM audit_draws WHERE drawn_at < ?", (old,))

    def observe(
        self, camera: str, day: str, hour: int, *, observed_s: float, people_s: float
    ) -> None:
        """Add to how busy an hour was."""
        with transaction(self._connection):
            self._connection.execute(
                "INSERT INTO audit_busy VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
                " observed_s = observed_s + excluded.observed_s,"
                " people_s = people_s + excluded.people_s",
                (camera, day, hour, observed_s, people_s),
            )

    def busy(self, camera: str, *, since_day: str) -> dict[int, float]:
        """Return the mean head count of each hour of the day since ``since_day``; forget older."""
        with transaction(self._connection):
            self._connection.execute("DELETE FROM audit_busy WHERE day < ?", (since_day,))
            rows = self._connection.execute(
                "SELECT hour, SUM(people_s), SUM(observed_s) FROM audit_busy"
                " WHERE camera = ? GROUP BY hour",
                (camera,),
            ).fetchall()
        return {hour: people_s / observed_s for hour, people_s, observed_s in rows if observed_s}

    def add(self, kept: KeptClip) -> None:
        """Note a clip whose files are written."""
        basis = kept.basis
        row = (
            *(kept.clip, kept.camera, kept.began_at, kept.ended_at, kept.hour, kept.probability),
            *(kept.people, basis.model_digest, basis.backend, basis.precision),
            *(basis.zone_version, json.dumps(kept.counted), kept.drawn),
        )
        with transaction(self._connection):
            self._connection.execute(
                f"INSERT OR REPLACE INTO audit_clips VALUES ({', '.join('?' * len(row))})",  # noqa: S608
                row,
            )

    def forget(self, clips: Collection[str]) -> None:
        """Remove clips whose files are gone."""
        with transaction(self._connection):
            self._connection.executemany(
                "DELETE FROM audit_clips WHERE clip = ?", [(clip,) for clip in clips]
            )

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def clips_of(connection: sqlite3.Connection, camera: str, basis: Basis) -> list[KeptClip]:
    """Return the kept clips of a camera that rest on ``basis``, by time."""
    rows = connection.execute(
        "SELECT clip, camera, began_at, ended_at, hour, probability, people, model_digest, backend,"
        " precision, zone_version, counted, drawn FROM audit_clips WHERE camera = ?"
        " AND model_digest = ? AND backend = ? AND precision = ? AND zone_version = ?"
        " ORDER BY began_at",
        (camera, basis.model_digest, basis.backend, basis.precision, basis.zone_version),
    )
    return [KeptClip(*(*row[:7], Basis(*row[7:11]), json.loads(row[11]), row[12])) for row in rows]
