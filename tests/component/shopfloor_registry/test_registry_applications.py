"""Sets of wheels: taken, staged with a delta of the wheels that changed, never changed."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from fakes.applications import wheel
from shopfloor_contracts.deltas import apply_delta
from shopfloor_contracts.targets import delta_path
from shopfloor_contracts.wheelsets import write_wheel_set
from shopfloor_registry.trust.ceremony import Ceremony, create
from shopfloor_registry.trust.keys import make_key
from shopfloor_registry.trust.repository import Repository
from shopfloor_registry.trust.signing import sign

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
EPOCH = datetime(2026, 3, 1, 11, tzinfo=UTC)
LARGE = random.Random(7).randbytes(50_000)


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


def pack(folder, version, code=b"x = 1\n"):
    folder.mkdir(exist_ok=True)
    wheels = [
        wheel(folder, "large", {"large.bin": LARGE}),
        wheel(folder, "ours", {"ours.py": code}, version),
    ]
    out = folder / f"{version}.tar"
    said = {"name": "shopfloor-edge", "python": "cp311", "machine": "aarch64"}
    write_wheel_set(wheels, out, version=version, **said)
    return out


def upload(registry, file, *, by="otto"):
    return registry.call("POST", "/applications", by=by, content=file.read_bytes())


def sign_all(registry, key):
    waiting = registry.call("GET", "/trust/staged").json()["items"]
    documents = [sign(one["document"].encode(), [key]).decode() for one in waiting]
    return registry.call("POST", "/trust/signed", json={"documents": documents})


def test_a_set_is_staged_once_and_signed_for_its_platform(
    registry, repository, targets_key, tmp_path
):
    first = upload(registry, pack(tmp_path / "w", "1.9"))
    again = upload(registry, pack(tmp_path / "w", "1.9"))
    sign_all(registry, targets_key)

    path = "wheels/shopfloor-edge/1.9/aarch64-cp311"
    assert (first.status_code, first.json()["staged"]) == (201, [path])
    assert (again.status_code, again.json()["staged"]) == (200, [])
    listed = repository.find(path)
    assert listed.custom["kind"] == "wheels"
    assert listed.custom["hardware"] == ["aarch64-cp311"]
    served = registry.client.get(
        f"/tuf/targets/wheels/shopfloor-edge/1.9/{first.json()['digest']}.aarch64-cp311"
    )
    assert served.content == (tmp_path / "w/1.9.tar").read_bytes()


def test_a_version_with_other_bytes_is_refused(registry, repository, tmp_path):
    upload(registry, pack(tmp_path / "a", "1.9"))

    answer = upload(registry, pack(tmp_path / "b", "1.9", b"x = 2\n"))

    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_delta_from_the_newest_version_holds_only_the_wheels_that_changed(
    registry, repository, targets_key, tmp_path
):
    for version in ("1.9", "1.10"):
        upload(registry, pack(tmp_path / "w", version))
        sign_all(registry, targets_key)
    new = pack(tmp_path / "w", "1.11", b"x = 3\n")

    answer = upload(registry, new)
    sign_all(registry, targets_key)

    base = tmp_path / "w/1.10.tar"
    before = repository.find("wheels/shopfloor-edge/1.10/aarch64-cp311").hashes["sha256"]
    path = delta_path(before, answer.json()["digest"])
    delta = repository.target_file(repository.find(path))
    assert path in answer.json()["staged"]
    assert delta.stat().st_size < 5000 < len(LARGE)
    apply_delta(base, delta, tmp_path / "made")
    assert (tmp_path / "made").read_bytes() == new.read_bytes()


@pytest.mark.parametrize(("by", "status"), [("vera", 403), (None, 401)])
def test_who_may_not_upload_is_refused(registry, repository, tmp_path, by, status):
    assert upload(registry, pack(tmp_path / "w", "1"), by=by).status_code == status


def test_what_is_no_set_of_wheels_is_refused_in_one_line(registry, repository, tmp_path):
    file = tmp_path / "x"
    content = bytearray(pack(tmp_path / "w", "1").read_bytes())
    content[-20_000] ^= 1
    file.write_bytes(content)

    answer = upload(registry, file)

    assert answer.status_code == 422
    assert str(tmp_path) not in answer.text
