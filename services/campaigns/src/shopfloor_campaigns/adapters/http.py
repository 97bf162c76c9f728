"""The whole application: devices' side, operators' side, health and metrics."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, FastAPI, Request, Response

from shopfloor_campaigns.errors import (
    ConflictError,
    PlanError,
    StoreUnavailableError,
    TooLargeError,
    UnknownError,
)
from shopfloor_kit.problems import install_problems, problem_response

_PROBLEMS: list[tuple[type[Exception], int, str]] = [
    (UnknownError, 404, "not-found"),
    (ConflictError, 409, "conflict"),
    (TooLargeError, 413, "too-large"),
    (PlanError, 400, "invalid-plan"),
    (StoreUnavailableError, 503, "store-unavailable"),
]


def build_api(*routers: APIRouter) -> FastAPI:
    """Assemble the application; the devices' router, whose paths are widest, comes last."""
    app = FastAPI(title="Shopfloor campaigns", version="0.1.0", docs_url=None, redoc_url=None)
    install_problems(app)
    for kind, status, slug in _PROBLEMS:
        app.add_exception_handler(kind, _problem(status, slug))
    for router in routers:
        app.include_router(router)
    return app


def _problem(status: int, slug: str) -> Callable[[Request, Exception], Response]:
    def answer(_: Request, error: Exception) -> Response:
        return problem_response(status, slug, str(error))

    return answer
