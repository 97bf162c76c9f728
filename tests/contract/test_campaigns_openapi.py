"""The campaigns' OpenAPI against the service: no answer that is a fault of ours."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from fakes.campaign_devices import Cloud, plan
from shopfloor_kit.tokens import Role

schemathesis = pytest.importorskip("schemathesis", reason="wants schemathesis: make setup")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    """A service with two devices and a campaign that has begun."""
    cloud = Cloud(f"sqlite:///{tmp_path_factory.mktemp('campaigns')}/campaigns.db")
    cloud.devices = cloud.add(2)
    cloud.create(plan(waves=["100%"]))
    cloud.ordered("nano-2", "approve", "start")
    yield cloud
    cloud.close()


def test_every_refusal_is_a_problem_and_nothing_is_a_fault(cloud):
    schema = schemathesis.openapi.from_url(f"{cloud.url}/openapi.json")
    # Waiting for a change is what that parameter is for.
    operator = {"Authorization": f"Bearer {cloud.tokens[Role.APPROVER]}"}
    device = {"Authorization": f"TargetToken {cloud.devices[0].token}"}
    faults, asked = [], 0

    for found in schema.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=10,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def ask(case):
            nonlocal asked
            asked += 1
            case.query.pop("wait_s", None)
            if "device" in case.path_parameters and "tenant" in case.path_parameters:
                case.path_parameters |= {"device": cloud.devices[0].name, "tenant": "default"}
            answer = case.call(headers=device if "/controller/" in case.path else operator)
            kind = answer.headers.get("content-type", [""])[0]
            if answer.status_code >= 500:
                faults.append((case.method, case.path, answer.status_code, answer.text))
            if answer.status_code >= 400 and kind != "application/problem+json":
                faults.append((case.method, case.path, answer.status_code, kind))

        ask()

    assert faults == []
    assert asked > 150
