"""*Now*: what wants somebody's attention."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from shopfloor_edge.console.desk import Desk


def router(desk: Desk) -> APIRouter:
    """Build the routes."""
    routes = APIRouter()

    @routes.get("/")
    def now(request: Request) -> Response:
        return desk.page(request, "now.html")

    return routes
