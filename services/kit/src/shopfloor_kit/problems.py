"""Every HTTP error as ``application/problem+json`` (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from shopfloor_kit.errors import ProblemError

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:shopfloor:problem:"


def install_problems(app: FastAPI) -> None:
    """Answer problems, HTTP exceptions, invalid requests and crashes alike."""
    app.add_exception_handler(ProblemError, _on_problem)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(Exception, _on_crash)


def problem_response(status: int, slug: str, detail: str) -> JSONResponse:
    """Build the document; ``title`` is the status's own phrase."""
    body = {
        "type": TYPE_PREFIX + slug,
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    return JSONResponse(body, status_code=status, media_type=MEDIA_TYPE)


async def _on_problem(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ProblemError)  # noqa: S101 — registered for this type only
    response = problem_response(error.status, error.slug, error.detail)
    response.headers.update(error.headers)
    return response


async def _on_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 — registered for this type only
    slug = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
    detail = f"{request.method} {request.url.path}: {str(error.detail).lower()}"
    response = problem_response(error.status_code, slug, detail)
    response.headers.update(error.headers or {})
    return response


async def _on_invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 — registered for this type only
    lines = [f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in error.errors()]
    return problem_response(422, "invalid-request", "; ".join(lines))


async def _on_crash(request: Request, _: Exception) -> JSONResponse:
    # The server logs the traceback; a client learns nothing about our inside.
    return problem_response(500, "internal", f"{request.method} {request.url.path} crashed")
