"""Audits: sets of clips that people judge, their answers, and what they came to.

A set is drawn before anybody sees a clip of it and holds copies of what it rests on, so that it
outlives the clips. Its result, the ledger's row and the event are one transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shopfloor_contracts.audits import AuditData
from shopfloor_contracts.site import OutboxSpec
from shopfloor_edge.journal.audit_clips import Basis, KeptClip, clips_of
from shopfloor_edge.journal.database import connect, reading, transaction
from shopfloor_edge.journal.ledger import AuditedRow, enter_audited
from shopfloor_edge.journal.outbox import Draft, Outbox


@dataclass(frozen=True, slots=True)
class Subject:
    """What is audited."""

    source: str
    """CloudEvents source of the camera."""
    sort: str
    """line, zone or slot."""
    name: str

    @property
    def camera(self) -> str:
        """Last part of the source."""
        return self.source.rsplit("/", 1)[-1]

    @property
    def key(self) -> str:
        """Its key in what was counted."""
        return f"{self.sort}/{self.name}"


@dataclass(frozen=True, slots=True)
class Shown:
    """A clip of a set."""

    place: int
    clip: str
    began_at: float
    ended_at: float
    stratum: str
    probability: float
    weight: float
    counted: list[int] | str
    drawn: str
    seen: list[int] | str | None
    """None until it is answered."""


@dataclass(frozen=True, slots=True)
class Audit:
    """A set."""

    id: int
    subject: Subject
    basis: Basis
    design: dict[str, int | str]
    by: str
    drawn_at: float
    done_at: float | None
    result: AuditData | None


class _DoneError(Exception):
    """Another tab was faster."""


@dataclass(frozen=True, slots=True)
class AuditSums:
    """What people found in audits, added up."""

    agreed: int = 0
    missed: int = 0
    false: int = 0


def read_audit_sums(path: Path, *, from_s: float, to_s: float) -> AuditSums:
    """Add up the audits done by ``to_s`` whose every clip was taken from ``from_s`` on.

    Such clips show what the release counted that ran since then, and no other.

    Raises:
        JournalError: the journal is absent, or cannot be read now.
    """
    with reading(path) as connection:
        rows = connection.execute(
            "SELECT result FROM audit_sets WHERE done_at BETWEEN ? AND ?", (from_s, to_s)
        ).fetchall()
    done = [AuditData.model_validate_json(text) for (text,) in rows]
    since = [one for one in done if one.first_at.timestamp() >= from_s]
    return AuditSums(
        sum(one.agreed for one in since),
        sum(one.missed for one in since),
        sum(one.false for one in since),
    )


class Audits:
    """The console's handle.

    Raises:
        JournalError: from every method, when the file cannot be read or written now.
    """

    def __init__(self, folder: Path, limits: OutboxSpec) -> None:
        self._folder, self._limits = folder, limits
        # A console that starts before vision finds its tables.
        connect(folder, durable=True).close()

    def draw(
        self,
        subject: Subject,
        basis: Basis,
        shown: Sequence[Shown],
        *,
        design: dict[str, int | str],
        by_at: tuple[str, float],
    ) -> int:
        """Record a set before it is shown; return its number."""
        with _opened(self._folder) as connection:
            cursor = connection.execute(
                "INSERT INTO audit_sets (source, sort, subject, model_digest, backend, precision,"
                " zone_version, design, by, drawn_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(subject.source, subject.sort, subject.name, basis.model_digest),
                    *(basis.backend, basis.precision, basis.zone_version, json.dumps(design)),
                    *by_at,
                ),
            )
            number = int(cursor.lastrowid or 0)
            connection.executemany(
                "INSERT INTO audit_answers (audit, place, clip, began_at, ended_at, stratum,"
                " probability, weight, counted, drawn) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        *(number, one.place, one.clip, one.began_at, one.ended_at, one.stratum),
                        *(one.probability, one.weight, json.dumps(one.counted), one.drawn),
                    )
                    for one in shown
                ],
            )
        return number

    def answer(self, audit: int, place: int, seen: list[int] | str, at: float) -> bool:
        """Keep an answer; False where the set is done, or has no such place."""
        with _opened(self._folder) as connection:
            changed = connection.execute(
                "UPDATE audit_answers SET seen = ?, at = ? WHERE audit = ? AND place = ?"
                " AND (SELECT done_at FROM audit_sets WHERE id = audit) IS NULL",
                (json.dumps(seen), at, audit, place),
            ).rowcount
        return changed == 1

    def finish(self, audit: Audit, data: AuditData, pooled: AuditedRow) -> None:
        """Close a set: result, ledger and event at once. A second time changes nothing."""
        limits = self._limits
        outbox = Outbox(self._folder, max_rows=limits.max_rows, max_bytes=limits.max_bytes)

        def within(connection: sqlite3.Connection) -> None:
            closed = connection.execute(
                "UPDATE audit_sets SET done_at = ?, result = ? WHERE id = ? AND done_at IS NULL",
                (data.at.timestamp(), data.model_dump_json(), audit.id),
            ).rowcount
            if not closed:
                raise _DoneError
            enter_audited(connection, pooled)

        try:
            with suppress(_DoneError):
                outbox.commit([Draft(data, audit.subject.source, data.at)], within)
        finally:
            outbox.close()

    def discard(self, audit: int) -> None:
        """Forget a set that is not done: its clips may be drawn again."""
        with _opened(self._folder) as connection:
            connection.execute("DELETE FROM audit_sets WHERE id = ? AND done_at IS NULL", (audit,))
            connection.execute(
                "DELETE FROM audit_answers WHERE audit = ?"
                " AND audit NOT IN (SELECT id FROM audit_sets)",
                (audit,),
            )

    def read(self, audit: int) -> tuple[Audit, list[Shown]]:
        """Return a set and its clips in order.

        Raises:
            LookupError: there is none.
        """
        with reading(self._folder) as connection:
            rows = connection.execute(f"{_SETS} WHERE id = ?", (audit,)).fetchall()
            if not rows:
                raise LookupError(f"audit {audit} is not known")
            return _audit(rows[0]), _shown(connection, audit)

    def every(self, limit: int = 50) -> list[Audit]:
        """Return the newest sets, open ones too."""
        with reading(self._folder) as connection:
            rows = connection.execute(f"{_SETS} ORDER BY id DESC LIMIT ?", (limit,)).fetchall()
        return [_audit(row) for row in rows]

    def done(self, subject: Subject, basis: Basis) -> list[tuple[Audit, list[Shown]]]:
        """Return the finished sets of a subject on one basis, oldest first."""
        with reading(self._folder) as connection:
            rows = connection.execute(
                f"{_SETS} WHERE source = ? AND sort = ? AND subject = ? AND model_digest = ?"
                " AND backend = ? AND precision = ? AND zone_version = ?"
                " AND done_at IS NOT NULL ORDER BY id",
                (
                    *(subject.source, subject.sort, subject.name),
                    *(basis.model_digest, basis.backend, basis.precision, basis.zone_version),
                ),
            ).fetchall()
            return [(_audit(row), _shown(connection, row[0])) for row in rows]

    def eligible(self, subject: Subject, basis: Basis) -> list[KeptClip]:
        """Return the clips that show the subject and that no set of it has used."""
        with reading(self._folder) as connection:
            used = {
                clip
                for (clip,) in connection.execute(
                    "SELECT clip FROM audit_answers JOIN audit_sets ON id = audit"
                    " WHERE source = ? AND sort = ? AND subject = ?",
                    (subject.source, subject.sort, subject.name),
                )
            }
            clips = clips_of(connection, subject.camera, basis)
        return [one for one in clips if one.clip not in used and subject.key in one.counted]

    def waiting(self, subject: Subject, basis: Basis) -> int:
        """Return how many clips can still be drawn for a subject."""
        key = (subject.camera, basis.model_digest, basis.backend, basis.precision)
        with reading(self._folder) as connection:
            (number,) = connection.execute(
                "SELECT COUNT(*) FROM audit_clips WHERE camera = ? AND model_digest = ?"
                " AND backend = ? AND precision = ? AND zone_version = ? AND clip NOT IN"
                " (SELECT clip FROM audit_answers JOIN audit_sets ON id = audit"
                " WHERE source = ? AND sort = ? AND subject = ?)",
                (*key, basis.zone_version, subject.source, subject.sort, subject.name),
            ).fetchone()
        return int(number)

    def planned(self, camera: str, first_at: float, last_at: float) -> tuple[int, int]:
        """Return how many moments were drawn between two instants, and how many became clips."""
        with reading(self._folder) as connection:
            found = [
                connection.execute(
                    f"SELECT COUNT(*) FROM {table} WHERE camera = ?"  # noqa: S608
                    " AND began_at BETWEEN ? AND ?",
                    (camera, first_at, last_at),
                ).fetchone()[0]
                for table in ("audit_plan", "audit_clips")
            ]
        return found[0], found[1]

    def bases(self, camera: str) -> list[Basis]:
        """Return what the kept clips of a camera rest on, the newest first."""
        with reading(self._folder) as connection:
            rows = connection.execute(
                "SELECT model_digest, backend, precision, zone_version FROM audit_clips"
                " WHERE camera = ? GROUP BY 1, 2, 3, 4 ORDER BY MAX(began_at) DESC",
                (camera,),
            ).fetchall()
        return [Basis(*row) for row in rows]


_SETS = (
    "SELECT id, source, sort, subject, model_digest, backend, precision, zone_version, design, by,"
    " drawn_at, done_at, result FROM audit_sets"
)


@contextmanager
def _opened(folder: Path) -> Iterator[sqlite3.Connection]:
    connection = connect(folder, durable=True)
    try:
        with transaction(connection):
            yield connection
    finally:
        connection.close()


def _audit(row: tuple[Any, ...]) -> Audit:
    done = AuditData.model_validate_json(row[12]) if row[12] else None
    subject, basis = Subject(*row[1:4]), Basis(*row[4:8])
    return Audit(row[0], subject, basis, json.loads(row[8]), row[9], row[10], row[11], done)


def _shown(connection: sqlite3.Connection, audit: int) -> list[Shown]:
    rows = connection.execute(
        "SELECT place, clip, began_at, ended_at, stratum, probability, weight, counted, drawn, seen"
        " FROM audit_answers WHERE audit = ? ORDER BY place",
        (audit,),
    )
    return [
        Shown(*(*row[:7], json.loads(row[7]), row[8], json.loads(row[9] or "null"))) for row in rows
    ]
