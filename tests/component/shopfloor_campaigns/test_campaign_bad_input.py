"""What operators and devices get wrong, and what they are told."""

import pytest

from fakes.campaign_devices import Cloud, plan
from shopfloor_kit.tokens import Role

CONTENT = bytes(range(256)) * 40


@pytest.mark.parametrize(
    ("selector", "label"), [("regoin!=emea", "regoin"), ("region=emea,!lba", "lba")]
)
def test_a_label_that_no_device_has_does_not_start_a_campaign(cloud, selector, label):
    cloud.add(1, region="emea")
    cloud.create(plan(selector=selector, approval=False))

    answer = cloud.ask("POST", "/campaigns/nano-2/start")

    assert answer.status_code == 409
    assert f"'{label}'" in answer.json()["detail"]
    assert cloud.show("nano-2")["status"] == "draft"


def test_devices_with_a_label_that_the_selector_excludes_are_left_alone(cloud):
    cloud.add(1, region="emea")
    cloud.add_named(["t0.d"], region="emea", lab="yes")
    cloud.create(plan(selector="region=emea,!lab", approval=False))

    cloud.ordered("nano-2", "start")

    assert list(cloud.states("nano-2")) == ["s0.d"]


@pytest.mark.parametrize(("header", "status"), [("", 401), ("Bearer nobody", 401)])
def test_operators_without_a_valid_token_are_refused_with_a_problem(cloud, header, status):
    answer = cloud.client.get("/api/v1/campaigns", headers={"authorization": header})

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_viewer_creates_nothing(cloud):
    answer = cloud.ask("POST", "/campaigns", json=plan(), role=Role.VIEWER)

    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"


def test_huge_json_is_refused_before_it_is_read(cloud):
    answer = cloud.ask("POST", "/campaigns", content=b" " * 600_000)

    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("wanted", "status", "size"),
    [
        ("bytes=100-199", 206, 100),
        ("bytes=10240-", 416, None),
        ("bytes=99999999999999999999-", 416, None),
        ("bytes=5-2", 400, None),
        ("bytes=nonsense", 400, None),
    ],
)
def test_a_part_that_is_not_there_is_refused(tmp_path, wanted, status, size):
    folder = tmp_path / "artefacts"
    folder.mkdir()
    (folder / ("b" * 64)).write_bytes(CONTENT)
    cloud = Cloud(f"sqlite:///{tmp_path}/campaigns.db", folder)
    (device,) = cloud.add(1)
    cloud.create(plan(waves=["100%"]))
    cloud.ordered("nano-2", "approve", "start")
    (artifact,) = device.deployment()["chunks"][0]["artifacts"]

    href = artifact["_links"]["download"]["href"]
    answer = device.request("GET", href, headers={"range": wanted})
    cloud.close()

    assert answer.status_code == status
    assert size is None or len(answer.content) == size
