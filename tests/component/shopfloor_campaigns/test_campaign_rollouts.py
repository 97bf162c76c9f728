"""Campaigns from plan to end, over HTTP, with devices that do what devices do."""

import pytest

from fakes.campaign_devices import NEW, OLD, plan
from shopfloor_kit.tokens import Role

COUNTS = [{"gate": "count-difference", "limit": 0.05, "minimum": 200}]


def first_and_rest(cloud, devices, name="nano-2"):
    states = cloud.states(name)
    first = [d for d in devices if states[d.name] != "waiting"]
    return first, [d for d in devices if d not in first]


def begun(cloud, devices=4, **changes):
    made = cloud.add(devices, region="emea")
    name = cloud.create(plan(**changes))["name"]
    cloud.ordered(name, "approve", "start")
    return made, *first_and_rest(cloud, made, name)


def test_waves_follow_each_other_to_the_end(cloud):
    _, (first,), rest = begun(cloud)
    assert [device.action() for device in rest] == [None] * 3

    first.install()
    cloud.settle()
    for device in rest:
        device.install()
    cloud.settle()

    assert cloud.show("nano-2")["status"] == "done"
    assert set(cloud.states("nano-2").values()) == {"committed"}


def test_a_wave_that_counts_worse_stops_and_goes_back_by_itself(cloud):
    _, wave, rest = begun(cloud, 4, waves=[2, "100%"], gates=COUNTS)
    wave[0].install(counts=(150, 60, 0))
    shadowing = wave[1].action()
    wave[1].report(shadowing, counts=(150, 60, 0))

    cloud.settle()

    shown = cloud.show("nano-2")
    assert shown["status"] == "stopped"
    assert "count-difference" in shown["reason"]
    verdict = shown["waves"][0]["verdicts"][-1]
    assert (verdict["answer"], verdict["sample"]) == ("fail", 420)
    assert verdict["high"] < -0.05
    assert set(wave[1].links()) == {"cancelAction"}
    back = wave[0].deployment()["chunks"][0]
    assert {"key": "shopfloor.rollback", "value": OLD} in back["metadata"]
    wave[1].say(shadowing, "closed", "success", about="cancelAction")
    wave[0].install(counts=(0, 0, 0))
    cloud.settle()
    assert cloud.states("nano-2") == {
        wave[0].name: "rolled-back",
        wave[1].name: "cancelled",
        rest[0].name: "waiting",
        rest[1].name: "waiting",
    }


def test_three_frames_decide_nothing(cloud):
    _, (first,), rest = begun(cloud, gates=COUNTS)
    first.install(counts=(0, 3, 0))

    cloud.settle()

    shown = cloud.show("nano-2")
    assert shown["status"] == "running"
    assert shown["waves"][0]["verdicts"][-1]["answer"] == "wait"
    assert rest[0].action() is None


def test_a_later_verdict_does_not_resurrect_a_stopped_campaign(cloud):
    _, (first,), rest = begun(cloud, gates=COUNTS)
    action = first.install(counts=(150, 100, 0))
    cloud.settle()
    assert cloud.show("nano-2")["status"] == "stopped"

    first.report(action, counts=(1_000_000, 0, 0))
    cloud.settle(hours=1)

    assert cloud.show("nano-2")["status"] == "stopped"
    assert rest[0].action() is None


def test_an_operator_can_let_a_failed_wave_be_tried_again(cloud):
    _, (first,), _ = begun(cloud, gates=COUNTS)
    first.install(counts=(150, 100, 0))
    cloud.settle()
    assert cloud.ask("POST", "/campaigns/nano-2/resume").status_code == 409
    first.install(counts=(0, 0, 0))
    cloud.settle()

    cloud.ordered("nano-2", "resume")

    first.install(counts=(1000, 1, 1))
    cloud.settle()
    assert cloud.waves("nano-2") == ["passed", "open"]
    assert cloud.show("nano-2")["waves"][0]["round"] == 2


def test_thresholds_are_evaluated_once_and_no_next_wave_begins_before(cloud):
    _, (first,), rest = begun(cloud)
    for _ in range(3):
        cloud.settle(minutes=1)
    assert rest[0].action() is None
    first.install()

    for _ in range(3):
        cloud.settle(minutes=1)

    (verdict,) = cloud.show("nano-2")["waves"][0]["verdicts"]
    assert verdict["answer"] == "pass"


