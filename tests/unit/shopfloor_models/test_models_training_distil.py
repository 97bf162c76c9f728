from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from shopfloor_models.data.dataset import load_dataset
from shopfloor_models.data.scan import scan_dataset
from shopfloor_models.errors import DataError
from shopfloor_models.training.distil import PAINT, Bands, judge, label, write_dataset
from shopfloor_models.training.parents import FOCUS, Parent, plain_weights
from shopfloor_models.training.teacher import Found, find_model

A, B = [10, 10, 40, 90], [60, 10, 90, 90]


def found(boxes: list[list[float]], scores: list[float], name: str = "person") -> Found:
    return Found(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores, np.float32),
        (name,) * len(boxes),
    )


class FakeTeacher:
    def __init__(self, seen: Found) -> None:
        self.seen = seen

    def look(self, picture: NDArray[np.uint8]) -> Found:
        return self.seen


def test_one_teacher_is_sure_unsure_or_silent() -> None:
    judged = judge([found([A, B, A], [0.9, 0.3, 0.1])], ["person"], Bands())

    assert judged.boxes.tolist() == [A]
    assert judged.unsure.tolist() == [B]


def test_classes_that_nobody_asked_for_are_nothing() -> None:
    judged = judge([found([A], [0.9], "dog")], ["person"], Bands())

    assert len(judged.boxes) == len(judged.unsure) == 0


def test_two_teachers_must_agree() -> None:
    first, second = found([A, B], [0.9, 0.9]), found([A], [0.5])

    judged = judge([first, second], ["person"], Bands())

    assert judged.boxes.tolist() == [A]
    assert judged.scores.tolist() == pytest.approx([0.7])
    assert judged.unsure.tolist() == [B]


def test_what_only_the_second_teacher_sees_is_unsure() -> None:
    judged = judge([found([], []), found([A], [0.9])], ["person"], Bands())

    assert judged.unsure.tolist() == [A]


def test_unsure_pixels_are_painted_and_labels_written(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((100, 100, 3), 200, np.uint8))
    teacher = FakeTeacher(found([A, B], [0.9, 0.3]))

    label([tmp_path / "a.png"], [teacher], ["person"], out=tmp_path / "out", bands=Bands())
    write_dataset(tmp_path / "out", ["person"], labelled_by="teacher fake")
    painted = cv2.imread(str(tmp_path / "out" / "images" / "a.png"))
    dataset = load_dataset(tmp_path / "out" / "dataset.toml")
    scan = scan_dataset(dataset, tmp_path / "out")

    assert painted[50, 25].tolist() == [200] * 3
    assert painted[50, 75].tolist() == [PAINT] * 3
    np.testing.assert_allclose(scan.items[0].sample.boxes, [[0.1, 0.1, 0.4, 0.9]], atol=1e-5)


def test_a_picture_that_shows_nobody_is_kept(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((50, 50, 3), np.uint8))

    samples = label(
        [tmp_path / "a.png"],
        [FakeTeacher(found([], []))],
        ["person"],
        out=tmp_path / "out",
        bands=Bands(),
    )

    assert len(samples) == 1
    assert (tmp_path / "out" / "labels" / "a.txt").read_text() == ""


def test_bands_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(DataError, match="expected 0 < ignore"):
        Bands(sure=0.1, ignore=0.4)


def test_an_unknown_teacher_is_answered_with_the_zoo() -> None:
    with pytest.raises(DataError, match=r"not in the zoo: .*yolox-nano"):
        find_model("yolo-nono")


def test_an_onnx_that_no_manifest_lists_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"x")

    with pytest.raises(DataError, match="neither the zoo nor a manifest"):
        find_model(str(tmp_path / "x.onnx"))


def test_a_class_that_the_parent_does_not_know_begins_as_its_first() -> None:
    assert Parent(Path("x"), ("dog", "person")).rows(["person", "bag"]) == (1, 0)


def test_a_merged_first_convolution_is_taken_apart(tmp_path: Path) -> None:
    parts = np.random.default_rng(1).normal(size=(4, 12, 3, 3)).astype(np.float32)
    whole = np.zeros((4, 3, 6, 6), np.float32)
    for number, (down, right) in enumerate(FOCUS):
        whole[:, :, down::2, right::2] = parts[:, 3 * number : 3 * number + 3]
    node = onnx.helper.make_node("Conv", ["x", "w"], ["y"])
    graph = onnx.helper.make_graph([node], "g", [], [], [numpy_helper.from_array(whole, "w")])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "folded.onnx")

    path = plain_weights(tmp_path / "folded.onnx", tmp_path)

    (value,) = onnx.load(path).graph.initializer
    np.testing.assert_array_equal(numpy_helper.to_array(value), parts)
