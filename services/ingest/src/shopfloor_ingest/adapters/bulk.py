"""Many rows in one statement, below SQLAlchemy's compiler, the same for both databases.

What a row costs decides how many cameras one process serves, so rows come as plain tuples in the
order of their columns. SQLite repeats one prepared statement; PostgreSQL takes an array per column,
and unnests them in the order in which they were given.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, Connection, Integer, LargeBinary, Table

Line = tuple[Any, ...]
"""Values of one row, in the order of the statement's columns."""

_POSTGRESQL = "postgresql"
_BETWEEN = "\x1f"
"""No JSON and no name holds it as it is; a text that does goes through the driver."""


def insert_lines(
    connection: Connection, table: Table, lines: Sequence[Line], *, on_conflict: str
) -> int:
    """Insert every column of ``table``; return how many rows were inserted or changed.

    Args:
        on_conflict: what follows ``ON CONFLICT``; in SQL of both databases.
    """
    if not lines:
        return 0
    statement = _insert(table, connection.dialect.name, on_conflict)
    return run_lines(connection, statement, lines)


def insert_new(connection: Connection, table: Table, lines: Sequence[Line]) -> set[Any]:
    """Insert what conflicts with nothing; return the first column of what was inserted."""
    if not lines:
        return set()
    if connection.dialect.name == _POSTGRESQL:
        first = table.columns[0].name
        statement = _insert(table, _POSTGRESQL, f"DO NOTHING RETURNING {first}")
        found = connection.exec_driver_sql(statement, _columns_of(lines))
        return set(found.scalars())
    return _insert_new_in_sqlite(connection, table, lines)


def run_lines(connection: Connection, statement: str, lines: Sequence[Line]) -> int:
    """Run a statement of ``statement_for`` over every line; return how many rows it touched."""
    if connection.dialect.name == _POSTGRESQL:
        return connection.exec_driver_sql(statement, _columns_of(lines)).rowcount
    return connection.exec_driver_sql(statement, list(lines)).rowcount


def _insert_new_in_sqlite(connection: Connection, table: Table, lines: Sequence[Line]) -> set[Any]:
    # A repeated statement returns no rows, only how many it inserted. Nearly always that is all
    # of them; else it is taken back, and each row is asked by itself.
    statement = _insert(table, "sqlite", "DO NOTHING")
    with connection.begin_nested() as attempt:
        if run_lines(connection, statement, lines) == len(lines):
            return {line[0] for line in lines}
        attempt.rollback()
    return {line[0] for line in lines if connection.exec_driver_sql(statement, line).rowcount}


@cache
def _insert(table: Table, dialect: str, on_conflict: str) -> str:
    names = ", ".join(column.name for column in table.columns)
    if dialect == _POSTGRESQL:
        arrays = ", ".join(f"%s::{_array_of(column.type)}" for column in table.columns)
        values = f"SELECT * FROM unnest({arrays})"  # noqa: S608 — names of our own columns
    else:
        values = f"VALUES ({', '.join('?' * len(table.columns))})"
    return f"INSERT INTO {table.name} ({names}) {values} ON CONFLICT {on_conflict}"


def _array_of(kind: object) -> str:
    if isinstance(kind, BigInteger | Integer):
        return "bigint[]"
    return "bytea[]" if isinstance(kind, LargeBinary) else "text[]"


def _columns_of(lines: Sequence[Line]) -> tuple[Any, ...]:
    return tuple(_array(column) for column in zip(*lines, strict=True))


def _array(values: tuple[Any, ...]) -> str | list[Any]:
    """Return a column as PostgreSQL writes an array, or as the driver's list where that is rare.

    The driver looks at each value by itself, which costs more than everything else of a row.
    """
    kinds = set(map(type, values))
    if kinds == {str}:
        text = _BETWEEN.join(values)
        if text.count(_BETWEEN) == len(values) - 1:
            escaped = text.replace("\\", "\\\\").replace('"', '\\"')
            return '{"' + escaped.replace(_BETWEEN, '","') + '"}'
    elif kinds == {int}:
        return f"{{{','.join(map(str, values))}}}"
    return list(values)
