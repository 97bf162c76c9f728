"""Answers for the HTTP API, straight from the tables."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from sqlalchemy import Engine, func, select
from sqlalchemy.exc import SQLAlchemyError

from shopfloor_contracts.events import Kind
from shopfloor_ingest.adapters import rows
from shopfloor_ingest.adapters.tables import DEVICES, ROLLUPS
from shopfloor_ingest.domain.devices import DeviceState
from shopfloor_ingest.domain.periods import Period
from shopfloor_ingest.errors import StoreUnavailableError
from shopfloor_ingest.usecases import TrafficRow
from shopfloor_kit.database import cause, reading


class SqlReader:
    """Implements the ``Reader`` port; takes no write lock."""

    def __init__(self, engine: Engine) -> None:
        self._engine = reading(engine)

    def knows(self, site: str) -> bool:
        """Return whether a device of ``site`` was ever heard."""
        queries = (
            select(table.c.site).where(table.c.site == site)
            for table in (DEVICES, *ROLLUPS.values())
        )
        try:
            with self._engine.connect() as connection:
                return any(connection.execute(q.limit(1)).first() is not None for q in queries)
        except SQLAlchemyError as e:
            raise StoreUnavailableError(cause(e)) from e

    def traffic(self, site: str, period: Period) -> list[TrafficRow]:
        """Return crossings per bucket, camera and line, oldest first."""
        t = ROLLUPS[Kind.TRAFFIC].c
        start, end = period.start.timestamp(), period.end.timestamp()
        aligned = start % period.bucket_s == 0 and end % period.bucket_s == 0
        bucket = (t.bucket_start - t.bucket_start % period.bucket_s).label("bucket")
        weighted = func.sum(t.covered_ms) * 1.0 / func.sum(t.window_ms)
        sums = (func.sum(t.crossings_in), func.sum(t.crossings_out), weighted)
        query = (
            select(bucket, t.camera, t.line, *sums)
            .where(t.site == site, t.bucket_s == (period.bucket_s if aligned else 60))
            .where(t.bucket_start >= math.ceil(start), t.bucket_start < math.ceil(end))
            .group_by("bucket", t.camera, t.line)
            .order_by("bucket", t.camera, t.line)
        )
        try:
            with self._engine.connect() as connection:
                found = connection.execute(query).all()
        except SQLAlchemyError as e:
            raise StoreUnavailableError(cause(e)) from e
        return [
            TrafficRow(
                datetime.fromtimestamp(start, UTC),
                camera,
                line,
                int(n_in),
                int(n_out),
                float(coverage),
            )
            for start, camera, line, n_in, n_out, coverage in found
        ]

    def devices(self, site: str) -> dict[str, DeviceState]:
        """Return the state of each device, by name."""
        query = select(DEVICES).where(DEVICES.c.site == site).order_by(DEVICES.c.device)
        try:
            with self._engine.connect() as connection:
                return {row.device: rows.device_state(row) for row in connection.execute(query)}
        except SQLAlchemyError as e:
            raise StoreUnavailableError(cause(e)) from e
