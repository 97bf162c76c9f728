"""Answers for the HTTP API, straight from the tables."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Engine, func, select
from sqlalchemy.exc import SQLAlchemyError

from shopfloor_ingest.adapters import rows
from shopfloor_ingest.adapters.tables import DEVICES, TRAFFIC
from shopfloor_ingest.domain.devices import DeviceState
from shopfloor_ingest.domain.periods import Period
from shopfloor_ingest.errors import StoreUnavailableError
from shopfloor_ingest.usecases import TrafficRow
from shopfloor_kit.database import reading


class SqlReader:
    """Implements the ``Reader`` port; takes no write lock."""

    def __init__(self, engine: Engine) -> None:
        self._engine = reading(engine)

    def knows(self, site: str) -> bool:
        """Return whether a device of ``site`` was ever heard."""
        queries = (select(table.c.site).where(table.c.site == site) for table in (DEVICES, TRAFFIC))
        try:
            with self._engine.connect() as connection:
                return any(connection.execute(q.limit(1)).first() is not None for q in queries)
        except SQLAlchemyError as e:
            raise StoreUnavailableError(str(e)) from e

    def traffic(self, site: str, period: Period) -> list[TrafficRow]:
        """Return crossings per bucket, camera and line, oldest first."""
        t = TRAFFIC.c
        bucket = (t.window_start - t.window_start % period.bucket_s).label("bucket")
        weighted = func.sum(t.coverage_ratio * t.window_s) / func.sum(t.window_s)
        sums = (func.sum(t.crossings_in), func.sum(t.crossings_out), weighted)
        query = (
            select(bucket, t.camera, t.line, *sums)
            .where(t.site == site)
            .where(t.window_start >= period.start.timestamp())
            .where(t.window_start < period.end.timestamp())
            .group_by(bucket, t.camera, t.line)
            .order_by(bucket, t.camera, t.line)
        )
        try:
            with self._engine.connect() as connection:
                found = connection.execute(query).all()
        except SQLAlchemyError as e:
            raise StoreUnavailableError(str(e)) from e
        return [
            TrafficRow(datetime.fromtimestamp(start, UTC), camera, line, n_in, n_out, coverage)
            for start, camera, line, n_in, n_out, coverage in found
        ]

    def devices(self, site: str) -> dict[str, DeviceState]:
        """Return the state of each device, by name."""
        query = select(DEVICES).where(DEVICES.c.site == site).order_by(DEVICES.c.device)
        try:
            with self._engine.connect() as connection:
                return {row.device: rows.device_state(row) for row in connection.execute(query)}
        except SQLAlchemyError as e:
            raise StoreUnavailableError(str(e)) from e
