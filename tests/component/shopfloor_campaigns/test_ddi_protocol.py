"""hawkBit's DDI, and what a hostile or confused device gets from it."""

import pytest

from fakes.campaign_devices import GATEWAY, plan


@pytest.fixture
def offered(cloud):
    device, other = cloud.add(2)
    cloud.create(plan(waves=["100%"]))
    cloud.ordered("nano-2", "approve", "start")
    return device, other, device.action()


def test_a_poll_is_cheap_to_repeat(offered):
    device, _, _ = offered
    tag = device.request("GET").headers["etag"]

    assert device.request("GET", headers={"if-none-match": tag}).status_code == 304


def test_an_artefact_is_linked_at_the_registry_by_its_digest(offered):
    (artifact,) = offered[0].deployment()["chunks"][0]["artifacts"]

    href = artifact["_links"]["download"]["href"]
    assert href == f"http://registry/tuf/targets/model/person-nano/2.0/{'b' * 64}.onnx-fp32"


@pytest.mark.parametrize("place", ["deploymentBase/{}", "installedBase/{}", "cancelAction/{}"])
def test_another_devices_action_is_not_found(offered, place):
    _, other, action = offered

    answer = other.request("GET", place.format(action))

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert other.say(action, "closed", "success").status_code == 404


@pytest.mark.parametrize("header", ["", "TargetToken wrong", "GatewayToken wrong", "Bearer x"])
def test_a_wrong_token_is_refused_and_names_are_not_told(cloud, offered, header):
    for name in (offered[0].name, "nobody.here"):
        path = f"/default/controller/v1/{name}"

        answer = cloud.client.get(path, headers={"authorization": header})

        assert (answer.status_code, answer.json()["type"]) == (
            401,
            "urn:shopfloor:problem:wrong-token",
        )


def test_a_gateway_speaks_for_known_devices_only(cloud, offered):
    header = {"authorization": f"GatewayToken {GATEWAY}"}

    known = cloud.client.get(offered[0].path, headers=header)
    unknown = cloud.client.get("/default/controller/v1/no.one", headers=header)

    assert (known.status_code, unknown.status_code) == (200, 404)


def test_feedback_is_idempotent_and_ordered(cloud, offered):
    device, _, action = offered
    for _ in range(3):
        assert device.say(action, "closed", "success", time="t1").status_code == 200

    late = device.say(action, "download", time="t0")

    assert late.status_code == 200
    assert cloud.states("nano-2")[device.name] == "committed"
    history = cloud.ask("GET", f"/campaigns/nano-2/devices/{device.name}/history").json()["history"]
    assert [(row["execution"], row["late"]) for row in history] == [
        ("closed", False),
        ("download", True),
    ]


def test_evidence_counts_once(cloud, offered):
    device, _, action = offered

    for _ in range(3):
        assert device.report(action, seq=1, counts=(10, 0, 0)).status_code == 200

    with cloud.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT agreed FROM figures").scalars().all() == [10]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{" * 100_000, 400),
        (b"[" * 100_000, 400),
        (b"\xff\xfe", 400),
        (b'{"status": {"execution": "\\ud800", "result": {"finished": "none"}}}', 400),
        (b'{"status": {"execution": "exploded", "result": {"finished": "none"}}}', 400),
        (b"null", 400),
        (b" " * 600_000, 413),
    ],
)
def test_hostile_feedback_is_refused_in_one_problem(offered, body, status):
    device, _, action = offered

    answer = device.request("POST", f"deploymentBase/{action}/feedback", content=body)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.content) < 2000


def test_too_many_attributes_are_refused(offered):
    data = {f"key{number}": "x" for number in range(200)}

    assert offered[0].put("configData", {"mode": "merge", "data": data}).status_code == 413


def test_devices_are_counted_by_campaign_wave_and_state(cloud, offered):
    text = cloud.client.get("/metrics").text

    assert 'shopfloor_campaign_devices{campaign="nano-2",state="offered",wave="1"} 2.0' in text
    assert 'shopfloor_campaign_status{campaign="nano-2",status="running"} 1.0' in text
    assert 'shopfloor_campaign_updates_total{result="failed"} 0.0' in text
