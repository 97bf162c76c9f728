from __future__ import annotations

import asyncio

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Counter

from shopfloor_kit.errors import ProblemError
from shopfloor_kit.health import health_router
from shopfloor_kit.problems import MEDIA_TYPE, install_problems


class Client:
    """Speaks to the application without a socket."""

    def __init__(self, app):
        self._app = app

    def request(self, method, path):
        async def send():
            transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://kit") as client:
                return await client.request(method, path)

        return asyncio.run(send())

    def get(self, path):
        return self.request("GET", path)


@pytest.fixture
def complaints():
    return {"database": None}


@pytest.fixture
def client(complaints):
    app, registry = FastAPI(), CollectorRegistry()
    install_problems(app)
    Counter("things", "Things", registry=registry).inc(3)
    app.include_router(health_router({"database": lambda: complaints["database"]}, registry))

    @app.get("/number/{value}")
    def number(value: int) -> int:
        if value == 0:
            raise RuntimeError("a secret")
        if value == 1:
            raise ProblemError(409, "taken", "1 is taken")
        return value

    return Client(app)


@pytest.mark.parametrize(
    ("method", "path", "status", "slug", "detail"),
    [
        ("GET", "/nowhere", 404, "not-found", "GET /nowhere: not found"),
        ("POST", "/number/2", 405, "method-not-allowed", "POST /number/2: method not allowed"),
        ("GET", "/number/1", 409, "taken", "1 is taken"),
        ("GET", "/number/0", 500, "internal", "GET /number/0 crashed"),
    ],
)
def test_an_error_is_a_problem_document(client, method, path, status, slug, detail):
    answer = client.request(method, path)

    assert answer.status_code == status
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert answer.json()["type"] == f"urn:shopfloor:problem:{slug}"
    assert answer.json()["status"] == status
    assert answer.json()["detail"] == detail


def test_an_invalid_request_says_where(client):
    answer = client.get("/number/many")

    assert answer.status_code == 422
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert answer.json()["detail"].startswith("path.value: ")


def test_health_names_each_check(client, complaints):
    well = client.get("/healthz")
    complaints["database"] = "disk full"
    ill = client.get("/healthz")

    assert (well.status_code, well.json()["checks"]) == (200, {"database": "ok"})
    assert (ill.status_code, ill.json()["checks"]) == (503, {"database": "disk full"})


def test_metrics_are_prometheus_text(client):
    assert "things_total 3.0" in client.get("/metrics").text
