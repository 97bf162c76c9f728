"""The HTTP API, assembled; its routes are in the modules beside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fastapi import APIRouter, FastAPI, Request, Response

from shopfloor_contracts.errors import SelectorError
from shopfloor_kit.limits import BodyLimit
from shopfloor_kit.problems import install_problems, problem_response
from shopfloor_kit.tokens import Gatekeeper
from shopfloor_registry import errors
from shopfloor_registry.adapters.http_devices import Fleet, device_router
from shopfloor_registry.adapters.http_models import Desk, NotModified, model_router
from shopfloor_registry.adapters.http_trust import Vault, serve_repository, trust_router

_PROBLEMS: list[tuple[type[Exception], int, str]] = [
    (errors.VersionTakenError, 409, "version-taken"),
    (errors.GateError, 409, "gate"),
    (errors.ConflictError, 409, "conflict"),
    (SelectorError, 422, "query"),
    (errors.SignatureError, 403, "signature"),
    (errors.RejectedError, 422, "rejected"),
    (errors.NotFoundError, 404, "not-found"),
    (errors.TooLargeError, 413, "too-large"),
    (errors.StoreUnavailableError, 503, "store-unavailable"),
    (errors.ArtefactError, 503, "artefacts-unavailable"),
]


_UPLOADS = ("/api/v1/bundles", "/api/v1/applications")


@dataclass(frozen=True, slots=True)
class Parts:
    """What the API is assembled from."""

    desk: Desk
    fleet: Fleet
    vault: Vault
    gate: Gatekeeper
    health: APIRouter


def build_api(parts: Parts) -> FastAPI:
    """Assemble the application."""
    app = FastAPI(title="Shopfloor registry", version="0.1.0", docs_url=None, redoc_url=None)
    install_problems(app)
    for kind, status, slug in _PROBLEMS:
        app.add_exception_handler(kind, _problem(status, slug))
    app.add_exception_handler(NotModified, _not_modified)
    # A bundle has a limit of its own and goes to the disk as it comes.
    app.add_middleware(BodyLimit, free=lambda path: path in _UPLOADS)
    app.include_router(parts.health)
    app.include_router(model_router(parts.desk, parts.gate))
    app.include_router(device_router(parts.fleet, parts.gate))
    app.include_router(trust_router(parts.vault, parts.gate))
    if parts.vault.repository is not None:
        serve_repository(app, parts.vault.repository)
    return app


def _problem(status: int, slug: str) -> Callable[[Request, Exception], Response]:
    def answer(_: Request, error: Exception) -> Response:
        return problem_response(status, slug, str(error))

    return answer


def _not_modified(_: Request, error: Exception) -> Response:
    assert isinstance(error, NotModified)  # noqa: S101 — registered for this type only
    return Response(status_code=304, headers={"ETag": error.tag})
