"""What every store here shares: one transaction with its audit entry, errors in our words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from shopfloor_kit.audit import append
from shopfloor_kit.database import cause, reading
from shopfloor_kit.errors import AuditEntryError
from shopfloor_registry.adapters.schema import migrate
from shopfloor_registry.adapters.tables import AUDIT
from shopfloor_registry.errors import RejectedError, StoreUnavailableError
from shopfloor_registry.usecases.ports import Entry


@dataclass(frozen=True, slots=True)
class Database:
    """Transactions on one engine."""

    engine: Engine

    def prepare(self) -> None:
        """Bring the schema up to date.

        Raises:
            StoreUnavailableError: the database does not answer.
        """
        with self.writing() as connection:
            migrate(connection)

    @contextmanager
    def writing(self, entry: Entry | None = None) -> Iterator[Connection]:
        """Open a transaction that writes; ``entry`` is logged in it, at its end."""
        try:
            with self.engine.begin() as connection:
                yield connection
                if entry is not None:
                    log(connection, entry)
        except SQLAlchemyError as e:
            raise StoreUnavailableError(cause(e)) from e

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a transaction that takes no write lock."""
        try:
            with reading(self.engine).connect() as connection:
                yield connection
        except SQLAlchemyError as e:
            raise StoreUnavailableError(cause(e)) from e

    def complaint(self) -> str | None:
        """Return what is wrong with the database, or None."""
        try:
            with self.reading() as connection:
                connection.exec_driver_sql("SELECT 1")
        except StoreUnavailableError as e:
            return str(e)
        return None


def log(connection: Connection, entry: Entry) -> None:
    """Add ``entry`` to the audit log in the caller's transaction."""
    try:
        append(
            connection,
            AUDIT,
            actor=entry.actor,
            action=entry.action,
            subject=entry.subject,
            detail=entry.detail,
            at=entry.at,
        )
    except AuditEntryError as e:
        raise RejectedError(str(e)) from e


def upsert(connection: Connection, table: Table) -> sqlite.Insert:
    """Return an insert that knows ``on_conflict_do_nothing`` and ``…_do_update``."""
    if connection.dialect.name == "postgresql":
        # Same methods, same meaning; SQLAlchemy has no common base for them.
        return postgresql.insert(table)  # type: ignore[return-value]
    return sqlite.insert(table)


def insert_new(connection: Connection, table: Table, row: Mapping[str, Any]) -> bool:
    """Insert ``row``; return False when one with its primary key is there, which then stays."""
    # The driver of PostgreSQL counts no rows for an insert; what it returns can be counted.
    keys = list(table.primary_key.columns)
    statement = upsert(connection, table).values(row).on_conflict_do_nothing(index_elements=keys)
    return connection.execute(statement.returning(*keys)).first() is not None


def instant(text: str) -> datetime:
    """Read an instant as it is stored."""
    return datetime.fromisoformat(text)
