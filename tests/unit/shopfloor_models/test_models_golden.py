"""The golden clip: it has one digest, tells nothing of a face, and finds a wrong build."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from shopfloor_contracts.bundles import Golden, parse_manifest
from shopfloor_models.bundle import BundleFileError, check_files
from shopfloor_models.golden import Clip, check_build, compare, read_clip, write_clip
from shopfloor_models.golden_choice import Candidate, choose, fit_to_leave

SHIPPED = Path(__file__).resolve().parents[3] / "models" / "zoo" / "person-nano"
MANIFEST = parse_manifest((SHIPPED / "manifest.json").read_text(), source="manifest.json")
GOLDEN = Golden(clip="golden.npz", sha256="0" * 64, size_bytes=0)


def rows(*found: tuple[float, ...]) -> np.ndarray:
    out = np.zeros((1, 300, 6), np.float32)
    out[0, : len(found)] = np.array(found, np.float32).reshape(-1, 6)
    return out


ONE = (10, 20, 50, 120, 0.8, 0)


def clip() -> Clip:
    frames = np.random.default_rng(3).integers(0, 255, (2, 64, 64, 3), np.uint8)
    return Clip(frames, np.concatenate([rows(ONE), rows()]))


def test_the_same_clip_has_the_same_bytes_and_is_read_as_written(tmp_path) -> None:
    first, second = (write_clip(clip(), tmp_path / name) for name in ("a.npz", "b.npz"))

    assert first.sha256 == second.sha256
    assert np.array_equal(read_clip(tmp_path / "a.npz").frames, clip().frames)
    assert np.array_equal(read_clip(tmp_path / "a.npz").detections, clip().detections)


def test_a_clip_of_another_shape_is_refused(tmp_path) -> None:
    wrong = Clip(clip().frames, rows(ONE))

    with pytest.raises(BundleFileError, match=r"detections are \[1, 300, 6\], expected \[2, 300"):
        write_clip(wrong, tmp_path / "golden.npz")

    assert list(tmp_path.iterdir()) == []


def test_a_clip_that_does_not_unpack_is_named(tmp_path) -> None:
    write_clip(clip(), tmp_path / "golden.npz")
    content = bytearray((tmp_path / "golden.npz").read_bytes())
    content[60:90] = bytes(30)
    (tmp_path / "golden.npz").write_bytes(content)

    with pytest.raises(BundleFileError, match=r"golden\.npz: no golden clip"):
        read_clip(tmp_path / "golden.npz")


@pytest.mark.parametrize("content", [b"", b"no archive"])
def test_a_file_that_is_no_clip_is_named(tmp_path, content) -> None:
    (tmp_path / "golden.npz").write_bytes(content)

    with pytest.raises(BundleFileError, match=r"golden\.npz: no golden clip"):
        read_clip(tmp_path / "golden.npz")


@pytest.mark.parametrize(
    ("found", "missing", "extra"),
    [
        ([ONE], 0, 0),
        ([(11, 21.5, 49, 121, 0.75, 0)], 0, 0),
        ([(13, 20, 50, 120, 0.8, 0)], 1, 1),
        ([(10, 20, 50, 120, 0.65, 0)], 1, 1),
        ([(10, 20, 50, 120, 0.8, 1)], 1, 1),
        ([], 1, 0),
        ([ONE, (80, 20, 120, 90, 0.5, 0)], 0, 1),
        ([ONE, (80, 20, 120, 90, 0.15, 0)], 0, 0),
    ],
    ids=["same", "near", "far", "unsure", "class", "nothing", "more", "hardly"],
)
def test_what_is_outside_of_the_tolerances_is_told(found, missing, extra) -> None:
    difference = compare(rows(ONE), rows(*found), golden=GOLDEN, score_min=0.1)

    assert (difference.missing, difference.extra) == (missing, extra)
    assert difference.agrees == (missing == extra == 0)


def test_a_detection_near_the_limit_may_go() -> None:
    difference = compare(rows((*ONE[:4], 0.15, 0)), rows(), golden=GOLDEN, score_min=0.1)

    assert difference.agrees
    assert difference.expected == 0


def test_half_of_the_frames_tell_most_and_no_picture_comes_twice() -> None:
    frame, nothing = np.zeros((4, 4, 3), np.uint8), np.zeros((300, 6), np.float32)
    candidates = [
        Candidate(number, frame, nothing, sure=10.0 - number, telling=number in (6, 7, 8))
        for number in range(9)
        for _ in range(2)
    ]

    chosen = choose(candidates, count=4)

    assert [one.picture for one in chosen] == [0, 1, 6, 7]


def test_nothing_of_a_head_is_left_but_blocks() -> None:
    frame = np.random.default_rng(1).integers(0, 255, (100, 100, 3), np.uint8)
    person = np.array([[20, 10, 50, 90]], np.float32)

    hidden = fit_to_leave(frame, person)

    head, body = hidden[10:27, 20:50].reshape(-1, 3), hidden[30:90, 20:50].reshape(-1, 3)
    assert len(np.unique(head, axis=0)) <= 6
    assert len(np.unique(body, axis=0)) > 100
    assert len(np.unique(hidden)) == 16


def test_what_is_shipped_finds_what_its_clip_expects() -> None:
    assert MANIFEST.golden is not None
    check_files(MANIFEST, SHIPPED)

    found = read_clip(SHIPPED / MANIFEST.golden.clip)
    difference = check_build(MANIFEST, found, SHIPPED / MANIFEST.builds[0].file)

    assert difference.expected >= 4
    assert difference.agrees
    assert MANIFEST.golden.size_bytes <= 300_000


def first_weights(model: onnx.ModelProto) -> onnx.TensorProto:
    conv = next(node for node in model.graph.node if node.op_type == "Conv")
    return next(one for one in model.graph.initializer if one.name == conv.input[1])


def swapped_colours(model: onnx.ModelProto) -> None:
    weights = first_weights(model)
    value = np.ascontiguousarray(numpy_helper.to_array(weights)[:, ::-1])
    weights.CopyFrom(numpy_helper.from_array(value, weights.name))


def spoilt_weights(model: onnx.ModelProto) -> None:
    largest = max(model.graph.initializer, key=lambda one: len(one.raw_data))
    value = numpy_helper.to_array(largest).copy()
    value[: len(value) // 4] *= -1
    largest.CopyFrom(numpy_helper.from_array(value, largest.name))


@pytest.mark.parametrize("spoil", [swapped_colours, spoilt_weights])
def test_a_wrong_build_is_found_out(tmp_path, spoil) -> None:
    model = onnx.load(SHIPPED / MANIFEST.builds[0].file)
    spoil(model)
    onnx.save(model, tmp_path / "wrong.onnx")

    difference = check_build(MANIFEST, read_clip(SHIPPED / "golden.npz"), tmp_path / "wrong.onnx")

    assert not difference.agrees
    assert difference.missing > 0


def test_frames_of_another_size_are_refused(tmp_path) -> None:
    shutil.copy(SHIPPED / MANIFEST.builds[0].file, tmp_path / "net.onnx")

    with pytest.raises(BundleFileError, match="frames of 64x64 px, the manifest says 352x256"):
        check_build(MANIFEST, clip(), tmp_path / "net.onnx")


def test_a_picture_that_is_drawn_on_stays_as_it_was() -> None:
    frame = np.full((40, 40, 3), 200, np.uint8)
    cv2.circle(frame, (20, 20), 8, (0, 0, 0), -1)
    before = frame.copy()

    fit_to_leave(frame, np.array([[0, 0, 40, 40]], np.float32))

    assert np.array_equal(frame, before)
