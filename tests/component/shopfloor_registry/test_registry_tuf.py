"""From an upload to what a device fetches: staged, signed offline, served with ranges."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime

import pytest

from shopfloor_contracts.deltas import apply_delta
from shopfloor_contracts.targets import delta_path
from shopfloor_registry.trust.ceremony import Ceremony, create
from shopfloor_registry.trust.keys import make_key
from shopfloor_registry.trust.repository import Repository
from shopfloor_registry.trust.signing import sign

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)

# The registry's clock in these tests; metadata is made a little before it.
EPOCH = datetime(2026, 3, 1, 11, tzinfo=UTC)
WEIGHTS = random.Random(7).randbytes(60_000)


@pytest.fixture
def targets_key(tmp_path):
    return make_key(tmp_path / "offline", "targets", lambda _: b"correct horse battery")


@pytest.fixture
def repository(tmp_path, targets_key):
    offline, online = tmp_path / "offline", tmp_path / "online"
    ceremony = Ceremony(
        root=[make_key(offline, "root", lambda _: b"correct horse battery")],
        root_threshold=1,
        targets=[targets_key],
        targets_threshold=1,
        snapshot=[make_key(online, "snapshot", None)],
        timestamp=[make_key(online, "timestamp", None)],
    )
    create(tmp_path / "repository", ceremony, now=EPOCH)
    return Repository(tmp_path / "repository", online=online)


def sign_all(registry, key):
    waiting = registry.call("GET", "/trust/staged").json()["items"]
    documents = [sign(one["document"].encode(), [key]).decode() for one in waiting]
    return registry.call("POST", "/trust/signed", json={"documents": documents})


def publish(registry, version="1.0"):
    return registry.call("POST", f"/models/tiny/versions/{version}/publication")


def fetch(registry, target, **headers):
    folder, _, name = target.path.rpartition("/")
    path = f"/tuf/targets/{folder}/{target.hashes['sha256']}.{name}"
    return registry.client.get(path, headers=headers)


def test_metrics_say_when_each_role_expires(registry, repository):
    text = registry.client.get("/metrics").text

    name = "shopfloor_registry_trust_expires_timestamp_seconds"
    lines = [line for line in text.splitlines() if line.startswith(name)]
    said = {line.split('"')[1]: float(line.split()[-1]) for line in lines}
    since = EPOCH.timestamp()
    days = {role: round((at - since) / 86_400) for role, at in said.items()}
    assert days == {"root": 730, "targets": 365, "bin": 365, "snapshot": 7, "timestamp": 1}


def test_a_candidate_is_not_published(registry):
    registry.upload()

    assert publish(registry).status_code == 409


def test_a_build_is_listed_after_it_was_signed(registry, repository, targets_key):
    version = registry.upload().json()
    registry.promote("staging")

    staged = publish(registry).json()["items"]

    assert staged == ["model/tiny/1.0/onnx-fp32", "model/tiny/1.0/litert-int8"]
    assert repository.find(staged[0]) is None
    assert publish(registry).json()["items"] == []
    assert sign_all(registry, targets_key).status_code == 200
    target = repository.find(staged[0])
    assert target.hashes["sha256"] == version["builds"][0]["digest"]
    assert target.custom["hardware"] == ["onnx-fp32"]


def test_devices_fetch_without_a_token_and_in_parts(registry, repository, targets_key):
    registry.upload()
    registry.promote("staging")
    (path, _) = publish(registry).json()["items"]
    sign_all(registry, targets_key)
    target = repository.find(path)

    whole = fetch(registry, target)
    part = fetch(registry, target, Range="bytes=100-199")
    rest = fetch(registry, target, Range=f"bytes={target.length - 5}-")
    beyond = fetch(registry, target, Range=f"bytes={target.length}-")
    same = fetch(registry, target, **{"If-None-Match": whole.headers["etag"]})

    assert len(whole.content) == target.length
    assert (part.status_code, part.content) == (206, whole.content[100:200])
    assert (rest.status_code, rest.content) == (206, whole.content[-5:])
    assert (beyond.status_code, same.status_code) == (416, 304)
    assert registry.client.get("/tuf/metadata/timestamp.json").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/tuf/targets/../online/",
        "/tuf/targets/%2e%2e/%2e%2e/registry.db",
        "/tuf/targets/..%2f..%2fregistry.db",
        "/tuf/metadata//etc/passwd",
        "/tuf/metadata/..%5c..%5cregistry.db",
        "/tuf/targets/a%00b",
        "/tuf/metadata/",
    ],
)
def test_no_path_leads_out_of_the_repository(registry, path):
    answer = registry.client.get(path)

    assert answer.status_code in (400, 404)
    assert answer.headers["content-type"] == "application/problem+json"


def test_what_was_signed_by_another_key_is_refused(registry, repository, tmp_path):
    registry.upload()
    registry.promote("staging")
    (path, _) = publish(registry).json()["items"]
    thief = make_key(tmp_path / "thief", "targets", None)

    assert sign_all(registry, thief).status_code == 422
    assert repository.find(path) is None


def test_a_document_that_was_not_staged_is_refused(registry, targets_key):
    registry.upload()
    registry.promote("staging")
    publish(registry)
    (first, *_) = registry.call("GET", "/trust/staged").json()["items"]
    changed = json.loads(first["document"])
    (target, *_) = changed["signed"]["targets"].values()
    target["length"] = 1
    signed = sign(json.dumps(changed).encode(), [targets_key]).decode()

    answer = registry.call("POST", "/trust/signed", json={"documents": [signed]})

    assert answer.status_code == 422


def test_a_delta_leads_from_production_to_the_next_version(
    registry, repository, targets_key, tmp_path
):
    first = registry.upload(weights=WEIGHTS).json()
    registry.promote("staging")
    registry.report()
    registry.promote("production", by="ada")
    second = registry.upload(version="2.0", weights=WEIGHTS[:-4] + b"head").json()
    registry.promote("staging", version="2.0")
    publish(registry)
    sign_all(registry, targets_key)

    staged = publish(registry, "2.0").json()["items"]
    sign_all(registry, targets_key)

    digests = first["builds"][0]["digest"], second["builds"][0]["digest"]
    path = delta_path(*digests)
    assert path in staged
    delta = repository.find(path)
    assert (delta.custom["base"], delta.custom["result"]) == digests
    assert delta.length < 5_000
    base, patch = tmp_path / "base", tmp_path / "patch"
    base.write_bytes(fetch(registry, repository.find("model/tiny/1.0/onnx-fp32")).content)
    patch.write_bytes(fetch(registry, delta).content)
    apply_delta(base, patch, tmp_path / "result")
    expected = fetch(registry, repository.find("model/tiny/2.0/onnx-fp32")).content
    assert (tmp_path / "result").read_bytes() == expected
