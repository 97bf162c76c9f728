"""Figures over HTTP: pages as JSON or CSV, a week beside the one before, heat over a picture."""

from __future__ import annotations

import base64
import binascii
import csv
import hashlib
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict

from shopfloor_contracts.aggregates import HEAT_COLUMNS
from shopfloor_contracts.base import SLUG_PATTERN
from shopfloor_contracts.events import Kind
from shopfloor_ingest.domain.kpis import By, Change, KpiRow, Page, Question, aligned
from shopfloor_ingest.domain.periods import make_period
from shopfloor_ingest.errors import QueryError
from shopfloor_ingest.usecases import KpiReader, Reader, heat_report, kpi_report, week_over_week

KpiKind = Literal[
    "traffic",
    "occupancy",
    "dwell",
    "queue",
    "heat",
    "shelf",
    "inspection",
    "defect",
    "alert",
    "audit",
    "feedback",
    "sensor",
    "figure",
]
Site = Annotated[str, Path(pattern=SLUG_PATTERN)]
Name = Annotated[str | None, Query(pattern=SLUG_PATTERN)]
Limit = Annotated[int, Query(ge=1, le=1000, description="rows of a page")]
Cursor = Annotated[str | None, Query(max_length=1000, description="next of the page before")]
Start = Annotated[str | None, Query(alias="from", description="ISO 8601 with a time zone")]
End = Annotated[str | None, Query(alias="to", description="ISO 8601 with a time zone, excluded")]


class _Body(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        from_attributes=True,
        alias_generator=lambda name: name.rstrip("_"),
        populate_by_name=True,
        protected_namespaces=(),
    )


class FleetKpiBody(_Body):
    """One page of figures; ``models`` and ``coverage_ratio`` are of the whole answer."""

    kind: str
    from_: datetime
    to: datetime
    period: str
    models: list[str]
    coverage_ratio: float | None
    # Of the domain as they are: checking a thousand of them again costs as much as asking.
    rows: Sequence[KpiRow]
    next: str | None


class KpiBody(FleetKpiBody):
    """One page of a site's figures."""

    site: str


class ChangesBody(_Body):
    """A stretch of time beside the same one a week before."""

    site: str
    kind: str
    from_: datetime
    to: datetime
    period: str
    rows: Sequence[Change]


class HeatBody(_Body):
    """Person-seconds per cell, rows from the top."""

    site: str
    camera: str
    from_: datetime
    to: datetime
    models: list[str]
    coverage_ratio: float | None
    cells_s: list[list[float]]


class Asked:
    """The part of a question that every route shares."""

    def __init__(
        self,
        start: Start = None,
        end: End = None,
        period: Annotated[str, Query(description="minute, hour or day (UTC)")] = "hour",
        camera: Name = None,
        zone: Name = None,
    ) -> None:
        self.start, self.end, self.period = start, end, period
        self.camera, self.zone = camera, zone

    def question(self, site: str, kind: str, by: By, now: datetime) -> Question:
        """Check it, and widen the stretch to whole buckets."""
        stretch = aligned(make_period(self.start, self.end, self.period, now=now))
        return Question(
            kind=kind, period=stretch, by=by, site=site, camera=self.camera, zone=self.zone
        )


def kpi_router(reader: Reader, kpis: KpiReader, now: Callable[[], datetime]) -> APIRouter:
    """Build the three routes."""
    router = APIRouter(prefix="/api/v1/sites/{site}")

    @router.get("/kpi/{kind}", response_model=KpiBody)
    def figures(
        request: Request,
        site: Site,
        kind: KpiKind,
        asked: Annotated[Asked, Depends()],
        page: Annotated[_Paging, Depends()],
        by: By = By.ZONE,
    ) -> Response:
        """Return sums, means and percentiles per bucket; a window counts where it begins."""
        question = page.apply(asked.question(site, kind, by, now()))
        return page.answer(request, question, kpi_report(reader, kpis, question))

    @router.get("/kpi/{kind}/week-over-week", response_model=ChangesBody)
    def compared(
        request: Request,
        site: Site,
        kind: KpiKind,
        asked: Annotated[Asked, Depends()],
        by: By = By.ZONE,
    ) -> Response:
        """Compare with a week before, like for like: only what both weeks have counts."""
        question = asked.question(site, kind, by, now())
        rows = week_over_week(reader, kpis, question)
        period = question.period.bucket
        return _json(
            request, ChangesBody(**_stretch(question), kind=kind, period=period, rows=rows)
        )

    @router.get("/heat", response_model=HeatBody)
    def heat(
        request: Request,
        site: Site,
        asked: Annotated[Asked, Depends()],
    ) -> Response:
        """Return where people stood before one camera, over the whole stretch."""
        if asked.camera is None:
            raise QueryError("camera is missing, expected the camera whose picture it is")
        question = asked.question(site, Kind.HEAT, By.SITE, now())
        cells, page = heat_report(reader, kpis, question)
        seconds = [cell / 10 for cell in cells]
        grid = [seconds[i : i + HEAT_COLUMNS] for i in range(0, len(seconds), HEAT_COLUMNS)]
        body = HeatBody(
            **_stretch(question),
            camera=asked.camera,
            models=list(page.models),
            coverage_ratio=page.coverage_ratio,
            cells_s=grid,
        )
        return _json(request, body)

    return router