def test_a_stuck_device_reaches_its_deadline_and_counts_as_failed(cloud):
    timing = {"deadline_s": 3600}
    gates = [{"gate": "install-success", "limit": 1.0, "minimum": 1}]
    _, (first,), _ = begun(cloud, timing=timing, gates=gates)
    first.say(first.action(), "download")

    cloud.settle(hours=2)

    assert cloud.states("nano-2")[first.name] == "failed"
    assert cloud.show("nano-2")["status"] == "stopped"
    assert first.action() is None


def test_a_bad_job_never_blocks_the_next(cloud):
    (device,) = cloud.add(1)
    cloud.create(plan("one", waves=["100%"], gates=[], timing={"deadline_s": 3600}))
    cloud.create(plan("two", waves=["100%"], gates=[]))
    cloud.ordered("one", "approve", "start")
    stuck = device.action()
    cloud.ordered("two", "approve", "start")
    (waiting,) = cloud.ask("GET", "/campaigns/two/devices").json()["devices"]
    assert waiting["waits_for"] == "one"

    cloud.settle(hours=2)

    following = device.action()
    assert following not in (None, stuck)
    assert device.request("GET", f"deploymentBase/{stuck}").status_code == 404
    device.install()
    cloud.settle()
    assert cloud.show("two")["status"] == "done"


def test_of_two_campaigns_for_one_device_the_higher_priority_goes_first(cloud):
    (device,) = cloud.add(1)
    cloud.create(plan("low", waves=["100%"], not_before="2026-03-03T00:00:00Z"))
    cloud.create(plan("high", waves=["100%"], priority=5, not_before="2026-03-03T00:00:00Z"))
    cloud.ordered("low", "approve", "start")
    cloud.ordered("high", "approve", "start")
    assert device.action() is None

    cloud.settle(days=1)

    assert cloud.states("high")[device.name] == "offered"
    assert cloud.states("low")[device.name] == "queued"


def test_abort_reaches_a_device_in_the_middle_of_its_download(cloud):
    _, (first,), rest = begun(cloud)
    action = first.action()
    first.say(action, "download")

    cloud.ordered("nano-2", "abort")

    href = first.links()["cancelAction"]
    assert first.request("GET", href).json()["cancelAction"] == {"stopId": str(action)}
    assert first.say(action, "closed", "success", about="cancelAction").status_code == 200
    assert first.links() == {}
    assert set(cloud.states("nano-2").values()) == {"cancelled"}
    assert rest[0].action() is None


def test_a_failed_attempt_is_tried_again_after_a_growing_pause(cloud):
    retries = {"attempts": 3, "first_s": 60, "longest_s": 90}
    _, (first,), _ = begun(cloud, retries=retries)
    for pause_s in (60, 90):
        first.install(finished="failure")
        cloud.settle(seconds=pause_s - 1)
        assert first.action() is None
        cloud.settle(seconds=1)

    first.install(finished="failure")
    cloud.settle()

    assert cloud.states("nano-2")[first.name] == "failed"
    assert cloud.show("nano-2")["status"] == "stopped"


def test_a_device_that_rejects_is_not_asked_again(cloud):
    _, (first,), _ = begun(cloud)

    first.say(first.action(), "rejected", "failure", details=["404 of the artefact"])

    assert cloud.states("nano-2")[first.name] == "failed"


def test_new_devices_that_match_join_the_last_wave(cloud):
    _, (first,), _ = begun(cloud)
    first.install()
    cloud.settle()

    (late,) = cloud.add_named(["late.d"], region="emea")
    cloud.settle(seconds=1)

    assert late.action() is not None
    assert (
        cloud.ask("GET", "/campaigns/nano-2/devices?after=l&limit=1").json()["devices"][0]
        | {"wave": 2}
        == cloud.ask("GET", "/campaigns/nano-2/devices?after=l&limit=1").json()["devices"][0]
    )


def test_only_devices_that_can_run_a_build_are_taken(cloud):
    (fit,) = cloud.add(1)
    cloud.add_named(["coral.d"], capabilities="edgetpu")
    cloud.create(plan(waves=["100%"]))

    shown = cloud.ordered("nano-2", "approve", "start")

    assert cloud.states("nano-2") == {fit.name: "offered"}
    assert shown["unfit"] == 1


def test_a_query_that_matches_nothing_does_not_start(cloud):
    cloud.add(1, region="emea")
    cloud.create(plan(selector="region=apac", approval=False))

    answer = cloud.ask("POST", "/campaigns/nano-2/start")

    assert answer.status_code == 409
    assert "match no device" in answer.json()["detail"]
    assert cloud.show("nano-2")["status"] == "draft"


