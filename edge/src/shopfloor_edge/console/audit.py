"""Who did what on the console: rows that hold the digest of the one before, so nothing is unsaid.

The chain is the one of the cloud's services: SHA-256 over canonical JSON of a row and the digest
before it. Whoever changes, removes or swaps a row breaks every digest after it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from shopfloor_edge.console.store import Store

GENESIS = "0" * 64
MAX_TEXT, MAX_DETAIL = 200, 4000
Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One thing that somebody did, or tried."""

    number: int
    at: str
    actor: str
    action: str
    subject: str
    detail: str
    """JSON."""
    prev: str
    digest: str


class AuditTrail:
    """Appends to and reads ``console_audit``."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store, self._clock = store, clock

    def append(
        self, actor: str, action: str, *, subject: str = "", detail: Mapping[str, Scalar] = {}
    ) -> None:
        """Add a row; it is on the disk when this returns.

        Args:
            actor: a person's name, or where an attempt came from.
            action: a word or two with a dash, as ``sign-in``.

        Raises:
            JournalError: the file cannot be written now.
        """
        row: dict[str, str | int] = {
            "at": self._clock().astimezone(UTC).isoformat(timespec="milliseconds"),
            "actor": _line(actor),
            "action": _line(action),
            "subject": _line(subject),
            "detail": json.dumps(dict(detail), sort_keys=True, allow_nan=False)[:MAX_DETAIL],
        }
        with self._store.writing() as connection:
            last = connection.execute(
                "SELECT number, digest FROM console_audit ORDER BY number DESC LIMIT 1"
            ).fetchone()
            number, prev = last or (0, GENESIS)
            row |= {"number": number + 1, "prev": prev}
            row["digest"] = _digest(row)
            connection.execute(
                "INSERT INTO console_audit VALUES"
                " (:number, :at, :actor, :action, :subject, :detail, :prev, :digest)",
                row,
            )

    def latest(self, limit: int = 50, before: int | None = None) -> list[AuditRow]:
        """Return the newest rows, newest first; those below number ``before`` where it is given."""
        with self._store.reading() as connection:
            rows = connection.execute(
                "SELECT * FROM console_audit WHERE number < ? ORDER BY number DESC LIMIT ?",
                (2**62 if before is None else before, limit),
            ).fetchall()
        return [AuditRow(*row) for row in rows]

    def broken_at(self, last: int | None = None) -> int | None:
        """Return the number of the first row that is not as it was written; None when all are.

        Args:
            last: how many of the newest rows to look at; None: all.
        """
        with self._store.reading() as connection:
            (count,) = connection.execute("SELECT MAX(number) FROM console_audit").fetchone()
            begin = 0 if last is None else max(0, (count or 0) - last)
            rows = connection.execute(
                "SELECT * FROM console_audit WHERE number >= ? ORDER BY number", (begin,)
            )
            # Of a part, the row before it says what the first one follows.
            before = rows.fetchone() if begin else None
            prev, expected = (AuditRow(*before).digest, begin + 1) if before else (GENESIS, 1)
            for fields in rows:
                row = AuditRow(*fields)
                values = {key: v for key, v in asdict(row).items() if key != "digest"}
                if (row.number, row.prev, row.digest) != (expected, prev, _digest(values)):
                    return expected
                prev, expected = row.digest, expected + 1
        return None


def _digest(values: Mapping[str, str | int]) -> str:
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _line(text: str) -> str:
    """Make one printable line of what may come from anybody."""
    return "".join(c if c.isprintable() else "�" for c in text[:MAX_TEXT])
