"""Which backend runs: the first that works, with a reason when it is not the wanted one."""

import hashlib
import importlib.util

import numpy as np
import pytest

from fakes.detector import write_model, write_zoo
from shopfloor_contracts.site import ModelSpec
from shopfloor_edge.errors import BackendUnavailableError, BundleError
from shopfloor_edge.inference.choose import CANDIDATES, choose, precision_of
from shopfloor_edge.inference.motion import MOTION_DIGEST
from shopfloor_edge.inference.zoo import find_manifest

WANTED = ("person",)
HAS_OPENVINO = importlib.util.find_spec("openvino") is not None
MODEL_VERSION_1 = bytes([5 << 3, 1])
"""Field 5 of ONNX's ModelProto."""
SECOND = """[[bundle.builds]]
target = "{target}"
file = "{file}"
sha256 = "{digest}"
size_bytes = 1000
"""


@pytest.fixture
def zoo(tmp_path, monkeypatch):
    """A zoo with a detector that sees one person, always in the same place."""
    models = tmp_path / "models"
    boxes = np.zeros((1, 300, 6), np.float32)
    boxes[0, 0] = [10, 10, 40, 60, 0.9, 0]
    write_model(models / "tiny.onnx", boxes)
    write_zoo(tmp_path / "zoo.toml", digest_of(models / "tiny.onnx"))
    monkeypatch.setenv("SHOPFLOOR_ZOO", str(tmp_path / "zoo.toml"))
    monkeypatch.setenv("SHOPFLOOR_MIRROR", str(tmp_path))
    monkeypatch.setenv("SHOPFLOOR_CACHE", str(tmp_path / "cache"))
    return tmp_path


def digest_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def add_build(zoo, target, content):
    file = f"{target}.onnx"
    (zoo / "models" / file).write_bytes(content)
    more = SECOND.format(target=target, file=file, digest=digest_of(zoo / "models" / file))
    (zoo / "zoo.toml").write_text((zoo / "zoo.toml").read_text() + more)


def chosen(**model):
    return choose(find_manifest("person-nano"), ModelSpec(**model), wanted=WANTED)


def test_the_default_is_the_float_build_on_onnxruntime(zoo):
    found = chosen()

    assert (found.name, found.precision, found.degraded) == ("onnxruntime", "fp32", "")
    assert found.model_digest == digest_of(zoo / "models" / "tiny.onnx")
    assert found.preprocess.width_px == 64
    assert found.sees_still_people


def test_all_cameras_share_a_model(zoo):
    found = chosen()

    assert found.for_camera() is found.for_camera()


@pytest.mark.skipif(not HAS_OPENVINO, reason="wants openvino, the extra openvino")
def test_a_runtime_that_is_asked_for_is_used():
    found = chosen(backend="openvino")

    assert (found.name, found.precision, found.degraded) == ("openvino", "fp32", "")


def test_a_runtime_without_a_build_is_replaced_and_that_is_said(zoo, caplog):
    found = chosen(backend="litert")

    assert found.name == "onnxruntime"
    assert found.degraded == "bundle person-nano has no build for litert"
    assert "inference is degraded" in caplog.text


def test_a_runtime_that_is_not_here_is_replaced_and_that_is_said(zoo):
    (probe,) = {one.probe for one in CANDIDATES if one.runtime == "tensorrt"}
    try:
        probe()
    except BackendUnavailableError as e:
        expected = str(e)
    else:
        pytest.skip("TensorRT and a GPU are here")

    found = chosen(backend="tensorrt")

    assert found.name == "onnxruntime"
    assert found.degraded == expected


def test_an_accelerator_that_nobody_asked_for_is_not_missed(zoo):
    add_build(zoo, "onnx-int8-tensorrt", b"junk that only TensorRT would read")

    assert chosen().degraded == ""


def test_motion_can_be_asked_for_and_is_not_degraded_then(zoo):
    found = chosen(backend="motion")

    assert (found.name, found.precision, found.degraded) == ("motion", "none", "")
    assert found.model_digest == MOTION_DIGEST
    assert not found.sees_still_people


def test_a_model_that_is_nowhere_leaves_motion(zoo):
    (zoo / "models" / "tiny.onnx").unlink()

    found = chosen()

    assert (found.name, found.precision) == ("motion", "none")
    assert "tiny.onnx is in none of" in found.degraded
    assert found.for_camera().infer(np.zeros((1, 288, 384, 3), np.uint8)).shape == (1, 300, 6)


def test_every_camera_has_a_background_of_its_own(zoo):
    found = chosen(backend="motion")

    assert found.for_camera() is not found.for_camera()


def test_a_broken_build_is_passed_over_for_the_next(zoo):
    whole = (zoo / "models" / "tiny.onnx").read_bytes()
    add_build(zoo, "onnx-int8", whole)
    (zoo / "models" / "tiny.onnx").write_bytes(b"damaged")

    found = chosen()

    assert (found.name, found.precision) == ("onnxruntime", "int8")
    assert "tiny.onnx: sha256 is" in found.degraded


def test_a_reason_is_given_once(zoo):
    (zoo / "models" / "tiny.onnx").write_bytes(b"damaged")

    assert chosen().degraded.count("tiny.onnx: sha256 is") == 1


def test_a_pinned_build_is_the_only_one(zoo):
    """Protobuf takes a field twice: the same network with another digest."""
    whole = (zoo / "models" / "tiny.onnx").read_bytes()
    add_build(zoo, "onnx-int8", whole + MODEL_VERSION_1)
    pinned = digest_of(zoo / "models" / "onnx-int8.onnx")

    found = chosen(sha256=pinned)

    assert (found.model_digest, found.precision, found.degraded) == (pinned, "int8", "")


def test_no_other_build_takes_the_place_of_a_pinned_one(zoo):
    add_build(zoo, "onnx-int8", (zoo / "models" / "tiny.onnx").read_bytes())

    found = chosen(sha256="1" * 64)

    assert found.name == "motion"
    assert f"expected {'1' * 64}" in found.degraded


def test_a_class_that_the_bundle_does_not_know_is_the_operators_to_mend(zoo):
    with pytest.raises(BundleError, match="does not know the class 'unicorn'"):
        choose(find_manifest("person-nano"), ModelSpec(), wanted=("unicorn",))


@pytest.mark.parametrize(
    ("target", "precision"),
    [
        ("onnx-fp32", "fp32"),
        ("onnx-int8", "int8"),
        ("onnx-int8-tensorrt", "int8"),
        ("litert-int8-edgetpu", "int8"),
        ("onnx-fp16", "fp16"),
    ],
)
def test_precision_is_told_by_the_target(zoo, target, precision):
    build = find_manifest("person-nano").builds[0].model_copy(update={"target": target})

    assert precision_of(build) == precision


def test_every_candidate_belongs_to_a_runtime_that_a_site_can_name():
    named = {ModelSpec(backend=one.runtime).backend for one in CANDIDATES}

    assert named == {"tensorrt", "litert", "onnxruntime", "openvino"}
