"""The file of lists that the broker and our HTTPS services read, kept up to date."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, Engine, func, insert, select, text

from shopfloor_identity.adapters.broker import Broker
from shopfloor_identity.adapters.tables import CERTIFICATES, LISTS
from shopfloor_identity.ca.authority import Online
from shopfloor_identity.ca.keys import write_file
from shopfloor_identity.ca.lists import LIST_LIFE, REFRESH_BEFORE, Revoked, make_list
from shopfloor_identity.errors import AuthorityError, IdentityError
from shopfloor_kit.database import reading
from shopfloor_kit.instants import from_ms, to_ms

log = logging.getLogger(__name__)

LOOK_S = 60.0
_KEPT = timedelta(days=2)
"""A revoked certificate stays on the list for so long after its end, for clocks that are late."""


class ListDesk:
    """Makes the intermediate's list and writes it beside the root's."""

    def __init__(
        self, engine: Engine, online: Online, path: Path, broker: Broker,
        now: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self._engine, self._online, self._path, self._broker = engine, online, path, broker
        self._now = now
        self._complaint: str | None = None
        self._untold_revocation = self._owed = False

    @property
    def current(self) -> bytes:
        """Both lists, as they were written last, by this process or a command."""
        try:
            return self._path.read_bytes()
        except OSError as e:
            raise AuthorityError(f"{self._path}: {e.strerror}") from e

    def publish(self, *, revoked: bool, life: timedelta = LIST_LIFE) -> int:
        """Write a new list and tell the broker; return how many certificates stand on it.

        Raises:
            AuthorityError: the file cannot be written; the list before is still there.
        """
        now = self._now()
        # A revocation that the broker was not told of is told with the next list.
        self._untold_revocation |= revoked
        self._owed = True
        with self._engine.begin() as connection:
            # Writers take turns, so that no older list comes after a newer one.
            if connection.dialect.name == "postgresql":
                connection.execute(text("LOCK TABLE lists IN EXCLUSIVE MODE"))
            entries = self._entries(connection, now)
            number = (connection.execute(select(func.max(LISTS.c.number))).scalar() or 0) + 1
            row = {"number": number, "made_at": to_ms(now), "entries": len(entries)}
            connection.execute(insert(LISTS).values(row))
            signer = self._online.signer
            made = make_list(signer, entries, number=number, now=now, life=life)
            write_file(self._path, self._online.root_list + made, mode=0o644)
        self._owed = False
        self._tell()
        return len(entries)

    def refresh(self) -> None:
        """Write a new list where the present one ends soon; tell a broker that was not told."""
        if self._complaint is not None:
            self._tell()
        if self._owed or self._now() - self.made_at() > LIST_LIFE - REFRESH_BEFORE:
            self.publish(revoked=False)

    def _tell(self) -> None:
        self._complaint = self._broker.tell(revoked=self._untold_revocation)
        if self._complaint is None:
            self._untold_revocation = False

    def made_at(self) -> datetime:
        """Return when the last list was made; the epoch where there is none."""
        with reading(self._engine).connect() as connection:
            return from_ms(connection.execute(select(func.max(LISTS.c.made_at))).scalar() or 0)

    def complaint(self) -> str | None:
        """Say what is wrong with the list, or None; for ``/healthz``."""
        made_at = self.made_at()
        if self._owed:
            return "the list of revoked certificates could not be written"
        if self._now() - made_at > LIST_LIFE - REFRESH_BEFORE + timedelta(hours=6):
            return f"the list of revoked certificates is of {made_at:%Y-%m-%d %H:%M} UTC"
        return self._complaint

    @staticmethod
    def _entries(connection: Connection, now: datetime) -> list[Revoked]:
        table = CERTIFICATES
        query = select(table.c.serial, table.c.revoked_at).where(
            table.c.revoked_at.is_not(None), table.c.not_after > to_ms(now - _KEPT)
        )
        rows = connection.execute(query.order_by(table.c.revoked_at, table.c.serial))
        return [Revoked(int(row.serial, 16), from_ms(row.revoked_at)) for row in rows]


class Refresher:
    """Keeps the list from ending, in a thread."""

    def __init__(self, desk: ListDesk) -> None:
        self._desk, self._stop = desk, threading.Event()
        self._thread = threading.Thread(target=self._run, name="lists", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stop.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._stop.wait(LOOK_S):
            try:
                self._desk.refresh()
            except IdentityError as e:
                log.error("list of revoked certificates not made", extra={"reason": str(e)})  # noqa: TRY400
            except Exception:
                # Everybody is refused when the list ends: what is wrong now may be right later.
                log.exception("list of revoked certificates not made")
