"""Questions about roll-ups in SQL: one page of sums, and sums beside those of a week before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Engine,
    Select,
    Subquery,
    and_,
    cast,
    func,
    select,
    tuple_,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql.elements import ColumnElement

from shopfloor_contracts.events import Kind
from shopfloor_ingest.adapters.rollups import unpack_cells
from shopfloor_ingest.adapters.tables import ROLLUPS
from shopfloor_ingest.domain.kpis import Change, KpiRow, Page, Question, ratio, row_of
from shopfloor_ingest.errors import QueryError, StoreUnavailableError
from shopfloor_kit.database import cause, reading

WEEK_S = 7 * 86_400
MAX_GRIDS = 2000
"""Rows of heat in one answer: each is unpacked here, at some 30 µs."""


class SqlKpis:
    """Implements the ``KpiReader`` port; takes no write lock."""

    def __init__(self, engine: Engine) -> None:
        self._engine = reading(engine)

    def page(self, question: Question) -> Page:
        """Return one page of rows, ordered by bucket, then by name."""
        table = ROLLUPS[question.kind]
        keys = [table.c[key] for key in question.keys]
        query = _sums(question).group_by(*keys).order_by(*keys).limit(question.limit + 1)
        if question.after is not None:
            query = query.where(tuple_(*keys) > tuple_(*question.after))
        behind = (
            select(table.c.model_digest, func.sum(table.c.covered_ms), func.sum(table.c.window_ms))
            .where(_asked(question))
            .group_by(table.c.model_digest)
            .order_by(table.c.model_digest)
        )
        try:
            with self._engine.connect() as connection:
                found = _rows(connection, query, question)
                models = connection.execute(behind).all()
        except SQLAlchemyError as e:
            raise StoreUnavailableError(cause(e)) from e
        rows = found[: question.limit]
        return Page(
            rows=rows,
            models=[digest for digest, _, _ in models if digest],
            coverage_ratio=_total_coverage(models),
            after=rows[-1].key if len(found) > question.limit else None,
        )

    def changes(self, question: Question) -> list[Change]:
        """Return each thing now and a week before, over the buckets that both weeks have."""
        now, before = _series(question, "now", 0), _series(question, "before", WEEK_S)
        ids = [name for name in _series_keys(question) if name != "bucket_start"]
        same = and_(
            now.c.bucket_start == before.c.bucket_start + WEEK_S,
            *(now.c[name] == before.c[name] for name in ids),
        )
        names = [now.c[name] for name in question.keys if name != "bucket_start"]
        figures = [
            column
            for side in (now, before)
            for column in _merged(question, side, prefix=f"{side.name}_")
        ]
        buckets = func.count(now.c.bucket_start.distinct()).label("buckets")
        query = select(*names, buckets, *figures).select_from(now.join(before, same))
        query = query.group_by(*names).order_by(*names).limit(question.limit)
        try:
            with self._engine.connect() as connection:
                found = connection.execute(query).mappings().all()
        except SQLAlchemyError as e:
            raise StoreUnavailableError(cause(e)) from e
        return [_change(question, row) for row in found]

    def heat(self, question: Question) -> tuple[list[int], Page]:
        """Return tenths of person-seconds per cell over the whole period, and what is behind."""
        table = ROLLUPS[Kind.HEAT]
        query = select(table.c.cells).where(_asked(question)).limit(MAX_GRIDS + 1)
        try:
            with self._engine.connect() as connection:
                packed = connection.execute(query).scalars().all()
        except SQLAlchemyError as e:
            raise StoreUnavailableError(cause(e)) from e
        if len(packed) > MAX_GRIDS:
            raise QueryError(f"more than {MAX_GRIDS} grids asked for, expected a longer bucket")
        total: list[int] = []
        for cells in map(unpack_cells, packed):
            total = [a + b for a, b in zip(total, cells, strict=True)] if total else cells
        return total, self.page(question)


def _asked(question: Question, shift_s: int = 0) -> ColumnElement[bool]:
    c, period = ROLLUPS[question.kind].c, question.period
    names = question.shape.names
    filters = [
        c.bucket_s == period.bucket_s,
        c.bucket_start >= int(period.start.timestamp()) - shift_s,
        c.bucket_start < int(period.end.timestamp()) - shift_s,
    ]
    if question.site:
        filters.append(c.site == question.site)
    if question.camera is not None:
        filters.append(c.camera == question.camera)
    if question.zone is not None and names:
        filters.append(c[names[0]] == question.zone)
    return and_(*filters)


def _merged(question: Question, source: Any, *, prefix: str = "") -> list[ColumnElement[Any]]:
    """Return the measures of ``source`` (a table or a subquery), merged over a group."""
    columns, shape = source.c, question.shape
    first = columns["model_min"] if "model_min" in columns else columns["model_digest"]
    last = columns["model_max"] if "model_max" in columns else columns["model_digest"]
    return [
        # PostgreSQL sums 64-bit numbers to NUMERIC.
        *(cast(func.sum(columns[name]), BigInteger).label(prefix + name) for name in shape.sums),
        *(func.max(columns[name]).label(prefix + name) for name in shape.maxima),
        func.min(first).label(f"{prefix}model_min"),
        func.max(last).label(f"{prefix}model_max"),
    ]


def _sums(question: Question) -> Select[Any]:
    table = ROLLUPS[question.kind]
    keys = [table.c[key] for key in question.keys]
    return select(*keys, *_merged(question, table)).where(_asked(question))


def _series_keys(question: Question) -> tuple[str, ...]:
    return ("bucket_start", "site", "camera", *question.shape.names)


def _series(question: Question, name: str, shift_s: int) -> Subquery:
    # Like for like: the finest thing counts only in buckets in which both weeks have it.
    table = ROLLUPS[question.kind]
    keys = [table.c[key] for key in _series_keys(question)]
    query = select(*keys, *_merged(question, table)).where(_asked(question, shift_s))
    return query.group_by(*keys).subquery(name)


def _rows(connection: Connection, query: Select[Any], question: Question) -> list[KpiRow]:
    keys, shape = question.keys, question.shape
    measures, first = (*shape.sums, *shape.maxima), len(keys)
    return [
        row_of(
            shape,
            dict(zip(measures, row[first:-2], strict=True)),
            start_s=row[0],
            names=dict(zip(keys[1:], row[1:first], strict=True)),
            models=(row[-2], row[-1]),
        )
        for row in connection.execute(query)
    ]


def _change(question: Question, row: Mapping[Any, Any]) -> Change:
    shape = question.shape
    names = {name: row[name] for name in question.keys if name != "bucket_start"}
    sides = [
        row_of(
            shape,
            {name: row[f"{side}_{name}"] for name in (*shape.sums, *shape.maxima)},
            start_s=int(question.period.start.timestamp()) - shift_s,
            names=names,
            models=(row[f"{side}_model_min"], row[f"{side}_model_max"]),
        )
        for side, shift_s in (("now", 0), ("before", WEEK_S))
    ]
    return Change(names=names, buckets=row["buckets"], now=sides[0], before=sides[1])


def _total_coverage(models: Sequence[Any]) -> float | None:
    return ratio(sum(int(row[1]) for row in models), sum(int(row[2]) for row in models))
