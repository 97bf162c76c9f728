"""The book of parts: each is opened before it is judged and settled with its verdict, once.

What a station knows is kept as one text, replaced whole: a settling that the disk refused is made
up for by the next one. A part that was open when the process ended is found at the next start.
"""

from __future__ import annotations

import json
import sqlite3
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from shopfloor_edge.errors import JournalError
from shopfloor_edge.journal.database import connect, reading, transaction
from shopfloor_edge.journal.outbox import Draft, Outbox

KEPT_PARTS = 200_000
"""A week at twenty parts a minute: what can still be overruled."""
HELD_MAX = 10_000
TRIM_EVERY = 500
_INSERT = "INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


@dataclass(slots=True)
class Admission:
    """Where the count of parts stands."""

    part: int = 0
    """The station's number of the last part."""
    number: int | None = None
    """The line's number of the last part, within ``run``."""
    run: str = ""
    unsettled: int = 0
    """Parts that are opened, or known to have gone by, and in no total yet."""


@dataclass(frozen=True, slots=True)
class PartRow:
    """One settled part. ``at`` is in seconds since the epoch."""

    part: int
    at: float
    verdict: str
    """``pass``, ``fail``, ``review`` or ``missed``."""
    latency_ms: float
    defects: str = ""
    """Classes, with blanks between."""
    reason: str = ""
    number: int | None = None
    run: str = ""
    product: str = ""
    evidence: str = ""
    """Name of the picture that was kept."""


@dataclass(frozen=True, slots=True)
class Overrule:
    """What a person says of a part."""

    part: int
    verdict: str
    """What the station had said."""
    good: bool
    by: str
    at: float


@dataclass(frozen=True, slots=True)
class Settlement:
    """What is kept together, or not at all."""

    admission: Admission
    known: str
    """What the station knows, as text."""
    rows: Sequence[PartRow] = ()
    drafts: Sequence[Draft] = ()
    counted: Sequence[int] = ()
    """Parts whose overrule is in a total now."""


class PartBook:
    """One station's handle; not shared among threads.

    Raises:
        JournalError: at the start only; later what the disk refuses is held and tried again.
    """

    def __init__(self, folder: Path, station: str, *, max_rows: int, max_bytes: int) -> None:
        self._outbox = Outbox(folder, max_rows=max_rows, max_bytes=max_bytes)
        # Opening a part has to survive our end, not a power cut: that is the line's end, too.
        self._quick = connect(folder, durable=False)
        self._station = station
        self._rows: deque[PartRow] = deque(maxlen=HELD_MAX)
        self._drafts: deque[Draft] = deque(maxlen=HELD_MAX)
        self._counted: deque[int] = deque(maxlen=HELD_MAX)
        self.failures = 0
        with transaction(self._quick):
            self._quick.execute(
                "INSERT OR IGNORE INTO stations VALUES (?, ?, '')",
                (station, json.dumps(asdict(Admission()))),
            )

    def read(self) -> tuple[Admission, str]:
        """Return where the count stands, and what the station knew; empty at the first start."""
        row = self._quick.execute(
            "SELECT admission, known FROM stations WHERE station = ?", (self._station,)
        ).fetchone()
        return Admission(**json.loads(row[0])), str(row[1])

    def open_part(self, admission: Admission) -> bool:
        """Write down that parts are about to be judged; return whether the disk took it."""
        try:
            with transaction(self._quick):
                self._admit(self._quick, admission)
        except JournalError:
            self.failures += 1
            return False
        return True

    def settle(self, settlement: Settlement) -> bool:
        """Write verdicts, totals and events, fsynced and all together.

        Returns:
            Whether the disk took it; if not, it is written with the next settling.
        """
        self._rows.extend(settlement.rows)
        self._drafts.extend(settlement.drafts)
        self._counted.extend(settlement.counted)
        try:
            self._outbox.commit(list(self._drafts), lambda c: self._write(c, settlement))
        except JournalError:
            self.failures += 1
            return False
        for held in (self._rows, self._drafts, self._counted):
            held.clear()
        return True

    def uncounted_overrules(self) -> list[Overrule]:
        """Return what people said that is in no total yet; none while the disk cannot be read."""
        try:
            said = _overrules(self._quick, self._station, "AND counted = 0")
        except sqlite3.Error:
            return []
        return [overrule for overrule in said if overrule.part not in self._counted]

    def take_commands(self) -> list[tuple[str, str]]:
        """Return commands that people gave, each once, oldest first: what, and who."""
        try:
            rows = self._quick.execute(
                "SELECT id, command, by FROM station_commands WHERE station = ? ORDER BY id",
                (self._station,),
            ).fetchall()
            if rows:
                with transaction(self._quick):
                    self._quick.execute(
                        "DELETE FROM station_commands WHERE station = ? AND id <= ?",
                        (self._station, rows[-1][0]),
                    )
        except (sqlite3.Error, JournalError):
            # They stay where they are, and are taken with the next look.
            return []
        return [(command, by) for _, command, by in rows]

    def close(self) -> None:
        """Close the file."""
        self._quick.close()
        self._outbox.close()

    def _write(self, connection: sqlite3.Connection, settlement: Settlement) -> None:
        self._admit(connection, settlement.admission)
        connection.execute(
            "UPDATE stations SET known = ? WHERE station = ?", (settlement.known, self._station)
        )
        connection.executemany(_INSERT, [(self._station, *_values(row)) for row in self._rows])
        connection.executemany(
            "UPDATE overrules SET counted = 1 WHERE station = ? AND part = ?",
            [(self._station, part) for part in self._counted],
        )
        if settlement.admission.part % TRIM_EVERY == 0:
            connection.execute(
                "DELETE FROM parts WHERE station = ? AND part <= ?",
                (self._station, settlement.admission.part - KEPT_PARTS),
            )

    def _admit(self, connection: sqlite3.Connection, admission: Admission) -> None:
        connection.execute(
            "UPDATE stations SET admission = ? WHERE station = ?",
            (json.dumps(asdict(admission)), self._station),
        )


