"""The whole console as one router."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from fastapi import APIRouter
from sqlalchemy import Engine

from shopfloor_campaigns.adapters.pages.parts import Parts
from shopfloor_campaigns.adapters.pages.questions import Questions
from shopfloor_campaigns.adapters.pages.routes_campaigns import campaigns_pages
from shopfloor_campaigns.adapters.pages.routes_fleet import fleet_pages
from shopfloor_campaigns.adapters.pages.routes_plan import plan_pages
from shopfloor_campaigns.adapters.pages.routes_sign_in import sign_in_router
from shopfloor_campaigns.adapters.pages.sessions import Sessions
from shopfloor_campaigns.adapters.reports import Reports
from shopfloor_campaigns.adapters.service import Service
from shopfloor_campaigns.adapters.writer import Writer


def console_router(
    engine: Engine,
    writer: Writer,
    *,
    service: Service,
    reports: Reports,
    now: Callable[[], datetime],
    registry_url: str | None = None,
) -> APIRouter:
    """Build the pages."""
    parts = Parts(reports, Questions(engine), Sessions(engine, now), writer, service, registry_url)
    router = APIRouter()
    for pages in (sign_in_router, plan_pages, campaigns_pages, fleet_pages):
        router.include_router(pages(parts))
    return router
