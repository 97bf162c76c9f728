"""Uploads, evidence, gates and signed moves, over HTTP and on both databases."""

from __future__ import annotations

import json

import pytest

from fakes import bundles

only_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def problem(answer):
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["type"].rsplit(":", 1)[1]


def test_an_uploaded_bundle_is_a_candidate_with_a_build_per_target(registry):
    answer = registry.upload()

    assert answer.status_code == 201
    body = answer.json()
    assert (body["model"], body["version"], body["stage"]) == ("tiny", "1.0", "candidate")
    assert [build["target"] for build in body["builds"]] == ["onnx-fp32", "litert-int8"]
    assert body["created_by"] == "otto"


def test_the_same_bytes_again_change_nothing(registry):
    first = registry.upload()

    again = registry.upload()

    assert (again.status_code, again.json()) == (200, first.json())


def test_a_version_with_other_bytes_is_refused(registry):
    first = registry.upload()

    other = registry.upload(weights=b"other")

    assert problem(other) == (409, "version-taken")
    assert first.json()["digest"] in other.json()["detail"]
    archive = registry.call("GET", "/models/tiny/versions/1.0/archive")
    assert bundles.sha256(archive.content) == first.json()["digest"]


@only_sqlite
@pytest.mark.parametrize(
    ("content", "status", "slug"),
    [
        (b"", 422, "rejected"),
        (b"no tar" * 1000, 422, "rejected"),
        (b"\0" * 200_000, 413, "too-large"),
    ],
)
def test_what_is_no_bundle_is_refused_and_leaves_nothing(registry, content, status, slug):
    answer = registry.call("POST", "/bundles", content=content)

    assert problem(answer) == (status, slug)
    assert str(registry.folder) not in answer.text
    assert list((registry.folder / "artefacts/incoming").iterdir()) == []


@only_sqlite
def test_an_endless_upload_ends_at_the_limit(registry):
    sent = []

    def endless():
        while len(sent) < 10_000:
            sent.append(1)
            yield b"x" * 10_000

    answer = registry.call("POST", "/bundles", content=endless())

    assert problem(answer) == (413, "too-large")


@only_sqlite
def test_a_version_that_is_no_name_is_refused(registry):
    assert problem(registry.upload(version="../1")) == (422, "rejected")


@only_sqlite
def test_huge_json_is_refused(registry):
    registry.upload()
    measures = [{"metric": "ap", "value": 1, "data": "x" * 200}] * 10_000

    answer = registry.call(
        "POST", "/models/tiny/versions/1.0/evidence", json={"measures": measures}
    )

    assert problem(answer) == (413, "too-large")


@only_sqlite
@pytest.mark.parametrize("content", [b"[" * 900_000, b"{", b"\xff\xfe", b'{"to": NaN}'])
def test_json_that_is_none_is_refused(registry, content):
    registry.upload()

    answer = registry.call("POST", "/models/tiny/versions/1.0/judgements", content=content)

    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


def test_models_are_listed_page_by_page(registry, tmp_path):
    for name in ("a", "b", "c"):
        registry.upload(name=name)
    registry.upload(name="b", version="2.0")

    first = registry.call("GET", "/models?limit=2", by="vera").json()
    second = registry.call("GET", f"/models?limit=2&after={first['next']}").json()

    assert [one["model"] for one in first["items"]] == ["a", "b"]
    assert first["items"][1] == {"model": "b", "newest": "2.0", "versions": {"candidate": 2}}
    assert ([one["model"] for one in second["items"]], second["next"]) == (["c"], None)


@only_sqlite
def test_a_version_is_asked_for_again_only_when_it_changed(registry):
    registry.upload()
    tag = registry.call("GET", "/models/tiny/versions/1.0").headers["etag"]

    same = registry.call("GET", "/models/tiny/versions/1.0", headers={"If-None-Match": tag})
    registry.promote("staging")
    changed = registry.call("GET", "/models/tiny/versions/1.0", headers={"If-None-Match": tag})

    assert (same.status_code, same.content) == (304, b"")
    assert changed.json()["stage"] == "staging"


