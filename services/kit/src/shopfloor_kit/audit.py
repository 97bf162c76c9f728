"""An audit log that can be added to only: each row holds the digest of the one before.

A row's digest is SHA-256 over canonical JSON of everything in it and the digest before it, as in
a transparency log with one leaf per node (RFC 9162 has the tree). Whoever changes, removes or
swaps a row breaks every digest after it; a cut tail is found against an ``Anchor`` kept elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    MetaData,
    Row,
    String,
    Table,
    Text,
    insert,
    select,
    text,
)

from shopfloor_kit.errors import AuditEntryError

Scalar = str | int | float | bool | None

GENESIS = "0" * 64
"""What the first row has in the place of a digest before it."""

MAX_DETAIL_BYTES = 16_384
"""An entry says who did what; what it was done with is elsewhere, by digest."""

_LOCK = 7_310_003
"""First half of the advisory lock's number in PostgreSQL; the second is the table's."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """How long a log was and what its last digest was: written down outside of the database."""

    count: int
    head: str


@dataclass(frozen=True, slots=True)
class Verified:
    """The whole chain holds."""

    count: int
    head: str


@dataclass(frozen=True, slots=True)
class Broken:
    """``number`` is the first row that is not as it was written, or that is missing."""

    number: int
    reason: str


def audit_table(metadata: MetaData, name: str = "audit") -> Table:
    """Declare the table; a migration makes it and calls ``guard``."""
    return Table(name, metadata, *audit_columns())


def audit_columns() -> list[Column[Any]]:
    """Return the columns, for ``audit_table`` and for a migration alike."""
    return [
        # Counted by us and not by the database, so that a gap is a proof and not a rollback.
        Column("number", BigInteger, primary_key=True, autoincrement=False),
        Column("at", String(40), nullable=False),
        Column("actor", String(200), nullable=False),
        Column("action", String(100), nullable=False),
        Column("subject", String(500), nullable=False),
        Column("detail", Text, nullable=False),
        Column("prev", String(64), nullable=False, unique=True),
        Column("digest", String(64), nullable=False, unique=True),
    ]


def append(  # noqa: PLR0913 — one row, said in its own words
    connection: Connection,
    table: Table,
    *,
    actor: str,
    action: str,
    subject: str,
    detail: Mapping[str, Scalar],
    at: datetime,
) -> str:
    """Add an entry in the caller's transaction; return the new head's digest.

    Writers take turns until their transactions end, so that no two of them follow the same row.

    Raises:
        AuditEntryError: a text that is no printable line or too long, or a detail that is no JSON.
    """
    _check(actor=(actor, 200), action=(action, 100), subject=(subject, 500))
    written = _canonical(detail)
    if len(written) > MAX_DETAIL_BYTES:
        raise AuditEntryError(f"detail has {len(written)} bytes, at most {MAX_DETAIL_BYTES}")
    if at.tzinfo is None:
        raise AuditEntryError("at has no time zone")
    _take_turn(connection, table)
    last = select(table.c.number, table.c.digest).order_by(table.c.number.desc()).limit(1)
    head = connection.execute(last).first()
    values = {
        "number": 1 if head is None else head.number + 1,
        "at": at.astimezone(UTC).isoformat(),
        "actor": actor,
        "action": action,
        "subject": subject,
        "detail": written,
        "prev": GENESIS if head is None else head.digest,
    }
    digest = _digest(values)
    connection.execute(insert(table).values(**values, digest=digest))
    return digest


def verify(connection: Connection, table: Table, anchor: Anchor | None = None) -> Verified | Broken:
    """Walk the chain from its first row; with ``anchor`` also find a tail that was cut off."""
    count, head = 0, GENESIS
    query = select(table).order_by(table.c.number)
    with connection.execute(query, execution_options={"yield_per": 1000}) as rows:
        for row in rows:
            complaint = _complaint(row, number=count + 1, prev=head)
            if complaint is not None:
                return Broken(count + 1, complaint)
            count, head = row.number, row.digest
            if anchor is not None and count == anchor.count and head != anchor.head:
                return Broken(count, f"digest is {head}, the anchor says {anchor.head}")
    if anchor is not None and count < anchor.count:
        return Broken(count + 1, f"the log ends at {count}, the anchor counts {anchor.count}")
    return Verified(count, head)


def guard(connection: Connection, table: str) -> None:
    """Let the database itself refuse UPDATE and DELETE; who owns it can still undo this."""
    for statement in _GUARDS[connection.dialect.name]:
        connection.execute(text(statement.format(table=table)))


def _complaint(row: Row[Any], *, number: int, prev: str) -> str | None:
    if row.number != number:
        return f"the row is missing, the next one is {row.number}"
    if row.prev != prev:
        return f"names {row.prev} as the digest before it, which is {prev}"
    # The mapping has exactly what was digested, and the digest itself.
    values = {key: value for key, value in row._mapping.items() if key != "digest"}  # noqa: SLF001
    actual = _digest(values)
    return None if actual == row.digest else f"digest of its content is {actual}, not {row.digest}"


def _digest(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(_canonical(values).encode()).hexdigest()


def _canonical(values: Mapping[str, Any]) -> str:
    try:
        return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as e:
        raise AuditEntryError(f"detail is no JSON: {e}") from e


def _check(**texts: tuple[str, int]) -> None:
    for name, (value, limit) in texts.items():
        if not value or len(value) > limit or not value.isprintable():
            raise AuditEntryError(
                f"{name} is {value[:60]!r}, expected 1–{limit} printable characters"
            )


def _take_turn(connection: Connection, table: Table) -> None:
    # SQLite's transactions begin with the write lock (shopfloor_kit.database): they take turns.
    if connection.dialect.name == "postgresql":
        lock = text("SELECT pg_advisory_xact_lock(:lock, hashtext(:table))")
        connection.execute(lock, {"lock": _LOCK, "table": table.name})


_GUARDS = {
    "sqlite": [
        *(
            f"CREATE TRIGGER {{table}}_no_{verb.lower()} BEFORE {verb} ON {{table}} "
            "BEGIN SELECT RAISE(ABORT, '{table} can be added to only'); END"
            for verb in ("UPDATE", "DELETE")
        ),
        # INSERT OR REPLACE deletes without a DELETE trigger.
        "CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} "
        "WHEN EXISTS (SELECT 1 FROM {table} WHERE number >= NEW.number OR prev = NEW.prev) "
        "BEGIN SELECT RAISE(ABORT, '{table} can be added to only'); END",
    ],
    "postgresql": [
        "CREATE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '{table} can be added to only'; END $$",
        "CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION {table}_refuse()",
    ],
}
