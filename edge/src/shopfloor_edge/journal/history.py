"""What the figures were: sums per quarter of an hour, kept for five weeks after they have left.

Written in the transaction that commits the events, so that the device's pages and the cloud say
the same. Sums merge by addition and maxima by the larger, in any order; percentiles and means are
made when somebody looks.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import add
from pathlib import Path
from typing import Any

from shopfloor_contracts.aggregates import DwellData, HeatData, QueueData, ShelfData
from shopfloor_contracts.events import Kind, OccupancyData, TrafficData
from shopfloor_contracts.windows import Window
from shopfloor_edge.journal.database import reading

QUARTER_S, HOUR_S, DAY_S = 900, 3600, 86_400
KEPT_DAYS = 36
"""Today, and five weeks of weekdays to compare it with. At most 96 rows a day and thing."""

SUMS: dict[str, tuple[str, ...]] = {
    Kind.TRAFFIC: ("in", "out"),
    Kind.OCCUPANCY: ("people_s", "observed_s"),
    Kind.DWELL: ("entries", "exits", "dwell_s", *(f"visits_{n}" for n in range(8))),
    Kind.QUEUE: (
        *("people_s", "observed_s", "joined", "served", "wait_s"),
        *(f"waits_{n}" for n in range(8)),
    ),
    Kind.SHELF: ("correct_s", "empty_s", "wrong_s", "unknown_s", "removals", "returns"),
    Kind.HEAT: ("people_s", "observed_s"),
}
"""Names of what a row sums, in order."""
MAXIMA: dict[str, tuple[str, ...]] = {
    Kind.OCCUPANCY: ("people_max",),
    Kind.DWELL: ("dwell_max_s",),
    Kind.QUEUE: ("people_max", "wait_max_s"),
}

_SELECT = "SELECT sums, maxima, cells FROM history WHERE (began, camera, kind, about) = (?,?,?,?)"
_UPSERT = """
INSERT INTO history VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    window_s = window_s + excluded.window_s, covered_s = covered_s + excluded.covered_s,
    sums = excluded.sums, maxima = excluded.maxima, cells = excluded.cells
"""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A quarter of an hour of one line, zone or slot; an hour of a camera's heat."""

    began_at: int
    """Seconds since the epoch."""
    camera: str
    kind: str
    about: str
    """Line, zone or slot; empty for heat."""
    window_s: float
    covered_s: float
    """Of that, the seconds that were observed."""
    figures: dict[str, float]
    """By the names of ``SUMS`` and ``MAXIMA``."""


@dataclass(slots=True)
class _Part:
    about: str
    sums: list[float]
    maxima: list[float]
    cells: list[int]


def enter(connection: sqlite3.Connection, source: str, data: Window) -> None:
    """Add one window's figures, inside the caller's transaction; other kinds are passed over."""
    read = _READERS.get(type(data))
    if read is None:
        return
    kind, parts = read(data)
    began_s = int(data.window_start.timestamp())
    began_s -= began_s % (HOUR_S if kind == Kind.HEAT else QUARTER_S)
    _keep_days(connection, began_s)
    camera, covered_s = source.rsplit("/", 1)[-1], data.window_s * data.coverage_ratio
    for part in parts:
        key = (began_s, camera, str(kind), part.about)
        before = connection.execute(_SELECT, key).fetchone()
        if before is not None:
            _merge(part, before)
        sums = json.dumps([round(value, 3) for value in part.sums])
        merged = (sums, json.dumps(part.maxima), _packed(part.cells))
        connection.execute(_UPSERT, (*key, data.window_s, covered_s, *merged))


def read_history(
    path: Path, *, from_s: float, to_s: float, camera: str | None = None
) -> list[Stretch]:
    """Return what began in a stretch of time (epoch seconds), oldest first; heat without cells.

    Args:
        camera: only of this one.

    Raises:
        JournalError: there is no journal, or it cannot be read now.
    """
    with reading(path) as connection:
        rows = connection.execute(
            "SELECT began, camera, kind, about, window_s, covered_s, sums, maxima FROM history"
            " WHERE began >= ? AND began < ? AND camera = COALESCE(?, camera) ORDER BY began",
            (from_s, to_s, camera),
        ).fetchall()
    return [_stretch(row) for row in rows]


