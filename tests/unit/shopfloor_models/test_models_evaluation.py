"""Evaluation on made-up boxes, and on a network of one constant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from shopfloor_contracts.bundles import Head, Preprocess
from shopfloor_models.errors import DataError
from shopfloor_models.evaluation.charts import Point, pareto
from shopfloor_models.evaluation.coco import Labelled, accuracy, read_labelled
from shopfloor_models.evaluation.parity import Agreement, agreement
from shopfloor_models.evaluation.predict import BuildPredictor, Network
from shopfloor_models.evaluation.report import Measured, pixelated, render, worst
from shopfloor_models.evaluation.robustness import KINDS, robustness, robustness_ratio, spoil
from shopfloor_models.evaluation.speed import Input, Speed, compare

SPEC = Preprocess(
    width_px=64, height_px=64, layout="nchw-float32", colour="bgr", letterbox="top-left"
)
SPEED = Speed("fp32", 10.0, 1.0, 50_000_000)


def labelled(name: str = "a.jpg") -> Labelled:
    pixels = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    boxes = np.array([[10, 10, 50, 90], [80, 20, 150, 110]], np.float32)
    return Labelled(name, pixels, boxes, np.array([0, 1]))


def perfect(picture: Labelled) -> np.ndarray:
    scores = np.full(len(picture.boxes), 0.9)
    return np.column_stack([picture.boxes, scores, picture.classes]).astype(np.float32)


def constant_network(path: Path, rows: np.ndarray) -> Path:
    """Write an ONNX that finds ``rows`` on any picture of 64 x 64."""
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["images"], ["mean"], keepdims=0),
            helper.make_node("Sub", ["mean", "mean"], ["zero"]),
            helper.make_node("Add", ["rows", "zero"], ["found"]),
        ],
        "constant",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 64, 64])],
        [helper.make_tensor_value_info("found", TensorProto.FLOAT, [1, *rows.shape])],
        [numpy_helper.from_array(rows[None], "rows")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, path)
    return path


@dataclass
class KnowsAll:
    """Finds the same boxes wherever it looks."""

    truth: Labelled

    def predict(self, images_bgr):
        return [perfect(self.truth) for _ in images_bgr]


def test_perfect_detections_score_1_in_every_class_and_size():
    result = accuracy([labelled()], [perfect(labelled())], classes=[0, 1])

    assert result.ap == pytest.approx(1.0)
    assert result.by_class == pytest.approx({0: 1.0, 1: 1.0})
    assert result.by_size == pytest.approx({"medium": 1.0})
    assert len(result.curve) == 101


def test_other_classes_are_left_out_on_both_sides():
    rows = perfect(labelled())[:1]

    assert accuracy([labelled()], [rows], classes=[0]).ap == pytest.approx(1.0)
    assert accuracy([labelled()], [rows], classes=[0, 1]).ap == pytest.approx(0.5)


def test_no_detection_scores_0_and_nothing_is_printed(capsys):
    nothing = np.zeros((0, 6), np.float32)

    result = accuracy([labelled()], [nothing], classes=[0, 1])

    assert result.ap == result.ap50 == 0.0
    assert capsys.readouterr().out == ""


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(DataError, match="0 pictures, expected at least 1"):
        read_labelled(tmp_path, tmp_path)


def test_boxes_come_back_in_the_pictures_pixels(tmp_path):
    rows = np.array([[8, 8, 16, 32, 0.8, 0], [0, 0, 4, 4, 0.001, 0]], np.float32)
    path = constant_network(tmp_path / "net.onnx", rows)

    found = BuildPredictor(path, Network(Head.END2END, SPEC)).predict(
        [np.zeros((128, 128, 3), np.uint8)]
    )

    np.testing.assert_allclose(found[0], [[16, 16, 32, 64, 0.8, 0]], atol=1e-5)


def test_a_file_that_is_no_model_is_refused(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(b"junk")

    with pytest.raises(DataError, match="not an ONNX model"):
        BuildPredictor(path, Network(Head.YOLOX, SPEC))
    with pytest.raises(DataError, match=r"suffix '\.bin', expected one of"):
        BuildPredictor(tmp_path / "net.bin", Network(Head.YOLOX, SPEC))


def test_agreement_counts_sure_detections_of_the_same_class():
    reference = perfect(labelled())
    other = reference.copy()
    other[0, 4] = 0.7
    other[1, 5] = 3

    result = agreement([reference], [other])

    assert result.detections == 2
    assert result.agreement == 0.5
    assert result.score_difference_max == pytest.approx(0.2)


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_spoils_a_picture_the_same_way_twice(kind):
    strength = KINDS[kind][1][-1]

    first = spoil(labelled(), kind, strength=strength, seed=3)
    again = spoil(labelled(), kind, strength=strength, seed=3)

    np.testing.assert_array_equal(first.pixels, again.pixels)
    np.testing.assert_array_equal(first.boxes, again.boxes)
    assert first.pixels.shape == labelled().pixels.shape
    assert (first.pixels != labelled().pixels).any()


def test_only_a_shift_costs_a_detector_that_ignores_the_picture():
    curves = robustness(KnowsAll(labelled()), [labelled()], classes=[0, 1])

    by_kind = {curve.kind: curve.ap for curve in curves}
    assert by_kind["noise"] == pytest.approx((1.0, 1.0, 1.0))
    assert by_kind["shift"][-1] < 1.0
    assert 0 < robustness_ratio(curves, 1.0) < 1.0


def test_builds_are_timed_against_the_reference_in_the_same_run(tmp_path):
    path = constant_network(tmp_path / "net.onnx", np.zeros((5, 6), np.float32))

    speeds = compare({"fp32": path}, reference="fp32", given=Input(64, 64), rounds=3)

    assert speeds[0].latency_ratio == 1.0
    assert speeds[0].rss_bytes > 1_000_000


def test_the_front_leaves_out_what_another_beats_on_both_axes():
    points = [Point("slow", 9, 0.2, 1), Point("fast", 3, 0.3, 1), Point("best", 12, 0.5, 1)]

    assert [point.name for point in pareto(points)] == ["fast", "best"]


def test_people_are_pixelated_whether_labelled_or_found():
    truth = labelled()
    found = np.array([[80, 20, 150, 110, 0.8, 0]], np.float32)
    example = worst([truth], [found])[0]

    coarse = pixelated(example)

    assert example.missed == 2
    assert len(np.unique(coarse[20:80, 12:48].reshape(-1, 3), axis=0)) < 100
    assert len(np.unique(coarse[30:100, 85:145].reshape(-1, 3), axis=0)) < 100
    assert (coarse[100:, :70] == truth.pixels[100:, :70]).all()


def test_the_report_is_one_file_that_escapes_names():
    truth, found = [labelled()], [perfect(labelled())]
    result = accuracy(truth, found, classes=[0, 1])
    build = Measured("<fp32>", 900_000, result, SPEED, Agreement(2, 1.0, 0.0))
    curves = robustness(KnowsAll(labelled()), truth, classes=[0, 1])

    html = render(
        "a & b", [build], classes=["p", "q"], robustness=curves, examples=worst(truth, found)
    )

    assert "&lt;fp32&gt;" in html
    assert "<fp32>" not in html
    assert "http" not in html
