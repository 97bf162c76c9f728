"""The HTTP API: a site's traffic and devices. Its figures are in ``http_kpis``."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict

from shopfloor_contracts.base import SLUG_PATTERN
from shopfloor_ingest.adapters.http_kpis import fleet_router, kpi_router
from shopfloor_ingest.domain.devices import DeviceState
from shopfloor_ingest.domain.periods import make_period
from shopfloor_ingest.errors import QueryError, StoreUnavailableError, UnknownSiteError
from shopfloor_ingest.usecases import KpiReader, Reader, device_report, traffic_report
from shopfloor_kit.problems import install_problems, problem_response

Site = Annotated[str, Path(pattern=SLUG_PATTERN)]
Start = Annotated[str | None, Query(alias="from", description="ISO 8601 with a time zone")]
End = Annotated[str | None, Query(alias="to", description="ISO 8601 with a time zone, excluded")]
Bucket = Annotated[str, Query(description="minute, hour or day (UTC)")]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, from_attributes=True)


class TrafficRowBody(_Body):
    """Crossings of one line in one bucket."""

    bucket_start: datetime
    camera: str
    line: str
    crossings_in: int
    crossings_out: int
    coverage_ratio: float


class TrafficBody(_Body):
    """Crossings of a site."""

    site: str
    from_: datetime
    to: datetime
    bucket: str
    rows: list[TrafficRowBody]

    model_config = ConfigDict(alias_generator=lambda name: name.rstrip("_"), populate_by_name=True)


class DeviceBody(_Body):
    """One device as it was last heard."""

    device: str
    status: str
    boot_id: str
    stream: str | None
    last_seen_at: datetime
    heartbeat: dict[str, Any] | None


class DevicesBody(_Body):
    """Devices of a site."""

    site: str
    devices: list[DeviceBody]


def build_api(
    reader: Reader, kpis: KpiReader, health: APIRouter, *, now: Callable[[], datetime]
) -> FastAPI:
    """Assemble the application."""
    app = FastAPI(title="Shopfloor ingest", version="0.1.0", docs_url=None, redoc_url=None)
    install_problems(app)
    app.add_exception_handler(QueryError, _problem(422, "invalid-request"))
    app.add_exception_handler(UnknownSiteError, _problem(404, "unknown-site"))
    app.add_exception_handler(StoreUnavailableError, _problem(503, "store-unavailable"))
    app.include_router(health)
    app.include_router(_sites(reader, now))
    app.include_router(kpi_router(reader, kpis, now))
    app.include_router(fleet_router(kpis, now))
    return app


def _sites(reader: Reader, now: Callable[[], datetime]) -> APIRouter:
    router = APIRouter(prefix="/api/v1/sites/{site}")

    @router.get("/traffic")
    def traffic(
        site: Site, start: Start = None, end: End = None, bucket: Bucket = "hour"
    ) -> TrafficBody:
        """Return crossings per bucket, camera and line; a window counts where it begins."""
        period = make_period(start, end, bucket, now=now())
        rows = traffic_report(reader, site, period)
        return TrafficBody(
            site=site,
            from_=period.start,
            to=period.end,
            bucket=period.bucket,
            rows=[TrafficRowBody.model_validate(row) for row in rows],
        )

    @router.get("/devices")
    def devices(site: Site) -> DevicesBody:
        """Return the state of each device."""
        found = device_report(reader, site)
        listed = [_device_body(name, state) for name, state in found.items()]
        return DevicesBody(site=site, devices=listed)

    return router


def _device_body(name: str, state: DeviceState) -> DeviceBody:
    return DeviceBody(
        device=name,
        status=state.status,
        boot_id=str(state.boot_id),
        stream=None if state.stream is None else str(state.stream),
        last_seen_at=state.last_seen_at,
        heartbeat=None if state.heartbeat is None else json.loads(state.heartbeat),
    )


def _problem(status: int, slug: str) -> Callable[[Request, Exception], Response]:
    def answer(_: Request, error: Exception) -> Response:
        return problem_response(status, slug, str(error))

    return answer
