"""The identity's OpenAPI against the service: whatever a client sends is answered as told."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings

from fakes.identity import House
from shopfloor_identity.adapters.tables import TOKENS
from shopfloor_kit.tokens import Caller, Role, issue

schemathesis = pytest.importorskip("schemathesis", reason="wants schemathesis: make setup")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """URL, token, authority and certificate of a service that has one device."""
    folder = tmp_path_factory.mktemp("identity")
    house = House(folder / "house")
    with house.parts.engine.begin() as connection:
        token = issue(connection, TOKENS, Caller("ada", Role.APPROVER), at=datetime.now(UTC))
    with house.serving():
        pair = house.enrolled(folder / "door").pairs.current()
        cert = (str(pair.folder / "device.crt"), str(pair.folder / "device.key"))
        yield house.url, token, str(house.authority.certificate), cert


def test_every_answer_is_one_that_the_document_allows_or_a_problem(served):
    url, token, authority, cert = served
    headers = {"Authorization": f"Bearer {token}"}
    with_tls = {"verify": authority, "cert": cert}
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json", headers=headers, verify=authority)
    crashed, asked = [], 0

    for found in schema.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=8,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def ask(case):
            nonlocal asked
            asked += 1
            answer = case.call(headers=headers, **with_tls)
            if answer.status_code >= 500:
                crashed.append((case.method, case.path, answer.status_code, answer.text))
            if answer.status_code >= 400:
                kind = answer.headers["content-type"][0]
                assert kind == "application/problem+json", (case.method, case.path, kind)

        ask()

    assert crashed == []
    assert asked > 60