@only_sqlite
def test_a_part_of_an_archive_can_be_asked_for(registry):
    registry.upload()

    part = registry.call(
        "GET", "/models/tiny/versions/1.0/archive", headers={"Range": "bytes=0-12"}
    )
    absurd = registry.call(
        "GET", "/models/tiny/versions/1.0/archive", headers={"Range": "bytes=99999999-1"}
    )

    assert (part.status_code, part.content) == (206, b"manifest.json")
    assert absurd.status_code in (400, 416)


def test_a_version_goes_to_staging_and_production_on_its_evidence(registry):
    registry.upload()

    staged = registry.promote("staging")
    registry.report()
    produced = registry.promote("production", by="ada")

    assert (staged.status_code, produced.status_code) == (201, 201)
    assert registry.stage_of() == "production"
    moves = registry.call("GET", "/models/tiny/versions/1.0/promotions", by="vera").json()["items"]
    assert [(move["to"], move["by"]) for move in moves] == [
        ("staging", "otto"),
        ("production", "ada"),
    ]
    record = json.loads(moves[1]["record"])
    assert ["latency-ms", "onnx-fp32", "a Raspberry Pi 5", 30.0, "report"] in record["evidence"]


def test_a_gate_says_figure_limit_and_data(registry):
    registry.upload()
    registry.promote("staging")
    registry.report(value=400.0)

    refused = registry.promote("production", by="ada")

    assert problem(refused) == (409, "gate")
    said = "latency of onnx-fp32: latency-ms 400 on a Raspberry Pi 5, at most 125: failed"
    assert said in refused.json()["detail"]
    assert registry.stage_of() == "staging"
    kept = registry.call("GET", "/models/tiny/versions/1.0/verdicts").json()["items"]
    assert said in [one["explanation"] for one in kept if one["to"] == "production"]


def test_what_was_not_measured_is_not_passed(registry):
    registry.upload(evaluation=[])

    answer = registry.judge("staging").json()

    assert answer["passed"] is False
    assert "accuracy of onnx-fp32: no ap was measured, at least 0.15: failed" in [
        one["explanation"] for one in answer["verdicts"]
    ]


def test_a_licence_that_is_not_allowed_stays_a_candidate(registry):
    registry.upload(licence="AGPL-3.0")

    assert problem(registry.promote("staging")) == (409, "gate")


def test_a_worse_version_does_not_follow_a_better_one(registry):
    registry.upload()
    registry.promote("staging")
    registry.report()
    registry.promote("production", by="ada")
    worse = [one.model_copy(update={"value": 0.2}) for one in bundles.make_manifest().evaluation]
    registry.upload(version="2.0", evaluation=worse)
    registry.promote("staging", version="2.0")
    registry.report(version="2.0")

    refused = registry.promote("production", version="2.0", by="ada")

    assert problem(refused) == (409, "gate")
    assert "ap 0.2 after 0.31" in refused.json()["detail"]


def test_production_asks_for_an_approver(registry):
    registry.upload()
    registry.promote("staging")
    registry.report()

    assert problem(registry.promote("production", by="otto")) == (403, "forbidden")
    assert registry.stage_of() == "staging"


@only_sqlite
@pytest.mark.parametrize(
    "change",
    [
        {"signature": "00" * 64},
        {"public_key": "00" * 32},
        {"record": "{}"},
    ],
)
def test_a_move_that_is_not_signed_by_its_caller_is_refused(registry, change):
    registry.upload()

    answer = registry.promote("staging", change=lambda body: body | change)

    assert problem(answer) == (403, "signature")
    assert registry.stage_of() == "candidate"


@only_sqlite
def test_another_persons_signature_is_refused(registry):
    registry.upload()

    assert problem(registry.promote("staging", signer="ada")) == (403, "signature")


