"""Watermarks in SQL: read, let the domain move them, write what changed."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, and_, delete, select
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.schema import Table

from shopfloor_ingest.adapters.dialects import upsert
from shopfloor_ingest.adapters.tables import WAITING, WATERMARKS
from shopfloor_ingest.domain.messages import StreamKey
from shopfloor_ingest.domain.watermarks import Arrival, Watermark, extend


def read_up_to(connection: Connection, key: StreamKey) -> int:
    """Return a stream's watermark; 0 when it was never heard of."""
    query = select(WATERMARKS.c.up_to).where(of_stream(WATERMARKS, key))
    return connection.execute(query).scalar() or 0


def advance(connection: Connection, key: StreamKey, arrivals: Sequence[Arrival]) -> Watermark:
    """Move one stream's watermark inside the caller's transaction.

    Returns:
        The new mark, with ``dropped`` only of this step and without ``waiting``.
    """
    # The row must exist to be locked: replicas take turns per stream.
    fresh_row = {**_columns(key), "up_to": 0, "dropped": 0}
    connection.execute(upsert(connection, WATERMARKS).on_conflict_do_nothing(), fresh_row)
    row = connection.execute(
        select(WATERMARKS.c.up_to, WATERMARKS.c.dropped)
        .where(of_stream(WATERMARKS, key))
        .with_for_update()
    ).one()
    ahead = connection.execute(
        select(WAITING.c.seq, WAITING.c.prevseq).where(of_stream(WAITING, key))
    )
    waiting = {one.seq: one.prevseq for one in ahead}
    before = Watermark(row.up_to, row.dropped, waiting)
    after = extend(before, arrivals)
    _save(connection, key, before, after)
    return Watermark(after.up_to, after.dropped - before.dropped)


def _save(connection: Connection, key: StreamKey, before: Watermark, after: Watermark) -> None:
    changed = {"up_to": after.up_to, "dropped": after.dropped}
    connection.execute(WATERMARKS.update().where(of_stream(WATERMARKS, key)).values(changed))
    if before.waiting:
        passed = and_(of_stream(WAITING, key), WAITING.c.seq <= after.up_to)
        connection.execute(delete(WAITING).where(passed))
    rows = [
        {**_columns(key), "seq": seq, "prevseq": prevseq}
        for seq, prevseq in after.waiting.items()
        if before.waiting.get(seq) != prevseq
    ]
    if rows:
        statement = upsert(connection, WAITING)
        statement = statement.on_conflict_do_update(
            index_elements=["site", "device", "stream", "seq"],
            set_={"prevseq": statement.excluded.prevseq},
        )
        connection.execute(statement, rows)


def _columns(key: StreamKey) -> dict[str, str]:
    return {"site": key.site, "device": key.device, "stream": str(key.stream)}


def of_stream(table: Table, key: StreamKey) -> ColumnElement[bool]:
    """Return the condition that a row is of the stream."""
    return and_(
        table.c.site == key.site, table.c.device == key.device, table.c.stream == str(key.stream)
    )
