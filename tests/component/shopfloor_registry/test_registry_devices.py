"""Devices, groups and who runs what, over HTTP and on both databases."""

from __future__ import annotations

import pytest

DIGEST = "a" * 64
only_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
def fleet(registry):
    places = [("oslo", "door", "hyper"), ("oslo", "till", "hyper"), ("bergen", "door", "super")]
    for site, device, shape in places:
        registry.call("PUT", f"/devices/{site}/{device}", json={"hardware": "rpi5"})
        labels = {"region": "emea", "format": shape}
        registry.call("PUT", f"/devices/{site}/{device}/labels", json={"labels": labels})
    return registry


def names(answer):
    return [f"{one['site']}/{one['device']}" for one in answer.json()["items"]]


def test_devices_are_found_by_label(fleet):
    found = fleet.call("GET", "/devices", params={"query": "format=hyper"}, by="vera")

    assert names(found) == ["oslo/door", "oslo/till"]
    assert found.json()["warnings"] == []


def test_devices_come_page_by_page(fleet):
    first = fleet.call("GET", "/devices?limit=2")
    second = fleet.call("GET", f"/devices?limit=2&after={first.json()['next']}")

    assert names(first) + names(second) == ["bergen/door", "oslo/door", "oslo/till"]
    assert second.json()["next"] is None


def test_an_unknown_label_and_an_empty_match_are_told(fleet):
    found = fleet.call("GET", "/devices", params={"query": "formt=hyper"})

    assert (found.status_code, found.json()["items"]) == (200, [])
    assert found.json()["warnings"] == [
        "no device has a label 'formt'; did you mean 'format'?",
        "the query matches no device",
    ]


@only_sqlite
def test_a_query_that_cannot_be_read_is_refused(fleet):
    found = fleet.call("GET", "/devices", params={"query": "a in b"})

    assert found.status_code == 422
    assert found.json()["type"].endswith(":query")


def test_who_runs_a_digest_follows_the_reports(fleet):
    fleet.call("PUT", "/devices/oslo/door", json={"reported": {"model": DIGEST}})
    fleet.call("PUT", "/devices/oslo/till", json={"reported": {"model": DIGEST}})
    fleet.call("PUT", "/devices/oslo/till", json={"reported": {"model": "b" * 64}})

    found = fleet.call("GET", f"/digests/{DIGEST}", by="vera").json()

    assert found["items"] == [{"site": "oslo", "device": "door", "part": "model"}]


def test_a_digest_of_a_build_is_named(registry):
    body = registry.upload().json()
    digest = body["builds"][1]["digest"]

    found = registry.call("GET", f"/digests/{digest}").json()

    assert found["what"] == [{"model": "tiny", "version": "1.0", "target": "litert-int8"}]


def test_what_is_not_said_stays_as_it_was(fleet):
    report = {"reported": {"model": DIGEST}, "seen_at": "2026-03-01T12:00:00Z"}
    fleet.call("PUT", "/devices/oslo/door", json=report)

    late = fleet.call("PUT", "/devices/oslo/door", json={"seen_at": "2026-02-01T12:00:00Z"}).json()

    assert late["last_seen_at"].startswith("2026-03-01T12:00:00")
    assert (late["hardware"], late["reported"]) == ("rpi5", {"model": DIGEST})
    assert late["labels"]["format"] == "hyper"


def test_null_removes_a_label_and_a_desire(fleet):
    fleet.call("PUT", "/devices/oslo/door/labels", json={"labels": {"format": None, "a": "b"}})
    fleet.call("PUT", "/devices/oslo/door/desired", json={"desired": {"model": DIGEST}})
    fleet.call("PUT", "/devices/oslo/door/desired", json={"desired": {"model": None}})

    found = fleet.call("GET", "/devices/oslo/door").json()

    assert (found["labels"], found["desired"]) == ({"region": "emea", "a": "b"}, {})


def test_a_group_is_its_query(fleet):
    fleet.call("PUT", "/groups/hypers", json={"query": "format=hyper"})
    fleet.call("PUT", "/devices/bergen/door/labels", json={"labels": {"format": "hyper"}})

    assert len(fleet.call("GET", "/groups/hypers/devices").json()["items"]) == 3
    assert fleet.call("DELETE", "/groups/hypers").status_code == 204
    assert fleet.call("GET", "/groups/hypers/devices").status_code == 404


@only_sqlite
def test_a_group_of_nobody_is_told(fleet):
    made = fleet.call("PUT", "/groups/labs", json={"query": "lab"})

    assert made.json()["warnings"][-1] == "the query matches no device"


@only_sqlite
@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/devices/oslo/nobody/labels", {"labels": {"a": "b"}}, 404),
        ("/devices/oslo/door/labels", {"labels": {"site": "b"}}, 422),
        ("/devices/oslo/door/labels", {"labels": {"a b": "c"}}, 422),
        ("/devices/oslo/door", {"reported": {"model": "x"}}, 422),
        ("/devices/oslo/door", {"unknown": 1}, 422),
        ("/devices/Oslo/door", {}, 422),
    ],
)
def test_what_makes_no_sense_is_refused(fleet, path, body, status):
    answer = fleet.call("PUT", path, json=body)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