def test_a_signature_on_facts_that_changed_is_refused(registry):
    registry.upload()

    def report_meanwhile(body):
        registry.report(metric="ap", value=0.5)
        return body

    assert problem(registry.promote("staging", change=report_meanwhile)) == (409, "conflict")


def test_a_signature_is_good_for_one_move(registry):
    registry.upload()
    sent = []
    registry.promote("staging", change=lambda body: sent.append(body) or body)

    again = registry.call("POST", "/models/tiny/versions/1.0/promotions", json=sent[0])

    assert problem(again) == (409, "conflict")


@only_sqlite
@pytest.mark.parametrize("to", ["production", "candidate"])
def test_a_stage_that_does_not_come_next_is_refused(registry, to):
    registry.upload()

    assert problem(registry.judge(to)) == (409, "conflict")


def test_a_retired_version_stays_retired(registry):
    registry.upload()
    registry.promote("retired")

    assert registry.stage_of() == "retired"
    assert problem(registry.judge("staging")) == (409, "conflict")


def test_a_run_is_linked_once_and_its_figures_are_evidence(registry):
    registry.upload(evaluation=[])
    body = {
        "run_id": "a1b2",
        "experiment": "people",
        "tracking_uri": "file:///mlruns",
        "params": {"lr": "1e-5"},
        "measures": [{"metric": "ap", "value": 0.4, "data": "val", "target": "onnx-fp32"}],
    }

    answers = [registry.call("POST", "/models/tiny/versions/1.0/runs", json=body) for _ in "12"]

    assert [answer.status_code for answer in answers] == [201, 200]
    evidence = registry.call("GET", "/models/tiny/versions/1.0/evidence").json()["items"]
    assert [(one["source"], one["value"]) for one in evidence] == [("mlflow:a1b2", 0.4)]
    runs = registry.call("GET", "/models/tiny/versions/1.0/runs", by="vera").json()["items"]
    assert runs[0]["params"] == {"lr": "1e-5"}


ROUTES = [
    ("GET", "/models"),
    ("POST", "/bundles"),
    ("GET", "/devices"),
    ("PUT", "/devices/oslo/door"),
    ("PUT", "/groups/labs"),
    ("GET", "/audit"),
    ("GET", "/audit/verification"),
]


@only_sqlite
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_without_a_token_nothing_is_told(registry, method, path):
    assert problem(registry.call(method, path, by=None)) == (401, "no-token")


@only_sqlite
@pytest.mark.parametrize(("method", "path"), [one for one in ROUTES if one[0] != "GET"])
def test_a_viewer_changes_nothing(registry, method, path):
    assert problem(registry.call(method, path, by="vera", json={})) == (403, "forbidden")


def test_every_change_is_in_the_audit_log(registry):
    registry.upload()
    registry.promote("staging")
    registry.report()

    rows = registry.call("GET", "/audit?limit=500", by="vera").json()["items"]
    whole = registry.call("GET", "/audit/verification").json()

    assert [row["action"] for row in rows][-3:] == [
        "version.upload",
        "version.promote",
        "version.report",
    ]
    assert (whole["count"], whole["head"], whole["broken_at"]) == (
        len(rows),
        rows[-1]["digest"],
        None,
    )


@only_sqlite
def test_health_and_metrics_need_no_token(registry):
    registry.upload()

    health, metrics = registry.client.get("/healthz"), registry.client.get("/metrics").text

    assert health.json()["checks"] == {"database": "ok"}
    assert 'shopfloor_registry_uploads_total{outcome="created"} 1.0' in metrics
    assert 'shopfloor_registry_versions{stage="candidate"} 1.0' in metrics


def test_without_a_repository_there_is_nowhere_to_publish_an_application(registry):
    answer = registry.call("POST", "/applications", content=b"")

    assert answer.status_code == 404
    assert "tuf_repository" in answer.json()["detail"]
