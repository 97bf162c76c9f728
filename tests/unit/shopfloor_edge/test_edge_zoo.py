import hashlib

import pytest

from shopfloor_contracts.bundles import Build
from shopfloor_contracts.errors import ZooError
from shopfloor_edge.errors import BundleError, DigestMismatchError
from shopfloor_edge.inference.zoo import find_manifest, load_zoo, resolve

CONTENT = b"weights"
BUILD = Build(
    target="onnx-fp32",
    file="m.onnx",
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    size_bytes=len(CONTENT),
)


@pytest.fixture
def places(tmp_path, monkeypatch):
    monkeypatch.setenv("SHOPFLOOR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SHOPFLOOR_MIRROR", str(tmp_path / "mirror"))
    (tmp_path / "mirror" / "models").mkdir(parents=True)
    return tmp_path


def test_the_mirror_is_used_when_the_cache_has_nothing(places):
    path = places / "mirror" / "models" / "m.onnx"
    path.write_bytes(CONTENT)

    assert resolve(BUILD, download=False) == path


def test_the_cache_comes_first(places):
    cached = places / "cache" / "models" / BUILD.sha256[:16] / "m.onnx"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(CONTENT)
    (places / "mirror" / "models" / "m.onnx").write_bytes(b"another")

    assert resolve(BUILD, download=False) == cached


def test_a_wrong_digest_names_file_expected_and_found(places):
    path = places / "mirror" / "models" / "m.onnx"
    path.write_bytes(b"tampered")

    with pytest.raises(DigestMismatchError) as caught:
        resolve(BUILD, download=False)

    message = str(caught.value)
    assert str(path) in message
    assert BUILD.sha256 in message
    assert hashlib.sha256(b"tampered").hexdigest() in message


def test_nowhere_says_where_was_looked_and_what_to_do(places):
    with pytest.raises(BundleError, match=r"mirror/models/m\.onnx.*shopfloor-edge fetch"):
        resolve(BUILD, download=False)


def test_an_unknown_bundle_lists_the_known_ones():
    with pytest.raises(BundleError, match=r"'yolox-nona' is not in the zoo; it has .*yolox-nano"):
        find_manifest("yolox-nona")


def test_the_zoo_of_the_checkout_is_valid():
    assert load_zoo()["yolox-nano"].licence == "Apache-2.0"


def test_a_zoo_with_an_unknown_key_names_file_and_key(tmp_path, monkeypatch):
    zoo = tmp_path / "zoo.toml"
    zoo.write_text('[[bundle]]\nname = "x"\nlicense = "MIT"\n')
    monkeypatch.setenv("SHOPFLOOR_ZOO", str(zoo))

    with pytest.raises(ZooError, match=r"zoo\.toml.*bundle\[0\]\.license.*licence"):
        load_zoo()
