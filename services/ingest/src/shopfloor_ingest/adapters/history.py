"""Raw events over time: sums made again from them, and what is older than its retention."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from sqlalchemy import Connection, Engine, delete, func, select
from sqlalchemy.exc import SQLAlchemyError

from shopfloor_contracts.events import DURABLE_KINDS, EventData, Kind, data_of
from shopfloor_ingest.adapters.dialects import upsert
from shopfloor_ingest.adapters.rollups import add_rollups
from shopfloor_ingest.adapters.schema import lock_as_writer, lock_whole_store
from shopfloor_ingest.adapters.tables import EVENTS, MAINTENANCE, ROLLUPS
from shopfloor_ingest.domain.rollups import Origin, collect
from shopfloor_ingest.errors import StoreUnavailableError
from shopfloor_kit.database import cause

log = logging.getLogger(__name__)

DAY_S = 86_400
MINUTE_S = 60
_PAGE = 2000
_SUM_AGAIN, _RAW_SINCE = "sum-again", "raw-since"


class SqlHistory:
    """Implements the ``History`` port: each step is a transaction of its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def reaggregate(self) -> int:
        """Make the sums of every day whose raw events are all there again.

        Returns:
            The number of days. Ingest may run meanwhile: it waits for its turn, day by day.

        Raises:
            StoreUnavailableError: the days before are done, and doing them again is no harm.
        """
        made = 0
        try:
            with self._engine.begin() as connection:
                days = days_to_sum(connection)
            for day in days:
                with self._engine.begin() as connection:
                    lock_whole_store(connection)
                    # Asked again now that nobody writes: the retention has had turns in between.
                    if day >= raw_since(connection):
                        sum_day_again(connection, day)
                        made += 1
        except SQLAlchemyError as e:
            raise StoreUnavailableError(cause(e)) from e
        return made

    def forget_events(self, before: int, limit: int) -> int:
        """Delete up to ``limit`` raw events that began before ``before`` (epoch seconds)."""
        old = select(EVENTS.c.id).where(EVENTS.c.began_at < before).limit(limit)
        try:
            with self._engine.begin() as connection:
                lock_as_writer(connection)
                # Said first: what lies before this can no longer be summed from raw events.
                if raw_since(connection) < before:
                    _remember(connection, _RAW_SINCE, before)
                return connection.execute(delete(EVENTS).where(EVENTS.c.id.in_(old))).rowcount
        except SQLAlchemyError as e:
            raise StoreUnavailableError(cause(e)) from e

    def forget_minutes(self, before: int) -> int:
        """Delete the first hour of minute sums of each kind that lies before ``before``."""
        try:
            return sum(self._forget_hour(kind, before) for kind in ROLLUPS)
        except SQLAlchemyError as e:
            raise StoreUnavailableError(cause(e)) from e

    def _forget_hour(self, kind: str, before: int) -> int:
        table = ROLLUPS[kind]
        minutes = table.c.bucket_s == MINUTE_S
        with self._engine.begin() as connection:
            lock_as_writer(connection)
            oldest = select(func.min(table.c.bucket_start)).where(minutes)
            first = connection.execute(oldest).scalar()
            if first is None or first >= before:
                return 0
            until = min(first + 3600, before)
            gone = delete(table).where(minutes, table.c.bucket_start < until)
            return connection.execute(gone).rowcount


def sum_again_if_due(connection: Connection) -> None:
    """Do what a migration has left to do: in its transaction, so that no reader sees it half."""
    due = connection.execute(select(MAINTENANCE.c.value).where(MAINTENANCE.c.name == _SUM_AGAIN))
    if due.first() is None:
        return
    days = days_to_sum(connection)
    log.info("sums are made again from raw events", extra={"days": len(days)})
    for day in days:
        sum_day_again(connection, day)
    connection.execute(delete(MAINTENANCE).where(MAINTENANCE.c.name == _SUM_AGAIN))


def days_to_sum(connection: Connection) -> list[int]:
    """Return the first second of every UTC day whose raw events were never deleted."""
    since = raw_since(connection)
    day = (EVENTS.c.began_at - EVENTS.c.began_at % DAY_S).label("day")
    found = connection.execute(
        select(day)
        .where(EVENTS.c.kind.in_([str(kind) for kind in DURABLE_KINDS]))
        .distinct()
        .order_by("day")
    )
    return [first for first in found.scalars() if first >= since]


def sum_day_again(connection: Connection, day: int) -> None:
    """Replace the sums of one UTC day by those of its raw events."""
    for table in ROLLUPS.values():
        start = table.c.bucket_start
        connection.execute(delete(table).where(start >= day, start < day + DAY_S))
    for page in _pages(connection, day):
        add_rollups(connection, collect(page))


def raw_since(connection: Connection) -> int:
    """Return the second before which raw events may have been deleted."""
    query = select(MAINTENANCE.c.value).where(MAINTENANCE.c.name == _RAW_SINCE)
    return connection.execute(query).scalar() or 0


def _pages(connection: Connection, day: int) -> Iterator[list[tuple[Origin, EventData]]]:
    e = EVENTS.c
    query = (
        select(e.id, e.site, e.device, e.camera, e.kind, e.data)
        .where(e.began_at >= day, e.began_at < day + DAY_S)
        .where(e.kind.in_([str(kind) for kind in DURABLE_KINDS]))
        .order_by(e.id)
        .limit(_PAGE)
    )
    last = ""
    while found := connection.execute(query.where(e.id > last)).all():
        yield [(Origin(r.site, r.device, r.camera), data_of(Kind(r.kind), r.data)) for r in found]
        last = found[-1].id


def _remember(connection: Connection, name: str, value: int) -> None:
    statement = upsert(connection, MAINTENANCE).values(name=name, value=value)
    connection.execute(
        statement.on_conflict_do_update(index_elements=["name"], set_={"value": value})
    )
