"""Reading and checking the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from shopfloor_kit.audit import Anchor, Broken, Verified, verify
from shopfloor_registry.adapters.sql import Database
from shopfloor_registry.adapters.tables import AUDIT
from shopfloor_registry.usecases.ports import Entry


@dataclass(frozen=True, slots=True)
class AuditLog:
    """The registry's own log; ``Database.writing`` adds to it."""

    database: Database

    def page(self, *, after: int, limit: int) -> list[Mapping[str, Any]]:
        """Return rows by number, those after ``after``."""
        query = select(AUDIT).where(AUDIT.c.number > after).order_by(AUDIT.c.number).limit(limit)
        with self.database.reading() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def verify(self, anchor: Anchor | None) -> Verified | Broken:
        """Walk the chain."""
        with self.database.reading() as connection:
            return verify(connection, AUDIT, anchor)

    def add(self, entry: Entry) -> None:
        """Log what has no transaction of its own here."""
        with self.database.writing(entry):
            pass
