"""Watermarks in SQL: read, let the domain move them, write what changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, and_, bindparam, delete, select, tuple_
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.schema import Table

from shopfloor_ingest.adapters.bulk import insert_lines
from shopfloor_ingest.adapters.dialects import upsert
from shopfloor_ingest.adapters.tables import WAITING, WATERMARKS
from shopfloor_ingest.domain.messages import StreamKey
from shopfloor_ingest.domain.watermarks import Arrival, Watermark, extend


def read_up_to(connection: Connection, key: StreamKey) -> int:
    """Return a stream's watermark; 0 when it was never heard of."""
    query = select(WATERMARKS.c.up_to).where(of_stream(WATERMARKS, key))
    return connection.execute(query).scalar() or 0


def advance(
    connection: Connection, arrivals: Mapping[StreamKey, Sequence[Arrival]]
) -> dict[StreamKey, Watermark]:
    """Move the watermarks of a batch inside the caller's transaction.

    Returns:
        The new marks in a fixed order, with ``dropped`` only of this step, without ``waiting``.
    """
    # In a fixed order, so that two replicas never wait for each other's locks.
    keys = sorted(arrivals, key=lambda key: (key.site, key.device, str(key.stream)))
    if not keys:
        return {}
    # A row must exist to be locked: replicas take turns per stream.
    unheard = [(key.site, key.device, str(key.stream), 0, 0) for key in keys]
    insert_lines(connection, WATERMARKS, unheard, on_conflict="DO NOTHING")
    before = _read(connection, keys)
    after = {key: extend(before[key], arrivals[key]) for key in keys}
    _save(connection, before, after)
    return {
        key: Watermark(mark.up_to, mark.dropped - before[key].dropped)
        for key, mark in after.items()
    }


def _read(connection: Connection, keys: Sequence[StreamKey]) -> dict[StreamKey, Watermark]:
    w, ahead = WATERMARKS.c, WAITING.c
    streams = [(key.site, key.device, str(key.stream)) for key in keys]
    query = (
        select(w.site, w.device, w.stream, w.up_to, w.dropped)
        .where(tuple_(w.site, w.device, w.stream).in_(streams))
        .order_by(w.site, w.device, w.stream)
        .with_for_update()
    )
    marks = {(row.site, row.device, row.stream): row for row in connection.execute(query)}
    waiting: dict[tuple[str, str, str], dict[int, int]] = defaultdict(dict)
    waits = select(WAITING).where(tuple_(ahead.site, ahead.device, ahead.stream).in_(streams))
    for row in connection.execute(waits):
        waiting[row.site, row.device, row.stream][row.seq] = row.prevseq
    return {
        key: Watermark(marks[stream].up_to, marks[stream].dropped, waiting.get(stream, {}))
        for key, stream in zip(keys, streams, strict=True)
    }


def _save(
    connection: Connection,
    before: Mapping[StreamKey, Watermark],
    after: Mapping[StreamKey, Watermark],
) -> None:
    moved = [
        (key.site, key.device, str(key.stream), mark.up_to, mark.dropped)
        for key, mark in after.items()
        if (mark.up_to, mark.dropped) != (before[key].up_to, before[key].dropped)
    ]
    insert_lines(connection, WATERMARKS, moved, on_conflict=_MOVE)
    passed = [{**_named(key), "n_up_to": after[key].up_to} for key in after if before[key].waiting]
    if passed:
        connection.execute(_PASSED, passed)
    rows = [
        {**_columns(key), "seq": seq, "prevseq": prevseq}
        for key, mark in after.items()
        for seq, prevseq in mark.waiting.items()
        if before[key].waiting.get(seq) != prevseq
    ]
    if rows:
        statement = upsert(connection, WAITING)
        statement = statement.on_conflict_do_update(
            index_elements=["site", "device", "stream", "seq"],
            set_={"prevseq": statement.excluded.prevseq},
        )
        connection.execute(statement, rows)


def _named(key: StreamKey) -> dict[str, object]:
    return {f"k_{name}": value for name, value in _columns(key).items()}


def _same(table: Table) -> ColumnElement[bool]:
    return and_(*(table.c[name] == bindparam(f"k_{name}") for name in ("site", "device", "stream")))


_MOVE = "(site, device, stream) DO UPDATE SET up_to = excluded.up_to, dropped = excluded.dropped"
_PASSED = delete(WAITING).where(_same(WAITING), WAITING.c.seq <= bindparam("n_up_to"))


def _columns(key: StreamKey) -> dict[str, str]:
    return {"site": key.site, "device": key.device, "stream": str(key.stream)}


def of_stream(table: Table, key: StreamKey) -> ColumnElement[bool]:
    """Return the condition that a row is of the stream."""
    return and_(
        table.c.site == key.site, table.c.device == key.device, table.c.stream == str(key.stream)
    )
