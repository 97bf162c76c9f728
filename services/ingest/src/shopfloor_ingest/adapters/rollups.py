"""Roll-ups in SQL: add sums to what is there, in the caller's transaction."""

from __future__ import annotations

import sys
import zlib
from array import array
from collections.abc import Mapping
from functools import cache

from sqlalchemy import Connection, Select, Table, Update, and_, bindparam, case, select, update
from sqlalchemy.dialects import sqlite

from shopfloor_ingest.adapters.dialects import upsert
from shopfloor_ingest.adapters.tables import ROLLUPS
from shopfloor_ingest.domain.rollups import SHAPES, Key, Rollups, Shape, Sums


def add_rollups(connection: Connection, found: Rollups) -> None:
    """Add every sum to its row. Rows are taken in one order: replicas never deadlock."""
    for kind in sorted(found):
        shape, rows = SHAPES[kind], found[kind]
        ordered = {key: rows[key] for key in sorted(rows)}
        statement = _adding(shape, connection)
        connection.execute(statement, [_row(shape, key, one) for key, one in ordered.items()])
        if shape.grid:
            # The rows are ours until the commit, so what is read here cannot change.
            _add_cells(connection, shape, ordered)


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


_STATEMENTS: dict[tuple[str, str], sqlite.Insert] = {}


def _adding(shape: Shape, connection: Connection) -> sqlite.Insert:
    known = (connection.dialect.name, str(shape.kind))
    if known not in _STATEMENTS:
        table = ROLLUPS[shape.kind]
        new = upsert(connection, table)
        sums = {name: table.c[name] + new.excluded[name] for name in shape.sums}
        maxima = {
            name: case(
                (new.excluded[name] > table.c[name], new.excluded[name]), else_=table.c[name]
            )
            for name in shape.maxima
        }
        _STATEMENTS[known] = new.on_conflict_do_update(
            index_elements=list(shape.keys), set_=sums | maxima
        )
    return _STATEMENTS[known]


def _row(shape: Shape, key: Key, sums: Sums) -> dict[str, object]:
    row = dict(zip(shape.keys, key, strict=True))
    row.update(zip(shape.sums, sums.sums, strict=True))
    row.update(zip(shape.maxima, sums.maxima, strict=True))
    if shape.grid:
        row["cells"] = b""
    return row


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