def _values(row: PartRow) -> tuple[object, ...]:
    return tuple(asdict(row).values())


def stations_of(folder: Path) -> list[str]:
    """Return the stations that have a book here.

    Raises:
        JournalError: there is no journal, or it cannot be read now.
    """
    with reading(folder) as connection:
        return [s for (s,) in connection.execute("SELECT station FROM stations ORDER BY station")]


def read_known(folder: Path, station: str) -> str:
    """Return what a station knew when it last settled a part; raises like ``stations_of``."""
    with reading(folder) as connection:
        row = connection.execute(
            "SELECT known FROM stations WHERE station = ?", (station,)
        ).fetchone()
    return str(row[0]) if row else ""


def read_parts(folder: Path, station: str, *, limit: int = KEPT_PARTS) -> list[PartRow]:
    """Return the newest parts, oldest first; raises like ``stations_of``."""
    with reading(folder) as connection:
        rows = connection.execute(
            "SELECT * FROM parts WHERE station = ? ORDER BY part DESC LIMIT ?", (station, limit)
        ).fetchall()
    return [PartRow(*row[1:]) for row in reversed(rows)]


def read_overrules(folder: Path, station: str) -> list[Overrule]:
    """Return everything that people said, by part; raises like ``stations_of``."""
    with reading(folder) as connection:
        return _overrules(connection, station)


def _overrules(connection: sqlite3.Connection, station: str, which: str = "") -> list[Overrule]:
    rows = connection.execute(
        f"SELECT part, verdict, good, by, at FROM overrules WHERE station = ? {which}"  # noqa: S608
        " ORDER BY part",
        (station,),
    ).fetchall()
    return [Overrule(p, verdict, bool(good), by, at) for p, verdict, good, by, at in rows]


def give_command(folder: Path, station: str, command: str, by: str) -> None:
    """Leave a command for a station, running or not; raises like ``PartBook``."""
    connection = connect(folder, durable=True)
    with transaction(connection):
        connection.execute(
            "INSERT INTO station_commands (station, command, by) VALUES (?, ?, ?)",
            (station, command, by),
        )
    connection.close()


def overrule(folder: Path, station: str, said: Overrule) -> str | None:
    """Keep what a person says of a part.

    Returns:
        What the station had said, or None: no such part is kept, or a person spoke already.
    """
    connection = connect(folder, durable=True)
    try:
        with transaction(connection):
            row = connection.execute(
                "SELECT verdict FROM parts WHERE station = ? AND part = ?", (station, said.part)
            ).fetchone()
            if row is None:
                return None
            inserted = connection.execute(
                "INSERT OR IGNORE INTO overrules VALUES (?, ?, ?, ?, ?, ?, 0)",
                (station, said.part, row[0], int(said.good), said.by, said.at),
            ).rowcount
            return str(row[0]) if inserted else None
    finally:
        connection.close()