def fleet_router(kpis: KpiReader, now: Callable[[], datetime]) -> APIRouter:
    """Build the route over all sites."""
    router = APIRouter(prefix="/api/v1")

    @router.get("/kpi/{kind}", response_model=FleetKpiBody)
    def figures(
        request: Request,
        kind: KpiKind,
        asked: Annotated[Asked, Depends()],
        page: Annotated[_Paging, Depends()],
        by: By = By.SITE,
    ) -> Response:
        """Return sums, means and percentiles per bucket and site, of every site ever heard."""
        question = page.apply(asked.question("", kind, by, now()))
        return page.answer(request, question, kpis.page(question))

    return router


class _Paging:
    def __init__(
        self,
        limit: Limit = 1000,
        cursor: Cursor = None,
        form: Annotated[Literal["json", "csv"], Query(alias="format")] = "json",
    ) -> None:
        self.limit, self.cursor, self.form = limit, cursor, form

    def apply(self, question: Question) -> Question:
        """Return the question of this page."""
        after = None if self.cursor is None else _after(self.cursor, question)
        return replace(question, limit=self.limit, after=after)

    def answer(self, request: Request, question: Question, found: Page) -> Response:
        """Return the page in the form that was asked for."""
        following = _cursor(found.after)
        if self.form == "csv":
            return _answer(request, _csv(found), "text/csv; charset=utf-8", following)
        figures = {
            **_stretch(question),
            "kind": question.kind,
            "period": question.period.bucket,
            "models": list(found.models),
            "coverage_ratio": found.coverage_ratio,
            "rows": found.rows,
            "next": following,
        }
        body = KpiBody if question.site else FleetKpiBody
        return _json(request, body(**figures))


def _stretch(question: Question) -> dict[str, object]:
    return {"site": question.site, "from_": question.period.start, "to": question.period.end}


def _cursor(after: tuple[str | int, ...] | None) -> str | None:
    if after is None:
        return None
    return base64.urlsafe_b64encode(json.dumps(after).encode()).decode().rstrip("=")


def _after(cursor: str, question: Question) -> tuple[str | int, ...]:
    try:
        found = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError) as e:
        raise QueryError("cursor is none that a page has named as its next") from e
    kinds = [int, *[str] * (len(question.keys) - 1)]
    fits = isinstance(found, list) and [type(part) for part in found] == kinds
    if not fits or not 0 <= found[0] < 2**62 or any("\0" in text for text in found[1:]):
        raise QueryError("cursor is of another question, expected the next of this one")
    return tuple(found)


def _json(request: Request, body: BaseModel) -> Response:
    text = body.model_dump_json(by_alias=True)
    return _answer(request, text, "application/json", None)


def _answer(request: Request, text: str, media_type: str, following: str | None) -> Response:
    """Return the body, or 304 when the client has it already."""
    content = text.encode()
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"etag": tag, "cache-control": "private, no-cache"}
    if following is not None:
        headers["x-next-cursor"] = following
    known = {part.strip() for part in request.headers.get("if-none-match", "").split(",")}
    if tag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=media_type, headers=headers)


def _csv(page: Page) -> str:
    """Return a table with one line per row; no figure is an empty cell."""
    out = io.StringIO()
    names = list(page.rows[0].names) if page.rows else []
    figures = list(page.rows[0].figures) if page.rows else []
    quality = ["reported_s", "coverage_ratio", "degraded_ratio", "model_digest"]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["bucket_start", *names, *quality, *figures])
    writer.writerows(_line(row, quality) for row in page.rows)
    return out.getvalue()


def _line(row: KpiRow, quality: list[str]) -> list[object]:
    start = row.bucket_start.isoformat().replace("+00:00", "Z")
    return [start, *row.names.values(), *(getattr(row, q) for q in quality), *row.figures.values()]
