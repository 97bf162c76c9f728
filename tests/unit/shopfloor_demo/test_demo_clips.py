"""Footage is found in a stated order and refused when it is not the published one."""

from __future__ import annotations

import gzip
import hashlib

import pytest

from shopfloor_demo import clips
from shopfloor_demo.errors import ClipDigestError

CONTENT = b"not a video, but of a known digest"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def where(tmp_path, monkeypatch):
    monkeypatch.setattr(clips, "VTEST_SHA256", DIGEST)
    return clips.Places(tmp_path / "cache", tmp_path / "mirror", tmp_path / "root")


def put(path, content=CONTENT):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def mirrored(where):
    return where.mirror / "data" / "video" / "vtest.avi"


def packaged(where, name="vtest.avi"):
    return where.package_root / "usr/share/doc/opencv-doc/examples/data" / name


def find(where):
    return clips.find_vtest(where, say=lambda text: None)


def test_the_cache_comes_before_the_mirror_before_the_package(where):
    last = put(packaged(where))
    assert find(where) == last
    middle = put(mirrored(where))
    assert find(where) == middle
    first = put(where.cache / "video" / "vtest.avi")
    assert find(where) == first


def test_another_file_is_refused_and_named_with_both_digests(where):
    path = put(mirrored(where), b"something else")

    with pytest.raises(ClipDigestError) as raised:
        find(where)

    found = hashlib.sha256(b"something else").hexdigest()
    assert str(raised.value) == f"{path}: sha256 is {found}, expected {DIGEST}"


def test_a_compressed_file_of_the_package_is_unpacked_into_the_cache(where):
    put(packaged(where, "vtest.avi.gz"), gzip.compress(CONTENT))

    found = find(where)

    assert found == where.cache / "video" / "vtest.avi"
    assert found.read_bytes() == CONTENT


def test_a_compressed_file_of_another_content_is_refused(where):
    put(packaged(where, "vtest.avi.gz"), gzip.compress(b"something else"))

    with pytest.raises(ClipDigestError, match=r"vtest\.avi\.gz"):
        find(where)


def test_places_come_from_the_environment(tmp_path):
    environment = {"SHOPFLOOR_CACHE": "/c", "SHOPFLOOR_MIRROR": "/m"}

    where = clips.places(environment, tmp_path / "repository")

    assert (str(where.cache), str(where.mirror)) == ("/c", "/m")


def test_the_folder_beside_the_repository_is_the_mirror_if_it_exists(tmp_path):
    assert clips.places({}, tmp_path / "repository").mirror is None
    (tmp_path / "shared").mkdir()
    assert clips.places({}, tmp_path / "repository").mirror == tmp_path / "shared"
