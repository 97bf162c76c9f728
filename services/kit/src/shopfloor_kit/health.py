"""``/healthz`` and ``/metrics``, the same in every service."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

Check = Callable[[], str | None]
"""Return None when all is well, else what is wrong, in a few words."""


def health_router(checks: Mapping[str, Check], registry: CollectorRegistry) -> APIRouter:
    """Build both routes; ``/healthz`` is 503 as long as one of ``checks`` complains."""
    router = APIRouter()

    @router.get("/healthz")
    def healthz() -> JSONResponse:
        """Say which part of the service works."""
        found = {name: check() for name, check in checks.items()}
        well = all(complaint is None for complaint in found.values())
        body = {
            "status": "ok" if well else "failing",
            "checks": {name: complaint or "ok" for name, complaint in found.items()},
        }
        return JSONResponse(body, status_code=200 if well else 503)

    @router.get("/metrics")
    def metrics() -> Response:
        """Expose the registry in Prometheus' text format."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return router
