"""The registry's OpenAPI against the registry: whatever a client may send is answered as told."""

from __future__ import annotations

import socket
import threading
from datetime import UTC, datetime

import pytest
import uvicorn
from hypothesis import HealthCheck, given, settings

from fakes import bundles
from shopfloor_kit.database import open_engine
from shopfloor_kit.tokens import Caller, Role, issue
from shopfloor_registry.adapters.sql import Database
from shopfloor_registry.adapters.tables import TOKENS
from shopfloor_registry.app import assemble
from shopfloor_registry.settings import Settings

schemathesis = pytest.importorskip("schemathesis", reason="wants schemathesis: make setup")
httpx = pytest.importorskip("httpx")


def now():
    return datetime.now(UTC)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """URL and token of a registry that has one version and one device."""
    folder = tmp_path_factory.mktemp("registry")
    database = Database(open_engine(f"sqlite:///{folder}/registry.db"))
    database.prepare()
    with database.writing() as connection:
        token = issue(connection, TOKENS, Caller("ada", Role.APPROVER), at=now())
    app = assemble(Settings(folder=folder / "artefacts"), database, None, now=now)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with httpx.Client(headers={"Authorization": f"Bearer {token}"}, base_url=url) as client:
        content = bundles.pack(folder).read_bytes()
        assert client.post("/api/v1/bundles", content=content).status_code == 201
        assert client.put("/api/v1/devices/oslo/door", json={}).status_code == 200
    yield url, token
    server.should_exit = True
    thread.join(20)
    listener.close()
    database.engine.dispose()


def test_every_answer_is_one_that_the_document_allows_or_a_problem(served):
    url, token = served
    headers = {"Authorization": f"Bearer {token}"}
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json", headers=headers)
    # Bundles and wheels are no JSON; what is sent there instead of one is tested with the uploads.
    schema = schema.exclude(path="/api/v1/bundles").exclude(path="/api/v1/applications")
    crashed, asked = [], 0

    for found in schema.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=12,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def ask(case):
            nonlocal asked
            asked += 1
            answer = case.call(headers=headers)
            if answer.status_code >= 500:
                crashed.append((case.method, case.path, answer.status_code, answer.text))
            if answer.status_code >= 400:
                kind = answer.headers["content-type"][0]
                assert kind == "application/problem+json", (case.method, case.path, kind)

        ask()

    assert crashed == []
    assert asked > 100
