import importlib.util
from pathlib import Path

import cv2
import onnx
import pytest

from fakes.networks import SIZE, network, pictures
from shopfloor_contracts.bundles import Provenance
from shopfloor_models.delivery import Order, deliver, refuse_unknown
from shopfloor_models.errors import ExportError, MissingExtraError
from shopfloor_models.evaluation.parity import agreement
from shopfloor_models.evaluation.predict import BuildPredictor, Network

LITERT = importlib.util.find_spec("ai_edge_litert") is not None
TENSORRT = importlib.util.find_spec("tensorrt_rtx_bindings") is not None


def order(*targets: str) -> Order:
    return Order(
        name="tiny",
        version="1",
        licence="Apache-2.0",
        classes=("person",),
        input_px=(SIZE, SIZE),
        targets=targets,
        provenance=Provenance(recipe="test"),
    )


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    path = tmp_path / "network.onnx"
    onnx.save(network(depthwise=True), path)
    return path


@pytest.fixture
def calibration(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number:02d}.png" for number in range(40)]
    for path, picture in zip(paths, pictures(40), strict=True):
        cv2.imwrite(str(path), picture)
    return paths


@pytest.mark.skipif(not LITERT, reason="wants the extra litert of shopfloor-models")
def test_cpu_coral_and_tensorrt_end_in_one_bundle_of_builds_that_agree(
    tmp_path: Path, plain: Path, calibration: list[Path]
) -> None:
    out, said = tmp_path / "bundle", []

    manifest = deliver(
        plain, order("cpu", "coral", "tensorrt"), calibration=calibration, out=out, say=said.append
    )

    layouts = {build.target: build.layout for build in manifest.builds}
    assert layouts == {
        "onnx-fp32": None,
        "onnx-int8": None,
        "onnx-int8-tensorrt": None,
        "litert-int8": "nhwc-int8",
    }
    assert "engine" in said[0]
    network_ = Network.of(manifest, score_min=0.1)
    images = [cv2.imread(str(path)) for path in calibration[:8]]
    found = [BuildPredictor(out / b.file, network_).predict(images) for b in manifest.builds]
    assert sum(map(len, found[0])) > 10
    assert all(agreement(found[0], one).agreement > 0.8 for one in found)


@pytest.mark.skipif(TENSORRT, reason="wants TensorRT for RTX to be absent")
def test_an_engine_that_was_not_tried_is_said(
    tmp_path: Path, plain: Path, calibration: list[Path]
) -> None:
    said: list[str] = []

    deliver(plain, order("tensorrt"), calibration=calibration, out=tmp_path / "b", say=said.append)

    assert said[0].startswith("onnx-int8-tensorrt: no engine was tried: tensorrt-rtx is not")


def test_a_float_build_needs_no_pictures(tmp_path: Path, plain: Path) -> None:
    manifest = deliver(plain, order("openvino"), calibration=[], out=tmp_path / "bundle")

    assert [build.target for build in manifest.builds] == ["onnx-fp32"]


def test_an_unknown_target_is_refused_before_anything_is_made() -> None:
    with pytest.raises(ExportError, match="target 'npu' is unknown"):
        refuse_unknown(["cpu", "npu"])


@pytest.mark.skipif(LITERT, reason="wants LiteRT to be absent")
def test_a_target_whose_extra_is_absent_is_refused_before_anything_is_made() -> None:
    with pytest.raises(MissingExtraError, match=r"shopfloor-models\[litert\]"):
        refuse_unknown(["coral"])


def test_the_most_sensitive_layers_are_told_with_what_became_of_them(
    tmp_path: Path, plain: Path, calibration: list[Path]
) -> None:
    out = tmp_path / "bundle"

    deliver(plain, order("onnx-int8"), calibration=calibration, out=out)

    head, *rows = (out / "sensitivity-onnx-int8.tsv").read_text().splitlines()
    errors = [float(row.split("\t")[1]) for row in rows]
    convolutions = [n for n in onnx.load(plain).graph.node if n.op_type == "Conv"]
    assert head.split("\t") == ["layer", "error", "kept"]
    assert errors == sorted(errors, reverse=True)
    assert 0 < len(rows) <= len(convolutions)
    assert rows[0].endswith("float")