def read_heat(path: Path, camera: str, *, from_s: float, to_s: float) -> list[int]:
    """Return tenths of person-seconds per cell, row by row; empty where nothing is known.

    Raises:
        JournalError: there is no journal, or it cannot be read now.
    """
    with reading(path) as connection:
        packed = connection.execute(
            "SELECT cells FROM history WHERE began >= ? AND began < ? AND camera = ? AND kind = ?",
            (from_s, to_s, camera, str(Kind.HEAT)),
        ).fetchall()
    total: list[int] = []
    for (cells,) in packed:
        total = _added(total, _unpacked(cells))
    return total


def _keep_days(connection: sqlite3.Connection, began_s: int) -> None:
    """Forget the oldest days when a new one begins: by their number, whatever the clock says."""
    new = connection.execute("INSERT OR IGNORE INTO history_days VALUES (?)", (began_s // DAY_S,))
    if new.rowcount == 0:
        return
    old = connection.execute(
        "SELECT day FROM history_days ORDER BY day DESC LIMIT -1 OFFSET ?", (KEPT_DAYS,)
    ).fetchall()
    for (day,) in old:
        connection.execute(
            "DELETE FROM history WHERE began >= ? AND began < ?", (day * DAY_S, (day + 1) * DAY_S)
        )
        connection.execute("DELETE FROM history_days WHERE day = ?", (day,))


def _merge(part: _Part, before: tuple[str, str, bytes]) -> None:
    part.sums = list(map(add, part.sums, json.loads(before[0])))
    part.maxima = list(map(max, part.maxima, json.loads(before[1])))
    part.cells = _added(part.cells, _unpacked(before[2]))


def _added(cells: list[int], more: list[int]) -> list[int]:
    return list(map(add, cells, more)) if cells and more else cells or more


def _packed(cells: list[int]) -> bytes:
    return zlib.compress(array("Q", cells).tobytes(), 1) if cells else b""


def _unpacked(packed: bytes) -> list[int]:
    cells = array("Q")
    cells.frombytes(zlib.decompress(packed) if packed else b"")
    return cells.tolist()


def _stretch(row: tuple[Any, ...]) -> Stretch:
    began_s, camera, kind, about, window_s, covered_s, sums, maxima = row
    figures = dict(zip(SUMS.get(kind, ()), json.loads(sums), strict=False))
    figures |= zip(MAXIMA.get(kind, ()), json.loads(maxima), strict=False)
    return Stretch(began_s, camera, kind, about, window_s, covered_s, figures)


def _traffic(data: TrafficData) -> tuple[Kind, Iterable[_Part]]:
    return Kind.TRAFFIC, [
        _Part(one.line, [one.crossings_in, one.crossings_out], [], []) for one in data.lines
    ]


def _occupancy(data: OccupancyData) -> tuple[Kind, Iterable[_Part]]:
    return Kind.OCCUPANCY, [
        _Part(z.zone, [z.people_s, z.observed_s], [z.people_max], []) for z in data.zones
    ]


def _dwell(data: DwellData) -> tuple[Kind, Iterable[_Part]]:
    return Kind.DWELL, [
        _Part(z.zone, [z.entries, z.exits, z.dwell_s, *z.histogram], [z.dwell_max_s], [])
        for z in data.zones
    ]


def _queue(data: QueueData) -> tuple[Kind, Iterable[_Part]]:
    return Kind.QUEUE, [
        _Part(
            z.zone,
            [z.people_s, z.observed_s, z.joined, z.served, z.wait_s, *z.wait_histogram],
            [z.people_max, z.wait_max_s],
            [],
        )
        for z in data.zones
    ]


def _shelf(data: ShelfData) -> tuple[Kind, Iterable[_Part]]:
    return Kind.SHELF, [
        _Part(
            s.slot,
            [s.correct_s, s.empty_s, s.wrong_s, s.unknown_s, s.removals, s.returns],
            [],
            [],
        )
        for s in data.slots
    ]


def _heat(data: HeatData) -> tuple[Kind, Iterable[_Part]]:
    cells = [round(cell * 10) for row in data.cells_s for cell in row]
    return Kind.HEAT, [_Part("", [data.people_s, data.observed_s], [], cells)]


_READERS: dict[type, Callable[[Any], tuple[Kind, Iterable[_Part]]]] = {
    TrafficData: _traffic,
    OccupancyData: _occupancy,
    DwellData: _dwell,
    QueueData: _queue,
    ShelfData: _shelf,
    HeatData: _heat,
}
