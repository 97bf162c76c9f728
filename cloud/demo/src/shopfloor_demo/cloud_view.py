"""What the cloud has stored, asked of the ingest service and of its database."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx

from shopfloor_demo.errors import DemoError

_DUPLICATES = re.compile(r"^shopfloor_ingest_duplicates_total (\S+)$", re.MULTILINE)
# Births, deaths and heartbeats come beside the outbox: nothing was committed for them.
_FROM_OUTBOX = "kind IN ('traffic', 'occupancy')"


@dataclass(frozen=True, slots=True)
class Stored:
    """The cloud's side of the account. ``duplicates`` counts since the ingest last started."""

    events: int = 0
    crossings_in: int = 0
    crossings_out: int = 0
    duplicates: int = 0


class CloudView:
    """Reads one ingest: its SQLite file, which outlives it, and its metrics."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self.address: str | None = None
        """``host:port`` of the API, once it is known."""

    def stored(self) -> Stored:
        """Return the totals; zeros while there is no database yet."""
        if not self._database.exists():
            return Stored()
        try:
            events, came_in, went_out = self._totals()
        except sqlite3.OperationalError:
            return Stored()
        return Stored(events, came_in, went_out, self._duplicates())

    def event_ids(self) -> list[str]:
        """Return the id of every stored event that came out of an outbox."""
        with closing(self._connect()) as connection:
            rows = connection.execute(f"SELECT id FROM events WHERE {_FROM_OUTBOX}")  # noqa: S608
            return [identity for (identity,) in rows]

    def is_healthy(self) -> bool:
        """Say whether the ingest has its broker and its database."""
        try:
            return self._get("/healthz").status_code == 200
        except httpx.HTTPError:
            return False

    def _totals(self) -> tuple[int, int, int]:
        with closing(self._connect()) as connection:
            events = connection.execute(
                f"SELECT COUNT(*) FROM events WHERE {_FROM_OUTBOX}"  # noqa: S608
            ).fetchone()
            crossings = connection.execute(
                "SELECT COALESCE(SUM(crossings_in), 0), COALESCE(SUM(crossings_out), 0)"
                " FROM traffic"
            ).fetchone()
        return int(events[0]), int(crossings[0]), int(crossings[1])

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{self._database}?mode=ro", uri=True, timeout=2.0)

    def _duplicates(self) -> int:
        try:
            found = _DUPLICATES.search(self._get("/metrics").text)
        except httpx.HTTPError:
            return 0
        return int(float(found[1])) if found else 0

    def _get(self, path: str) -> httpx.Response:
        if self.address is None:
            raise DemoError("the address of the ingest is not known yet")
        return httpx.get(f"http://{self.address}{path}", timeout=2.0, trust_env=False)