def test_installing_waits_for_the_maintenance_window_of_the_site(cloud):
    (device,) = cloud.add_named(["tokyo.d"], time_zone="Asia/Tokyo")
    window = {"begin": "02:00", "end": "04:00"}
    cloud.create(plan(waves=["100%"], window=window))
    cloud.ordered("nano-2", "approve", "start")
    before = device.deployment()

    cloud.settle(hours=6)  # 18:00 UTC is 03:00 in Tokyo

    assert (before["update"], before["maintenanceWindow"]) == ("skip", "unavailable")
    during = device.deployment()
    assert (during["update"], during["maintenanceWindow"]) == ("forced", "available")


def test_a_paused_campaign_begins_nothing_new(cloud):
    _, (first,), rest = begun(cloud)
    first.install()

    cloud.ordered("nano-2", "pause")
    cloud.settle(hours=1)
    assert rest[0].action() is None

    cloud.ordered("nano-2", "resume")
    assert rest[0].action() is not None


def test_an_undecided_wave_asks_a_person_after_its_patience(cloud):
    _, (first,), rest = begun(cloud, gates=COUNTS, timing={"patience_s": 3600})
    first.install(counts=(3, 0, 0))
    cloud.settle()
    cloud.settle(hours=2)
    shown = cloud.show("nano-2")
    assert (shown["status"], "undecided" in shown["reason"]) == ("paused", True)

    cloud.ask("POST", "/campaigns/nano-2/resume", json={"overrule": True})
    cloud.settle()

    assert cloud.waves("nano-2") == ["overruled", "open"]
    assert rest[0].action() is not None


def test_what_staff_and_auditors_find_decides_too_and_counts_once(cloud):
    gates = [{"gate": "alert-precision", "limit": 0.5, "minimum": 50}]
    _, (first,), _ = begun(cloud, gates=gates)
    first.install()
    cloud.settle()
    found = {"id": "x1", "device": first.name, "figures": {"alerts_right": 49, "alerts_wrong": 0}}
    for _ in range(3):
        assert cloud.ask("POST", "/campaigns/nano-2/observations", json=found).status_code == 200
    cloud.settle()
    assert cloud.waves("nano-2")[0] == "open"

    cloud.ask("POST", "/campaigns/nano-2/observations", json=found | {"id": "x2"})
    cloud.settle()

    assert cloud.waves("nano-2") == ["passed", "open"]


@pytest.mark.parametrize(
    ("role", "order", "status"),
    [
        (Role.VIEWER, "start", 403),
        (Role.OPERATOR, "approve", 403),
        (Role.OPERATOR, "start", 409),
        (Role.APPROVER, "approve", 200),
    ],
)
def test_only_whom_it_is_given_to_may_order(cloud, role, order, status):
    cloud.add(1)
    cloud.create(plan())

    assert cloud.ask("POST", f"/campaigns/nano-2/{order}", role=role).status_code == status


def test_every_order_is_in_the_audit_log(cloud):
    begun(cloud)

    entries = cloud.ask("GET", "/audit").json()["entries"]

    told = [(entry["actor"], entry["action"]) for entry in entries]
    assert ("approver", "approved") in told
    assert ("approver", "started") in told
    assert cloud.ask("GET", "/audit/verify").json()["verified"] is True


def test_a_plan_never_changes(cloud):
    cloud.create(plan())

    assert cloud.ask("POST", "/campaigns", json=plan(priority=3)).status_code == 409


def test_a_plan_can_be_written_in_toml(cloud):
    text = f"""
        name = "nano-2"
        selector = "region=emea,!lab"
        waves = [5, "25%", "100%"]
        [update]
        kind = "os"
        name = "base"
        version = "12.7"
        [[update.builds]]
        path = "os/base/12.7/x86"
        hardware = ["any"]
        sha256 = "{NEW}"
        size_bytes = 9
    """

    answer = cloud.ask(
        "POST", "/campaigns", content=text, headers={"content-type": "application/toml"}
    )

    assert answer.status_code == 201, answer.text
    assert answer.json()["of"] == 3


def test_a_watcher_is_answered_as_soon_as_something_changes(cloud):
    cloud.add(1)
    cloud.create(plan(approval=False))
    before = cloud.ask("GET", "/campaigns/nano-2")
    tag = {"if-none-match": before.headers["etag"]}
    assert cloud.ask("GET", "/campaigns/nano-2", headers=tag).status_code == 304

    cloud.ordered("nano-2", "start")
    after = cloud.ask("GET", "/campaigns/nano-2?wait_s=5", headers=tag)

    assert after.json()["status"] == "running"
