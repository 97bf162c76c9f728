"""Roll-ups in SQL: add sums to what is there, in the caller's transaction."""

from __future__ import annotations

import sys
import zlib
from array import array
from collections.abc import Mapping
from functools import cache

from sqlalchemy import Connection, Select, Table, Update, and_, bindparam, select, update

from shopfloor_ingest.adapters.bulk import insert_lines
from shopfloor_ingest.adapters.tables import ROLLUPS
from shopfloor_ingest.domain.rollups import SHAPES, Key, Rollups, Shape, Sums


def add_rollups(connection: Connection, found: Rollups) -> None:
    """Add every sum to its row. Rows are taken in one order: replicas never deadlock."""
    for kind in sorted(found):
        shape, rows = SHAPES[kind], found[kind]
        ordered = sorted(rows)
        cells = (b"",) if shape.grid else ()
        lines = [(*key, *rows[key].sums, *rows[key].maxima, *cells) for key in ordered]
        insert_lines(connection, ROLLUPS[kind], lines, on_conflict=_adding(shape))
        if shape.grid:
            # The rows are ours until the commit, so what is read here cannot change.
            _add_cells(connection, shape, {key: rows[key] for key in ordered})


def pack_cells(cells: list[int]) -> bytes:
    """Return a grid as compressed little-endian 64-bit numbers."""
    numbers = array("Q", cells)
    if sys.byteorder == "big":
        numbers.byteswap()
    return zlib.compress(numbers.tobytes(), 1)


def unpack_cells(packed: bytes) -> list[int]:
    """Read what ``pack_cells`` has written; no bytes are no cells."""
    if not packed:
        return []
    numbers = array("Q", zlib.decompress(packed))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()


@cache
def _adding(shape: Shape) -> str:
    """Return what follows ``ON CONFLICT``: sums add, maxima take the larger."""
    table = ROLLUPS[shape.kind].name
    sums = [f"{name} = {table}.{name} + excluded.{name}" for name in shape.sums]
    maxima = [
        f"{name} = CASE WHEN excluded.{name} > {table}.{name}"
        f" THEN excluded.{name} ELSE {table}.{name} END"
        for name in shape.maxima
    ]
    return f"({', '.join(shape.keys)}) DO UPDATE SET {', '.join(sums + maxima)}"


def _add_cells(connection: Connection, shape: Shape, rows: Mapping[Key, Sums]) -> None:
    reading, writing = _cell_statements(ROLLUPS[shape.kind], shape.keys)
    changed = []
    for key, sums in rows.items():
        named = {f"k_{name}": value for name, value in zip(shape.keys, key, strict=True)}
        before = unpack_cells(connection.execute(reading, named).scalar_one())
        after = [a + b for a, b in zip(before, sums.cells, strict=True)] if before else sums.cells
        changed.append({**named, "k_cells": pack_cells(after)})
    connection.execute(writing, changed)


@cache
def _cell_statements(table: Table, keys: tuple[str, ...]) -> tuple[Select[bytes], Update]:
    same = and_(*(table.c[name] == bindparam(f"k_{name}") for name in keys))
    changed = update(table).where(same).values(cells=bindparam("k_cells"))
    return select(table.c.cells).where(same), changed
